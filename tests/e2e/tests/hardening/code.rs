//! What the agent runs: its own program and the libraries that it was linked with, whatever it is asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyfob_e2e::real::{Lines, Part, SessionBus, together};
use keyfob_e2e::{Company, Examiner, Profile, Stage, run};

use crate::story;

/// The files of a process that hold code.
fn code(examiner: &mut Examiner, process: u32) -> BTreeSet<PathBuf> {
    let mappings = examiner.mappings(process);
    let executable = mappings.iter().filter(|mapping| mapping.permissions.contains('x'));
    for mapping in executable.clone() {
        assert!(!mapping.permissions.contains('w'), "code that can be written to: {mapping:?}");
        assert!(!mapping.file.is_empty(), "code that is in no file: {mapping:?}");
    }
    let files = executable.map(|mapping| PathBuf::from(&mapping.file));
    // The kernel's own.
    files.filter(|file| ![Path::new("[vdso]"), Path::new("[vsyscall]")].contains(&file.as_path())).collect()
}

/// A program and everything that the linker says it was linked with.
fn linked(program: &Path) -> BTreeSet<PathBuf> {
    let mut ldd = Command::new("/usr/bin/ldd");
    ldd.arg(program);
    let said = run(ldd, "").ok().stdout;
    let libraries = said.split_ascii_whitespace().filter(|word| word.starts_with('/'));
    let files = libraries.map(Path::new).chain([program]);
    files.map(|file| fs::canonicalize(file).expect("it is there")).collect()
}

#[test]
fn no_code_is_loaded_on_request() {
    let _turn = together();
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-I", "-c", "import ctypes, ssl, sys; print('loaded', flush=True); sys.stdin.read()"]);
    let mut twin = Part::start(python.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let stdout = twin.child().stdout.take().expect("it is piped");
    Lines::of(stdout).find("`loaded`", |line| (line == "loaded").then_some(()));
    let mut examiner = Examiner::meet();
    let of_twin = code(&mut examiner, twin.child().id());
    assert!(
        !of_twin.is_subset(&linked(Path::new("/usr/bin/python3"))),
        "this would not be seen: {of_twin:?}"
    );

    let (company, bus) = (Company::start(), SessionBus::start());
    let unknown = "[sso.far]\nissuer = \"https://issuer.acme.test/\"\nclient_id = \"keyfob\"\n";
    let mut profile =
        Profile::new(&["[agent]\nkeychain = \"system\"\n", &story::config(&company), unknown].concat());
    profile.set("DBUS_SESSION_BUS_ADDRESS", bus.address());
    story::live(&company, &profile);
    profile.status();
    // A name to be looked up, which is where libraries of the name service come in.
    profile.run(&["login", "far"], "").exits(1);
    profile.run(&["token", "remove", "aspect"], "").ok();
    profile.run(&["logout", "okta"], "").ok();

    let agent = Stage::get().bin("keyfobd");
    let all = code(&mut examiner, profile.agent_pid());
    let linked = linked(&agent);
    let loaded: Vec<_> = all.difference(&linked).collect();
    assert!(all.contains(&fs::canonicalize(&agent).expect("it is there")), "{all:?}");
    assert!(loaded.is_empty(), "loaded later: {loaded:?}");
}
