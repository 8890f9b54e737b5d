//! The AWS SDKs as programs that live for a while: boto3 (`tests/real/aws_sdk.py`), JavaScript (`tests/real/aws-sdk.mjs`) and
//! Rust (`keyfob-aws-sdk`), each with its default chain of credentials and the caches that it has by itself.
//!
//! Each is started with the endpoint of every service, takes one verb a line and answers one line of JSON:
//!
//! | verb | answer |
//! | --- | --- |
//! | `keys` | `AccessKeyId`, `SecretAccessKey`, `SessionToken`, `AccountId`, `Expiration` in seconds since 1970; `null` for what is not there. Rust's chain is asked past its cache |
//! | `identity` | `{"Arn": …}` of `GetCallerIdentity` |
//! | `identities` | `{"Arns": […]}` of ten of them, at once where the SDK can |
//! | `buckets` | `{"Buckets": […]}` after one more was made; not Rust |
//! | `process` | `{}` after `GetCallerIdentity` with the `credential_process` alone; JavaScript only, whose chain tells nobody why a link of it failed |
//! | `renew` | `{}`: a new client with nothing cached |
//!
//! `{"error": …}` is what the SDK tells its caller.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};

use serde_json::Value;

use super::part::{Lines, Part};
use crate::Stage;

/// One of the SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// boto3, over botocore.
    Boto,
    /// `@aws-sdk/client-sts` and `@aws-sdk/client-s3`.
    JavaScript,
    /// `aws-config` and `aws-sdk-sts`.
    Rust,
}

impl Sdk {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Boto, Self::JavaScript, Self::Rust];

    /// Program and arguments.
    #[must_use]
    pub fn words(self, endpoint: &str) -> Vec<OsString> {
        let stage = Stage::get();
        let mut words = match self {
            Self::Boto => vec![stage.python("python").into(), stage.real("aws_sdk.py").into()],
            Self::JavaScript => vec![stage.node.clone().into(), stage.real("aws-sdk.mjs").into()],
            Self::Rust => vec![stage.bin("keyfob-aws-sdk").into()],
        };
        words.push(endpoint.into());
        words
    }
}

/// A running client; it ends when this is dropped.
#[derive(Debug)]
pub struct SdkClient {
    part: Part,
    input: ChildStdin,
    answers: Lines,
}

impl SdkClient {
    /// Starts a command that ends in [`Sdk::words`].
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        // Never asks the network for the keys of a virtual machine.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        let mut part = Part::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let input = part.child().stdin.take().expect("its standard input is piped");
        let stdout = part.child().stdout.take().expect("its standard output is piped");
        Self { part, input, answers: Lines::of(stdout) }
    }

    /// Its process: of the command, where that runs the SDK as its child.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.part.id()
    }

    /// The answer to a verb, whatever it is.
    ///
    /// # Panics
    /// When there is none in time.
    #[track_caller]
    pub fn try_ask(&mut self, verb: &str) -> Value {
        writeln!(self.input, "{verb}").unwrap_or_else(|error| panic!("it takes no `{verb}`: {error}"));
        self.answers.find(&format!("the answer to `{verb}`"), |line| serde_json::from_str(line).ok())
    }

    /// The answer to a verb.
    ///
    /// # Panics
    /// When there is none in time, or an error.
    #[track_caller]
    pub fn ask(&mut self, verb: &str) -> Value {
        let answer = self.try_ask(verb);
        assert!(answer["error"].is_null(), "{verb}: {answer}");
        answer
    }

    /// The error that a verb ends in.
    ///
    /// # Panics
    /// When it ends in none.
    #[track_caller]
    pub fn fail(&mut self, verb: &str) -> String {
        let answer = self.try_ask(verb);
        answer["error"].as_str().unwrap_or_else(|| panic!("{verb} went well: {answer}")).to_owned()
    }

    /// Closes its input, by which it ends, and waits for that.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn end(mut self) -> Option<i32> {
        drop(self.input);
        self.part.exit_code()
    }
}
