//! What became of a token, for people.

use keyfob_ipc::reply::{Reply, Teller, TokenReport, Weight};
use keyfob_ipc::text;

use crate::commands::permissions::{self, Columns};
use crate::commands::{DONE, Outcome, done, says};
use crate::life;
use crate::moment::Moment;
use crate::printer::sentence;
use crate::table::labelled;
use crate::world::World;

/// Shows it. What was lost and what is urgent goes to standard error too, where a script's owner looks.
pub fn show(reply: Reply, world: &mut World) -> Outcome {
    let Reply::Token(report) = reply else { return done(reply, world) };
    if world.json {
        world.printer.json(&report);
        return Ok(DONE);
    }
    let page = page(&report, world);
    world.printer.say(&report.say);
    world.printer.result(&page);
    if !report.lost.is_empty() {
        world.printer.alarm(&format!(
            "LOST: this token may not do what the one before it could: {}",
            listed(&report.lost)
        ));
    }
    for note in report.notes.iter().filter(|note| note.weight == Weight::Urgent) {
        world.printer.alarm(&sentence(&note.say, &note.hint));
    }
    Ok(DONE)
}

fn page(report: &TokenReport, world: &World) -> String {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    if let Some(owner) = &report.owner {
        add("belongs to", text::escape(owner));
    }
    add("end", end(report, world.now));
    if !report.gained.is_empty() {
        add("gained", listed(&report.gained));
    }
    let permissions = report.permissions.as_slice();
    for entry in permissions {
        for fact in entry.facts.iter().filter(|fact| !["owner", "ends"].contains(&fact.name.as_str())) {
            add(&text::escape(&fact.name), permissions::told(fact, world.now));
        }
    }
    let mut page = labelled(&facts, world.width);
    page.push_str(&permissions::clusters(permissions, Columns::OfOneEntry, world));
    page.push_str(&permissions::remarks(permissions));
    for note in report.notes.iter().filter(|note| note.weight != Weight::Urgent) {
        page.push_str(&format!("{}\n", sentence(&note.say, &note.hint)));
    }
    page
}

/// Until when, and who says so. What nobody says is not known; it is never no end.
fn end(report: &TokenReport, now: Moment) -> String {
    let Some(until) = &report.until else {
        // OUTSCALE lists a key without an end where it has none.
        let is_none = report.until_by == Some(Teller::Eim);
        return if is_none { format!("none{}", says(report.until_by)) } else { "unknown".to_owned() };
    };
    let is_assumed = report.until_by == Some(Teller::Configuration);
    let taken = if is_assumed { "taken to be " } else { "" };
    let left = life::remaining(now, until, is_assumed);
    format!("{taken}{}{} ({left})", life::day(until), says(report.until_by))
}

fn listed(all: &[String]) -> String {
    let escaped: Vec<String> = all.iter().map(|one| text::escape(one)).collect();
    escaped.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(until: Option<&str>, until_by: Option<Teller>) -> String {
        let report = TokenReport {
            say: String::new(),
            owner: None,
            until: until.map(str::to_owned),
            until_by,
            lost: vec![],
            gained: vec![],
            notes: vec![],
            permissions: None,
        };
        end(&report, "2026-11-21T08:00:00Z".parse().unwrap())
    }

    #[test]
    fn an_end_names_who_told_it_and_an_unknown_one_is_no_promise() {
        let until = Some("2027-11-21T08:00:00Z");
        assert_eq!(
            ending(until, Some(Teller::TokenService)),
            "2027-11-21, the token service says so (365 days)"
        );
        assert_eq!(
            ending(until, Some(Teller::Configuration)),
            "taken to be 2027-11-21, from `lifetime` (about 365 days)"
        );
        assert_eq!(ending(until, Some(Teller::Person)), "2027-11-21, as you said (365 days)");
        assert_eq!(ending(until, None), "2027-11-21 (365 days)");
        assert_eq!(ending(None, Some(Teller::TokenService)), "unknown");
        assert_eq!(ending(None, Some(Teller::Eim)), "none, OUTSCALE says so");
    }
}
