//! A company to sign in to, and the configuration that names it.

use std::ops::Deref;

use keyfob_sandbox::{Options, Sandbox};

use crate::{MEMORY, Output, Profile, Stage};

/// A running company; it ends when this is dropped. What the sandbox can do it can do too.
#[derive(Debug)]
pub struct Company(Sandbox);

impl Company {
    /// A company with ordinary settings.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// A company with settings of the test's own.
    pub fn with(options: Options) -> Self {
        Self(Sandbox::start_blocking(options).expect("the company starts"))
    }

    /// `[sso.okta]` for `*.cache.acme.dev`, `[token.aspect]` for `aw-remote-ext.acme.dev`, `[aws.dev]` and
    /// `[aws.readonly]`, over a keychain in memory.
    pub fn config(&self) -> String {
        [
            MEMORY.to_owned(),
            self.sso("okta", "*.cache.acme.dev"),
            token("aspect", "aw-remote-ext.acme.dev"),
            self.aws("dev", "okta", &self.addresses().roles[0]),
            self.aws("readonly", "okta", &self.addresses().roles[1]),
        ]
        .concat()
    }

    /// `[sso.NAME]` with this company's issuer, for one host pattern.
    pub fn sso(&self, name: &str, host: &str) -> String {
        let (issuer, client) = (&self.addresses().issuer_url, &self.addresses().client_id);
        format!("[sso.{name}]\nissuer = \"{issuer}\"\nclient_id = \"{client}\"\nhosts = [\"{host}\"]\n")
    }

    /// `[aws.NAME]` through an SSO entry, with this company's STS.
    pub fn aws(&self, name: &str, session: &str, role: &str) -> String {
        let sts = &self.addresses().sts_url;
        format!(
            "[aws.{name}]\nsso = \"{session}\"\nrole_arn = \"{role}\"\nregion = \"eu-west-1\"\nendpoint_url = \"{sts}\"\n"
        )
    }

    /// `keyfob login NAME` in a scripted browser, however it ends.
    #[track_caller]
    pub fn try_sign_in(&self, profile: &Profile, name: &str) -> Output {
        let mut command = profile.keyfob(&["login", name]);
        command.env("BROWSER", Stage::get().bin("keyfob-sandbox-browser"));
        crate::run(command, "")
    }

    /// `keyfob login NAME` in a scripted browser, which must succeed.
    #[track_caller]
    pub fn sign_in(&self, profile: &Profile, name: &str) {
        self.try_sign_in(profile, name).ok();
    }
}

/// `[token.NAME]` for one host pattern: header `X-Aspect`, prefix `aw_`.
pub fn token(name: &str, host: &str) -> String {
    format!("[token.{name}]\nhosts = [\"{host}\"]\nheader = \"X-Aspect\"\nprefix = \"aw_\"\n")
}

impl Deref for Company {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}
