//! Programs and libraries of the system, by the Debian packages that bring them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The system's own interpreter: Debian's `python3-dbus` is built for it, and the test users can reach it.
pub const PYTHON: &str = "/usr/bin/python3";

/// A package of Debian, and the part of it that is used.
pub type Package = (&'static str, Probe);

/// How to see that a package's part is there, also on systems that name their packages differently.
pub enum Probe {
    /// A program, by its file name.
    Program(&'static str),
    /// A module of [`PYTHON`].
    PythonModule(&'static str),
    /// A file, by its whole path.
    File(&'static str),
    /// A library that gcc finds by this file name.
    Library(&'static str),
    /// A library that programs load while they run, by its file name.
    SharedLibrary(&'static str),
    /// What a library is compiled with, by the name that pkg-config knows.
    Development(&'static str),
    /// A font, by its file name.
    Font(&'static str),
}

/// What the end-to-end tests use.
pub const PACKAGES: &[Package] = &[
    // What other programs see in a window, and do there.
    ("at-spi2-core", Probe::Program("at-spi-bus-launcher")),
    ("dbus", Probe::Program("dbus-run-session")),
    // A notification server, and the screen that it draws on.
    ("dunst", Probe::Program("dunst")),
    // What the window writes with.
    ("fonts-dejavu-core", Probe::Font("DejaVuSans.ttf")),
    // What libFuzzer is compiled with.
    ("g++", Probe::Program("g++")),
    ("gcc", Probe::Program("gcc")),
    ("gnome-keyring", Probe::Program("gnome-keyring-daemon")),
    // Pictures of the screen.
    ("imagemagick", Probe::Program("import")),
    // What the tray shows itself with where it runs.
    ("libayatana-appindicator3-1", Probe::SharedLibrary("libayatana-appindicator3.so.1")),
    // The static library, which the shipped `keyfob` is linked with.
    ("libc6-dev", Probe::Library("libc.a")),
    ("libsecret-tools", Probe::Program("secret-tool")),
    // What the tray is compiled with.
    ("libwebkit2gtk-4.1-dev", Probe::Development("webkit2gtk-4.1")),
    // Raises windows, as on a person's desktop.
    ("openbox", Probe::Program("openbox")),
    ("passwd", Probe::Program("useradd")),
    ("pkg-config", Probe::Program("pkg-config")),
    ("procps", Probe::Program("ps")),
    ("python3", Probe::Program("python3")),
    ("python3-dbus", Probe::PythonModule("dbus")),
    ("python3-venv", Probe::PythonModule("ensurepip")),
    ("systemd", Probe::Program("systemd-socket-activate")),
    // Drives the window of the tray, through `tauri-driver`.
    ("webkit2gtk-driver", Probe::Program("WebKitWebDriver")),
    // What windows there are, and another one beside ours.
    ("x11-utils", Probe::Program("xprop")),
    // What was copied.
    ("xclip", Probe::Program("xclip")),
    // A panel that shows the tray's icon, and a hand that clicks on it.
    ("xfce4-panel", Probe::Program("xfce4-panel")),
    ("xdotool", Probe::Program("xdotool")),
    ("xvfb", Probe::Program("Xvfb")),
];

/// The packages whose part is not there.
pub fn missing(packages: &[Package]) -> Vec<&'static str> {
    let missing = packages.iter().filter(|(_, probe)| !probe.is_there());
    missing.map(|(package, _)| *package).collect()
}

/// Whether packages are installed by apt, under Debian's names.
pub fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists() && Probe::Program("apt-get").is_there()
}

/// The shell lines that install the packages; none for no packages.
pub fn install_script(packages: &[&str]) -> Vec<String> {
    if packages.is_empty() {
        return Vec::new();
    }
    let install = format!(
        "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 {}",
        packages.join(" ")
    );
    let update = "apt-get update -q";
    if has_package_lists() {
        // Lists from long ago name versions that the archive no longer has.
        return vec![format!("{{ {install} || {{ {update}; {install}; }}; }}")];
    }
    // One source out of order must not keep the others from serving.
    vec![format!("{{ {update}; {install}; }}")]
}

fn has_package_lists() -> bool {
    let Ok(lists) = fs::read_dir("/var/lib/apt/lists") else { return false };
    lists.flatten().any(|list| list.file_name().to_string_lossy().contains("_Packages"))
}

impl Probe {
    fn is_there(&self) -> bool {
        match self {
            // Where packages put programs, whatever PATH says: the tests see no others.
            Self::Program(name) => ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/libexec"]
                .iter()
                .any(|folder| Path::new(folder).join(name).exists()),
            Self::PythonModule(name) => {
                let mut python = Command::new(PYTHON);
                python.args(["-I", "-c", &format!("import {name}")]);
                python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                python.status().is_ok_and(|status| status.success())
            }
            Self::File(path) => Path::new(path).exists(),
            // gcc answers with the bare name when it finds no such file.
            Self::Library(name) => {
                let found = Command::new("gcc").arg(format!("-print-file-name={name}")).output();
                found.is_ok_and(|output| output.stdout.starts_with(b"/"))
            }
            // gcc looks for what programs are linked with, which has no number at the end of its name.
            Self::SharedLibrary(name) => below(&LIBRARIES, 1, &|path| path.ends_with(name)),
            Self::Development(name) => {
                let file = format!("pkgconfig/{name}.pc");
                below(&LIBRARIES, 2, &|path| path.ends_with(&file))
            }
            Self::Font(name) => {
                below(&["/usr/share/fonts", "/usr/local/share/fonts"], 4, &|path| path.ends_with(name))
            }
        }
    }
}

/// Where systems keep libraries: in the folder itself, or in one for each kind of machine below it.
const LIBRARIES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/pkgconfig"];

/// Whether there is such a file in one of the folders, or so many levels below.
fn below(folders: &[&str], levels: usize, is_it: &dyn Fn(&Path) -> bool) -> bool {
    folders.iter().any(|folder| is_in(Path::new(folder), levels, is_it))
}

fn is_in(folder: &Path, levels: usize, is_it: &dyn Fn(&Path) -> bool) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().map(|entry| entry.path()).any(|path| {
        is_it(&path) && path.exists() || levels > 0 && path.is_dir() && is_in(&path, levels - 1, is_it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_missing_installs_nothing() {
        assert!(install_script(&[]).is_empty());
    }

    #[test]
    fn packages_are_installed_without_recommendations() {
        let script = install_script(&["dbus", "gcc"]).join("\n");
        assert!(script.contains("--no-install-recommends"), "{script}");
        assert!(script.contains(" dbus gcc"), "{script}");
        assert!(script.contains("apt-get update"), "{script}");
    }

    #[test]
    fn a_probe_sees_what_is_there_and_what_is_not() {
        assert!(Probe::Program("sh").is_there());
        assert!(!Probe::Program("keyfob-has-no-such-program").is_there());
        assert!(Probe::File("/bin/sh").is_there());
        assert!(!Probe::File("/bin/keyfob-has-no-such-program").is_there());
        assert!(!Probe::PythonModule("keyfob_has_no_such_module").is_there());
        assert!(!Probe::Library("libkeyfob-has-no-such-library.a").is_there());
        assert!(Probe::SharedLibrary("libc.so.6").is_there());
        assert!(!Probe::SharedLibrary("libkeyfob-has-no-such-library.so.1").is_there());
        assert!(!Probe::Development("keyfob-has-no-such-library").is_there());
        assert!(!Probe::Font("KeyfobHasNoSuchFont.ttf").is_there());
    }
}
