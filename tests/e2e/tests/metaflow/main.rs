//! Metaflow as it is, the newest and the oldest that we claim, and that of Outerbounds with its own command: flows that get keys,
//! secrets and service keys of a real agent, against moto and stand-ins of the services.
//!
//! A flow is run with no variable of Metaflow's: what it needs stands in the person's `config.json`, where `keyfob setup metaflow`
//! adds what makes it ask us.
#![cfg(target_os = "linux")]

mod bad_input;
mod flows;
mod import;
mod outerbounds;
mod packaging;
mod remote;
mod secrets;
mod service;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use keyfob_e2e::needles::{self, Search, Secret};
use keyfob_e2e::real::Moto;
use keyfob_e2e::{Company, MEMORY, Output, Profile};
use keyfob_sandbox::{Options, Role};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A role that `aws.dev` may assume.
const FLOW_ROLE: &str = "arn:aws:iam::123456789012:role/FlowRole";
/// One that it may assume as far as we are asked, and that trusts nobody.
const REFUSING_ROLE: &str = "arn:aws:iam::123456789012:role/RefusingRole";
/// One that nobody said it may assume.
const OTHER_ROLE: &str = "arn:aws:iam::123456789012:role/OtherRole";
/// Every value that must be nowhere else begins so.
const MARKED: &str = "marked-0b57a9";

/// A person with a company, an AWS and a Metaflow configuration.
struct Bench {
    profile: Profile,
    company: Company,
    moto: Arc<Moto>,
    bucket: String,
    secrets: Vec<Secret>,
}

impl Bench {
    /// With these entries more in the configuration; signed in.
    #[track_caller]
    fn new(more: impl FnOnce(&Company, &Moto) -> String) -> Self {
        let bench = Self::signed_out(more);
        bench.company.sign_in(&bench.profile, "okta");
        bench
    }

    #[track_caller]
    fn signed_out(more: impl FnOnce(&Company, &Moto) -> String) -> Self {
        let mut options = Options::default();
        for (arn, trusted) in
            [(FLOW_ROLE, "123456789012:root"), (OTHER_ROLE, "123456789012:root"), (REFUSING_ROLE, "1:root")]
        {
            options.sts.roles.push(Role {
                arn: arn.to_owned(),
                max_session_seconds: 3600,
                trusted_principals: vec![format!("arn:aws:iam::{trusted}")],
                ..Role::default()
            });
        }
        let (company, moto) = (Company::with(options), Moto::shared());
        let config = [
            MEMORY.to_owned(),
            company.sso("okta", "*.cache.acme.dev"),
            company.aws("dev", "okta", &company.addresses().roles[0]),
            format!("may_assume = [\"{FLOW_ROLE}\", \"{REFUSING_ROLE}\"]\n"),
            more(&company, &moto),
        ];
        let profile = Profile::new(&config.concat());
        let bucket = format!("flows-{}", number(&company));
        moto.make_bucket(&bucket);
        Self { profile, company, moto, bucket, secrets: Vec::new() }
    }

    /// Makes the keychain an encrypted file, before any agent runs: into one in memory no key is moved.
    #[track_caller]
    fn keep_on_disk(&mut self) {
        let config = fs::read_to_string(self.profile.config()).expect("the configuration");
        self.profile.configure(&config.replace("\"memory\"", "\"file\""));
        let passphrase = self.profile.path().join("passphrase");
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&passphrase).expect("a new file");
        file.write_all(b"correct horse battery staple\n").expect("room");
        self.profile.set("KEYFOB_PASSPHRASE_FILE", &passphrase);
    }

    /// A new value that must be nowhere but where it belongs.
    fn marked(&mut self, name: &'static str) -> String {
        let secret = Secret::new(name, &format!("{MARKED}-{}", Secret::random(name).value()));
        let value = secret.value().to_owned();
        self.secrets.push(secret);
        value
    }

    /// What the person's Metaflow is told about S3.
    fn s3(&self) -> Value {
        json!({
            "METAFLOW_DEFAULT_DATASTORE": "s3",
            "METAFLOW_DATASTORE_SYSROOT_S3": format!("s3://{}/metaflow", self.bucket),
            "METAFLOW_DATATOOLS_S3ROOT": format!("s3://{}/data", self.bucket),
            "METAFLOW_S3_ENDPOINT_URL": self.moto.url(),
        })
    }

    /// `~/.metaflowconfig/config.json`.
    fn config_file(&self) -> PathBuf {
        self.profile.home().join(".metaflowconfig/config.json")
    }

    /// Writes it, with more in it than what is said about S3.
    fn write_config(&self, more: &Value) {
        let mut config = self.s3();
        let members = more.as_object().expect("an object").clone();
        config.as_object_mut().expect("an object").extend(members);
        let file = self.config_file();
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder in our home");
        let text = serde_json::to_string_pretty(&config).expect("text is JSON");
        fs::write(file, text + "\n").expect("room for a file");
    }

    /// Nothing but S3, and what `keyfob setup metaflow` adds for an entry.
    #[track_caller]
    fn set_up(&self, entry: &str) {
        self.write_config(&json!({}));
        self.profile.run(&["setup", "metaflow", entry], "").ok();
    }

    /// Keeps values of a secret of the keychain.
    #[track_caller]
    fn keep(&self, name: &str, values: &Value) {
        self.profile.run(&["secret", "set", name], values.to_string()).ok();
    }

    /// No marked value in this output, in anything below the person's folder, or in anything in S3.
    #[track_caller]
    fn assert_nothing_leaked(&self, outputs: &[&Output]) {
        let search = Search::new(&self.secrets);
        let mut found = Vec::new();
        for output in outputs {
            for text in [&output.stdout, &output.stderr] {
                found.extend(
                    search.find(text.as_bytes()).into_iter().map(|known| format!("{known} in output")),
                );
            }
        }
        needles::search(self.profile.path(), &search, &mut found);
        for name in self.moto.objects(&self.bucket) {
            let text = self.moto.object(&self.bucket, &name);
            found.extend(search.find(text.as_bytes()).into_iter().map(|known| format!("{known} in {name}")));
        }
        assert_eq!(found, [""; 0]);
    }

    /// How often STS was asked for the role of `aws.dev`.
    fn sts_calls(&self) -> u64 {
        self.company.counts().role(&self.company.addresses().roles[0])
    }
}

/// A secret of AWS Secrets Manager, of moto's, where it has another name.
fn behind_role(name: &str, id: &str, moto: &Moto) -> String {
    format!(
        "[secret.{name}]\nfrom = \"aws-secrets-manager\"\nid = \"{id}\"\naws = \"dev\"\nregion = \"eu-west-1\"\n\
         endpoint_url = \"{}\"\n",
        moto.url()
    )
}

/// A number of each company's own: moto is everybody's.
fn number(company: &Company) -> &str {
    company.addresses().sts_url.rsplit(':').next().unwrap_or_default()
}

/// As the flow shows a value.
fn digest(value: &str) -> String {
    Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The last line of Metaflow's own error: that of the step that failed, else that of the program.
#[track_caller]
fn last_line(output: &Output) -> String {
    const OTHERS: [&str; 4] = ["Task failed", "Task is starting", "Creating ", "The graph looks"];
    assert_ne!(output.code, 0, "{output:?}");
    let says = |line: &&str| !line.is_empty() && !OTHERS.iter().any(|other| line.starts_with(other));
    let of_step = output.stdout.lines().filter_map(|line| line.split_once("] ").map(|(_, rest)| rest.trim()));
    let of_program = || output.stderr.lines().map(str::trim);
    of_step.rev().find(says).or_else(|| of_program().rev().find(says)).unwrap_or_default().to_owned()
}
