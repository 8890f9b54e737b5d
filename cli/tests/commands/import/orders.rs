//! `keyfob import` and `keyfob setup metaflow` in one file: in whatever order they come and go, the file is given back.

use std::collections::BTreeSet;
use std::fs;

use super::world::{CONFIG_URL, KEY, PLAIN, World};
use crate::fake::err;
use crate::json;

const COMMANDS: [&[&str]; 4] = [
    &["import", "--yes"],
    &["import", "--undo"],
    &["setup", "metaflow", "ENTRY"],
    &["setup", "metaflow", "--remove"],
];

/// A file, and whether the agent has its key.
type State = (String, bool);

struct Orders {
    world: World,
    /// What takes the key.
    holder: &'static str,
    /// What is set up.
    entry: &'static str,
}

impl Orders {
    fn new(config: &str, holder: &'static str, entry: &'static str) -> Self {
        let world = World::new();
        fs::write(world.profile.path("config.toml"), config).unwrap();
        Self { world, holder, entry }
    }

    fn after(&self, (file, is_held): &State, command: &[&str]) -> State {
        self.world.put("config.json", file);
        let held = is_held.then(|| (self.holder.to_owned(), KEY.to_owned()));
        self.world.agent().held = held.into_iter().collect();
        let command: Vec<&str> =
            command.iter().map(|word| if *word == "ENTRY" { self.entry } else { word }).collect();
        let output = self.world.run(&command);
        assert_eq!(output.status.code(), Some(0), "{command:?} on {file}: {}", err(&output));
        let state = (self.world.file("config.json"), !self.world.agent().held.is_empty());
        let members = json(&state.0);
        let needs_program = ["METAFLOW_KEYFOB_SERVICE", "METAFLOW_KEYFOB_AWS"];
        if needs_program.iter().any(|name| members.get(name).is_some()) {
            assert!(members.get("METAFLOW_KEYFOB_PROGRAM").is_some(), "{command:?} on {file}: {members}");
        }
        state
    }

    /// Goes through every state that any order of the commands leads to, and back from each of them.
    fn all_lead_back(&self, before: &str) -> usize {
        let first = (before.to_owned(), false);
        let (mut seen, mut open) = (BTreeSet::from([first.clone()]), vec![first]);
        while let Some(state) = open.pop() {
            for [one, other] in [[1, 3], [3, 1]] {
                let back = self.after(&self.after(&state, COMMANDS[one]), COMMANDS[other]);
                // A key that a role needs stays held.
                assert_eq!(back.0, before, "from {}", state.0);
            }
            for command in COMMANDS {
                let next = self.after(&state, command);
                if seen.insert(next.clone()) {
                    assert!(seen.len() < 40, "the file grows: {}", next.0);
                    open.push(next);
                }
            }
        }
        seen.len()
    }
}

#[test]
fn every_order_of_import_setup_remove_and_undo_leads_back_to_the_byte() {
    let token = "[aws.dev]\n[token.metaflow]\nhosts = [\"meta.acme.dev\"]\nheader = \"x-api-key\"\n";
    let orders = Orders::new(token, "token.metaflow", "aws.dev");
    let alone =
        "{\"METAFLOW_SERVICE_AUTH_KEY\":\"s3rvice-k3y\",\"METAFLOW_SERVICE_URL\":\"https://meta.acme.dev\"}";
    for before in [PLAIN, alone] {
        // Neither of them, each, and both in either order.
        assert!(orders.all_lead_back(before) >= 5);
    }

    let deployment = "[outerbounds.prod]\ndomain = \"foo.obp.outerbounds.com\"\nperimeter = \"blue\"\n";
    let of_outerbounds = format!(
        "{{\n  \"METAFLOW_SERVICE_AUTH_KEY\": \"{KEY}\",\n  \"OBP_METAFLOW_CONFIG_URL\": \"{CONFIG_URL}\"\n}}\n"
    );
    let role = "[aws.prod]\nouterbounds = \"prod\"\n";
    for config in [deployment.to_owned(), format!("{deployment}{role}")] {
        let orders = Orders::new(&config, "outerbounds.prod", "outerbounds.prod");
        // Where nothing but the program is written, both orders end alike.
        assert!(orders.all_lead_back(&of_outerbounds) >= 4);
    }
}
