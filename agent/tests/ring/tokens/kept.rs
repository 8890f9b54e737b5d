//! No value is lost, shown, or sent to where nobody wanted it.

use super::*;

#[tokio::test]
async fn the_old_value_serves_until_the_new_one_is_stored() {
    let company = Company::with(BY_HAND, |_| {}).await;
    add(&company, "aspect", "aw_1").await.unwrap();
    company.vault.set(Some(KeychainError::Locked));
    assert_eq!(rotate(&company, Some("aw_2")).await.unwrap_err().code, Code::KeychainLocked);
    assert_eq!(served(&company).await, "aw_1");
    company.vault.set(None);
    rotate(&company, Some("aw_2")).await.unwrap();
    assert_eq!(served(&company).await, "aw_2");
}

#[tokio::test]
async fn a_removal_reaches_the_service_where_it_can() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let said = company.remove_token("aspect").await.unwrap();
    assert!(said.contains("removed here and at its service"), "{said}");
    assert!(!company.sandbox.portal().is_live(&value));
    assert_eq!(company.get(CLUSTER).await.unwrap_err().code, Code::TokenNeeded);

    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let ask = ControlAsk::TokenRemove { name: "aspect".to_owned(), keep_at_service: true };
    company.control(ask).await.unwrap();
    assert!(company.sandbox.portal().is_live(&value));

    add(&company, "aspect", &value).await.unwrap();
    company.faults().set(Endpoint::TokenDelete, Fault::Status(500));
    let said = company.remove_token("aspect").await.unwrap();
    assert!(said.contains("but not at its service"), "{said}");
    assert_eq!(company.report("aspect").await.state, EntryState::SignedOut);
}

#[tokio::test]
async fn what_cannot_be_forgotten_here_is_not_deleted_there() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    company.vault.refuse_stores(Some(KeychainError::Failed("read-only".to_owned())));
    company.remove_token("aspect").await.unwrap_err();
    assert!(company.sandbox.portal().is_live(&value));
    assert_eq!(served(&company).await, value);
}

#[tokio::test]
async fn a_token_whose_successor_nobody_has_is_not_said_to_be_gone() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    company.faults().set_times(Endpoint::TokenRotate, Fault::Reset, 1);
    rotate(&company, None).await.unwrap_err();
    let said = company.remove_token("aspect").await.unwrap();
    assert!(said.contains("it lives on under a value that nobody has"), "{said}");
}

#[tokio::test]
async fn a_service_that_an_edit_has_named_gets_no_token_until_that_is_confirmed() {
    let company = Company::with(BY_HAND, |_| {}).await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    company.configure(CONFIG);
    let calls = || company.counts().arrived(Endpoint::TokenSelf);
    let new = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    for ask in [
        ControlAsk::TokenAdd { name: "aspect".to_owned(), value: Secret::from(new.as_str()), ends: None },
        ControlAsk::TokenRotate { name: "aspect".to_owned(), value: None, ends: None },
        ControlAsk::TokenRemove { name: "aspect".to_owned(), keep_at_service: false },
    ] {
        // Done or refused: nobody was asked.
        let _ = company.control(ask).await;
        assert_eq!(calls(), 0);
    }
    assert!(company.sandbox.portal().is_live(&new));
}

#[tokio::test]
async fn a_token_that_its_service_gets_goes_through_no_proxy_that_nobody_confirmed() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let calls = company.counts().arrived(Endpoint::TokenSelf);
    for (network, place) in [
        ("proxy = \"http://proxy.evil.example:3128\"", "proxy http://proxy.evil.example:3128/"),
        ("ca_file = \"/nowhere/evil.pem\"", "/nowhere/evil.pem"),
    ] {
        company.configure(&format!("{CONFIG}\n[network]\n{network}\n"));
        let refusal = company.get(CLUSTER).await.unwrap_err();
        assert_eq!(refusal.code, Code::DestinationChanged, "{refusal}");
        assert!(refusal.say.contains(place), "{refusal}");
        rotate(&company, None).await.unwrap_err();
        // One that only tools bring anywhere has no business with the network of the agent.
        company.configure(&format!("{BY_HAND}\n[network]\n{network}\n"));
        assert_eq!(company.report("aspect").await.state, EntryState::Ending);
    }
    assert_eq!(company.counts().arrived(Endpoint::TokenSelf), calls);
}

#[tokio::test]
async fn nothing_is_shown_that_the_keychain_has() {
    let company = company().await;
    let value = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &value).await.unwrap();
    let ask = ControlAsk::TokenRescue { name: "aspect".to_owned() };
    assert_eq!(company.control(ask).await.unwrap_err().code, Code::BadRequest);
}

#[tokio::test]
async fn a_store_that_fails_takes_no_token_away() {
    let company = Company::with(BY_HAND, |_| {}).await;
    add(&company, "aspect", "aw_1").await.unwrap();
    company.vault.fail_store(1, KeychainError::Failed("no space".to_owned()));
    assert_eq!(rotate(&company, Some("aw_2")).await.unwrap_err().code, Code::KeychainFailed);
    assert_eq!(served(&company).await, "aw_1");
    rotate(&company, Some("aw_2")).await.unwrap();
    assert_eq!(served(&company).await, "aw_2");
}

#[tokio::test]
async fn a_value_in_memory_alone_is_found_whatever_becomes_of_the_configuration() {
    let company = company().await;
    let old = issue(&company, "ada@acme.dev", Permissions::READ, 20);
    add(&company, "aspect", &old).await.unwrap();
    company.faults().set_times(Endpoint::TokenRotate, Fault::Slow(Duration::from_millis(100)), 1);
    let refusing = async {
        company.call_arrives(Endpoint::TokenRotate).await;
        company.vault.refuse_stores(Some(KeychainError::Failed("no space".to_owned())));
    };
    let (rotated, ()) = tokio::join!(rotate(&company, None), refusing);
    rotated.unwrap_err();
    let rescue = || async {
        match company.control(ControlAsk::TokenRescue { name: "aspect".to_owned() }).await.unwrap() {
            Reply::Value { value } => value.expose().clone(),
            other => panic!("no value: {other:?}"),
        }
    };
    let new = rescue().await;
    assert!(company.sandbox.portal().is_live(&new));
    company.configure(&format!("[agent]\nkeychain = \"file\"\n{CONFIG}"));
    assert_eq!(rescue().await, new);
    let notes = company.report("aspect").await.notes;
    assert!(notes.iter().any(|note| note.hint == "keyfob token rescue aspect"), "{notes:?}");
    company.configure("[token.other]\nhosts = [\"other.acme.dev\"]\n");
    assert_eq!(rescue().await, new);
}
