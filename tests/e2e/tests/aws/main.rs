//! AWS programs as they are, by every way in which they get keys of us: `credential_process`, a shell as some SDKs start one,
//! and the endpoint of `keyfob exec`. The clients are the AWS CLI, boto3, and the SDKs for JavaScript and Rust; Go's and Java's
//! ways of starting a program are taken after their documentation and source.
//!
//! What a client may ask of a `credential_process`, by number:
//!
//! | number | what | test |
//! | --- | --- | --- |
//! | 1 | keys arrive whole | `case_01_…`, and botocore's own reading in `the_answer_is_what_every_sdk_reads` (`aws_clients.rs`) |
//! | 2 | arguments with quotes | `case_02_…` |
//! | 3 | keys that have ended are renewed, not given | `case_03_…`, `keys_that_have_ended_are_never_given` (`aws_clients.rs`) |
//! | 4 | ended, and no network | `case_04_…` |
//! | 5 | few starts: over 15 minutes left | `case_05_…`, `keys_with_fifteen_minutes_left_are_not_given_where_the_role_allows_more` and its neighbours (`aws_clients.rs`) |
//! | 6 | a refusal is read by the person | `case_06_…`; the CLI and boto3 in `who_is_not_signed_in_reads_our_sentence_in_the_tools_own_error` (`aws_clients.rs`) |
//! | 7 | `"Version":1`, a number | `case_07_…`, `the_answer_is_what_every_sdk_reads` (`aws_clients.rs`) |
//! | 8 | never keys in part | `case_08_…` |
//! | 9 | keys without an end | `case_09_…` |
//! | 10 | `AccountId` | `case_10_…` |
//! | 11 | long session tokens | `case_11_…` |
//! | 12 | a hung agent, a killed client | `case_12_…` |
//! | 13 | paths with spaces | `case_13_…` |
//! | 14 | how an end is written | `case_14_…` |
//! | 15 | two hundred at once | `case_15_…` |
#![cfg(target_os = "linux")]

mod answers;
mod chain;
mod command;
mod crowd;
mod exec;
mod forged;
mod hang;
mod life;
mod line;
mod terraform;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_e2e::real::{Moto, Sdk, SdkClient};
use keyfob_e2e::{Company, Output, Profile, Stage, run};
use keyfob_sandbox::{Endpoint, Fault, Options};

/// Nothing that is asked of us as a `credential_process` takes longer: some SDKs give up after five seconds.
const CAP: Duration = Duration::from_secs(4);
/// What every SDK passes on of our standard error, in bytes; a pipe that nobody empties holds 65,536.
const FEW: usize = 1024;
/// How `GetCallerIdentity` names the person in `aws.dev`.
const DEV: &str = "arn:aws:sts::123456789012:assumed-role/OktaRole/ada@example.com";

/// What the profiles of these tests have as `credential_process`.
fn line(entry: &str) -> String {
    format!("{} credential-process {entry}", Stage::get().bin("keyfob").display())
}

/// A company with these roles beside its own, whose STS passes verified calls on to moto where there is one.
fn company(more: &[&str], moto: Option<&Moto>) -> Company {
    let mut options = Options::default();
    for name in more {
        let mut role = options.sts.roles[0].clone();
        role.arn = arn(name);
        options.sts.roles.push(role);
    }
    options.sts.forward = moto.map(|moto| moto.url().parse().expect("moto's address is one"));
    Company::with(options)
}

/// The ARN of a role by its name.
fn arn(role: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{role}")
}

/// A profile over the company's own configuration, signed in.
fn signed_in(company: &Company) -> Profile {
    signed_in_with(company, "")
}

/// The same, with more in the configuration.
fn signed_in_with(company: &Company, more: &str) -> Profile {
    let profile = Profile::new(&[&company.config(), more].concat());
    company.sign_in(&profile, "okta");
    profile
}

/// Writes the default profile of the person's AWS configuration.
fn write_default(profile: &Profile, line: &str, more: &str) {
    let folder = profile.home().join(".aws");
    fs::create_dir_all(&folder).expect("a folder in our home");
    let text = format!("[default]\nregion = eu-west-1\ncredential_process = {line}\n{more}");
    fs::write(folder.join("config"), text).expect("room for a file");
}

/// A command line as Go, Java, JavaScript and Rust run it.
fn shell(profile: &Profile, line: &str) -> Command {
    let mut command = profile.command("/bin/sh");
    command.args(["-c", line]);
    command
}

/// One of the SDKs, with the person's AWS configuration.
#[track_caller]
fn sdk(profile: &Profile, sdk: Sdk, endpoint: &str) -> SdkClient {
    let words = sdk.words(endpoint);
    let mut command = profile.command(&words[0]);
    command.args(&words[1..]);
    SdkClient::start(command)
}

/// The AWS command line.
fn aws(profile: &Profile, endpoint: &str, arguments: &[&str]) -> Output {
    let mut command = profile.command(Stage::get().python("aws"));
    command.env("AWS_EC2_METADATA_DISABLED", "true").current_dir(profile.home());
    command.args(["--endpoint-url", endpoint, "--output", "json"]).args(arguments);
    run(command, "")
}

/// Every client says who it is, with nothing cached.
#[track_caller]
fn assert_everybody_is(profile: &Profile, endpoint: &str, arn: &str) {
    let answer = aws(profile, endpoint, &["sts", "get-caller-identity"]).ok();
    assert_eq!(answer.json()["Arn"], arn, "the AWS CLI");
    for one in Sdk::ALL {
        assert_eq!(sdk(profile, one, endpoint).ask("identity")["Arn"], arn, "{one:?}");
    }
}

/// Every client ends in an error with one of these sentences of ours.
#[track_caller]
fn assert_everybody_reads(profile: &Profile, endpoint: &str, sentences: &[&str]) {
    let is_told = |text: &str| sentences.iter().any(|sentence| text.contains(sentence));
    let refused = aws(profile, endpoint, &["sts", "get-caller-identity"]);
    assert_ne!(refused.code, 0);
    assert!(is_told(&refused.stderr), "the AWS CLI: {refused:?}");
    for one in Sdk::ALL {
        let mut client = sdk(profile, one, endpoint);
        let mut error = client.fail("identity");
        if one == Sdk::JavaScript {
            // Its default chain goes on to the next link, and tells of none.
            assert!(error.contains("Could not load credentials from any providers"), "{error}");
            error = client.fail("process");
        }
        assert!(is_told(&error) && !error.contains("b'"), "{one:?}: {error}");
    }
}

/// A refusal as every SDK can take it: nothing on standard output, little on standard error, in time.
#[track_caller]
fn refused(output: Output) -> Output {
    assert!(output.code > 0, "{output:?}");
    assert_eq!(output.stdout, "");
    assert!(output.stderr.starts_with("keyfob: ") && output.stderr.len() < FEW, "{output:?}");
    assert!(output.took < CAP, "{output:?}");
    output
}

/// The seconds of life in an answer of ours, which must be written as every SDK takes it.
#[track_caller]
fn left(answer: &Output) -> i64 {
    end(answer).as_second() - Timestamp::now().as_second()
}

#[track_caller]
fn end(answer: &Output) -> Timestamp {
    let json = answer.json();
    let text = json["Expiration"].as_str().expect("an end");
    let form: String =
        text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(form, "0000-00-00T00:00:00Z", "{text}");
    text.parse().expect("a time")
}

/// A program in the place of `keyfob`: it notes each start with its arguments, and goes on as `keyfob`.
struct Recorder {
    program: PathBuf,
    notes: PathBuf,
}

impl Recorder {
    fn new(profile: &Profile) -> Self {
        let (program, notes) = (profile.path().join("recorder"), profile.path().join("starts"));
        let keyfob = Stage::get().bin("keyfob");
        // One write a start, so that two at once do not mix.
        let text = format!(
            "#!/bin/sh\nwords=$(printf '[%s]' \"$@\")\nprintf '%s\\n' \"$words\" >> '{}'\nexec '{}' \"$@\"\n",
            notes.display(),
            keyfob.display()
        );
        write_program(&program, &text);
        Self { program, notes }
    }

    fn line(&self, arguments: &str) -> String {
        format!("{} {arguments}", self.program.display())
    }

    /// `[first argument][second argument]` of every start since the last look.
    fn take_starts(&self) -> Vec<String> {
        let starts = fs::read_to_string(&self.notes).unwrap_or_default();
        let _ = fs::remove_file(&self.notes);
        starts.lines().map(str::to_owned).collect()
    }
}

fn write_program(path: &Path, text: &str) {
    // Under another name first: a program that is being written cannot be started.
    let new = path.with_extension("new");
    fs::write(&new, text).expect("room for a program");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("our own file");
    fs::rename(new, path).expect("our own folder");
}

/// Takes the identity provider and STS away.
fn cut_off(company: &Company) {
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Token, Endpoint::Sts] {
        company.faults().set(endpoint, Fault::Status(503));
    }
}

/// Tells whoever runs the tests, also where they pass.
fn tell(line: &str) {
    use std::io::Write as _;
    // Past the test runner, which keeps to itself what a test that passes prints.
    let _ = writeln!(std::io::stderr(), "{line}");
}
