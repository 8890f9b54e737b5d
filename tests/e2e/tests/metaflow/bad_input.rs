//! What goes wrong: each a Metaflow exception whose last line is what mends it, with no value in any place.

use keyfob_e2e::real::{Flow, Moto};
use keyfob_e2e::{Company, Metaflow, Output};
use serde_json::{Value, json};

use crate::{Bench, REFUSING_ROLE, behind_role, last_line, number};

/// A secret of the keychain that has values, one that has none, and three of AWS.
fn entries(company: &Company, moto: &Moto) -> String {
    let of_keychain = "[secret.kept]\nkeys = [\"A\"]\n[secret.empty]\nkeys = [\"A\"]\n".to_owned();
    let of_aws =
        ["well", "name", "nul"].map(|name| behind_role(name, &format!("{name}-{}", number(company)), moto));
    of_keychain + &of_aws.concat()
}

/// Steps run with their artifacts at home, so that secrets are all that AWS is asked for.
fn bench(sign_in: bool) -> Bench {
    let mut bench = Bench::signed_out(entries);
    if sign_in {
        bench.company.sign_in(&bench.profile, "okta");
    }
    bench.write_config(&json!({ "METAFLOW_DEFAULT_DATASTORE": "local" }));
    bench.profile.run(&["setup", "metaflow", "dev"], "").ok();
    let kept = bench.marked("of the keychain");
    bench.keep("kept", &json!({ "A": kept }));
    for (name, member) in [("well", "A"), ("name", "no name"), ("nul", "A")] {
        let value = bench.marked("of AWS");
        let end = if name == "nul" { "\0" } else { "" };
        let text = json!({ member: format!("{value}{end}") }).to_string();
        let id = format!("{name}-{}", number(&bench.company));
        bench.moto.put_secret(&id, "SecretString", &text);
    }
    bench
}

fn go(bench: &Bench, metaflow: Metaflow, source: &Value) -> Output {
    let flow = Flow::new(metaflow, &bench.profile, "secret").with("EXPECTED", "A");
    flow.with("SOURCES", &json!([source]).to_string()).go(&["run"])
}

/// Ends in our sentence as Metaflow shows what went wrong, and then in what mends it.
#[track_caller]
fn assert_told(bench: &Bench, output: &Output, sentence: &str, mends: &str) {
    let last = last_line(output);
    assert!(last.contains(mends), "the last line is `{last}`: {output:?}");
    let all = [&*output.stdout, &*output.stderr].concat();
    assert!(all.contains(sentence), "no `{sentence}`: {output:?}");
    bench.assert_nothing_leaked(&[output]);
}

#[test]
fn each_secret_that_cannot_be_had_ends_in_the_command_that_mends_it() {
    let bench = bench(true);
    // The control: the same place, the same account, and nothing wrong.
    for source in ["keyfob.kept", "keyfob.well"] {
        go(&bench, Metaflow::Newest, &json!(source)).ok();
    }
    let cases = [
        (json!("keyfob.nothing"), "`secret.nothing`", "Run: keyfob secret set nothing"),
        (json!("keyfob.empty"), "`secret.empty`", "Run: keyfob secret set empty"),
        (json!("keyfob.name"), "`no name`", "Run: keyfob why secret.name"),
        (json!("keyfob.nul"), "zero byte", "Run: keyfob why secret.nul"),
        (
            json!({"type": "keyfob", "id": "well", "role": REFUSING_ROLE}),
            "sts:AssumeRole.",
            "Run: keyfob permissions aws.dev",
        ),
    ];
    keyfob_e2e::at_once(cases, |(source, sentence, mends)| {
        let output = go(&bench, Metaflow::Newest, &source);
        assert_told(&bench, &output, sentence, mends);
    });
    assert_told(
        &bench,
        &go(&bench, Metaflow::Oldest, &json!("keyfob.nothing")),
        "`secret.nothing`",
        "Run: keyfob secret set nothing",
    );
}

#[test]
fn who_is_not_signed_in_reads_the_command_that_signs_in() {
    let bench = bench(false);
    for metaflow in Metaflow::OWN {
        let output = go(&bench, metaflow, &json!("keyfob.well"));
        assert_told(&bench, &output, "not signed in", "keyfob login okta");
    }
    // Where it is the keys of S3 that are missing.
    bench.set_up("dev");
    let output = Flow::new(Metaflow::Newest, &bench.profile, "artifacts").go(&["run"]);
    assert_told(&bench, &output, "not signed in", "keyfob login okta");
}

#[test]
fn where_no_agent_can_start_the_last_line_is_what_mends_that() {
    let mut bench = bench(true);
    bench.profile.run(&["agent", "stop"], "").ok();
    let file = bench.profile.path().join("no-folder");
    std::fs::write(&file, "").expect("our own file");
    bench.profile.set("KEYFOB_STATE_DIR", &file);
    bench.profile.set_runtime(&file);
    for metaflow in Metaflow::OWN {
        let output = go(&bench, metaflow, &json!("keyfob.kept"));
        assert_told(&bench, &output, "keyfob", "keyfob ");
    }
}
