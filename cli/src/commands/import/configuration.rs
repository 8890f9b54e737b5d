//! Lines that an import appends to the configuration, and takes back.

use std::path::PathBuf;

use keyfob_ipc::{Code, Refusal, text};

use super::status;
use crate::dotfile::Dotfile;
use crate::world::World;

/// What was appended.
pub struct Appended {
    path: PathBuf,
    /// `None` where there was no file.
    before: Option<Vec<u8>>,
    written: Vec<u8>,
    entry: String,
}

/// Gives the configuration an entry. Lines that the agent does not take are taken back.
///
/// # Errors
/// [`Code::PlaceUnsafe`] and [`Code::ConfigBroken`].
pub fn append(lines: &str, entry: &str, world: &World) -> Result<Appended, Refusal> {
    let path = status(world)?.config.path;
    let refuse = |error: std::io::Error| {
        Refusal::new(Code::PlaceUnsafe, format!("`{}` cannot be written ({error})", text::escape(&path)))
            .hint("add the lines yourself, then keyfob import")
    };
    let file = Dotfile::read(path.as_ref()).map_err(refuse)?;
    let before = file.content.as_deref().unwrap_or_default();
    let gap = if before.is_empty() {
        ""
    } else if before.ends_with(b"\n") {
        "\n"
    } else {
        "\n\n"
    };
    let written = [before, gap.as_bytes(), lines.as_bytes()].concat();
    file.replace(&written).map_err(refuse)?;
    let appended =
        Appended { path: file.path.clone(), before: file.content.clone(), written, entry: entry.to_owned() };
    let wrong = match status(world) {
        Ok(status) if status.entries.iter().any(|other| other.name == entry) => return Ok(appended),
        Ok(_) => Refusal::new(Code::ConfigBroken, format!("the agent does not see the new entry {entry}"))
            .hint("keyfob agent restart"),
        Err(refusal) => refusal,
    };
    Err(if appended.take_back() { wrong } else { appended.named(wrong) })
}

impl Appended {
    /// Cuts the lines off, where the file is what was written to the byte. Else somebody has gone on from there, and nothing is
    /// changed. Whether they are gone.
    pub fn take_back(&self) -> bool {
        let Ok(file) = Dotfile::read(&self.path) else { return false };
        if file.content.as_ref() != Some(&self.written) {
            return false;
        }
        match &self.before {
            Some(before) => file.replace(before),
            None => file.remove(),
        }
        .is_ok()
    }

    /// A refusal that says where the lines are.
    pub fn named(&self, refusal: Refusal) -> Refusal {
        let path = text::escape(&self.path.display().to_string());
        let say = format!("{}; [{}] stays in `{path}`", refusal.say.trim_end_matches('.'), self.entry);
        Refusal::new(refusal.code, say).hint(refusal.hint)
    }
}
