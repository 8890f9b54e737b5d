//! Who may use the pipes.

use std::path::Path;

use keyfob_ipc::peer::this_user;
use keyfob_windows_tests::{MEMORY, Profile, descriptor_of_pipe};
use tokio::net::windows::named_pipe::ServerOptions;

/// Whether a descriptor is owned by this user, inherits nothing, and has this user as the only one who may do anything.
fn is_for_this_user_alone(descriptor: &str) -> bool {
    let user = this_user();
    let Some(list) = descriptor.strip_prefix(&format!("O:{user}D:")) else { return false };
    let Some((_, entry)) = list.split_once('(').filter(|(flags, _)| flags.starts_with('P')) else {
        return false;
    };
    entry.starts_with("A;;") && entry.ends_with(&format!(";;;{user})")) && !entry.contains('(')
}

#[test]
fn both_pipes_are_for_this_user_alone() {
    let profile = Profile::new(MEMORY);
    profile.run(&["agent", "start"], "").ok();
    let about = profile.agent();
    let tool = about["socket"].as_str().unwrap_or_default();
    let control = tool.replace("-agent", "-control");
    assert_ne!(tool, control);
    for pipe in [tool, &control] {
        let descriptor = descriptor_of_pipe(Path::new(pipe)).unwrap();
        assert!(is_for_this_user_alone(&descriptor), "{pipe}: {descriptor}");
    }
}

/// The control: a pipe as it is made without a word about who may use it.
#[tokio::test]
async fn an_ordinary_pipe_is_not_for_this_user_alone() {
    let name = format!(r"\\.\pipe\keyfob-test-{}-ordinary", std::process::id());
    let _pipe = ServerOptions::new().create(&name).unwrap();
    let descriptor = descriptor_of_pipe(Path::new(&name)).unwrap();
    assert!(!is_for_this_user_alone(&descriptor), "{descriptor}");
}
