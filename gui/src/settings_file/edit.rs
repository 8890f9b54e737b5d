//! The one edit that this program makes in a configuration. Comments, order and everything else stay as they are.

use std::io;

use toml_edit::{Array, DocumentMut, Item, Table, Value};

/// Most reminders of one end, as the agent has it.
pub const MOST_REMINDERS: usize = 32;

/// The longest time before an end, in seconds: a hundred years, as the agent has it.
const LONGEST: u64 = 100 * 365 * 24 * 3600;

/// Why a configuration was not edited.
#[derive(Debug, thiserror::Error)]
pub enum NotEdited {
    /// There is no such file.
    #[error("the file does not exist")]
    Absent,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It is no TOML, or `agent` is no table.
    #[error("the file is not of the expected form")]
    Broken,
    /// Somebody else has changed it meanwhile.
    #[error("the file was changed meanwhile")]
    Changed,
    /// It cannot be written.
    #[error("{0}")]
    Unwritable(io::Error),
}

/// Whether this is a time before an end as the configuration has it: `30d`.
pub fn is_step(text: &str) -> bool {
    seconds(text).is_some()
}

fn seconds(text: &str) -> Option<u64> {
    let unit = text.char_indices().next_back()?.0;
    let (count, unit) = text.split_at(unit);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        "y" => 365 * 24 * 3600,
        _ => return None,
    };
    let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = is_number.then(|| count.parse::<u64>().ok())??.checked_mul(unit)?;
    (1..=LONGEST).contains(&seconds).then_some(seconds)
}

/// The text of a configuration with these `reminders` under `[agent]`, the longest first. Steps that were there stay where
/// they are, with their comments.
///
/// # Errors
/// [`NotEdited::Broken`].
pub fn with_reminders(text: &str, steps: &[String]) -> Result<String, NotEdited> {
    let mut document: DocumentMut = text.parse().map_err(|_| NotEdited::Broken)?;
    let is_empty = document.is_empty();
    let agent = document.entry("agent").or_insert_with(|| {
        let mut table = Table::new();
        table.decor_mut().set_prefix(if is_empty { "" } else { "\n" });
        Item::Table(table)
    });
    let table = agent.as_table_like_mut().ok_or(NotEdited::Broken)?;
    match table.get_mut("reminders").map(Item::as_array_mut) {
        Some(Some(array)) => set(array, steps),
        Some(None) => return Err(NotEdited::Broken),
        None => {
            let mut array = Array::new();
            set(&mut array, steps);
            table.insert("reminders", Item::Value(Value::Array(array)));
            tidy(agent);
        }
    }
    let edited = document.to_string();
    // The lines of the editor are of one kind, and a file of Windows should stay one.
    Ok(if text.contains("\r\n") { edited.replace("\r\n", "\n").replace('\n', "\r\n") } else { edited })
}

/// A table in one line, with something new at its end.
fn tidy(agent: &mut Item) {
    let Some(table) = agent.as_inline_table_mut() else { return };
    if !table.to_string().contains('#') {
        table.fmt();
    }
}

fn set(array: &mut Array, steps: &[String]) {
    array.retain(|value| value.as_str().is_some_and(|known| steps.iter().any(|step| step == known)));
    for step in steps {
        if array.iter().any(|value| value.as_str() == Some(step)) {
            continue;
        }
        let is_shorter = |value: &Value| value.as_str().and_then(seconds) < seconds(step);
        let place = array.iter().position(is_shorter).unwrap_or(array.len());
        array.insert(place, step.as_str());
    }
    // A comment in it is the only reason not to write it in one line.
    if !array.to_string().contains('#') {
        array.fmt();
        array.set_trailing("");
        array.set_trailing_comma(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, steps: &[&str]) -> String {
        let steps: Vec<String> = steps.iter().map(|step| (*step).to_owned()).collect();
        with_reminders(text, &steps).unwrap()
    }

    #[test]
    fn comments_and_order_stay() {
        let text = "# Mine.\n[token.a]\nhosts = [\"a\"] # one\n\n[agent] # here\nlock_on = [\"sleep\"]\nreminders = [\"30d\", \"7d\"] # when\n# end\n[token.b]\n";
        assert_eq!(
            edited(text, &["7d", "14d", "1d"]),
            text.replace("[\"30d\", \"7d\"]", "[\"14d\", \"7d\", \"1d\"]")
        );
    }

    #[test]
    fn comments_between_the_steps_stay_with_them() {
        let text = "[agent]\nreminders = [\n  \"30d\", # plan it\n  \"7d\", # do it\n]\n";
        let edited = edited(text, &["30d", "7d", "1d"]);
        assert!(edited.contains("\"30d\", # plan it\n") && edited.contains("# do it\n"), "{edited}");
        assert!(edited.parse::<DocumentMut>().is_ok(), "{edited}");
    }

    #[test]
    fn a_configuration_without_any_gets_a_table_at_its_end() {
        assert_eq!(
            edited("[token.a]\nhosts = []\n", &["7d"]),
            "[token.a]\nhosts = []\n\n[agent]\nreminders = [\"7d\"]\n"
        );
        assert_eq!(edited("", &[]), "[agent]\nreminders = []\n");
        assert_eq!(
            edited("agent = { lock_on = [] }\n", &["7d"]),
            "agent = { lock_on = [], reminders = [\"7d\"] }\n"
        );
    }

    #[test]
    fn a_file_of_windows_stays_one() {
        assert_eq!(
            edited("[agent]\r\nreminders = [\"7d\"]\r\n", &["1d"]),
            "[agent]\r\nreminders = [\"1d\"]\r\n"
        );
    }

    #[test]
    fn what_is_no_configuration_is_left_alone() {
        for text in ["[agent", "agent = 1\n", "[agent]\nreminders = \"30d\"\n"] {
            assert!(matches!(with_reminders(text, &[]), Err(NotEdited::Broken)), "{text}");
        }
    }

    #[test]
    fn steps_are_those_that_the_agent_reads() {
        for good in ["30d", "1y", "12h", "90s", "2w", "15m", "007d"] {
            assert!(is_step(good), "{good}");
        }
        for bad in [
            "",
            "d",
            "30",
            "0d",
            "-1d",
            "+1d",
            "1.5d",
            "30 d",
            "101y",
            "30D",
            "99999999999999999999y",
            "3\u{20ac}",
        ] {
            assert!(!is_step(bad), "{bad}");
        }
    }
}
