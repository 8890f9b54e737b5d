//! What changed, from `CHANGELOG.md`, in the forms that packages want.

use std::fs;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::Checkout;
use crate::failure::{Doing as _, Failure};

/// Who packs: an address that nobody can have, as long as there is none.
const PACKER: &str = "The Keyfob authors <authors@keyfob.example>";
/// Columns, with the indentation.
const WIDTH: usize = 78;

/// One version and its lines.
pub struct Changes {
    version: String,
    /// UTC.
    time: jiff::Zoned,
    lines: Vec<String>,
}

impl Changes {
    /// Those of a version; of what has no version yet, where the file does not know it. `epoch` is in seconds since 1970.
    pub fn of(checkout: &Checkout, version: &str, epoch: u64) -> Result<Self, Failure> {
        let path = checkout.root.join("CHANGELOG.md");
        let text = fs::read_to_string(&path).doing(format_args!("read {}", path.display()))?;
        let seconds = i64::try_from(epoch).doing("date the packages")?;
        let time = Timestamp::from_second(seconds).doing("date the packages")?.to_zoned(TimeZone::UTC);
        let lines = section(&text, version).or_else(|| section(&text, "Unreleased")).unwrap_or_default();
        Ok(Self { version: version.to_owned(), time, lines })
    }

    /// As `debian/changelog`.
    pub fn of_debian(&self) -> String {
        let lines: String = self.lines.iter().map(|line| wrapped(line, "  * ", "    ")).collect();
        let time = self.time.strftime("%a, %d %b %Y %H:%M:%S +0000");
        format!("keyfob ({}) unstable; urgency=medium\n\n{lines}\n -- {PACKER}  {time}\n", self.version)
    }

    /// As the last section of a spec.
    pub fn of_rpm(&self) -> String {
        let lines: String = self.lines.iter().map(|line| wrapped(line, "- ", "  ")).collect();
        let time = self.time.strftime("%a %b %d %Y");
        format!("* {time} {PACKER} - {}-1\n{}", self.version, lines.replace('%', "%%"))
    }

    /// The day: `2026-11-22`.
    pub fn day(&self) -> String {
        self.time.strftime("%Y-%m-%d").to_string()
    }
}

/// The points below `## [NAME]`, each in one line.
fn section(text: &str, name: &str) -> Option<Vec<String>> {
    let head = format!("## [{name}]");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&head));
    lines.next()?;
    let mut points: Vec<String> = Vec::new();
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if let Some(point) = line.strip_prefix("* ") {
            points.push(point.to_owned());
        } else if let (Some(last), true) = (points.last_mut(), line.starts_with("  ")) {
            last.push(' ');
            last.push_str(line.trim());
        }
    }
    Some(points)
}

fn wrapped(text: &str, first: &str, others: &str) -> String {
    let (mut all, mut line) = (String::new(), first.to_owned());
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.len() + 1 + word.len() > WIDTH {
            all.push_str(&line);
            all.push('\n');
            line = others.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    all + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\n* A rule.\n\n## [Unreleased]\n\n### Added\n\n* One\n  and more.\n* Two, 5 %.\n\n## [0.1.0] - 2026-01-01\n\n* Old.\n";

    #[test]
    fn points_are_those_of_the_version() {
        assert_eq!(section(TEXT, "Unreleased").unwrap(), ["One and more.", "Two, 5 %."]);
        assert_eq!(section(TEXT, "0.1.0").unwrap(), ["Old."]);
        assert_eq!(section(TEXT, "0.2.0"), None);
    }

    #[test]
    fn both_forms_are_those_of_the_packagers() {
        let changes = Changes {
            version: "0.2.0".to_owned(),
            time: Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC),
            lines: section(TEXT, "Unreleased").unwrap(),
        };
        let debian = "keyfob (0.2.0) unstable; urgency=medium\n\n  * One and more.\n  * Two, 5 %.\n\n -- The Keyfob authors \
                      <authors@keyfob.example>  Thu, 01 Jan 1970 00:00:00 +0000\n";
        assert_eq!(changes.of_debian(), debian);
        let rpm = "* Thu Jan 01 1970 The Keyfob authors <authors@keyfob.example> - 0.2.0-1\n- One and more.\n- Two, 5 %%.\n";
        assert_eq!(changes.of_rpm(), rpm);
        assert_eq!(changes.day(), "1970-01-01");
    }

    #[test]
    fn long_points_are_wrapped() {
        let text = wrapped(&"word ".repeat(40), "- ", "  ");
        assert!(text.lines().count() > 2 && text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }
}
