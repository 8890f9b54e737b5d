use crate::config::{Limits, load};

fn problem(text: &str) -> String {
    load(text, Limits { plain_loopback: false }).expect_err("this must not load").join("; ")
}

const IAM: &str = "[machine.iam]\nidentity = \"aws-iam\"\nrole_arn = \"arn:aws:iam::123456789012:role/User\"\nregion = \"eu-west-1\"\n";

#[test]
fn a_table_says_what_it_lacks_and_what_does_not_go_together() {
    let with = |lines: &str| format!("[outerbounds.prod]\ndomain = \"foo.obp.acme.test\"\n{lines}");
    for (text, expected) in [
        ("[outerbounds.prod]\n".to_owned(), "`domain` is missing"),
        (
            with("machine = \"ic\"\nprincipal = \"x\"\n[machine.ci]\n"),
            "line 3: outerbounds.prod: there is no entry [machine.ic]; did you mean `ci`?",
        ),
        (with("perimeter = \"a/b\"\n"), "letters, digits"),
        (with("perimeter = \"..\"\n"), "letters, digits"),
        (with("principal = \"my-cicd\"\n"), "goes with `machine`"),
        (with("machine = \"ci\"\nprincipal = \"x\"\n"), "no entry [machine.ci]"),
        (with("machine = \"ci\"\n[machine.ci]\n"), "`principal` is missing"),
        (with(&format!("machine = \"iam\"\nprincipal = \"x\"\n{IAM}")), "is a role of AWS"),
        (with("endpoint_url = \"http://127.0.0.1:1\"\n"), "for tests and the demo only"),
        (with("hosts = [\"*.acme.test\"]\n"), "not below `foo.obp.acme.test`"),
        (with("perimetr = \"x\"\n"), "did you mean `perimeter`?"),
        (format!("{}[outerbounds.other]\ndomain = \"foo.obp.acme.test\"\n", with("")), "is already in"),
    ] {
        let said = problem(&text);
        assert!(said.contains(expected), "{text}: {said}");
    }
    for text in [
        with(""),
        with("perimeter = \"team-1\"\nhosts = []\n"),
        with("machine = \"ci\"\nprincipal = \"my-cicd\"\n[machine.ci]\n"),
        with(&format!("machine = \"machine.iam\"\n{IAM}")),
        format!(
            "{}[outerbounds.other]\ndomain = \"foo.obp.acme.test\"\nhosts = [\"ui.foo.obp.acme.test\"]\n",
            with("")
        ),
    ] {
        load(&text, Limits { plain_loopback: false }).unwrap();
    }
}

#[test]
fn each_mistake_in_a_domain_is_named_for_what_it_is() {
    for (domain, expected) in [
        ("", "`domain` is empty; a domain is written foo.obp.outerbounds.com"),
        ("https://foo.obp.acme.test", "`domain` has no scheme"),
        ("*.obp.acme.test", "`domain` has no `*`"),
        ("foo.obp.acme.test/", "`domain` has no `/`"),
        ("foo.obp.acme.test:443", "`domain` has no port"),
        ("foo", "`domain` is the whole of it"),
        ("acme.test", "`domain` is the whole of it"),
        ("10.0.0.1", "no address of a machine"),
        ("[::1]", "no address of a machine"),
        ("a b.obp.acme.test", "`domain` is no name of a host"),
        ("ui.foo.obp.acme.test", "is left out: domain = \"foo.obp.acme.test\""),
        ("API.foo.obp.acme.test", "`api.` is a service of the domain, and is left out"),
        ("auth.foo.obp.acme.test", "`auth.` is a service of the domain, and is left out"),
    ] {
        let said = problem(&format!("[outerbounds.prod]\ndomain = \"{domain}\"\n"));
        assert!(
            said.starts_with("line 2: outerbounds.prod: ") && said.contains(expected),
            "{domain}: {said}"
        );
    }
}

#[test]
fn roles_of_a_deployment_take_no_role_of_their_own() {
    let with = |lines: &str| {
        format!(
            "[outerbounds.prod]\ndomain = \"foo.obp.acme.test\"\n[aws.prod]\nouterbounds = \"prod\"\n{lines}"
        )
    };
    for (lines, expected) in [
        ("role_arn = \"arn:aws:iam::123456789012:role/x\"\n", "`role_arn` does not go with `outerbounds`"),
        ("external_id = \"xyz\"\n", "`external_id` does not go with"),
        ("sso = \"okta\"\n", "cannot stand together"),
        ("region = \"cn-north-1\"\nmay_assume = [\"arn:aws:iam::*:role/x\"]\n", "of the partition aws"),
        ("duration = \"1m\"\n", "from 15m to 12h"),
        ("[aws.other]\noutebounds = \"prod\"\n", "did you mean `outerbounds`?"),
        (
            "[aws.other]\nregion = \"eu-west-1\"\nouterbounds = \"prd\"\n",
            "line 7: aws.other: there is no entry [outerbounds.prd]; did you mean `prod`?",
        ),
    ] {
        let said = problem(&with(lines));
        assert!(said.contains(expected), "{lines}: {said}");
    }
    load(&with("duration = \"12h\"\n"), Limits { plain_loopback: false }).unwrap();
}
