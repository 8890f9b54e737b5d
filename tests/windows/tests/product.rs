//! `keyfob.exe` and `keyfobd.exe` on Windows: pipes, the Credential Manager, sign-in, keys for AWS, paths and line ends as Windows
//! has them.

#![cfg(windows)]

#[path = "product/agent.rs"]
mod agent;
#[path = "product/company.rs"]
mod company;
#[path = "product/keychain.rs"]
mod keychain;
#[path = "product/paths.rs"]
mod paths;
#[path = "product/pipes.rs"]
mod pipes;

/// An address that `[token.aspect]` answers for.
const URI: &str = "https://aw-remote-ext.acme.dev/google.bytestream.ByteStream";
const HOST: &str = "aw-remote-ext.acme.dev";

/// What `get` gives for [`URI`].
#[track_caller]
fn token_of(answer: &keyfob_windows_tests::Output) -> String {
    let answer = answer.json();
    answer["headers"]["X-Aspect"][0].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
}
