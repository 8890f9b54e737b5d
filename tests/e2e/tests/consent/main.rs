//! Who asks, by the kernel's word: real programs that are allowed and refused, and real answers on a terminal.
#![cfg(target_os = "linux")]

mod allow;
mod answers;
mod bazel;
mod programs;

use keyfob_e2e::{MEMORY, Profile, token};

/// An address of `[token.aspect]` in [`house`].
const ASPECT: &str = "https://aw.acme.dev/ac/1";

/// A value for it.
const VALUE: &str = "aw_0123456789abcdef0123456789";

/// A profile with a token, whose policy has these lines; with none, it has no policy.
fn house(lines: &str) -> Profile {
    let profile = Profile::new(&[MEMORY, &token("aspect", "aw.acme.dev")].concat());
    profile.start_agent();
    profile.add_token("aspect", VALUE);
    configure(&profile, lines);
    profile
}

/// Gives the token's policy these lines, or takes it away.
fn configure(profile: &Profile, lines: &str) {
    let policy =
        if lines.is_empty() { String::new() } else { format!("[policy.\"token.aspect\"]\n{lines}\n") };
    profile.configure(&[MEMORY, &token("aspect", "aw.acme.dev"), &policy].concat());
}
