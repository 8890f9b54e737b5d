//! Writes the types of `gui/src/page.rs` for TypeScript:
//! `cargo run -p keyfob-gui --example bindings > gui/web/src/bindings.ts`.

use std::io::Write as _;

use keyfob_gui::page;
use ts_rs::{Config, TS};

const HEAD: &str = "// Generated from gui/src/page.rs. To write it again:\n\
    // cargo run -p keyfob-gui --example bindings > gui/web/src/bindings.ts\n";

/// Every type that crosses between the page and the program, in the order of `page.rs`.
pub fn bindings() -> String {
    let mut written = HEAD.to_owned();
    macro_rules! write_each {
        ($($name:ident)*) => { $(add::<page::$name>(&mut written);)* };
    }
    write_each! {
        View Page AgentState Lock Keychain Trouble Configuration Row RowState Remark Deed Planned PlannedDeed Question
        Approval SignIn SignInStep Own Permissions ClusterRow FactRow ActivityLine Grant Tool TokenOutcome Change PageAsk
        PageReply News
    }
    written
}

fn add<T: TS>(written: &mut String) {
    let config = Config::new();
    written.push('\n');
    written.push_str(&T::docs().unwrap_or_default());
    written.push_str("export ");
    // The macro leaves spaces at the ends of lines.
    for line in T::decl(&config).lines() {
        written.push_str(line.trim_end());
        written.push('\n');
    }
}

fn main() -> std::io::Result<()> {
    std::io::stdout().lock().write_all(bindings().as_bytes())
}
