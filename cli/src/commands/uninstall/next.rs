//! What removes the programs: whoever installed them.

use std::path::Path;

/// The command, or the click. `exists` looks at the machine.
pub fn of(program: Option<&Path>, exists: &dyn Fn(&Path) -> bool) -> String {
    let Some(folder) = program.and_then(Path::parent) else { return "remove the file `keyfob`".to_owned() };
    let path = folder.to_string_lossy();
    if cfg!(windows) {
        let scoop = path.contains(r"\scoop\");
        return if scoop { "scoop uninstall keyfob" } else { "Settings > Apps > Installed apps > Keyfob" }
            .to_owned();
    }
    if path.contains("/Cellar/") {
        return "brew uninstall keyfob".to_owned();
    }
    if let Some((application, _)) = path.split_once(".app/") {
        let casks = ["/opt/homebrew/Caskroom/keyfob-app", "/usr/local/Caskroom/keyfob-app"];
        if casks.iter().any(|place| exists(Path::new(place))) {
            return "brew uninstall --cask keyfob-app".to_owned();
        }
        // It also takes the names away that the package has put elsewhere.
        return format!("sudo sh '{application}.app/Contents/Resources/uninstall.sh'");
    }
    if path.starts_with("/nix/store/") {
        return "nix profile remove keyfob".to_owned();
    }
    let tray = if exists(&folder.join("keyfob-tray")) { " keyfob-tray" } else { "" };
    if folder == Path::new("/usr/bin") && exists(Path::new("/var/lib/dpkg/info/keyfob.list")) {
        return format!("sudo apt remove keyfob{tray}");
    }
    let rpm = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];
    if folder == Path::new("/usr/bin") && rpm.iter().any(|place| exists(Path::new(place))) {
        return format!("sudo dnf remove keyfob{tray}");
    }
    // `install.sh` puts it there.
    let own = folder.join("../share/keyfob/uninstall.sh");
    if exists(&own) {
        let prefix = folder.parent().unwrap_or(folder);
        return prefix.join("share/keyfob/uninstall.sh").display().to_string();
    }
    let names = [
        "keyfob",
        "keyfobd",
        "keyfob-tray",
        "bazel-credential-keyfob",
        "docker-credential-keyfob",
        "git-credential-keyfob",
    ];
    let there = names.iter().map(|name| folder.join(name)).filter(|file| exists(file));
    there.fold("rm".to_owned(), |line, file| format!("{line} '{}'", file.display()))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn at(program: &str, there: &[&str]) -> String {
        of(Some(Path::new(program)), &|path| there.iter().any(|known| path == Path::new(known)))
    }

    #[test]
    fn who_installed_it_removes_it() {
        const LIST: &str = "/var/lib/dpkg/info/keyfob.list";
        assert_eq!(at("/usr/bin/keyfob", &[LIST]), "sudo apt remove keyfob");
        assert_eq!(
            at("/usr/bin/keyfob", &[LIST, "/usr/bin/keyfob-tray"]),
            "sudo apt remove keyfob keyfob-tray"
        );
        assert_eq!(at("/usr/bin/keyfob", &["/var/lib/rpm"]), "sudo dnf remove keyfob");
        assert_eq!(at("/opt/homebrew/Cellar/keyfob/1/bin/keyfob", &[]), "brew uninstall keyfob");
        let own = "/h/.local/bin/../share/keyfob/uninstall.sh";
        assert_eq!(at("/h/.local/bin/keyfob", &[LIST, own]), "/h/.local/share/keyfob/uninstall.sh");
        assert_eq!(
            at("/opt/keyfob", &[LIST, "/opt/keyfob"]),
            "rm '/opt/keyfob'",
            "the package has another one"
        );
        let all = ["/h/my bin/keyfob", "/h/my bin/keyfobd", "/h/my bin/keyfob-tray"];
        assert_eq!(at(all[0], &all), "rm '/h/my bin/keyfob' '/h/my bin/keyfobd' '/h/my bin/keyfob-tray'");
        let in_application = "/Applications/Keyfob.app/Contents/MacOS/keyfob";
        assert_eq!(
            at(in_application, &[]),
            "sudo sh '/Applications/Keyfob.app/Contents/Resources/uninstall.sh'"
        );
        let cask = "/opt/homebrew/Caskroom/keyfob-app";
        assert_eq!(at(in_application, &[cask]), "brew uninstall --cask keyfob-app");
    }
}
