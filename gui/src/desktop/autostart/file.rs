//! A desktop entry in the autostart folder (XDG), or a property list for launchd (macOS).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use keyfob_ipc::{Code, Refusal};

use crate::desktop::Surroundings;
use crate::desktop::arguments::HIDDEN;

pub fn is_on(surroundings: &Surroundings) -> Option<bool> {
    let file = place(surroundings)?;
    match std::fs::read_to_string(file) {
        Ok(entry) => Some(!is_switched_off(&entry)),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

pub fn set(on: bool, program: &str, surroundings: &Surroundings) -> Result<(), Refusal> {
    let Some(file) = place(surroundings) else {
        return Err(
            Refusal::new(Code::PlaceUnsafe, "no home folder is known").hint("set HOME to your home folder")
        );
    };
    let done = if on { write(&file, program) } else { remove(&file) };
    done.map_err(|error| {
        Refusal::new(Code::PlaceUnsafe, format!("`{}` cannot be written ({error})", file.display()))
            .hint("look at the owner and the mode of that folder, then try again")
    })
}

fn place(surroundings: &Surroundings) -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        let home = surroundings.home.as_deref()?;
        Some(home.join("Library").join("LaunchAgents").join("dev.keyfob.tray.plist"))
    } else {
        let home = surroundings.config_home.as_deref()?;
        Some(home.join("autostart").join("keyfob-tray.desktop"))
    }
}

/// Written whole or not at all: a session that begins meanwhile must not run half a line.
fn write(file: &Path, program: &str) -> std::io::Result<()> {
    let entry = if cfg!(target_os = "macos") { property_list(program) } else { desktop_entry(program) };
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)?;
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, entry)?;
    std::fs::rename(&fresh, file)
}

fn remove(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a person or their desktop's own settings have written into the file.
fn is_switched_off(entry: &str) -> bool {
    entry.lines().map(str::trim).any(|line| {
        line.eq_ignore_ascii_case("Hidden=true")
            || line.eq_ignore_ascii_case("X-GNOME-Autostart-enabled=false")
            || line == "<key>Disabled</key><true/>"
    })
}

fn desktop_entry(program: &str) -> String {
    format!(
        "[Desktop Entry]\nType=Application\nName=Keyfob\nComment=Tray of Keyfob\nExec={} {HIDDEN}\nIcon=keyfob\n\
         Terminal=false\nX-GNOME-Autostart-enabled=true\n",
        quoted(program)
    )
}

/// An argument of `Exec`: quoted by the rules of that key, then escaped by those of every string value. A percent sign is
/// doubled: it begins a field code.
fn quoted(argument: &str) -> String {
    let mut quoted = String::from("\"");
    for character in argument.chars() {
        match character {
            // One backslash for the quoting, which is two in a string value; a backslash is four.
            '"' | '`' | '$' => quoted.extend(['\\', '\\', character]),
            '\\' => quoted.push_str("\\\\\\\\"),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

fn property_list(program: &str) -> String {
    let program = crate::desktop::markup::escaped(program);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\"><dict>\n\
         <key>Label</key><string>dev.keyfob.tray</string>\n\
         <key>ProgramArguments</key><array><string>{program}</string><string>{HIDDEN}</string></array>\n\
         <key>RunAtLoad</key><true/>\n\
         </dict></plist>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_argument_and_no_field_code() {
        assert_eq!(quoted("/opt/key fob/keyfob-tray"), "\"/opt/key fob/keyfob-tray\"");
        assert_eq!(quoted("/a$b`c\"d\\e%f"), r#""/a\\$b\\`c\\"d\\\\e%%f""#);
    }

    #[test]
    fn a_path_is_one_string_of_the_property_list() {
        assert!(property_list("/a</string>&").contains("<string>/a&lt;/string&gt;&amp;</string>"));
    }

    #[test]
    fn it_is_on_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let home = Some(folder.path().to_owned());
        let surroundings = Surroundings { config_home: home.clone(), home, ..Surroundings::default() };
        assert_eq!(is_on(&surroundings), Some(false));
        set(true, "/opt/keyfob-tray", &surroundings).unwrap();
        set(true, "/opt/keyfob-tray", &surroundings).unwrap();
        assert_eq!(is_on(&surroundings), Some(true));
        let file = place(&surroundings).unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().contains("--hidden"));
        set(false, "/opt/keyfob-tray", &surroundings).unwrap();
        set(false, "/opt/keyfob-tray", &surroundings).unwrap();
        assert_eq!(is_on(&surroundings), Some(false));
    }

    #[test]
    fn what_the_desktop_switched_off_is_off() {
        assert!(is_switched_off("[Desktop Entry]\nHidden=true\n"));
        assert!(is_switched_off("X-GNOME-Autostart-enabled=false"));
        assert!(!is_switched_off(&desktop_entry("/opt/keyfob-tray")));
    }

    #[test]
    fn without_a_home_nothing_is_told() {
        assert_eq!(is_on(&Surroundings::default()), None);
        assert!(set(true, "/x", &Surroundings::default()).is_err());
    }
}
