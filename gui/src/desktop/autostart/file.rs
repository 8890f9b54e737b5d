//! A desktop entry in the autostart folder (XDG), or a property list for launchd (macOS).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use keyfob_ipc::{Code, Refusal};

use crate::desktop::arguments::HIDDEN;
use crate::desktop::{Surroundings, refusal};

/// The person's own file counts, whatever it says: it is how a session is told not to start what the whole system starts. Without
/// one the system's does.
pub fn is_on(program: &Path, surroundings: &Surroundings) -> Option<bool> {
    let file = place(surroundings)?;
    match std::fs::read_to_string(file) {
        Ok(entry) => Some(is_started_by(&entry, program)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some(of_the_system(surroundings).is_some_and(|entry| is_started_by(&entry, program)))
        }
        Err(_) => None,
    }
}

pub fn set(on: bool, program: &str, surroundings: &Surroundings) -> Result<(), Refusal> {
    let Some(file) = place(surroundings) else {
        return Err(refusal(Code::PlaceUnsafe, "say.no-home", &[], "say.no-home-hint"));
    };
    let of_the_system = of_the_system(surroundings).filter(|entry| !is_switched_off(entry));
    let done = match (on, of_the_system) {
        // It goes with its package.
        (true, Some(entry)) if starts(&entry, Path::new(program)) => remove(&file),
        (true, _) => write(&file, &entry(program)),
        // Whatever it starts: one of the same name is what a person sees.
        (false, Some(_)) => write(&file, &(desktop_entry(program) + SWITCHED_OFF)),
        (false, None) => remove(&file),
    };
    done.map_err(|error| {
        let values = [("path", &*file.display().to_string()), ("error", &*error.to_string())];
        refusal(Code::PlaceUnsafe, "say.file-unusable", &values, "say.file-unusable-hint")
    })
}

/// The same name in every folder: an entry of the person overrides that of the system by it.
const NAME: &str = "dev.keyfob.tray.desktop";
/// As if there were no such entry.
const SWITCHED_OFF: &str = "Hidden=true\n";

fn place(surroundings: &Surroundings) -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        let home = surroundings.home.as_deref()?;
        Some(home.join("Library").join("LaunchAgents").join("dev.keyfob.tray.plist"))
    } else {
        let home = surroundings.config_home.as_deref()?;
        Some(home.join("autostart").join(NAME))
    }
}

/// The entry that everybody gets, from the first folder that has one.
fn of_the_system(surroundings: &Surroundings) -> Option<String> {
    let mut folders = surroundings.config_of_the_system.iter();
    folders.find_map(|folder| std::fs::read_to_string(folder.join("autostart").join(NAME)).ok())
}

fn is_started_by(entry: &str, program: &Path) -> bool {
    !is_switched_off(entry) && starts(entry, program)
}

/// Written whole or not at all: a session that begins meanwhile must not run half a line.
fn write(file: &Path, entry: &str) -> std::io::Result<()> {
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

/// Whether it is this program that the entry starts: after a move it may name one that is gone, or an older one.
fn starts(entry: &str, program: &Path) -> bool {
    if cfg!(target_os = "macos") {
        return program.to_str().is_some_and(|program| entry == property_list(program));
    }
    let main = entry.lines().map(str::trim).skip_while(|line| *line != "[Desktop Entry]").skip(1);
    let mut values = main.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    let Some((_, command)) = values.find(|(key, _)| key.trim_end() == "Exec") else { return false };
    let named = PathBuf::from(first_argument(&unescaped(command.trim_start())));
    // Our own path has its links resolved.
    named.is_absolute() && (named == program || named.canonicalize().is_ok_and(|named| named == program))
}

/// What [`quoted`] has made, or a person without quotation marks. A percent sign is `%%`.
fn first_argument(command: &str) -> String {
    let (mut argument, mut is_quoted) = (String::new(), false);
    let mut rest = command.chars();
    while let Some(character) = rest.next() {
        match character {
            '"' => is_quoted = !is_quoted,
            ' ' | '\t' if !is_quoted => break,
            '\\' if is_quoted => argument.extend(rest.next()),
            '%' => argument.extend(rest.next().filter(|next| *next == '%')),
            _ => argument.push(character),
        }
    }
    argument
}

/// A string value without its escapes.
fn unescaped(value: &str) -> String {
    let (mut plain, mut rest) = (String::new(), value.chars());
    while let Some(character) = rest.next() {
        let escaped = if character == '\\' { rest.next() } else { None };
        match escaped {
            None => plain.push(character),
            Some('s') => plain.push(' '),
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('\\') => plain.push('\\'),
            Some(other) => plain.extend(['\\', other]),
        }
    }
    plain
}

fn entry(program: &str) -> String {
    if cfg!(target_os = "macos") { property_list(program) } else { desktop_entry(program) }
}

fn desktop_entry(program: &str) -> String {
    format!(
        "[Desktop Entry]\nType=Application\nName=Keyfob\nComment=Tray of Keyfob\nExec={} {HIDDEN}\nIcon=dev.keyfob.tray\n\
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

    fn at_home(folder: &Path) -> Surroundings {
        let home = Some(folder.to_owned());
        Surroundings { config_home: home.clone(), home, ..Surroundings::default() }
    }

    #[test]
    fn it_is_on_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = at_home(folder.path());
        let is_on = |surroundings: &Surroundings| is_on(Path::new("/opt/keyfob-tray"), surroundings);
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
    fn it_is_on_for_the_program_that_is_named_alone() {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = at_home(folder.path());
        let program = "/opt/key fob/a$b`c\"d\\e%f";
        let is_on = || is_on(Path::new(program), &surroundings);
        set(true, "/opt/removed/keyfob-tray", &surroundings).unwrap();
        assert_eq!(is_on(), Some(false));
        set(true, program, &surroundings).unwrap();
        assert_eq!(is_on(), Some(true), "setting it again mends it");
    }

    /// What a package installs, found in `folder/system`.
    #[cfg(not(target_os = "macos"))]
    fn with_entry_of_the_system(folder: &Path, program: &str) -> Surroundings {
        let system = folder.join("system");
        let entry = include_str!("../../../../installers/linux/autostart/dev.keyfob.tray.desktop");
        let installed = system.join("autostart").join(NAME);
        std::fs::create_dir_all(installed.parent().unwrap()).unwrap();
        std::fs::write(installed, entry.replace("/usr/bin/keyfob-tray", program)).unwrap();
        Surroundings {
            config_of_the_system: vec![folder.join("none"), system],
            ..at_home(&folder.join("home"))
        }
    }

    #[cfg(not(target_os = "macos"))]
    #[test]
    fn what_the_system_starts_a_person_switches_off_and_on_again() {
        let folder = tempfile::tempdir().unwrap();
        let program = "/opt/keyfob-tray";
        let surroundings = with_entry_of_the_system(folder.path(), program);
        let own = place(&surroundings).unwrap();
        let is_on = || is_on(Path::new(program), &surroundings);
        assert_eq!(is_on(), Some(true), "the package's entry is read");
        for _ in 0..2 {
            set(false, program, &surroundings).unwrap();
            assert_eq!(is_on(), Some(false));
            // What the desktop reads: the file of this name in the person's folder instead of the system's.
            let entry = std::fs::read_to_string(&own).unwrap();
            assert!(own.ends_with("autostart/dev.keyfob.tray.desktop"), "{own:?}");
            assert!(entry.lines().any(|line| line == "Hidden=true"), "{entry}");
            set(true, program, &surroundings).unwrap();
            assert_eq!(is_on(), Some(true));
            assert!(!own.exists(), "the system's serves, and goes with the package");
        }
    }

    #[cfg(not(target_os = "macos"))]
    #[test]
    fn a_program_elsewhere_takes_the_place_of_the_systems() {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = with_entry_of_the_system(folder.path(), "/usr/bin/keyfob-tray");
        let (mine, packaged) = ("/home/me/keyfob-tray", "/usr/bin/keyfob-tray");
        let is_on = |program: &str| is_on(Path::new(program), &surroundings);
        assert_eq!((is_on(mine), is_on(packaged)), (Some(false), Some(true)));
        set(true, mine, &surroundings).unwrap();
        assert_eq!((is_on(mine), is_on(packaged)), (Some(true), Some(false)), "one of them starts");
        set(false, mine, &surroundings).unwrap();
        assert_eq!((is_on(mine), is_on(packaged)), (Some(false), Some(false)), "nor does the other");
    }

    #[cfg(not(target_os = "macos"))]
    #[test]
    fn an_entry_of_another_hand_is_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (program, link) = (folder.join("keyfob-tray"), folder.join("link"));
        std::fs::write(&program, "").unwrap();
        std::os::unix::fs::symlink(&program, &link).unwrap();
        let starts = |entry: &str| starts(entry, &program);
        let (path, link) = (program.display(), link.display());
        for good in [format!("Exec={path}"), format!("Exec = {path} --hidden"), format!("Exec=\"{link}\"")] {
            assert!(starts(&format!("[Desktop Entry]\nTryExec=/x\n{good}\n")), "{good}");
        }
        for bad in [
            format!("[Desktop Entry]\nExec={path}2"),
            format!("[Desktop Entry]\nExec=sh -c {path}"),
            format!("[Desktop Entry]\nTryExec={path}"),
            "[Desktop Entry]\nExec=keyfob-tray".to_owned(),
            format!("[Desktop Entry]\n[Desktop Action x]\nExec={path}"),
            format!("Exec={path}"),
            "[Desktop Entry]\nExec=\"\\".to_owned(),
        ] {
            assert!(!starts(&bad), "{bad}");
        }
    }

    #[test]
    fn what_the_desktop_switched_off_is_off() {
        assert!(is_switched_off("[Desktop Entry]\nHidden=true\n"));
        assert!(is_switched_off("X-GNOME-Autostart-enabled=false"));
        assert!(!is_switched_off(&desktop_entry("/opt/keyfob-tray")));
    }

    #[test]
    fn without_a_home_nothing_is_told() {
        assert_eq!(is_on(Path::new("/x"), &Surroundings::default()), None);
        assert!(set(true, "/x", &Surroundings::default()).is_err());
    }
}
