//! Entries that a person names before they are written.

use keyfob_agent::config::{Ask, Limits, load};

/// What a person reads who names an entry that is not there.
fn refused(config: &str, file: Option<&str>, name: &str, ask: Ask) -> (String, String) {
    let mut config = load(config, Limits { plain_loopback: true }).unwrap();
    config.file = file.map(Into::into);
    let refusal = config.find(name, ask).unwrap_err();
    (refusal.say, refusal.hint)
}

#[test]
fn whoever_names_an_entry_before_it_is_written_reads_the_lines_to_add() {
    let lines = "[secret.my-secret] keys = [\"SECRET_KEY1\"]";
    let own = Some("/home/ada/.config/keyfob/config.toml");
    for (name, ask) in
        [("secret.my-secret", Ask::Anything), ("my-secret", Ask::Secret), ("secret.my-secret", Ask::Exec)]
    {
        let told = refused("", own, name, ask);
        let first = format!("first add to /home/ada/.config/keyfob/config.toml: {lines}");
        assert_eq!(told.0, format!("there is no entry `secret.my-secret`; {first}"));
        assert_eq!(told.1, "keyfob secret set my-secret");
    }
    let told = refused("", own, "outerbounds.prod", Ask::Value);
    assert!(told.0.ends_with(": [outerbounds.prod] domain = \"foo.obp.outerbounds.com\""), "{told:?}");
    assert_eq!(told.1, "keyfob token add prod");
    assert_eq!(refused("", own, "prod", Ask::Outerbounds), told);
    // One line holds it, however long the path is.
    let long = format!("/{}/config.toml", "x".repeat(150));
    for file in [None, Some(long.as_str())] {
        let told = refused("", file, "my-secret", Ask::Secret);
        assert!(told.0.ends_with(&format!("; first add to the configuration: {lines}")), "{told:?}");
    }
    // What is no name of an entry is not told to be one.
    for name in ["a b", "secret.a\u{1b}", "secret.", "aws.dev", "outerbounds.prod"] {
        assert_eq!(refused("", own, name, Ask::Secret).1, "keyfob secret list", "{name}");
    }
    assert_eq!(refused("", own, "token.x", Ask::Anything).1, "keyfob status");
}

#[test]
fn a_name_that_is_near_is_offered_in_place_of_lines() {
    let config = "[secret.build]\nkeys = [\"A\"]\n[outerbounds.prod]\ndomain = \"foo.obp.acme.test\"\n";
    let told = |name, ask| refused(config, None, name, ask);
    let meant = |written: &str, near: &str, full: &str| {
        (format!("there is no entry `{written}`; did you mean `{near}`?"), format!("keyfob why {full}"))
    };
    assert_eq!(told("bild", Ask::Secret), meant("bild", "build", "secret.build"));
    assert_eq!(told("secret.bild", Ask::Anything), meant("secret.bild", "secret.build", "secret.build"));
    assert_eq!(told("prd", Ask::Outerbounds), meant("prd", "prod", "outerbounds.prod"));
    // Of names that are far only the kind is the same.
    let (say, hint) = told("secret.other-thing", Ask::Anything);
    assert!(
        say.starts_with("there is no entry `secret.other-thing`; there is secret.build; first add "),
        "{say}"
    );
    assert!(say.contains("[secret.other-thing] keys = "), "{say}");
    assert_eq!(hint, "keyfob secret set other-thing");
}

#[test]
fn a_role_of_a_deployment_leads_to_the_deployment() {
    let config = "[outerbounds.prod]\ndomain = \"foo.obp.acme.test\"\n[aws.role]\nouterbounds = \"prod\"\n\
        [secret.s]\nkeys = [\"A\"]\n[aws.far]\nsource = \"role\"\nrole_arn = \"arn:aws:iam::123456789012:role/x\"\nregion = \"eu-west-1\"\n";
    for name in ["aws.role", "aws.far"] {
        let told = refused(config, None, name, Ask::Outerbounds);
        assert_eq!(told.0, format!("`{name}` is obtained with `outerbounds.prod`"));
        assert_eq!(told.1, "keyfob metaflow outerbounds.prod");
    }
    assert_eq!(refused(config, None, "secret.s", Ask::Outerbounds).1, "keyfob status");
}
