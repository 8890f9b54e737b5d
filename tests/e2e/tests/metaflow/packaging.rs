//! The distributions as they ship: what is in them, and that an empty environment takes them. That they are built from their own
//! source archives, and that `twine check --strict` passes, is a condition of the stage itself.

use std::path::PathBuf;

use keyfob_e2e::{Profile, Stage, run};
use serde_json::{Value, json};

/// Names and metadata of everything in an archive.
const LOOK: &str = r#"
import email, json, pathlib, sys, tarfile, zipfile
found = {}
for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    if file.suffix == ".whl":
        archive = zipfile.ZipFile(file)
        names, read = archive.namelist(), archive.read
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
    else:
        archive = tarfile.open(file)
        names, read = archive.getnames(), lambda name: archive.extractfile(name).read()
        metadata = next(name for name in names if name.endswith("/PKG-INFO") and name.count("/") == 1)
    said = email.message_from_bytes(read(metadata))
    found[file.name] = {
        "names": names, "name": said["Name"], "python": said["Requires-Python"], "requires": said.get_all("Requires-Dist") or [],
    }
print(json.dumps(found))
"#;

fn archives() -> Vec<(String, Value)> {
    let profile = Profile::new("");
    let mut command = profile.command(Stage::get().python("python"));
    command.args(["-I", "-c", LOOK]).arg(Stage::get().wheels());
    let found = run(command, "").ok().json();
    found.as_object().expect("an object").clone().into_iter().collect()
}

#[test]
fn each_is_a_wheel_and_a_source_archive_that_share_a_namespace_with_others() {
    let archives = archives();
    let of = |end: &str| archives.iter().filter(|(file, _)| file.ends_with(end)).count();
    assert_eq!((of(".whl"), of(".tar.gz"), archives.len()), (2, 2, 4), "{archives:?}");
    for (file, said) in &archives {
        let names: Vec<_> =
            said["names"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
        assert!(
            !names.iter().any(|name| name.ends_with("metaflow_extensions/__init__.py")),
            "{file}: {names:?}"
        );
        assert!(
            names.iter().any(|name| name.contains("metaflow_extensions/") && name.ends_with(".py")),
            "{file}"
        );
        assert!(
            !names.iter().any(|name| name.contains("__pycache__") || name.ends_with(".pyc")),
            "{file}: {names:?}"
        );
        assert_eq!(said["python"], ">=3.9", "{file}");
        let requires: Vec<_> =
            said["requires"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let has = |name: &str| {
            requires
                .iter()
                .any(|line| line.split([' ', '>', '=', '<', '~', '!', ';', '[', '(']).next() == Some(name))
        };
        if said["name"] == "metaflow-keyfob" {
            // Its name must sort before Outerbounds' extension, on which it must not depend: nor on `metaflow`, whose place theirs takes.
            assert!(!requires.iter().any(|line| line.starts_with("ob-")), "{file}: {requires:?}");
        } else {
            assert_eq!(said["name"], "metaflow-keyfob-outerbounds", "{file}");
            assert!(has("metaflow-keyfob") && has("ob-metaflow-extensions"), "{file}: {requires:?}");
        }
    }
}

#[test]
fn an_empty_environment_takes_the_wheel_and_metaflow_finds_it_there() {
    const ASK: &str = "\
import json
from metaflow.plugins import AWS_CLIENT_PROVIDERS, SECRETS_PROVIDERS
names = lambda all: sorted(getattr(one, 'name', None) or one.TYPE for one in all)
print(json.dumps([names(AWS_CLIENT_PROVIDERS), names(SECRETS_PROVIDERS)]))
";
    let profile = Profile::new("");
    let environment = profile.path().join("empty");
    let base = || profile.command(Stage::get().python("python"));
    let mut make = base();
    make.args(["-I", "-m", "venv", "--without-pip"]).arg(&environment);
    run(make, "").ok();
    let python: PathBuf = environment.join("bin/python");
    let mut install = base();
    install.args([
        "-I",
        "-m",
        "pip",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ]);
    install.arg("--python").arg(&python).args(["install", "--no-index", "--no-compile"]);
    install.arg("--find-links").arg(Stage::get().wheelhouse()).arg("--find-links").arg(Stage::get().wheels());
    install.args(["metaflow-keyfob", "metaflow", "boto3"]);
    keyfob_e2e::run_within(install, "", std::time::Duration::from_secs(180)).ok();
    let mut ask = profile.command(&python);
    ask.args(["-c", ASK]).env("USER", "ada");
    let found = run(ask, "").ok().json();
    for kind in 0..2 {
        assert!(found[kind].as_array().is_some_and(|all| all.contains(&json!("keyfob"))), "{found}");
    }
}
