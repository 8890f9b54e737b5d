//! Which entry takes each key.

use std::collections::BTreeMap;

use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, Refusal, Secret};

use crate::metaflow_file::{KEY, MetaflowFile, Service};

/// Where a key goes.
pub struct Aim {
    /// `kind.name`.
    pub entry: String,
    /// Whether it is there.
    pub target: Target,
    /// The address at which tools get the key.
    pub uri: String,
    is_outerbounds: bool,
}

/// An entry, as far as the configuration has it.
pub enum Target {
    /// It is there, or will be by an earlier key.
    There,
    /// These lines make it.
    New(String),
}

impl Aim {
    /// The lines of an entry that an earlier key was to make, and that were taken back, are made for this one.
    pub fn make_again(&mut self, taken_back: &mut BTreeMap<String, String>) {
        if let (Target::There, Some(lines)) = (&self.target, taken_back.remove(&self.entry)) {
            self.target = Target::New(lines);
        }
    }

    /// The value that the entry keeps: the key, or the configuration that Outerbounds wrote, of which the agent takes what it needs.
    pub fn value(&self, file: &MetaflowFile, key: &Secret<String>) -> Secret<String> {
        match &file.object {
            Some(object) if self.is_outerbounds => String::from_utf8_lossy(object.text()).as_ref().into(),
            _ => key.clone(),
        }
    }
}

/// For each file an entry, or why its key stays where it is.
pub fn aims(files: &[MetaflowFile], status: &Status) -> Vec<Result<Aim, Refusal>> {
    let mut planned: Vec<(Service, String)> = Vec::new();
    files
        .iter()
        .map(|file| {
            aim(file, status, &mut planned).map_err(|why| {
                let say = format!("`{}` is left: {why}", file.shown());
                Refusal::new(Code::BadRequest, say)
            })
        })
        .collect()
}

fn aim(file: &MetaflowFile, status: &Status, planned: &mut Vec<(Service, String)>) -> Result<Aim, String> {
    let service = file.service()?;
    if file.file.has_other_names() {
        return Err("it has a second name (a hard link), where its key would stay".to_owned());
    }
    let (uri, is_outerbounds) = (service.uri(), service.outerbounds.is_some());
    let there = |entry: String| Aim { entry, target: Target::There, uri: uri.clone(), is_outerbounds };
    if let Some(entry) = status.entries.iter().find(|entry| service.fits(entry)) {
        return match &entry.through {
            Some(through) => {
                Err(format!("{} gets its key through {through}, and needs none here", entry.name))
            }
            None => Ok(there(entry.name.clone())),
        };
    }
    if let Some((_, entry)) = planned.iter().find(|(other, _)| *other == service) {
        return Ok(there(entry.clone()));
    }
    let pattern = service.pattern();
    let is_taken = |entry: &&EntryReport| entry.hosts.iter().any(|host| host.eq_ignore_ascii_case(&pattern));
    if let Some(entry) = status.entries.iter().find(is_taken) {
        let say = if entry.kind == "outerbounds" {
            "for another perimeter"
        } else {
            "with another header than x-api-key"
        };
        return Err(format!("{} has the host `{pattern}` already, {say}", entry.name));
    }
    if let Some((_, entry)) = planned.iter().find(|(other, _)| other.host == service.host) {
        return Err(format!("{entry} gets the host `{pattern}`, and one host belongs to one entry"));
    }
    let is_free = |name: &str| {
        !status.entries.iter().any(|entry| entry.name == name)
            && !planned.iter().any(|(_, other)| other == name)
    };
    let entry = free_name(&wished_name(file, &service), is_free);
    let lines = lines(&entry, &service);
    planned.push((service, entry.clone()));
    Ok(Aim { entry, target: Target::New(lines), uri, is_outerbounds })
}

/// `token.metaflow`, `token.metaflow-PROFILE`, `outerbounds.DEPLOYMENT`, `outerbounds.DEPLOYMENT-PERIMETER`.
fn wished_name(file: &MetaflowFile, service: &Service) -> String {
    let (kind, first, second) = match &service.outerbounds {
        Some((domain, perimeter)) => {
            let second = if perimeter == "default" { "" } else { perimeter.as_str() };
            ("outerbounds", domain.split('.').next().unwrap_or_default(), second.to_owned())
        }
        None => {
            let name = file.file.path.file_stem().unwrap_or_default().to_string_lossy();
            ("token", "metaflow", name.strip_prefix("config_").unwrap_or_default().to_owned())
        }
    };
    let plain: String = second
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' })
        .take(40)
        .collect();
    let joint = if plain.is_empty() { "" } else { "-" };
    format!("{kind}.{first}{joint}{plain}")
}

fn free_name(wished: &str, is_free: impl Fn(&str) -> bool) -> String {
    let others = (2_u32..).map(|number| format!("{wished}-{number}"));
    std::iter::once(wished.to_owned()).chain(others).find(|name| is_free(name)).unwrap_or_default()
}

/// A table for the end of a configuration. Nothing in it needs an escape: the service has checked its parts.
fn lines(entry: &str, service: &Service) -> String {
    match &service.outerbounds {
        Some((domain, perimeter)) => {
            format!("[{entry}]\ndomain = \"{domain}\"\nperimeter = \"{perimeter}\"\n")
        }
        None => format!("[{entry}]\nhosts = [\"{}\"]\nheader = \"x-api-key\"\n", service.host),
    }
}

/// What would be done, for a person.
pub fn shown(files: &[MetaflowFile], aims: &[Result<Aim, Refusal>], configuration: &str) -> String {
    let mut shown = String::new();
    for (file, aim) in files.iter().zip(aims) {
        let Ok(aim) = aim else { continue };
        shown.push_str(&format!("{}\n  {KEY} goes into the keychain, as {}\n", file.shown(), aim.entry));
        if let Target::New(lines) = &aim.target {
            shown.push_str(&format!("  which is appended to {}:\n", keyfob_ipc::text::escape(configuration)));
            lines.lines().for_each(|line| shown.push_str(&format!("    {line}\n")));
        }
    }
    shown
}
