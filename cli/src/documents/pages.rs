//! A man page for `keyfob` and one for each of its commands.

use std::io::Write as _;
use std::path::Path;
use std::{fs, io};

use clap::{Command, builder::StyledStr};
use clap_mangen::Man;

/// Writes them below the folder, in `man1`.
pub fn write(command: Command, date: &str, folder: &Path) -> io::Result<()> {
    let folder = folder.join("man1");
    fs::create_dir_all(&folder)?;
    // `keyfob help login` is `man keyfob-login`; it needs no page of its own.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    of_all(&command, &[], date, &folder)
}

fn of_all(command: &Command, above: &[&str], date: &str, folder: &Path) -> io::Result<()> {
    let mut words = above.to_vec();
    words.push(command.get_name());
    let name = words.join("-");
    fs::write(folder.join(format!("{name}.1")), page(command, &name, above, date)?)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        of_all(sub, &words, date, folder)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str, above: &[&str], date: &str) -> io::Result<Vec<u8>> {
    let source = concat!("keyfob ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name.to_uppercase()).date(date).source(source).manual("Keyfob");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    let about = command.get_about().map(StyledStr::to_string).unwrap_or_default();
    writeln!(page, ".SH NAME\n{} \\- {}", escaped(name), escaped(about.trim_end_matches('.')))?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_long_help().map(StyledStr::to_string).unwrap_or_default();
    write_sections(&after, &mut page)?;
    let mut others = vec![match above.is_empty() {
        true => "keyfobd".to_owned(),
        false => above.join("-"),
    }];
    if above.is_empty() {
        others.push("keyfob-tray".to_owned());
    }
    writeln!(page, ".SH SEE ALSO")?;
    for other in others {
        writeln!(page, ".BR {} (1),", escaped(&other))?;
    }
    writeln!(page, ".BR keyfob\\-config (5)")?;
    Ok(page)
}

/// What stands behind the options of a help text: a heading in capitals, and lines that are to stay as they are.
fn write_sections(text: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let mut is_open = false;
    for line in text.lines() {
        let is_heading = !line.starts_with(' ') && !line.is_empty() && line == line.to_uppercase();
        if is_heading {
            if is_open {
                writeln!(page, ".fi")?;
            }
            writeln!(page, ".SH {}\n.nf", escaped(line))?;
            is_open = true;
        } else if line.is_empty() {
            writeln!(page, ".sp")?;
        } else {
            writeln!(page, "{}", escaped(line.strip_prefix("  ").unwrap_or(line)))?;
        }
    }
    if is_open {
        writeln!(page, ".fi")?;
    }
    Ok(())
}

/// As text of a page: nothing of it is a request, a minus stays a minus.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}
