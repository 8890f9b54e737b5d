//! `keyfob status`.

mod trouble;

use std::fmt::Write as _;

use clap::Args;
use keyfob_ipc::reply::{EntryReport, EntryState, Note, Status, Weight};
use keyfob_ipc::{Code, ControlAsk, Reply, text};

use self::trouble::trouble;
use super::{DONE, Outcome};
use crate::life;
use crate::moment::Moment;
use crate::printer::{Paint, Printer, sentence};
use crate::reach::unexpected;
use crate::table::{Cell, Column, fits, table};
use crate::world::World;

/// Show what is held, until when, and what to do next.
///
/// One line for each entry of the configuration: what it is for, who it belongs to, its remaining life, its state, and the
/// next command where one is needed. Below it is what else you should know, the most urgent first: tokens that end soon,
/// rotations that are not finished. A lock, programs that wait for your approval, and trouble with the keychain or the
/// configuration come before all that.
/// A life of `about` some days is assumed from the configuration; `unknown` is a token whose end nobody told.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob status
  keyfob status --json | jq '.entries[] | {name, state, until}'

EXIT CODES
  0 shown, whatever the states are; 4 agent not reachable")]
pub struct Options {}

pub fn run(_options: &Options, world: &mut World) -> Outcome {
    let Reply::Status(status) = world.reach.look(|| ControlAsk::Status)? else {
        return Err(unexpected());
    };
    if world.json {
        world.printer.json(&status);
    } else {
        let view = View {
            now: world.now,
            in_job: world.environment.unattended.is_some(),
            width: world.width,
            printer: &world.printer,
        };
        let text = page(&status, &view);
        world.printer.result(&text);
    }
    Ok(DONE)
}

/// For whom it is shown.
struct View<'a> {
    now: Moment,
    /// That a job has no identity is news only where one runs.
    in_job: bool,
    /// How long a line of the table may be.
    width: usize,
    printer: &'a Printer,
}

fn page(status: &Status, view: &View<'_>) -> String {
    let mut page = trouble(status, view.now, view.printer);
    let goes_on = !status.entries.is_empty() || !status.config.exists || status.config.errors.is_empty();
    if !page.is_empty() && goes_on {
        page.push('\n');
    }
    if status.entries.is_empty() {
        let path = text::escape(&status.config.path);
        // Writing to a string cannot fail, here and below.
        let _ = match (status.config.exists, status.config.errors.is_empty()) {
            (false, _) => writeln!(
                page,
                "there is no configuration yet; write {path} (docs/configuration.md, or `keyfob --help`)"
            ),
            (true, true) => writeln!(page, "the configuration `{path}` has no entries"),
            // Said above, with its next step.
            (true, false) => Ok(()),
        };
        return page;
    }
    let rows: Vec<Vec<Cell>> = status.entries.iter().map(|entry| row(entry, view)).collect();
    // A command is copied whole, so it is never broken: where there is no room beside the rest, it stands in a line below.
    let has_next = fits(&COLUMNS, &rows, view.width);
    let columns = if has_next { &COLUMNS[..] } else { &NARROW[..] };
    page.push_str(&table(columns, &rows, view.width, view.printer));
    let notes = notes(&status.entries, has_next, view);
    if !notes.is_empty() {
        let _ = write!(page, "\n{notes}");
    }
    page
}

const COLUMNS: [Column; 6] = [
    Column::yielding("ENTRY", 16),
    Column::yielding("FOR", 16),
    Column::yielding("WHO", 10),
    Column::fixed("LEFT"),
    Column::fixed("STATE"),
    Column::fixed("NEXT"),
];

/// Without the next step.
const NARROW: [Column; 5] = [
    Column::yielding("ENTRY", 8),
    Column::yielding("FOR", 8),
    Column::yielding("WHO", 6),
    Column::yielding("LEFT", 8),
    Column::yielding("STATE", 8),
];

fn row(entry: &EntryReport, view: &View<'_>) -> Vec<Cell> {
    vec![
        (text::escape(&entry.name), None),
        (text::escape(&purpose(entry)), None),
        (entry.owner.as_deref().map_or_else(|| "-".to_owned(), text::escape), None),
        (left(entry, view.now), None),
        (state_word(entry, view.in_job).to_owned(), Some(state_paint(entry, view.in_job))),
        (command(entry, view.in_job).map(text::escape).unwrap_or_default(), None),
    ]
}

/// The one next step: out of what stands in the way, else of the most urgent note that wants something done.
fn next(entry: &EntryReport, in_job: bool) -> Option<&str> {
    let note = || entry.notes.iter().find(|note| note.weight != Weight::Known && !note.hint.is_empty());
    let hint = entry.refusal.as_ref().map(|refusal| &refusal.hint).or_else(|| note().map(|note| &note.hint));
    let is_meant = in_job || !is_without_job(entry);
    hint.map(String::as_str).filter(|hint| is_meant && !hint.is_empty())
}

/// The same where it is a command: a cell is for nothing else.
fn command(entry: &EntryReport, in_job: bool) -> Option<&str> {
    next(entry, in_job).filter(|hint| hint.starts_with("keyfob "))
}

/// The remaining life. That nobody knows the end of a token is said: it does end.
pub fn left(entry: &EntryReport, now: Moment) -> String {
    match &entry.until {
        Some(until) => life::remaining(now, until, entry.until_assumed),
        None if entry.kind == "token" && entry.state != EntryState::SignedOut => "unknown".to_owned(),
        None => "-".to_owned(),
    }
}

/// What an entry is for: its Bazel hosts, its role, or where its session comes from.
pub fn purpose(entry: &EntryReport) -> String {
    if let Some((first, more)) = entry.hosts.split_first() {
        return if more.is_empty() { first.clone() } else { format!("{first} and {} more", more.len()) };
    }
    let fact = |name: &str| entry.facts.get(name);
    if let Some(role) = fact("role_arn") {
        return short_role(role);
    }
    if let (Some(user), Some(region)) = (fact("user"), fact("region")) {
        return format!("{user} in {region}");
    }
    if let Some(program) = fact("command") {
        // Of a long path the end says most.
        return program.rsplit(['/', '\\']).next().unwrap_or(program).to_owned();
    }
    match fact("issuer") {
        Some(issuer) => {
            issuer.split("//").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(issuer).to_owned()
        }
        None => {
            let of_kind: &[&str] = match entry.kind.as_str() {
                "secret" => &["id", "keys"],
                "outerbounds" => &["domain"],
                _ => &["identity"],
            };
            of_kind.iter().find_map(|name| fact(name)).cloned().unwrap_or_else(|| "-".to_owned())
        }
    }
}

/// `123456789012 OktaRole` of `arn:aws:iam::123456789012:role/path/OktaRole`.
pub fn short_role(arn: &str) -> String {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    match fields.as_slice() {
        [_, _, _, _, account, role] => format!("{account} {}", role.rsplit('/').next().unwrap_or(role)),
        _ => arn.to_owned(),
    }
}

/// The state of an entry in words; `in_job`: whether it is looked at in a job.
pub fn state_word(entry: &EntryReport, in_job: bool) -> &'static str {
    match entry.state {
        _ if is_without_job(entry) && in_job => "no identity",
        _ if is_without_job(entry) => "no job here",
        EntryState::SignedOut => missing(entry),
        // A lease is bought, and another program run, when somebody asks for it.
        EntryState::Live if is_obtained(entry) && entry.until.is_none() => "not used yet",
        EntryState::Live => "live",
        EntryState::Ending => "ending",
        EntryState::Waiting => "waiting",
        EntryState::Refused => "refused",
    }
}

/// What an entry lacks, or what stands behind it.
fn missing(entry: &EntryReport) -> &'static str {
    let code = entry.refusal.as_ref().map(|refusal| refusal.code);
    match (entry.kind.as_str(), code) {
        (_, Some(Code::SignInNeeded)) => "signed out",
        ("token", _) => "no token",
        ("secret", Some(Code::TokenNeeded)) if entry.facts.contains_key("from") => "no key",
        ("secret", _) if entry.facts.contains_key("from") => "signed out",
        ("secret", _) if is_half(entry) => "incomplete",
        ("secret", _) => "no value",
        ("outscale" | "outerbounds", _) | ("aws", Some(Code::TokenNeeded)) => "no key",
        _ => "signed out",
    }
}

/// Whether a secret has values, and not all of them: then the next step is about one that it lacks.
fn is_half(entry: &EntryReport) -> bool {
    let hint = entry.refusal.as_ref().map(|refusal| refusal.hint.as_str()).unwrap_or_default();
    let last = hint.strip_prefix("keyfob secret set ").and_then(|rest| rest.split_once(' '));
    let keys = entry.facts.get("keys").map(String::as_str).unwrap_or_default();
    last.is_some_and(|(_, key)| keys.split([',', ' ']).any(|known| known == key))
}

fn is_obtained(entry: &EntryReport) -> bool {
    entry.through.is_some() || entry.facts.contains_key("command")
}

/// Whether it waits for the identity of a job where none runs, which is as it should be on a desktop.
fn is_without_job(entry: &EntryReport) -> bool {
    entry.refusal.as_ref().is_some_and(|refusal| refusal.code == Code::MachineIdentityMissing)
}

/// How a state is coloured.
pub fn state_paint(entry: &EntryReport, in_job: bool) -> Paint {
    match entry.state {
        _ if is_without_job(entry) && !in_job => Paint::Faint,
        EntryState::Live => Paint::Good,
        EntryState::Ending | EntryState::Waiting => Paint::Warning,
        EntryState::Refused => Paint::Bad,
        EntryState::SignedOut => Paint::Faint,
    }
}

/// What a person should know of entries: what is urgent, then why one waits or is refused, then the rest. That somebody is
/// signed out needs no reason, but that a token is held and no good any more does.
fn notes(entries: &[EntryReport], has_next: bool, view: &View<'_>) -> String {
    let (in_job, mut text) = (view.in_job, String::new());
    for weight in [Weight::Urgent, Weight::Due, Weight::Known] {
        for entry in entries {
            for note in entry.notes.iter().filter(|note| note.weight == weight) {
                text.push_str(&noted(&entry.name, note, view.printer));
            }
            if let Some(capped) = capped(entry).filter(|_| weight == Weight::Known) {
                let _ = writeln!(text, "{}: its sessions last {capped}", text::escape(&entry.name));
            }
        }
        if weight != Weight::Urgent {
            continue;
        }
        let has_reason = |entry: &&EntryReport| {
            let is_known = is_without_job(entry) && !in_job;
            !is_known && (entry.state != EntryState::SignedOut || entry.until.is_some())
        };
        for entry in entries {
            let Some(refusal) = &entry.refusal else { continue };
            // What is in the table is not said again.
            let in_table = has_next && command(entry, in_job).is_some();
            let hint = next(entry, in_job).filter(|_| !in_table).unwrap_or_default();
            let say = if has_reason(&entry) { &refusal.say } else { state_word(entry, in_job) };
            if has_reason(&entry) || !hint.is_empty() {
                let _ = writeln!(text, "{}: {}", text::escape(&entry.name), sentence(say, hint));
            }
        }
    }
    text
}

/// That sessions are shorter than configured: `1h, 4h is configured: …`.
pub fn capped(entry: &EntryReport) -> Option<String> {
    let length = |name: &str| entry.facts.get(name).map(|seconds| life::length(seconds));
    let (given, asked) = (length("duration")?, length("duration_capped")?);
    Some(format!("{given}, {asked} is configured: AWS ends such sessions after an hour"))
}

/// A line about something: what it is about, the sentence and the next command.
pub fn noted(about: &str, note: &Note, printer: &Printer) -> String {
    let about = text::escape(about);
    let about = match note.weight {
        Weight::Urgent => printer.paint(Paint::Bad, &about),
        Weight::Due => printer.paint(Paint::Warning, &about),
        Weight::Known => about,
    };
    format!("{about}: {}\n", sentence(&note.say, &note.hint))
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::Refusal;
    use keyfob_ipc::reply::{About, ConfigReport, KeychainReport, KeychainState, LockReport, LockedBy};

    use super::*;

    fn entry(name: &str, state: EntryState) -> EntryReport {
        EntryReport {
            name: name.to_owned(),
            kind: name.split('.').next().unwrap_or_default().to_owned(),
            state,
            until: None,
            until_assumed: false,
            until_by: None,
            owner: None,
            hosts: vec![],
            through: None,
            facts: Default::default(),
            refusal: None,
            notes: vec![],
            since: None,
            plan: Vec::new(),
            quiet_until: None,
        }
    }

    fn status(entries: Vec<EntryReport>) -> Status {
        Status {
            agent: About {
                version: "0.1.0".to_owned(),
                protocol: 1,
                pid: 1,
                started: "2026-11-21T07:00:00Z".to_owned(),
                memory_kib: None,
                socket: "/run/user/77/keyfob/agent.sock".to_owned(),
                own_profile: false,
            },
            keychain: KeychainReport {
                kind: "system".to_owned(),
                state: KeychainState::Present,
                refusal: None,
            },
            config: ConfigReport {
                path: "/home/ada/c.toml".to_owned(),
                exists: true,
                errors: vec![],
                in_force: true,
            },
            entries,
            lock: None,
            questions: 0,
            settings: keyfob_ipc::reply::Settings::default(),
        }
    }

    fn shown(status: &Status) -> String {
        shown_in(status, 120, false)
    }

    fn shown_in(status: &Status, width: usize, in_job: bool) -> String {
        let printer = Printer::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        let now = "2026-11-21T08:00:00Z".parse().unwrap();
        page(status, &View { now, in_job, width, printer: &printer })
    }

    #[test]
    fn one_line_for_each_entry() {
        let mut okta = entry("sso.okta", EntryState::Live);
        okta.until = Some("2026-11-21T16:00:00Z".to_owned());
        okta.owner = Some("ada@acme.dev".to_owned());
        okta.facts.insert("issuer".to_owned(), "https://acme.okta.com/oauth2/default".to_owned());
        let mut aspect = entry("token.aspect", EntryState::SignedOut);
        aspect.hosts = vec!["aw.acme.dev".to_owned(), "b.acme.dev".to_owned()];
        aspect.refusal = Some(Refusal::new(Code::TokenNeeded, "no token").hint("keyfob token add aspect"));
        let mut dev = entry("aws.dev", EntryState::Waiting);
        dev.until = Some("2026-11-21T08:58:00Z".to_owned());
        dev.facts.insert("role_arn".to_owned(), "arn:aws:iam::123456789012:role/a/OktaRole".to_owned());
        dev.refusal = Some(Refusal::new(Code::Offline, "STS cannot be reached"));
        assert_eq!(
            shown(&status(vec![okta, aspect, dev])),
            "\
ENTRY         FOR                     WHO           LEFT        STATE     NEXT
sso.okta      acme.okta.com           ada@acme.dev  8 hours     live
token.aspect  aw.acme.dev and 1 more  -             -           no token  keyfob token add aspect
aws.dev       123456789012 OktaRole   -             58 minutes  waiting

aws.dev: STS cannot be reached
"
        );
    }

    #[test]
    fn each_kind_has_words_of_its_own() {
        let fact = |mut entry: EntryReport, name: &str, fact: &str| {
            entry.facts.insert(name.to_owned(), fact.to_owned());
            entry
        };
        let through = |mut entry: EntryReport, name: &str| {
            entry.through = Some(name.to_owned());
            entry
        };
        let missing = |mut entry: EntryReport| {
            let refusal = Refusal::new(Code::MachineIdentityMissing, "no job with an identity runs here");
            entry.refusal = Some(refusal.hint("run it in a job"));
            entry
        };
        let role = |name, role: &str| {
            fact(entry(name, EntryState::Live), "role_arn", &format!("arn:aws:iam::123456789012:role/{role}"))
        };
        let outscale =
            |name, state| fact(fact(entry(name, state), "user", "monitoring"), "region", "eu-west-2");
        let mut key = outscale("outscale.monitoring", EntryState::Live);
        key.until = Some("2026-11-21T16:00:00Z".to_owned());
        let mut spare = outscale("outscale.spare", EntryState::SignedOut);
        spare.refusal =
            Some(Refusal::new(Code::TokenNeeded, "no key").hint("keyfob token add outscale.spare"));
        let refused = |name| entry(name, EntryState::Refused);
        let status = status(vec![
            through(role("aws.audit", "Audit"), "aws.dev"),
            fact(entry("aws.legacy", EntryState::Live), "command", "/opt/legacy/aws-keys"),
            missing(through(
                fact(refused("aws.job"), "role_arn", "arn:aws:iam::123456789012:role/Job"),
                "machine.ci",
            )),
            key,
            spare,
            missing(fact(refused("machine.ci"), "identity", "github-actions")),
        ]);
        assert_eq!(
            shown(&status),
            "\
ENTRY                FOR                      WHO  LEFT     STATE         NEXT
aws.audit            123456789012 Audit       -    -        not used yet
aws.legacy           aws-keys                 -    -        not used yet
aws.job              123456789012 Job         -    -        no job here
outscale.monitoring  monitoring in eu-west-2  -    8 hours  live
outscale.spare       monitoring in eu-west-2  -    -        no key        keyfob token add outscale.spare
machine.ci           github-actions           -    -        no job here
"
        );
        // In a job the same is what stands in the way.
        let in_job = shown_in(&status, 120, true);
        let reason = "machine.ci: no job with an identity runs here. Next: run it in a job\n";
        assert!(in_job.contains(reason), "{in_job}");
        assert!(in_job.contains("  no identity\n") && !in_job.contains("no job here"), "{in_job}");
    }

    #[test]
    fn what_is_missing_is_named_by_what_it_is() {
        let missing = |name, code, hint: &str, facts: &[(&str, &str)]| {
            let mut entry = entry(name, EntryState::SignedOut);
            entry.refusal = Some(Refusal::new(code, "why").hint(hint));
            entry.facts = facts.iter().map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned())).collect();
            state_word(&entry, false)
        };
        let (sign_in, token) = (Code::SignInNeeded, Code::TokenNeeded);
        let (keys, from) = (&[("keys", "ONE, TWO")], &[("keys", "ONE"), ("from", "aws-secrets-manager")]);
        assert_eq!(missing("secret.x", token, "keyfob secret set x", keys), "no value");
        assert_eq!(missing("secret.x", token, "keyfob secret set x TWO", keys), "incomplete");
        assert_eq!(missing("secret.db", sign_in, "keyfob login okta", from), "signed out");
        assert_eq!(missing("secret.db", token, "keyfob token add prod", from), "no key");
        assert_eq!(missing("aws.prod", token, "keyfob token add prod", &[]), "no key");
        assert_eq!(missing("aws.dev", sign_in, "keyfob login okta", &[]), "signed out");
        assert_eq!(missing("token.aspect", token, "keyfob token add aspect", &[]), "no token");
    }

    #[test]
    fn a_table_ends_before_the_terminal_does_and_what_has_no_room_in_it_stands_below() {
        let mut dev = entry("aws.development-account", EntryState::Live);
        let role = "arn:aws:iam::123456789012:role/DevelopmentAdministrator";
        dev.facts.insert("role_arn".to_owned(), role.to_owned());
        dev.owner = Some("ada.lovelace@engineering.acme.dev".to_owned());
        dev.until = Some("2026-11-21T08:58:00Z".to_owned());
        let mut key = entry("outscale.monitoring", EntryState::SignedOut);
        let add = "keyfob token add outscale.monitoring";
        key.refusal = Some(Refusal::new(Code::TokenNeeded, "no key").hint(add));
        let mut ci = entry("machine.ci", EntryState::Refused);
        let missing = Refusal::new(Code::MachineIdentityMissing, "this job gets no ID token");
        ci.refusal = Some(missing.hint("add `permissions: id-token: write` to the job"));
        let status = status(vec![dev, key, ci]);
        for width in [60, 80] {
            let text = shown_in(&status, width, true);
            let (table, below) = text.split_once("\n\n").unwrap();
            assert!(table.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(!table.contains("NEXT"), "{text}");
            assert_eq!(
                below,
                format!(
                    "outscale.monitoring: no key. Run: {add}\n\
                     machine.ci: this job gets no ID token. Next: add `permissions: id-token: write` to the job\n"
                )
            );
        }
        // The control: where there is room, the command stands beside its entry.
        let text = shown_in(&status, 120, true);
        assert!(text.lines().any(|line| line.ends_with(&format!("no key       {add}"))), "{text}");
        assert!(!text.contains("Run: "), "{text}");
    }

    #[test]
    fn a_session_that_aws_cuts_is_told_of_quietly() {
        let mut audit = entry("aws.audit", EntryState::Live);
        audit.through = Some("aws.dev".to_owned());
        for (name, seconds) in [("duration", "3600"), ("duration_capped", "14400")] {
            audit.facts.insert(name.to_owned(), seconds.to_owned());
        }
        let text = shown(&status(vec![audit.clone()]));
        let note =
            "aws.audit: its sessions last 1h, 4h is configured: AWS ends such sessions after an hour\n";
        assert!(text.ends_with(&format!("not used yet\n\n{note}")), "{text}");
        audit.facts.remove("duration_capped");
        assert!(!shown(&status(vec![audit])).contains("sessions last"));
    }

    #[test]
    fn trouble_comes_first() {
        let mut status = status(vec![entry("sso.okta", EntryState::SignedOut)]);
        status.keychain.state = KeychainState::Locked;
        status.keychain.refusal =
            Some(Refusal::new(Code::KeychainLocked, "the keychain is locked").hint("keyfob unlock"));
        status.config.errors = vec!["line 4: unknown key `isuer`".to_owned()];
        let text = shown(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "keychain: the keychain is locked. Run: keyfob unlock");
        assert_eq!(
            lines[1],
            "configuration: `/home/ada/c.toml` does not load: line 4: unknown key `isuer`. Run: keyfob config check"
        );
        assert!(lines[2].contains("last good version"));
        assert_eq!(lines[3], "");
        assert!(lines[4].starts_with("ENTRY"));
    }

    #[test]
    fn a_lock_and_open_questions_are_on_top() {
        let mut status = status(vec![entry("sso.okta", EntryState::Live)]);
        status.lock = Some(LockReport {
            since: "2026-11-21T07:48:00Z".to_owned(),
            by: LockedBy::Person,
            is_pause: false,
        });
        status.questions = 2;
        status.keychain.state = KeychainState::Locked;
        let text = shown(&status);
        let lines: Vec<&str> = text.lines().take(3).collect();
        assert_eq!(
            lines,
            [
                "locked: nothing is given to anybody, by you, 12 min ago. Run: keyfob unlock",
                "approval: 2 programs wait for your approval. Run: keyfob approve",
                "keychain: the system keychain is locked",
            ]
        );
        status.questions = 1;
        status.lock.as_mut().unwrap().is_pause = true;
        let text = shown(&status);
        assert!(text.contains("12 min ago (a pause: unlocking it asks for nothing). Run"), "{text}");
        assert!(text.contains("1 program waits for your approval"), "{text}");
    }

    #[test]
    fn an_empty_configuration_is_named() {
        let mut status = status(vec![]);
        assert_eq!(shown(&status), "the configuration `/home/ada/c.toml` has no entries\n");
        status.config.exists = false;
        assert_eq!(
            shown(&status),
            "there is no configuration yet; write /home/ada/c.toml (docs/configuration.md, or `keyfob --help`)\n"
        );
    }

    #[test]
    fn a_configuration_that_never_loaded_is_not_called_empty() {
        let mut status = status(vec![]);
        status.config.errors =
            vec!["line 4: unknown key `isuer`, did you mean `issuer`?".to_owned(), "line 9: no".to_owned()];
        assert_eq!(
            shown(&status),
            "configuration: `/home/ada/c.toml` does not load: line 4: unknown key `isuer`, did you mean `issuer`? \
             (and 1 more). Run: keyfob config check\n"
        );
    }

    #[test]
    fn text_from_outside_cannot_paint() {
        let mut okta = entry("sso.okta", EntryState::Live);
        okta.owner = Some("\u{1b}[2Jada".to_owned());
        assert!(!shown(&status(vec![okta])).contains('\u{1b}'));
    }
}
