//! What the configuration may say about roles, and where it is told that it may not.

use keyfob_agent::config::{Config, Limits, load};

use crate::company::with_paths;

const ROLE: &str = "role_arn = \"arn:aws:iam::123456789012:role/R\"\n";
const REGION: &str = "region = \"eu-west-1\"\n";

fn read(text: &str) -> Result<Config, String> {
    let whole = format!("[sso.okta]\nissuer = \"https://acme.okta.com\"\nclient_id = \"x\"\n{text}");
    load(&with_paths(&whole), Limits { plain_loopback: false }).map_err(|errors| errors.join("; "))
}

/// Line 4 is `[aws.x]`.
fn error(lines: &str) -> String {
    read(&format!("[aws.x]\n{lines}")).unwrap_err()
}

#[test]
fn exactly_one_origin() {
    assert_eq!(
        error(&format!("{ROLE}{REGION}")),
        "line 4: aws.x: one of `sso`, `machine`, `source`, `outerbounds` and `command` is missing"
    );
    assert_eq!(
        error(&format!("{ROLE}{REGION}sso = \"okta\"\nsource = \"y\"\n")),
        "line 8: aws.x: `sso` and `source` cannot stand together"
    );
    assert_eq!(
        error(&format!("command = [\"/x\"]\n{REGION}sso = \"okta\"\n")),
        "line 7: aws.x: `command` and `sso` cannot stand together"
    );
    assert_eq!(
        error(&format!("outerbounds = \"x\"\n{REGION}sso = \"okta\"\n")),
        "line 7: aws.x: `outerbounds` and `sso` cannot stand together"
    );
    assert!(error("outerbounds = \"x\"\n").ends_with("aws.x: there is no entry [outerbounds.x]"));
}

#[test]
fn each_key_has_its_rule_and_its_line() {
    let start = "source = \"y\"\n";
    for (line, expected) in [
        ("external_id = \"a\"", "line 6: aws.x: an external id has 2 to 1224"),
        ("external_id = \"a b\"", "line 6: aws.x: an external id has 2 to 1224"),
        ("session_name = \"a b\"", "line 6: aws.x: a session name has 2 to 64"),
        ("session_tags = { \"aws:x\" = \"y\" }", "line 6: aws.x: the session tag `aws:x`: names in `aws:`"),
        ("session_tags = { a = \"y\", A = \"z\" }", "line 6: aws.x: the session tag `A` stands twice"),
        ("session_tags = { a = \"<\" }", "line 6: aws.x: the session tag `a` has other characters"),
        (
            "session_tags = { \"\" = \"y\" }",
            "line 6: aws.x: the session tag `` is too long; a key has 1 to 128",
        ),
        ("session_tags = [\"a\"]", "line 6: aws.x: here stands a table"),
        ("policy_arns = [\"ReadOnlyAccess\"]", "line 6: aws.x: a policy is written"),
        ("may_assume = [\"*\"]", "line 6: aws.x: a pattern is the ARN of a role"),
        ("may_assume = [\"arn:aws:iam::12*:role/x\"]", "line 6: aws.x: a pattern is the ARN of a role"),
        (
            "use_fips = true\nendpoint_url = \"https://sts.example\"",
            "line 7: aws.x: `endpoint_url` and `use_fips`",
        ),
        ("endpoint_url = \"http://sts.example\"", "line 6: aws.x: this address must begin with https://"),
        ("duration = \"13h\"", "line 6: aws.x: a session of AWS lasts from 15m to 12h"),
    ] {
        let behind = format!("[aws.y]\nsso = \"okta\"\n{ROLE}{REGION}");
        let error = error(&format!("{start}{line}\n{ROLE}{REGION}{behind}"));
        assert!(error.starts_with(expected), "{line}: {error}");
    }
    let eleven = ["\"arn:aws:iam::aws:policy/P\""; 11].join(", ");
    assert!(
        error(&format!("{start}policy_arns = [{eleven}]\n{ROLE}"))
            .contains("there are 11 policies; AWS takes 10")
    );
    let many: String = (0..51).map(|number| format!("k{number} = \"v\", ")).collect();
    assert!(
        error(&format!("{start}session_tags = {{ {} }}\n{ROLE}", many.trim_end_matches(", ")))
            .contains("there are 51 session tags")
    );
    let long = "x".repeat(257);
    assert!(error(&format!("{start}session_tags = {{ a = \"{long}\" }}\n{ROLE}")).contains("is too long"));
}

#[test]
fn a_web_identity_has_neither_tags_nor_an_external_id_of_ours() {
    let start = format!("sso = \"okta\"\n{ROLE}{REGION}");
    let tags = error(&format!("{start}session_tags = {{ a = \"b\" }}\n"));
    assert_eq!(
        tags,
        "line 8: aws.x: with `sso`, AWS takes session tags from the ID token (its claim https://aws.amazon.com/tags), not from here"
    );
    assert!(
        error(&format!("{start}external_id = \"ab\"\n"))
            .starts_with("line 8: aws.x: with `sso`, AWS takes no `external_id`")
    );
}

#[test]
fn partitions_do_not_mix() {
    for (region, partition) in
        [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
    {
        for of in ["aws", "aws-cn", "aws-us-gov"] {
            let text = format!(
                "[aws.x]\nsso = \"okta\"\nregion = \"{region}\"\nrole_arn = \"arn:{of}:iam::123456789012:role/R\"\n"
            );
            assert_eq!(read(&text).is_ok(), of == partition, "{region} {of}");
        }
    }
    let inherited = "[aws.a]\nsso = \"okta\"\nregion = \"eu-west-1\"\nrole_arn = \"arn:aws:iam::123456789012:role/R\"\n\
        [aws.b]\nsource = \"a\"\nrole_arn = \"arn:aws-cn:iam::123456789012:role/R\"\n";
    assert_eq!(
        read(inherited).unwrap_err(),
        "line 8: aws.b: `role_arn` is of the partition aws-cn, and the region eu-west-1 is of aws"
    );
    let more = format!("sso = \"okta\"\n{ROLE}{REGION}");
    assert!(
        error(&format!("{more}policy_arns = [\"arn:aws-cn:iam::aws:policy/P\"]\n"))
            .contains("`policy_arns` is of the partition aws-cn")
    );
    assert!(
        error(&format!("{more}may_assume = [\"arn:aws-cn:iam::*:role/P\"]\n"))
            .contains("`may_assume` is of the partition aws-cn")
    );
}

#[test]
fn a_region_is_that_of_the_first_one_behind_that_has_one() {
    let config = read(&format!(
        "[aws.a]\nsource = \"b\"\n{ROLE}[aws.b]\nsource = \"c\"\n{ROLE}[aws.c]\nsso = \"okta\"\n{ROLE}{REGION}"
    ))
    .unwrap();
    let regions: Vec<_> =
        config.entries.iter().filter_map(|entry| entry.source.facts().remove("region")).collect();
    assert_eq!(regions, ["eu-west-1"; 3]);
    assert_eq!(
        read(&format!("[aws.l]\ncommand = [\"/x\"]\n[aws.x]\nsource = \"l\"\n{ROLE}")).unwrap_err(),
        "line 6: aws.x: `region` is missing, and `aws.l` has none"
    );
    assert_eq!(error(&format!("sso = \"okta\"\n{ROLE}")), "line 4: aws.x: `region` is missing");
    assert_eq!(error(&format!("sso = \"okta\"\n{REGION}")), "line 4: aws.x: `role_arn` is missing");
}

#[test]
fn keys_of_a_command_go_to_aws_alone() {
    let role = |behind: &str, line: &str| format!("[aws.x]\n{behind}\n{ROLE}{REGION}{line}\n");
    let legacy = "[aws.legacy]\ncommand = [\"/x\"]\n[aws.y]\nsource = \"legacy\"\nregion = \"eu-west-1\"\n";
    for (key, address) in
        [("endpoint_url", "https://sts.example"), ("signin_url", "https://127.0.0.1/federation")]
    {
        let line = format!("{key} = \"{address}\"");
        for behind in ["legacy", "y"] {
            let chain = format!("{}{legacy}{ROLE}", role(&format!("source = \"{behind}\""), &line));
            let expected =
                format!("line 4: aws.x: `{key}` does not go with the keys of `aws.legacy`: nothing");
            let error = read(&chain).unwrap_err();
            assert!(error.starts_with(&expected), "{error}");
        }
        // The control: where something is held, that remembers where it may go.
        read(&role("sso = \"okta\"", &line)).unwrap();
    }
    // A stand-in of a profile of its own is on this machine.
    let here = format!(
        "[aws.legacy]\ncommand = [\"/x\"]\n{}",
        role("source = \"legacy\"", "endpoint_url = \"http://127.0.0.1:1\"")
    );
    load(&with_paths(&here), Limits { plain_loopback: true }).unwrap();
}

#[test]
fn chains_lead_to_an_end() {
    assert_eq!(
        error(&format!("source = \"nobody\"\n{ROLE}")),
        "line 5: aws.x: there is no entry [aws.nobody]"
    );
    assert!(error(&format!("source = \"x\"\n{ROLE}")).contains("goes in a circle through aws.x"));
    let circle = format!("[aws.a]\nsource = \"b\"\n{ROLE}[aws.b]\nsource = \"a\"\n{ROLE}");
    assert!(read(&circle).unwrap_err().contains("goes in a circle"));
    assert!(error(&format!("machine = \"ci\"\n{ROLE}{REGION}")).contains("there is no entry [machine.ci]"));
}

#[test]
fn a_command_is_a_program_and_its_words() {
    read("[aws.x]\ncommand = [\"/opt/legacy/creds\", \"--json\"]\nregion = \"eu-west-1\"\n").unwrap();
    for (line, expected) in [
        ("command = \"/opt/x\"", "line 5: aws.x: here stands a list"),
        ("command = []", "line 5: aws.x: `command` is a list, the program first"),
        ("command = [\"creds\"]", "line 5: aws.x: `command` begins with the absolute path of a program"),
        ("command = [\"~/creds\"]", "line 5: aws.x: `command` begins with the absolute path of a program"),
        (
            "command = [\"/usr/bin/keyfob\", \"credential-process\", \"x\"]",
            "line 5: aws.x: `command` is Keyfob itself",
        ),
        ("command = [\"/opt/bazel-credential-keyfob\"]", "line 5: aws.x: `command` is Keyfob itself"),
        ("command = [\"/x\"]\nduration = \"1h\"", "line 6: aws.x: `duration` does not go with `command`"),
        ("command = [\"/x\"]\nrole_arn = \"y\"", "line 6: aws.x: `role_arn` does not go with `command`"),
        ("command = [\"/x\"]\nregion = \"Europe\"", "line 6: aws.x: this is not an AWS region"),
    ] {
        let error = error(line);
        assert!(error.starts_with(expected), "{line}: {error}");
    }
    let long = "x".repeat(9000);
    assert!(error(&format!("command = [\"/{long}\"]")).contains("at most 64 words and 8192 bytes"));
}
