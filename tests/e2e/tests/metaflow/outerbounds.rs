//! A deployment of Outerbounds: its own command and its own Metaflow against the stand-in, by themselves and with us.

mod command;
mod flows;
mod machine;

use std::path::Path;
use std::process::Command;

use keyfob_e2e::real::Flow;
use keyfob_e2e::{Company, Metaflow, Output, Stage, run_within};
use keyfob_sandbox::outerbounds::{DOMAIN, TASK_ROLE};
use serde_json::json;

use crate::service::{go, through};
use crate::{Bench, FLOW_ROLE};

/// How long the real command may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// A person with a key of a deployment that keeps its artifacts at our moto.
struct Deployment {
    bench: Bench,
    key: String,
}

impl Deployment {
    /// `[outerbounds.prod]` and `[aws.prod]` behind it; the person has copied the string.
    #[track_caller]
    fn new() -> Self {
        let deployment = Self::with(|company| [entry(company, ""), role(company)].concat());
        let string = deployment.bench.company.outerbounds().magic_string(&deployment.key);
        deployment.bench.profile.run(&["token", "add", "outerbounds.prod"], string).ok();
        deployment
    }

    /// With these entries, and nothing copied.
    fn with(entries: impl FnOnce(&Company) -> String) -> Self {
        let mut bench = Bench::signed_out(|company, _| entries(company));
        let (fronts, outerbounds) = (bench.company.fronts(), bench.company.outerbounds());
        for name in ["auth", "api"] {
            fronts.lead(&format!("{name}.{DOMAIN}"), outerbounds.url());
        }
        fronts.lead(&format!("metadata.{DOMAIN}"), bench.company.metadata().url());
        for (name, value) in bench.s3().as_object().expect("an object") {
            outerbounds.set_config(name, value);
        }
        let key = outerbounds.issue_key("ada");
        bench.company.metadata().accept(&key);
        bench.secrets.push(keyfob_e2e::needles::Secret::new("service key", &key));
        Self { bench, key }
    }

    /// The deployment's own command, with the person's folder for it.
    fn outerbounds(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command =
            self.bench.profile.command(Stage::get().metaflow(Metaflow::Outerbounds, "outerbounds"));
        command.args(arguments).env("METAFLOW_HOME", home).env("USER", "ada");
        through(&mut command, &self.bench.profile, self.bench.company.fronts());
        command
    }

    /// A flow of the deployment's Metaflow.
    fn flow(&self, name: &str) -> Flow {
        let flow = Flow::new(Metaflow::Outerbounds, &self.bench.profile, name);
        flow.with("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.bench.moto.url())
            .with("STS", &self.bench.company.addresses().sts_url)
    }

    #[track_caller]
    fn go(&self, flow: Flow) -> Output {
        go(&self.bench, flow, &["run"])
    }
}

/// `[outerbounds.prod]`, with more in it.
fn entry(company: &Company, more: &str) -> String {
    let url = company.outerbounds().url();
    format!("[outerbounds.prod]\ndomain = \"{DOMAIN}\"\nendpoint_url = \"{url}\"\n{more}")
}

/// `[aws.prod]` of that deployment, which says in which region it is.
fn role(company: &Company) -> String {
    let sts = &company.addresses().sts_url;
    format!("[aws.prod]\nouterbounds = \"prod\"\nendpoint_url = \"{sts}\"\nmay_assume = [\"{FLOW_ROLE}\"]\n")
}

#[track_caller]
fn run(command: Command) -> Output {
    run_within(command, "", PATIENCE)
}

/// What a `config.json` has, without the key.
#[track_caller]
fn without_key(text: &str) -> serde_json::Value {
    let mut config: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let key = config.as_object_mut().and_then(|members| members.remove("METAFLOW_SERVICE_AUTH_KEY"));
    assert!(key.is_some_and(|key| key.is_string()), "no key in a configuration");
    assert_ne!(config, json!({}));
    config
}

/// How often STS was asked for the deployment's own role.
fn sts_calls(company: &Company) -> u64 {
    company.counts().role(TASK_ROLE)
}
