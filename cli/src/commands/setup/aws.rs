//! `keyfob setup aws`: profiles in `~/.aws/config`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, Refusal, text};

use super::{Lines, Place, plain_path, program};
use crate::block;
use crate::dotfile::Dotfile;
use crate::world::World;

/// Kinds that give keys in the form of `credential_process`.
const KINDS: [&str; 2] = ["aws", "outscale"];

pub fn default_file(world: &World) -> Result<PathBuf, Refusal> {
    match &world.environment.aws_config {
        Some(path) => Ok(path.clone()),
        None => Ok(world.home()?.join(".aws").join("config")),
    }
}

fn credentials_file(world: &World) -> Result<PathBuf, Refusal> {
    match &world.environment.aws_credentials {
        Some(path) => Ok(path.clone()),
        None => Ok(world.home()?.join(".aws").join("credentials")),
    }
}

pub fn lines(status: &Status, place: &Place<'_>, world: &World) -> Result<Lines, Refusal> {
    let entries: Vec<&EntryReport> =
        status.entries.iter().filter(|entry| KINDS.contains(&entry.kind.as_str())).collect();
    if entries.is_empty() {
        return Err(Refusal::new(Code::UnknownEntry, "the configuration has no `aws` entry")
            .hint(format!("add [aws.NAME] to {}", status.config.path)));
    }
    refuse_twins(&entries)?;
    let names: BTreeSet<&str> = entries.iter().map(|entry| profile_name(entry)).collect();
    refuse_taken(&names, &config_profiles(place.beside), &format!("`{}`", place.path.display()))?;
    let credentials = credentials_file(world)?;
    refuse_taken(&names, &profiles_of(&credentials)?, &format!("`{}`", credentials.display()))?;
    block_lines(&entries, &plain_path(&program(world, None)?)?)
}

fn profile_name(entry: &EntryReport) -> &str {
    entry.name.split_once('.').map_or(&entry.name, |(_, name)| name)
}

/// Two entries of one name would make one profile, and one of them would win.
fn refuse_twins(entries: &[&EntryReport]) -> Result<(), Refusal> {
    let mut seen = BTreeMap::new();
    for entry in entries {
        if let Some(other) = seen.insert(profile_name(entry), &entry.name) {
            let say =
                format!("`{other}` and `{}` would both be the profile `{}`", entry.name, profile_name(entry));
            return Err(Refusal::new(Code::AmbiguousEntry, say)
                .hint("rename one of them in the configuration, then run keyfob setup aws again"));
        }
    }
    Ok(())
}

/// A profile of the same name elsewhere would win over ours, or make the file unreadable for the AWS CLI.
fn refuse_taken(names: &BTreeSet<&str>, taken: &BTreeSet<String>, place: &str) -> Result<(), Refusal> {
    let both: Vec<&str> = names.iter().copied().filter(|name| taken.contains(*name)).collect();
    if both.is_empty() {
        return Ok(());
    }
    let (plural, verb) = if both.len() == 1 { ("", "is") } else { ("s", "are") };
    Err(Refusal::new(
        Code::BadRequest,
        format!(
            "the profile{plural} `{}` {verb} in {place} already and would win over keyfob's",
            both.join("`, `")
        ),
    )
    .hint("rename or remove that section there, then run keyfob setup aws again"))
}

fn profiles_of(credentials: &Path) -> Result<BTreeSet<String>, Refusal> {
    let file = Dotfile::read(credentials).map_err(|error| {
        Refusal::new(Code::PlaceUnsafe, format!("`{}` cannot be read ({error})", credentials.display()))
    })?;
    let content = file.content.unwrap_or_default();
    // No block of ours is ever in there; a broken one is as good as none.
    let text = block::outside(&content).unwrap_or_default();
    Ok(sections(&text).map(|section| unquoted(section).to_owned()).collect())
}

/// Names of `[profile NAME]` and `[default]`; other sections (`sso-session`, `services`) are no profiles.
fn config_profiles(text: &str) -> BTreeSet<String> {
    sections(text)
        .filter_map(|section| {
            if section == "default" {
                return Some(section);
            }
            let name = section.strip_prefix("profile")?;
            name.starts_with(char::is_whitespace).then(|| unquoted(name))
        })
        .map(str::to_owned)
        .collect()
}

fn sections(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let inner = line.trim_start_matches('\u{feff}').trim().strip_prefix('[')?;
        inner.split(']').next().map(str::trim)
    })
}

fn unquoted(name: &str) -> &str {
    name.trim().trim_matches(['"', '\''])
}

fn block_lines(entries: &[&EntryReport], keyfob: &str) -> Result<Lines, Refusal> {
    refuse_unplain("the path of keyfob", keyfob, "install keyfob in another folder")?;
    let mut lines = Lines { text: String::new(), summary: String::new(), warnings: vec![] };
    for entry in entries {
        let name = profile_name(entry);
        refuse_unplain("the entry", &entry.name, "rename the entry")?;
        let section = if name == "default" { "default".to_owned() } else { format!("profile {name}") };
        lines.text.push_str(&format!(
            "[{section}]\ncredential_process = {keyfob} credential-process {}\n",
            entry.name
        ));
        match entry.facts.get("region") {
            Some(region) if is_region(region) => lines.text.push_str(&format!("region = {region}\n")),
            Some(region) => lines.warnings.push(format!("`{}` is no region", text::escape(region))),
            None => {}
        }
    }
    let names: Vec<&str> = entries.iter().map(|entry| profile_name(entry)).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    lines.summary = format!("profile{plural} {}", names.join(", "));
    Ok(lines)
}

/// The SDKs split this line in five different ways, some through a shell: only what all of them leave alone goes in.
fn refuse_unplain(what: &str, text: &str, hint: &str) -> Result<(), Refusal> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:=-".contains(&byte)) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::BadRequest,
        format!(
            "{what} `{}` holds characters that AWS tools read differently (allowed: A-Z a-z 0-9 _ . / : = -)",
            text::escape(text)
        ),
    )
    .hint(hint))
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::reply::EntryState;

    use super::*;

    fn entry(name: &str, region: Option<&str>) -> EntryReport {
        EntryReport {
            name: name.to_owned(),
            kind: name.split_once('.').unwrap().0.to_owned(),
            state: EntryState::Live,
            until: None,
            until_assumed: false,
            until_by: None,
            owner: None,
            hosts: vec![],
            through: None,
            facts: region.map(|region| ("region".to_owned(), region.to_owned())).into_iter().collect(),
            refusal: None,
            notes: vec![],
            since: None,
            plan: Vec::new(),
            quiet_until: None,
        }
    }

    #[test]
    fn one_profile_for_each_entry() {
        let lines = block_lines(
            &[
                &entry("aws.dev", Some("eu-west-1")),
                &entry("aws.default", None),
                &entry("outscale.monitoring", Some("eu-west-2")),
            ],
            "/usr/bin/keyfob",
        )
        .unwrap();
        assert_eq!(
            lines.text,
            "\
[profile dev]
credential_process = /usr/bin/keyfob credential-process aws.dev
region = eu-west-1
[default]
credential_process = /usr/bin/keyfob credential-process aws.default
[profile monitoring]
credential_process = /usr/bin/keyfob credential-process outscale.monitoring
region = eu-west-2
"
        );
        assert_eq!(lines.summary, "profiles dev, default, monitoring");
    }

    #[test]
    fn two_entries_of_one_name_are_said_and_make_no_profile() {
        let refusal = refuse_twins(&[&entry("aws.dev", None), &entry("outscale.dev", None)]).unwrap_err();
        assert_eq!(refusal.say, "`aws.dev` and `outscale.dev` would both be the profile `dev`");
        assert!(refuse_twins(&[&entry("aws.dev", None), &entry("outscale.prod", None)]).is_ok());
    }

    #[test]
    fn paths_that_shells_would_split_are_refused() {
        for path in ["/my apps/keyfob", "/opt/$HOME/keyfob", "/opt/k\"", "/opt/k\nx", "C:\\keyfob.exe"] {
            let refusal = block_lines(&[&entry("aws.dev", None)], path).unwrap_err();
            assert!(refusal.say.contains("AWS tools read differently"), "{refusal}");
        }
        assert!(block_lines(&[&entry("aws.dev", None)], "C:/keyfob/keyfob.exe").is_ok());
        assert!(block_lines(&[&entry("aws.d ev", None)], "/k").is_err());
    }

    #[test]
    fn a_region_cannot_bring_lines_of_its_own() {
        let lines = block_lines(&[&entry("aws.dev", Some("x\ncredential_process = evil"))], "/k").unwrap();
        assert!(!lines.text.contains("evil"));
        assert_eq!(lines.warnings.len(), 1);
    }

    #[test]
    fn profiles_are_found_however_they_are_written() {
        let text = "\
[default]
region = x
[ profile  dev ]  # mine
[profile \"two words\"]
[sso-session okta]
[profiles]
  [profile\tindented]
# [profile comment]
";
        let found = config_profiles(text);
        assert_eq!(found, ["default", "dev", "two words", "indented"].map(str::to_owned).into());
    }

    #[test]
    fn shadowing_profiles_are_named() {
        let taken = ["dev".to_owned(), "prod".to_owned(), "other".to_owned()].into();
        let refusal = refuse_taken(&["dev", "prod", "test"].into(), &taken, "`c`").unwrap_err();
        assert_eq!(refusal.say, "the profiles `dev`, `prod` are in `c` already and would win over keyfob's");
        assert!(refuse_taken(&["test"].into(), &taken, "`c`").is_ok());
    }

    #[test]
    fn static_keys_under_the_same_name_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        assert!(profiles_of(&path).unwrap().is_empty());
        std::fs::write(&path, "[dev]\naws_access_key_id = AKIA\n").unwrap();
        assert!(profiles_of(&path).unwrap().contains("dev"));
    }
}
