//! Writes what is installed beside `keyfob` and made from its commands: completions and man pages (`cargo xtask dist`).
//!
//! It is a program of its own, an example to cargo, so that `keyfob` carries nothing of it. It stands here because it is made of
//! the same modules.

#![expect(dead_code, reason = "the commands are described here, not run")]

mod block;
mod browser;
mod commands;
mod dispatch;
mod dotfile;
mod endpoint;
mod helper;
mod json_file;
mod life;
mod metaflow_file;
mod moment;
mod printer;
mod prompt;
mod reach;
mod table;
mod unattended;
mod world;
mod zone;

#[path = "documents/completions.rs"]
mod completions;
#[path = "documents/pages.rs"]
mod pages;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;

/// `documents FOLDER DATE`: writes `completions/…` and `man/…` below the folder; pages are dated with the day.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, date] = &arguments[..] else { return ExitCode::from(2) };
    match write(Path::new(folder), date) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn write(folder: &Path, date: &str) -> io::Result<()> {
    let command = commands::CommandLine::command();
    completions::write(&command, &folder.join("completions"))?;
    pages::write(command, date, &folder.join("man"))
}
