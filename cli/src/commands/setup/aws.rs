//! `keyfob setup aws`: profiles in `~/.aws/config`.

mod outscale;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, Refusal, text};

use super::{Lines, Place, behind, plain_path, program};
use crate::block;
use crate::dotfile::Dotfile;
use crate::world::World;

/// Kinds that give keys in the form of `credential_process`.
const KINDS: [&str; 2] = ["aws", outscale::KIND];

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
    let (entries, left_out) = without_twins(&entries);
    let names: BTreeSet<&str> = entries.iter().map(|entry| profile_name(entry)).collect();
    refuse_taken(&names, &config_profiles(place.beside), &format!("`{}`", place.path.display()))?;
    refuse_taken_services(&entries, place)?;
    let credentials = credentials_file(world)?;
    refuse_taken(&names, &profiles_of(&credentials)?, &format!("`{}`", credentials.display()))?;
    let mut lines = block_lines(&entries, &status.entries, &plain_path(&program(world, None)?)?)?;
    lines.warnings.extend(left_out);
    Ok(lines)
}

fn profile_name(entry: &EntryReport) -> &str {
    entry.name.split_once('.').map_or(&entry.name, |(_, name)| name)
}

/// Two entries of one name would make one profile: it is the role's of AWS. Beside what stays, what is said of the others.
fn without_twins<'a>(entries: &[&'a EntryReport]) -> (Vec<&'a EntryReport>, Vec<String>) {
    let of_aws: BTreeMap<&str, &str> = entries
        .iter()
        .filter(|entry| entry.kind != outscale::KIND)
        .map(|entry| (profile_name(entry), entry.name.as_str()))
        .collect();
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for entry in entries {
        let name = profile_name(entry);
        match of_aws.get(name).filter(|other| **other != entry.name) {
            None => kept.push(*entry),
            Some(other) => left_out.push(format!(
                "`{}` is left out: the profile `{name}` is the one of `{other}`; rename one of the two entries",
                entry.name
            )),
        }
    }
    (kept, left_out)
}

/// Two sections of one name make the file unreadable for the AWS CLI.
fn refuse_taken_services(entries: &[&EntryReport], place: &Place<'_>) -> Result<(), Refusal> {
    let own = entries.iter().filter(|entry| entry.kind == outscale::KIND);
    let own: BTreeSet<String> = own.map(|entry| outscale::section(profile_name(entry))).collect();
    let mut taken = sections(place.beside).filter_map(|section| named(section, "services"));
    match taken.find(|name| own.contains(*name)) {
        None => Ok(()),
        Some(name) => {
            let say = format!("`[services]` of the name `{name}` is in `{}` already", place.path.display());
            Err(Refusal::new(Code::BadRequest, say)
                .hint("rename or remove that section there, then run keyfob setup aws again"))
        }
    }
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
    let content = file.content.as_deref().unwrap_or_default();
    // No block of ours is ever in there; a broken one is as good as none.
    let text = block::outside(content).unwrap_or_default();
    Ok(sections(&text).map(|section| unquoted(section).to_owned()).collect())
}

/// Names of `[profile NAME]` and `[default]`; other sections (`sso-session`, `services`) are no profiles.
fn config_profiles(text: &str) -> BTreeSet<String> {
    sections(text)
        .filter_map(|section| {
            if section == "default" {
                return Some(section);
            }
            named(section, "profile")
        })
        .map(str::to_owned)
        .collect()
}

/// The name of a section of this kind.
fn named<'a>(section: &'a str, kind: &str) -> Option<&'a str> {
    let name = section.strip_prefix(kind)?;
    name.starts_with(char::is_whitespace).then(|| unquoted(name))
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

/// `all` are the entries that these are obtained through, too.
fn block_lines(entries: &[&EntryReport], all: &[EntryReport], keyfob: &str) -> Result<Lines, Refusal> {
    refuse_unplain("the path of keyfob", keyfob, "install keyfob in another folder")?;
    let mut lines = Lines { text: String::new(), summary: String::new(), warnings: vec![] };
    let mut names = Vec::new();
    for entry in entries {
        let name = profile_name(entry);
        refuse_unplain("the entry", &entry.name, "rename the entry")?;
        let section = if name == "default" { "default".to_owned() } else { format!("profile {name}") };
        let given = entry.facts.get("region");
        let region = given.filter(|region| is_region(region));
        if let Some(given) = given.filter(|_| region.is_none()) {
            lines.warnings.push(format!("`{}` is no region", text::escape(given)));
        }
        let is_outscale = entry.kind == outscale::KIND;
        if is_outscale && region.is_none() {
            lines
                .warnings
                .push(format!("`{}` is left out: without a region its keys would go to AWS", entry.name));
            continue;
        }
        lines.text.push_str(&format!("[{section}]\n"));
        if let Some(machine) = behind(all, entry).find(|behind| behind.kind == "machine") {
            let machine = text::escape(&machine.name);
            lines.text.push_str(&format!("# It answers where {machine} has its identity: in a job.\n"));
        }
        let process = format!("credential_process = {keyfob} credential-process {}\n", entry.name);
        lines.text.push_str(&process);
        lines.text.extend(region.map(|region| format!("region = {region}\n")));
        if let Some(region) = region.filter(|_| is_outscale) {
            lines.text.push_str(&outscale::lines(name, region));
            lines.warnings.push(outscale::caution(&entry.name));
        }
        names.push(name);
    }
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
            &[],
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
endpoint_url = https://fcu.eu-west-2.outscale.com
services = keyfob-monitoring
[services keyfob-monitoring]
ec2 =
  endpoint_url = https://fcu.eu-west-2.outscale.com
elastic_load_balancing =
  endpoint_url = https://lbu.eu-west-2.outscale.com
iam =
  endpoint_url = https://eim.eu-west-2.outscale.com
s3 =
  endpoint_url = https://oos.eu-west-2.outscale.com
direct_connect =
  endpoint_url = https://directlink.eu-west-2.outscale.com
"
        );
        assert!(
            matches!(&*lines.warnings, [one] if one.contains("2.13") && one.contains("outscale.monitoring"))
        );
        assert_eq!(lines.summary, "profiles dev, default, monitoring");
    }

    #[test]
    fn of_two_entries_of_one_name_the_one_of_aws_has_the_profile_and_the_others_are_written() {
        let all =
            [entry("outscale.dev", None), entry("aws.dev", None), entry("outscale.prod", Some("eu-west-2"))];
        let (kept, left_out) = without_twins(&all.iter().collect::<Vec<_>>());
        let names: Vec<&str> = kept.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["aws.dev", "outscale.prod"]);
        assert_eq!(
            left_out,
            [
                "`outscale.dev` is left out: the profile `dev` is the one of `aws.dev`; rename one of the two entries"
            ]
        );
    }

    #[test]
    fn keys_of_outscale_make_no_profile_that_would_go_to_aws() {
        for region in [None, Some("eu west")] {
            let lines =
                block_lines(&[&entry("outscale.a", region), &entry("aws.b", None)], &[], "/k").unwrap();
            assert!(!lines.text.contains("outscale.a"), "{}", lines.text);
            assert_eq!(lines.summary, "profile b");
            assert!(lines.warnings.iter().any(|warning| warning.contains("`outscale.a` is left out")));
        }
        let own = "[services \"keyfob-a\"]\nec2 =\n";
        let place = Place { path: Path::new("/c"), beside: own, ours: 0..0, print: false };
        let refusal = refuse_taken_services(&[&entry("outscale.a", Some("eu-west-2"))], &place).unwrap_err();
        assert!(refusal.say.contains("`keyfob-a`"), "{refusal}");
        assert!(refuse_taken_services(&[&entry("aws.a", None)], &place).is_ok());
    }

    #[test]
    fn a_role_of_a_job_has_a_comment_that_says_so() {
        let (machine, mut role, mut chained) =
            (entry("machine.ci", None), entry("aws.deploy", None), entry("aws.far", None));
        role.through = Some("machine.ci".to_owned());
        chained.through = Some("aws.deploy".to_owned());
        let all = [machine, role, chained, entry("aws.dev", None)];
        let lines = block_lines(&[&all[1], &all[2], &all[3]], &all, "/k").unwrap();
        let comment = "# It answers where machine.ci has its identity: in a job.\ncredential_process";
        for section in ["[profile deploy]", "[profile far]"] {
            assert!(lines.text.contains(&format!("{section}\n{comment}")), "{}", lines.text);
        }
        assert!(lines.text.contains("[profile dev]\ncredential_process"), "{}", lines.text);
    }

    #[test]
    fn paths_that_shells_would_split_are_refused() {
        for path in ["/my apps/keyfob", "/opt/$HOME/keyfob", "/opt/k\"", "/opt/k\nx", "C:\\keyfob.exe"] {
            let refusal = block_lines(&[&entry("aws.dev", None)], &[], path).unwrap_err();
            assert!(refusal.say.contains("AWS tools read differently"), "{refusal}");
        }
        assert!(block_lines(&[&entry("aws.dev", None)], &[], "C:/keyfob/keyfob.exe").is_ok());
        assert!(block_lines(&[&entry("aws.d ev", None)], &[], "/k").is_err());
    }

    #[test]
    fn a_region_cannot_bring_lines_of_its_own() {
        let lines =
            block_lines(&[&entry("aws.dev", Some("x\ncredential_process = evil"))], &[], "/k").unwrap();
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
