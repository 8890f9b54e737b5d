//! Which identity counts, and what is said where there is none.

use keyfob_agent::ambient::Ambient;
use keyfob_ipc::reply::EntryState;
use keyfob_ipc::{Code, ControlAsk, Flow};
use keyfob_sandbox::circleci::Version;

use super::{CONFIG, circleci, github, token_file, web_identity};
use crate::company::{CACHE, Company};
use crate::person::Person;

/// The identity that counts, by the order of `company.agent`.
async fn identity(company: &Company) -> String {
    match company.control(ControlAsk::MachineClaims { name: "ci".to_owned() }).await.unwrap() {
        keyfob_ipc::Reply::Claims(report) => report.identity,
        other => panic!("not claims: {other:?}"),
    }
}

#[tokio::test]
async fn the_flag_goes_first_then_github_then_circleci_then_the_file() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    let all = Ambient {
        chosen: Some("web-identity-file".to_owned()),
        github: github(&company).github,
        is_github: true,
        web_identity_file: Some(token_file(&company)),
        ..circleci(&company, Version::Second)
    };
    company.in_job(all.clone());
    assert_eq!(identity(&company).await, "web-identity-file");
    let all = Ambient { chosen: None, ..all };
    company.in_job(all.clone());
    assert_eq!(identity(&company).await, "github-actions");
    let all = Ambient { github: None, is_github: false, ..all };
    company.in_job(all.clone());
    assert_eq!(identity(&company).await, "circleci");
    let all = Ambient { circleci: None, is_circleci: false, ..all };
    company.in_job(all.clone());
    assert_eq!(identity(&company).await, "web-identity-file");

    company.configure(&CONFIG.replace("[machine.ci]", "[machine.ci]\nidentity = \"github-actions\""));
    let all = Ambient { chosen: Some("circleci".to_owned()), ..github(&company) };
    company.in_job(all);
    assert_eq!(identity(&company).await, "github-actions", "what the configuration names goes first");
}

#[tokio::test]
async fn a_job_without_a_token_never_gets_the_identity_of_the_machine_beneath() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    let beneath = token_file(&company);
    company.in_job(Ambient { is_github: true, ..web_identity(beneath.clone()) });
    let refusal = company.keys("deploy").await.unwrap_err();
    assert_eq!(refusal.code, Code::MachineIdentityMissing);
    assert!(refusal.hint.contains("permissions: id-token: write"), "{refusal:?}");
    assert!(refusal.hint.contains("fork"), "{refusal:?}");
    company.in_job(Ambient { is_circleci: true, ..web_identity(beneath.clone()) });
    let refusal = company.keys("deploy").await.unwrap_err();
    assert_eq!(refusal.code, Code::MachineIdentityMissing);
    assert!(refusal.say.contains("CIRCLE_OIDC_TOKEN_V2"), "{refusal:?}");
    assert_eq!(company.sts_calls(), 0);

    // The control: the same surroundings, where the configuration names that identity.
    company.configure(&CONFIG.replace("[machine.ci]", "[machine.ci]\nidentity = \"web-identity-file\""));
    company.in_job(Ambient { is_github: true, ..web_identity(beneath) });
    company.keys("deploy").await.unwrap();
}

#[tokio::test]
async fn outside_of_a_job_the_entries_say_what_is_missing() {
    let company = Company::with(CONFIG, |_| {}).await;
    for name in ["machine.ci", "sso.company", "aws.deploy", "aws.read"] {
        let report = company.report(name).await;
        assert_eq!(report.state, EntryState::Refused, "{name}");
        let refusal = report.refusal.unwrap();
        assert_eq!(refusal.code, Code::MachineIdentityMissing, "{name}");
        assert_eq!(refusal.code.exit(), 1);
        assert!(refusal.hint.contains("keyfob run"), "{refusal:?}");
    }
    assert_eq!(company.get(CACHE).await.unwrap_err().code, Code::MachineIdentityMissing);
    assert_eq!(company.keys("deploy").await.unwrap_err().code, Code::MachineIdentityMissing);
}

#[tokio::test]
async fn nobody_signs_in_for_a_job() {
    let company = super::of_github().await;
    let (mut person, _seen) = Person::who_opens_the_browser();
    let refusal = company.agent.sign_in(Some("company"), Flow::Browser, &mut person).await.unwrap_err();
    assert_eq!(refusal.code, Code::UnknownEntry);
    assert!(refusal.say.contains("nobody to sign in"), "{refusal:?}");
    assert_eq!(refusal.hint, "keyfob machine claims ci");
    let out = company.control(ControlAsk::Logout { name: Some("company".to_owned()) }).await.unwrap_err();
    assert!(out.say.contains("nobody to sign in"), "{out:?}");
}

#[tokio::test]
async fn an_identity_that_nobody_knows_is_named() {
    let mut company = Company::with(CONFIG, |_| {}).await;
    for (chosen, hint) in [("gitlab", "circleci"), ("aws-iam", "role_arn")] {
        company.in_job(Ambient { chosen: Some(chosen.to_owned()), ..github(&company) });
        let refusal = company.keys("deploy").await.unwrap_err();
        assert_eq!(refusal.code, Code::MachineIdentityMissing);
        assert!(refusal.hint.contains(hint), "{refusal:?}");
    }
}

#[tokio::test]
async fn what_does_not_belong_together_is_named_with_its_line() {
    let company = Company::with(CONFIG, |_| {}).await;
    let wrong = [
        ("[machine.a]\nidentity = \"gitlab\"", "line 2: machine.a: `gitlab` is not known here"),
        (
            "[machine.a]\nidentity = \"circleci\"\ntoken_file = \"/t\"",
            "line 3: machine.a: `token_file` goes with",
        ),
        (
            "[machine.a]\nidentity = \"web-identity-file\"\ntoken_file = \"t\"",
            "token_file is an absolute path",
        ),
        (
            "[machine.a]\nrole_arn = \"arn:aws:iam::123456789012:role/A\"",
            "line 2: machine.a: `role_arn` goes with",
        ),
        ("[machine.a]\nidentity = \"aws-iam\"\nregion = \"eu-west-1\"", "`role_arn` is missing"),
        ("[machine.a]\nidentity = \"aws-iam\"\naudience = \"x\"", "`audience` is for tokens"),
        ("[machine.a]\naudience = \"a b\"", "line 2"),
        ("[machine.a]\naudiense = \"x\"", "did you mean `audience`?"),
        ("[sso.a]\nmachine = \"b\"", "there is no entry [machine.b]"),
        (
            "[machine.b]\n[sso.a]\nmachine = \"b\"\nissuer = \"https://x.example\"",
            "line 4: sso.a: `issuer` does not go with",
        ),
        (
            "[machine.b]\n[sso.a]\nmachine = \"b\"\npresent = \"id_token\"",
            "line 4: sso.a: `present` does not go with",
        ),
    ];
    for (config, expected) in wrong {
        company.configure(config);
        let errors = company.agent.store().config().err().map(|refusal| refusal.say).unwrap_or_default()
            + &company.agent.store().report().errors.join("\n");
        assert!(errors.contains(expected), "{config}: {errors}");
    }
}
