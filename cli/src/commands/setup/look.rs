//! What `keyfob doctor` sees of the tools' own configuration. Nothing is written.

use std::path::{Path, PathBuf};

use keyfob_ipc::reply::{Check, Health, Status};
use keyfob_ipc::{Code, Refusal};

use super::{
    AWS, BAZEL, Lines, MakeLines, Place, aws, bazel, metaflow, plain_path, program, read, refuse_marks,
};
use crate::block;
use crate::dispatch::BAZEL_HELPER;
use crate::world::World;

/// One check for each tool that the configuration has something for.
pub fn look(status: &Status, world: &World) -> Vec<Check> {
    let bazel = Tool { name: "bazel", command: BAZEL, helper: Some(BAZEL_HELPER), make: bazel::lines };
    let aws = Tool { name: "aws", command: AWS, helper: None, make: aws::lines };
    let files = [bazel::default_file(world), aws::default_file(world)];
    let looked =
        [bazel, aws].into_iter().zip(files).filter_map(|(tool, file)| tool.look(file, status, world));
    looked.chain(metaflow::look(status, world)).collect()
}

struct Tool {
    name: &'static str,
    command: &'static str,
    /// The program that the tool runs.
    helper: Option<&'static str>,
    make: MakeLines,
}

impl Tool {
    /// `None` where neither the configuration nor the tool's file has anything.
    fn look(&self, file: Result<PathBuf, Refusal>, status: &Status, world: &World) -> Option<Check> {
        match file.and_then(|file| self.examine(&file, status, world)) {
            Ok(check) => check,
            Err(refusal) => Some(self.attention(refusal.say, &refusal.hint)),
        }
    }

    fn examine(&self, path: &Path, status: &Status, world: &World) -> Result<Option<Check>, Refusal> {
        let file = read(path)?;
        let shown = file.path.display().to_string();
        let content = file.content.as_deref().unwrap_or_default();
        let marks = |broken| refuse_marks(path, &broken);
        let beside = block::outside(content).map_err(marks)?;
        let ours = block::line_numbers(content).map_err(marks)?;
        let place = Place { path: &file.path, beside: &beside, ours: ours.clone(), print: false };
        let lines = match (self.make)(status, &place, world) {
            Err(refusal) if matches!(refusal.code, Code::UnknownHost | Code::UnknownEntry) => {
                let say =
                    format!("`{shown}` has lines of keyfob's, and the configuration has nothing for them");
                let is_left = !ours.is_empty();
                return Ok(is_left.then(|| self.attention(say, &format!("{} --remove", self.command))));
            }
            lines => lines?,
        };
        // In CI nobody has set anything up, and a job names its tools itself.
        if ours.is_empty() && world.environment.unattended.is_some() {
            return Ok(None);
        }
        if ours.is_empty() {
            let say = format!("`{shown}` does not ask keyfob");
            return Ok(Some(self.attention(say, self.command)));
        }
        let block = String::from_utf8_lossy(content);
        let block: Vec<&str> = block.lines().skip(ours.start - 1).take(ours.len()).collect();
        let helper = plain_path(&program(world, self.helper)?)?;
        Ok(Some(match (is_in_force(content, self.command, &lines), names(&block, &helper)) {
            (true, _) => self.in_force(&shown, &lines),
            (false, false) => {
                let say = format!("`{shown}` runs another keyfob than this one, `{helper}`");
                self.attention(say, self.command)
            }
            (false, true) => {
                let say = format!("`{shown}` is not up to date with the configuration");
                self.attention(say, self.command)
            }
        }))
    }

    fn in_force(&self, file: &str, lines: &Lines) -> Check {
        match lines.warnings.first() {
            Some(warning) => self.attention(warning.clone(), ""),
            None => Check {
                name: self.name.to_owned(),
                health: Health::Good,
                say: format!("`{file}`: {}", lines.summary),
                hint: String::new(),
            },
        }
    }

    fn attention(&self, say: String, hint: &str) -> Check {
        Check { name: self.name.to_owned(), health: Health::Attention, say, hint: hint.to_owned() }
    }
}

/// Whether writing the lines would change nothing.
fn is_in_force(content: &[u8], command: &str, lines: &Lines) -> bool {
    block::put(Some(content), command, &lines.text).is_ok_and(|new| new == content)
}

/// Whether the lines run this program.
fn names(block: &[&str], program: &str) -> bool {
    block.iter().any(|line| line.contains(program))
}
