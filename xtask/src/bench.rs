//! `cargo xtask bench`: the figures of `docs/performance.md`, measured on an optimised build in the company in a box. It
//! reports and asserts no figure; but a wrong answer is a failure, for a fast wrong answer is worth nothing.

mod burst;
mod desktop;
mod floor;
mod idle;
mod report;
mod warm;

use std::io::Write as _;

use clap::Args;
use serde_json::Value;

use crate::build::{self, Product};
use crate::failure::{Doing as _, Failure};
use crate::processes::{adopt_orphans, check_interrupted, end_orphans};
use crate::scene::Programs;
use crate::{Checkout, say};

#[derive(Args)]
pub struct Arguments {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Rounds in which the programs take turns; each gives one median
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(3..=1000))]
    rounds: u32,
    /// Starts of every program in each round
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    spawns: u32,
}

/// Everything that was measured.
pub struct Figures {
    /// Whole-process times of a warm `get` and of what it is compared with.
    pub warm: warm::Warm,
    /// 150 `get` at once, cold.
    pub gets: burst::Burst,
    /// 200 `credential-process` at once, cold.
    pub credential_processes: burst::Burst,
    /// The agent after use.
    pub idle: Vec<idle::Idle>,
    /// Bytes of each shipping program.
    pub sizes: Vec<(&'static str, u64)>,
}

/// Builds, measures, prints.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    let product = build::product(checkout, true)?;
    let programs = Programs::around(product.keyfob.clone(), checkout)?;
    adopt_orphans()?;
    let outcome = measure(checkout, &programs, &product, arguments);
    end_orphans(None);
    if outcome.is_err() {
        // What a signal ended did not fail by itself.
        check_interrupted()?;
    }
    let figures = outcome?;
    let text = if arguments.json { format!("{}\n", Value::from(&figures)) } else { figures.to_string() };
    std::io::stdout().write_all(text.as_bytes()).doing("write the figures")
}

fn measure(
    checkout: &Checkout,
    programs: &Programs,
    product: &Product,
    arguments: &Arguments,
) -> Result<Figures, Failure> {
    say("a warm get, in turns with its floor");
    let warm = warm::measure(checkout, programs, arguments.rounds, arguments.spawns)?;
    say("bursts at a cold agent");
    let gets = burst::gets(programs)?;
    let credential_processes = burst::credential_processes(programs)?;
    say("the agent after use");
    let idle = idle::measure(programs)?;
    let size = |path| std::fs::metadata(path).map(|metadata| metadata.len()).doing("look at the programs");
    let sizes = vec![("keyfob", size(&product.keyfob)?), ("keyfobd", size(&product.keyfobd)?)];
    Ok(Figures { warm, gets, credential_processes, idle, sizes })
}

/// The middle of some numbers: of an even count, the upper one of the two in the middle.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Whether a text is what Bazel must receive: this header, one value with this beginning, and an end.
fn is_answer(text: &str, header: &str, begins: &str) -> bool {
    let Ok(answer) = serde_json::from_str::<Value>(text) else { return false };
    let one = answer["headers"].as_object().is_some_and(|headers| headers.len() == 1);
    one && answer["headers"][header][0].as_str().is_some_and(|value| value.starts_with(begins))
        && answer["expires"].is_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_numbers() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_bits(), 2f64.to_bits());
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]).to_bits(), 3f64.to_bits());
    }

    #[test]
    fn a_wrong_answer_is_seen() {
        let right = r#"{"headers":{"X-Aspect":["aw_1"]},"expires":"2026-11-21T08:00:00Z"}"#;
        assert!(is_answer(right, "X-Aspect", "aw_"));
        for wrong in [
            r#"{"headers":{}}"#,
            r#"{"headers":{"X-Aspect":["aw_1"],"Y":["z"]},"expires":"2026-11-21T08:00:00Z"}"#,
            r#"{"headers":{"X-Aspect":["zz_1"]},"expires":"2026-11-21T08:00:00Z"}"#,
            r#"{"headers":{"X-Aspect":["aw_1"]}}"#,
            "",
        ] {
            assert!(!is_answer(wrong, "X-Aspect", "aw_"), "{wrong}");
        }
    }
}
