use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

use super::bundle::{SOURCES, assemble, filled};
use super::{SIGNED, TRAY};
use crate::build::OTHER_NAMES;
use crate::dist::Release;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn source(name: &str) -> PathBuf {
    root().join(SOURCES).join(name)
}

/// A property list, read by Python's parser.
fn property_list(file: &Path) -> Value {
    let program = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let output = Command::new("python3").args(["-I", "-c", program]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An XML file, read by Python's parser: the attributes of each element, by the element's name.
fn elements(file: &Path) -> Vec<(String, BTreeMap<String, String>)> {
    let program = "import json, sys, xml.etree.ElementTree as tree
print(json.dumps([[each.tag, each.attrib] for each in tree.parse(sys.argv[1]).iter()]))";
    let output = Command::new("python3").args(["-I", "-c", program]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

struct Made {
    _folder: tempfile::TempDir,
    app: PathBuf,
}

fn made(version: &str) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let program = |name: &str| {
        let file = folder.path().join(name);
        fs::write(&file, format!("the program {name}")).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        file
    };
    let release = Release {
        version: version.to_owned(),
        epoch: 1_700_000_000,
        keyfob: program("keyfob"),
        keyfobd: program("keyfobd"),
        tray: program("keyfob-tray"),
        folder: folder.path().to_owned(),
    };
    let app = assemble(&root(), &release, &folder.path().join("root/Applications")).unwrap();
    Made { _folder: folder, app }
}

#[test]
fn the_bundle_has_each_program_by_all_its_names_and_what_starts_it_is_the_tray() {
    let made = made("1.2.3-rc.1");
    let contents = made.app.join("Contents");
    let information = property_list(&contents.join("Info.plist"));
    for (key, value) in [
        ("CFBundleIdentifier", TRAY),
        ("CFBundleShortVersionString", "1.2.3-rc.1"),
        ("CFBundleVersion", "1.2.3"),
        ("CFBundlePackageType", "APPL"),
    ] {
        assert_eq!(information[key], value, "{key}");
    }
    assert_eq!(information["LSUIElement"], true);
    let of = |key: &str| information[key].as_str().unwrap().to_owned();
    assert!(contents.join("Resources").join(of("CFBundleIconFile")).is_file());
    let programs = contents.join("MacOS");
    assert_eq!(
        fs::read_to_string(programs.join(of("CFBundleExecutable"))).unwrap(),
        "the program keyfob-tray"
    );
    for (name, _) in SIGNED {
        let program = programs.join(name);
        assert_eq!(fs::read_to_string(&program).unwrap(), format!("the program {name}"));
        assert_eq!(fs::metadata(&program).unwrap().mode() & 0o777, 0o755, "{name}");
    }
    for name in OTHER_NAMES {
        // Within the bundle: its signature allows no other.
        assert_eq!(fs::read_link(programs.join(name)).unwrap(), Path::new("keyfob"), "{name}");
    }
    // What removes an installation by the package.
    let removal = contents.join("Resources/uninstall.sh");
    assert_eq!(fs::read(&removal).unwrap(), fs::read(source("uninstall.sh")).unwrap());
    assert_eq!(fs::metadata(&removal).unwrap().mode() & 0o777, 0o755);
    for file in [contents.join("Info.plist"), programs, contents] {
        assert_eq!(fs::metadata(&file).unwrap().mtime(), 1_700_000_000, "{}", file.display());
    }
}

#[test]
fn tray_and_bundle_have_one_identifier_and_all_are_different() {
    let tauri = fs::read_to_string(root().join("gui/tauri.conf.json")).unwrap();
    let tauri: Value = serde_json::from_str(&tauri).unwrap();
    assert_eq!(tauri["identifier"], TRAY);
    let label = &property_list(&source("dev.keyfob.agent.plist"))["Label"];
    assert!(SIGNED.iter().any(|(program, identifier)| *program == "keyfobd" && label == identifier));
    let all: std::collections::BTreeSet<_> =
        SIGNED.iter().map(|(_, identifier)| *identifier).chain([TRAY]).collect();
    assert_eq!(all.len(), SIGNED.len() + 1);
}

#[test]
fn no_program_gets_an_exception_from_the_hardened_runtime() {
    assert_eq!(property_list(&source("entitlements.plist")), Value::Object(Map::new()));
}

/// What launchd.plist(5) says of the keys that we use: the type, and the values where it names them.
fn documented(path: &str) -> Option<(&'static str, &'static [&'static str])> {
    Some(match path {
        "Label" | "AssociatedBundleIdentifiers" | "WorkingDirectory" | "Sockets.*.SockPathName" => {
            ("string", &[])
        }
        "LimitLoadToSessionType" => {
            ("string", &["Aqua", "Background", "LoginWindow", "StandardIO", "System"])
        }
        "ProcessType" => ("string", &["Background", "Standard", "Adaptive", "Interactive"]),
        "Sockets.*.SockFamily" => ("string", &["IPv4", "IPv6", "IPv4v6", "Unix"]),
        "Sockets.*.SockType" => ("string", &["stream", "dgram", "seqpacket"]),
        "ExitTimeOut" | "ThrottleInterval" | "Umask" | "Sockets.*.SockPathMode" => ("integer", &[]),
        "RunAtLoad" => ("boolean", &[]),
        "ProgramArguments" => ("array of strings", &[]),
        "Sockets" | "Sockets.*" => ("dictionary", &[]),
        _ => return None,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Bool(_) => "boolean",
        Value::Object(_) => "dictionary",
        Value::Array(all) if all.iter().all(Value::is_string) => "array of strings",
        _ => "something else",
    }
}

/// What launchd would not understand; it says nothing itself and goes without.
fn misunderstood(value: &Value, path: &str) -> Vec<String> {
    let Value::Object(all) = value else { return Vec::new() };
    let each = all.iter().flat_map(|(key, value)| {
        let path = match path {
            "" => key.clone(),
            // Names of our own.
            "Sockets" => "Sockets.*".to_owned(),
            _ => format!("{path}.{key}"),
        };
        let wrong = match documented(&path) {
            None => Some(format!("{path} is no key")),
            Some((expected, _)) if kind(value) != expected => Some(format!("{path} is no {expected}")),
            Some((_, values)) => {
                let is_one = |text: &str| values.is_empty() || values.contains(&text);
                value.as_str().filter(|text| !is_one(text)).map(|text| format!("{path} is never {text}"))
            }
        };
        wrong.into_iter().chain(misunderstood(value, &path)).collect::<Vec<_>>()
    });
    each.collect()
}

#[test]
fn launchd_understands_every_key_of_the_launch_agent() {
    let agent = property_list(&source("dev.keyfob.agent.plist"));
    assert_eq!(misunderstood(&agent, ""), Vec::<String>::new());
    // Controls: what a slip of the hand would make of it.
    for (slip, expected) in [
        (("/Socket", Value::Null), "Socket is no key"),
        (("/Sockets/agent/SockPathMode", Value::from("0600")), "Sockets.*.SockPathMode is no integer"),
        (("/Sockets/agent/SockType", Value::from("Stream")), "Sockets.*.SockType is never Stream"),
        (("/RunAtLoad", Value::from("NO")), "RunAtLoad is no boolean"),
        (("/ProcessType", Value::from("Foreground")), "ProcessType is never Foreground"),
    ] {
        let mut slipped = agent.clone();
        let (folder, key) = slip.0.rsplit_once('/').unwrap();
        slipped.pointer_mut(folder).unwrap()[key] = slip.1;
        assert_eq!(misunderstood(&slipped, ""), [expected]);
    }
}

#[test]
fn the_doors_are_for_this_user_alone_and_nothing_runs_before_somebody_comes() {
    let agent = property_list(&source("dev.keyfob.agent.plist"));
    let sockets = agent["Sockets"].as_object().unwrap();
    assert_eq!(sockets.keys().collect::<Vec<_>>(), ["agent", "control"]);
    for (name, socket) in sockets {
        assert_eq!(socket["SockPathMode"], 0o600, "{name}");
        // In capitals is what `keyfob agent enable` puts a path in place of: launchd expands no `~` and no variable.
        assert_eq!(socket["SockPathName"], format!("{}_SOCKET", name.to_uppercase()));
    }
    assert_eq!(agent["ProgramArguments"], serde_json::json!(["KEYFOBD"]));
    assert_eq!(agent["RunAtLoad"], false);
    assert_eq!(agent["Umask"], 0o077);
    assert!(agent.get("KeepAlive").is_none() && agent.get("EnvironmentVariables").is_none());
    // As long as systemd leaves it, which is longer than the agent takes.
    let unit = fs::read_to_string(root().join("installers/linux/systemd/keyfobd.service")).unwrap();
    assert!(
        unit.contains(&format!("TimeoutStopSec={}s\n", agent["ExitTimeOut"])),
        "{}",
        agent["ExitTimeOut"]
    );
}

#[test]
fn the_package_goes_where_its_scripts_look() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Distribution.xml");
    fs::write(&file, filled(&source("Distribution.xml"), "1.2.3", "arm64").unwrap()).unwrap();
    let all = elements(&file);
    let with = |tag: &str, key: &str| {
        all.iter()
            .filter(|(name, _)| name == tag)
            .filter_map(|(_, each)| each.get(key))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(with("options", "hostArchitectures"), ["arm64"]);
    assert_eq!(with("pkg-ref", "version"), ["1.2.3"]);
    assert_eq!(with("pkg-ref", "id"), ["dev.keyfob.pkg", "dev.keyfob.pkg"]);
    assert_eq!(with("line", "choice"), with("choice", "id"));
    let least = &property_list(&source("Info.plist"))["LSMinimumSystemVersion"];
    assert_eq!(with("os-version", "min"), [least.as_str().unwrap()]);

    let component = &property_list(&source("components.plist"))[0];
    assert_eq!(component["RootRelativeBundlePath"], "Applications/Keyfob.app");
    assert_eq!(component["BundleIsRelocatable"], false);
    for name in ["scripts/postinstall", "uninstall.sh"] {
        let script = source(name);
        assert_ne!(fs::metadata(&script).unwrap().mode() & 0o111, 0, "{name} is not a program");
        let checked = Command::new("sh").arg("-n").arg(&script).output().unwrap();
        assert!(checked.status.success() && checked.stderr.is_empty(), "{name}: {checked:?}");
        let text = fs::read_to_string(&script).unwrap();
        assert!(text.contains("programs=/Applications/Keyfob.app/Contents/MacOS\n"), "{name}");
        let names =
            OTHER_NAMES.iter().copied().fold("in keyfob".to_owned(), |all, one| format!("{all} {one}"));
        assert!(
            text.contains(&format!("for name {names}; do")),
            "{name} knows other names than these: {names}"
        );
    }
}

/// With stand-ins for the system's programs: root's are never started, and nothing is removed.
#[test]
fn a_removal_ends_no_program_of_another_installation() {
    let folder = tempfile::tempdir().unwrap();
    let running = || Command::new("sleep").arg("600").spawn().unwrap();
    let (mut ours, mut theirs) = (running(), running());
    let processes = format!(
        "echo '  {} /Applications/Keyfob.app/Contents/MacOS/keyfobd'; echo '  {} /opt/other/bin/keyfobd'",
        ours.id(),
        theirs.id()
    );
    let all_by_name = format!("kill -TERM {} {}", ours.id(), theirs.id());
    let idle = ["launchctl", "sudo", "rm", "pkgutil"].map(|name| (name, ":"));
    let told = [("id", "echo 0"), ("stat", "echo 0"), ("ps", &*processes), ("killall", &*all_by_name)];
    for (name, does) in idle.into_iter().chain(told) {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut removal = Command::new("sh");
    removal.arg(source("uninstall.sh")).env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
    let output = removal.output().unwrap();
    // What has ended by a signal is not ended by another.
    let [ours, theirs] = [&mut ours, &mut theirs].map(|program| {
        let _ = program.kill();
        std::os::unix::process::ExitStatusExt::signal(&program.wait().unwrap())
    });
    assert!(output.status.success(), "{output:?}");
    assert_eq!((ours, theirs), (Some(15), Some(9)), "told to end is ours alone");
}
