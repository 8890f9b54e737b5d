//! `keyfob secret list`.

use keyfob_ipc::reply::EntryReport;
use keyfob_ipc::{ControlAsk, Reply, text};

use super::super::setup::refuse_broken_configuration;
use super::super::status::{state_paint, state_word};
use super::super::{DONE, Outcome};
use super::{KIND, keys};
use crate::printer::joined_step;
use crate::reach::unexpected;
use crate::table::{Cell, Column, table};
use crate::world::World;

pub fn run(world: &mut World) -> Outcome {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    refuse_broken_configuration(&status)?;
    let secrets: Vec<&EntryReport> = status.entries.iter().filter(|entry| entry.kind == KIND).collect();
    if world.json {
        world.printer.json(&secrets);
    } else if secrets.is_empty() {
        world.printer.say("the configuration has no secrets");
    } else {
        let in_job = world.environment.unattended.is_some();
        let rows: Vec<Vec<Cell>> = secrets.iter().map(|entry| row(entry, in_job)).collect();
        let mut page = table(&COLUMNS, &rows, world.width, &world.printer);
        let refused = secrets.iter().filter_map(|entry| Some((entry, entry.refusal.as_ref()?)));
        for (number, (entry, refusal)) in refused.enumerate() {
            let before = if number == 0 { "\n" } else { "" };
            let (entry, say) = (text::escape(&entry.name), text::escape(&refusal.say));
            page.push_str(&format!("{before}{entry}: {say}{}\n", joined_step(&say, &refusal.hint)));
        }
        world.printer.result(&page);
    }
    Ok(DONE)
}

const COLUMNS: [Column; 4] = [
    Column::yielding("ENTRY", 12),
    Column::yielding("VALUES", 12),
    Column::yielding("FROM", 8),
    Column::fixed("STATE"),
];

fn row(entry: &EntryReport, in_job: bool) -> Vec<Cell> {
    let keys: Vec<String> = keys(entry).map(text::escape).collect();
    vec![
        (text::escape(&entry.name), None),
        (if keys.is_empty() { "all".to_owned() } else { keys.join(", ") }, None),
        (entry.facts.get("from").map_or_else(|| "keychain".to_owned(), |from| text::escape(from)), None),
        (state_word(entry, in_job).to_owned(), Some(state_paint(entry, in_job))),
    ]
}
