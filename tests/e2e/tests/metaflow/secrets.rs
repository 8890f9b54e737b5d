//! `@secrets(sources=["keyfob.…"])`: values of the keychain and of AWS Secrets Manager, in the step and nowhere else.

use keyfob_e2e::real::Flow;
use keyfob_e2e::{Company, Metaflow, Output};
use serde_json::{Value, json};

use crate::{Bench, FLOW_ROLE, OTHER_ROLE, behind_role, digest, last_line, number};

/// A secret of each kind, with the values that a flow is to find.
struct Kept {
    bench: Bench,
    expected: Vec<(&'static str, String)>,
}

impl Kept {
    #[track_caller]
    fn new() -> Self {
        let of_keychain = "[secret.my-secret]\nkeys = [\"SECRET_KEY1\", \"SECRET_KEY2\"]\n";
        let id = |company: &Company| format!("db-{}", number(company));
        let mut bench =
            Bench::new(|company, moto| [of_keychain, &behind_role("db", &id(company), moto)].concat());
        let names = ["SECRET_KEY1", "SECRET_KEY2", "DB_USER", "DB_PASSWORD"];
        let expected: Vec<_> = names.map(|name| (name, bench.marked(name))).into();
        let of = |part: &[(&str, String)]| {
            let members = part.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
            Value::Object(members.collect())
        };
        bench.set_up("dev");
        bench.keep("my-secret", &of(&expected[..2]));
        bench.moto.put_secret(&id(&bench.company), "SecretString", &of(&expected[2..]).to_string());
        Self { bench, expected }
    }

    fn flow(&self, metaflow: Metaflow, sources: &Value) -> Flow {
        let names: Vec<_> = self.expected.iter().map(|(name, _)| *name).collect();
        let flow = Flow::new(metaflow, &self.bench.profile, "secret");
        flow.with("SOURCES", &sources.to_string()).with("EXPECTED", &names.join(","))
    }

    /// The step had all of them, and nobody else has.
    #[track_caller]
    fn assert_given(&self, metaflow: Metaflow, output: &Output) {
        let expected: serde_json::Map<_, _> =
            self.expected.iter().map(|(name, value)| ((*name).to_owned(), digest(value).into())).collect();
        let said = output.said("RESULT");
        assert_eq!(said.len(), 1, "{metaflow:?}: {output:?}");
        let seen: Value = serde_json::from_str(said[0]).expect("a line of JSON");
        assert_eq!(seen, Value::Object(expected), "{metaflow:?}");
        self.bench.assert_nothing_leaked(&[output]);
    }
}

#[test]
fn a_step_has_the_secrets_of_the_keychain_and_of_aws_and_no_other_place_has() {
    let kept = Kept::new();
    for metaflow in Metaflow::OWN {
        let sources = json!(["keyfob.my-secret", "keyfob.db"]);
        let output = kept.flow(metaflow, &sources).go(&["run"]).ok();
        kept.assert_given(metaflow, &output);
    }
    assert_eq!(kept.bench.company.counts().role(FLOW_ROLE), 0, "nobody asked for another role");
    assert_eq!(kept.bench.sts_calls(), 1);
}

#[test]
fn a_role_on_the_decorator_is_assumed_under_may_assume_and_no_other_is() {
    let kept = Kept::new();
    let sources = json!(["keyfob.my-secret", "keyfob.db"]);
    let output = kept.flow(Metaflow::Newest, &sources).with("ROLE", FLOW_ROLE).go(&["run"]).ok();
    kept.assert_given(Metaflow::Newest, &output);
    let counts = kept.bench.company.counts();
    assert_eq!(counts.role_by("AssumeRole", FLOW_ROLE), 1, "{counts:?}");
    // The other way to say it, of the source itself.
    let sources = json!(["keyfob.my-secret", {"type": "keyfob", "id": "db", "role": OTHER_ROLE}]);
    let refused = kept.flow(Metaflow::Newest, &sources).go(&["run"]);
    assert!(refused.said("RESULT").is_empty() && refused.stdout.contains("may_assume"), "{refused:?}");
    assert!(last_line(&refused).contains("may_assume"), "{refused:?}");
    assert_eq!(kept.bench.company.counts().role(OTHER_ROLE), 0);
    kept.bench.assert_nothing_leaked(&[&refused]);
}

/// The control of [`Bench::assert_nothing_leaked`]: a flow that prints its secret is found out, in S3 too.
#[test]
fn a_value_that_a_step_prints_is_found() {
    let kept = Kept::new();
    let flow = kept.flow(Metaflow::Newest, &json!(["keyfob.my-secret", "keyfob.db"])).command(&["run"]);
    let file = kept.bench.profile.home().join("Newest/secret.py");
    let text = std::fs::read_to_string(&file).expect("the flow");
    let careless = text.replace("print(\"RESULT\", json.dumps(seen))", "print(os.environ[\"SECRET_KEY2\"])");
    assert_ne!(careless, text);
    std::fs::write(&file, careless).expect("our own file");
    let output = keyfob_e2e::run_within(flow, "", std::time::Duration::from_secs(120)).ok();
    let empty = Output { stdout: String::new(), stderr: String::new(), ..output };
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        kept.bench.assert_nothing_leaked(&[&empty]);
    }));
    assert!(found.is_err(), "the log of the step is in S3");
}
