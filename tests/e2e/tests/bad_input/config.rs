//! The configuration: broken, edited, or somebody else's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keyfob_e2e::{Company, Foreigner, MEMORY, Output, Profile, token};

use crate::refused;

const ASPECT: &str = "https://aw.acme.dev/";
const VALUE: &str = "aw_1234567890";

fn good() -> String {
    [MEMORY.to_owned(), token("aspect", "aw.acme.dev")].concat()
}

/// Errors in every second line from the fourth on, and what each is told.
const BROKEN: &str = "\
[agent]
keychain = \"memory\"
[token.a]
hosts = [\"*.dev\"]
[token.b]
hosst = [\"b.example\"]
[sso.c]
issuer = \"http://issuer.example\"
client_id = \"c\"
[tokn.d]
hosts = []
[aws.e]
sso = \"nobody\"
role_arn = \"arn:aws:iam::1:role/x\"
region = \"eu-west-1\"
[token.f]
hosts = [\"f.example\", \"f.example\"]
";
const ERRORS: [&str; 6] = [
    "line 4: token.a: the host `*.dev` is too wide",
    "line 6: unknown key `token.b.hosst`; did you mean `hosts`?",
    "line 8: sso.c: this address must begin with https://",
    "line 10: unknown table `tokn`; did you mean `token`?",
    "line 14: aws.e: a role is written arn:aws:iam::123456789012:role/Name",
    "line 16: token.f: the host `f.example` stands twice",
];

#[track_caller]
fn lists(check: &Output, profile: &Profile, errors: &[&str]) {
    let lines: Vec<_> = check.stdout.lines().collect();
    assert_eq!(lines.len(), errors.len(), "{check:?}");
    for (line, error) in lines.iter().zip(errors) {
        assert!(
            line.starts_with(&format!("{}: {error}", profile.config().display())),
            "{error:?}: {check:?}"
        );
    }
}

#[test]
fn a_configuration_that_is_broken_at_the_start_gives_nothing_until_it_is_mended() {
    let profile = Profile::new(BROKEN);
    for arguments in [&["credential-process", "e"][..], &["get"], &["token", "add", "a"], &["login"]] {
        let output = profile.run(arguments, format!("{{\"uri\":\"{ASPECT}\"}}"));
        let said = refused(output, 1);
        let sentence = format!("the configuration `{}` does not load: line 4: ", profile.config().display());
        assert!(said.contains(&sentence), "{said}");
    }
    let check = profile.run(&["config", "check"], "").exits(1);
    lists(&check, &profile, &ERRORS);
    let json = profile.run(&["config", "check", "--json"], "").exits(1).json();
    assert_eq!(json["errors"].as_array().map(Vec::len), Some(ERRORS.len()), "{json}");
    let agent = profile.agent_pid();
    profile.configure(&good());
    profile.run(&["config", "check"], "").ok();
    profile.add_token("aspect", VALUE);
    profile.get(ASPECT).ok();
    assert_eq!(profile.agent_pid(), agent, "no restart was needed");
}

#[test]
fn a_broken_edit_leaves_the_last_good_configuration_in_force() {
    let profile = Profile::new(&good());
    profile.add_token("aspect", VALUE);
    let agent = profile.agent_pid();
    let too_large = format!("{}# {}\n", good(), "x".repeat(5 << 20));
    let breaks: [(&str, &[&str]); 6] = [
        (BROKEN, &ERRORS),
        ("[agent\n", &["line 1: "]),
        ("\u{0}", &["line 1: "]),
        ("[agent]\nkeychain = \"memroy\"\n", &["line 2: agent: `memroy` is not known here; known: `system`"]),
        ("[agent]\nkeychain = 5\n", &["line 2: agent: "]),
        (&too_large, &["the file is over 4194304 bytes"]),
    ];
    for (text, errors) in breaks {
        profile.configure(text);
        assert_eq!(profile.get(ASPECT).ok().json()["headers"]["X-Aspect"][0], VALUE);
        let check = profile.run(&["config", "check"], "").exits(1);
        lists(&check, &profile, errors);
        assert!(check.stderr.contains("the last good configuration stays in force"), "{check:?}");
        let status = profile.status();
        assert_eq!(status["config"]["errors"].as_array().map(Vec::len), Some(errors.len()), "{status}");
        assert_eq!(status["entries"][0]["name"], "token.aspect");
    }
    profile.configure(&[good(), token("other", "other.example")].concat());
    refused(profile.get("https://other.example/"), 3);
    profile.add_token("other", VALUE);
    profile.get("https://other.example/").ok();
    profile.get(ASPECT).ok();
    assert_eq!(profile.agent_pid(), agent);
}

/// An empty agent is better than one that does what somebody else wrote.
#[test]
fn a_configuration_that_others_can_write_is_refused() {
    for (what, mode) in
        [("file", 0o666), ("file", 0o620), ("file", 0o602), ("folder", 0o777), ("folder", 0o720)]
    {
        let profile = Profile::new(&good());
        let path = if what == "file" { profile.config() } else { profile.path() };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let said = refused(profile.get(ASPECT), 1);
        let sentence = format!("the {what} can be written by others (mode {mode:o})");
        assert!(said.contains(&sentence), "{said}");
        let check = profile.run(&["config", "check"], "").exits(1);
        assert!(check.stdout.contains(&format!("chmod go-w '{}'", path.display())), "{check:?}");
        // The hint mends it.
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o755)).unwrap();
        refused(profile.get(ASPECT), 3);
    }
}

#[test]
fn a_configuration_of_another_user_is_refused() {
    let mut profile = Profile::new("");
    let mut foreigner = Foreigner::meet();
    let file = foreigner.write("config.toml", &good());
    assert_eq!(fs::read_to_string(&file).unwrap(), good(), "it can be read");
    profile.set("KEYFOB_CONFIG", &file);
    let said = refused(profile.get(ASPECT), 1);
    assert!(said.contains("the file belongs to user "), "{said}");
    profile.run(&["token", "add", "aspect"], VALUE).exits(1);
}

#[test]
fn a_configuration_that_cannot_be_a_file_is_refused() {
    let profile = Profile::new("");
    fs::remove_file(profile.config()).unwrap();
    fs::create_dir(profile.config()).unwrap();
    let said = refused(profile.get(ASPECT), 1);
    assert!(said.contains("this is not a regular file"), "{said}");
    fs::remove_dir(profile.config()).unwrap();
    // An absent one is an empty one.
    assert_eq!(profile.get(ASPECT).ok().stdout, "{\"headers\":{}}\n");
}

#[test]
fn an_edit_that_sends_a_token_to_a_new_place_waits_for_the_person() {
    let header = "[token.aspect]\nhosts = [\"aw.acme.dev\"]\nprefix = \"aw_\"\n";
    let edits = [
        (token("aspect", "evil.example"), "https://evil.example/", "host evil.example"),
        (token("aspect", "*.acme.dev"), "https://evil.acme.dev/", "host *.acme.dev"),
        (token("aspect", "aw.acme.dev\", \"evil.example"), "https://evil.example/", "host evil.example"),
        (header.to_owned(), ASPECT, "header Authorization"),
    ];
    for (entry, uri, place) in edits {
        let profile = Profile::new(&good());
        profile.add_token("aspect", VALUE);
        profile.get(ASPECT).ok();
        profile.configure(&[MEMORY.to_owned(), entry.clone()].concat());
        let waits = || {
            let output = profile.get(uri);
            assert!(output.stderr.contains("Run: keyfob config confirm token.aspect"), "{output:?}");
            let said = refused(output, 1);
            assert!(said.contains("the configuration points `token.aspect` at a new place"), "{said}");
            assert!(said.contains(place), "{said}");
            assert_eq!(profile.state_of("token.aspect"), "refused");
        };
        waits();
        // Nobody is there to say yes.
        let asked = profile.run(&["config", "confirm"], "yes\n").exits(1);
        assert_eq!(asked.stdout, format!("token.aspect would go to\n  {place}\n"));
        waits();
        // The old configuration sends it to no new place.
        profile.configure(&good());
        profile.get(ASPECT).ok();
        profile.configure(&[MEMORY.to_owned(), entry].concat());
        waits();
        let confirmed = profile.run(&["config", "confirm", "token.aspect", "--yes"], "").ok();
        assert!(confirmed.stdout.ends_with("keyfob: confirmed\n"), "{confirmed:?}");
        profile.get(uri).ok();
        let again = profile.run(&["config", "confirm"], "").ok();
        assert!(again.stdout.contains("nothing waits for a confirmation"), "{again:?}");
    }
}

#[test]
fn an_edit_that_sends_a_session_to_a_new_place_waits_for_the_person() {
    let (company, other) = (Company::start(), Company::start());
    let profile = Profile::new(&company.config());
    company.sign_in(&profile, "okta");
    let uri = "https://x.cache.acme.dev/";
    let role = &company.addresses().roles[0];
    let with = |sso: String, aws: String| [MEMORY.to_owned(), sso, aws].concat();
    let ours = company.sso("okta", "*.cache.acme.dev");
    let edits = [
        with(other.sso("okta", "*.cache.acme.dev"), company.aws("dev", "okta", role)),
        with(company.sso("okta", "*.acme.dev"), company.aws("dev", "okta", role)),
        with(ours.clone(), other.aws("dev", "okta", role)),
        with(ours, [company.aws("dev", "okta", role), other.aws("evil", "okta", role)].concat()),
    ];
    for edit in edits {
        profile.configure(&edit);
        for output in [profile.get(uri), profile.credential_process("dev")] {
            let said = refused(output, 1);
            assert!(said.contains("the configuration points `sso.okta` at a new place"), "{said}");
        }
    }
    assert_eq!(other.counts(), keyfob_sandbox::Counts::default(), "nothing has reached the new place");
    profile.configure(&company.config());
    profile.get(uri).ok();
    profile.credential_process("dev").ok();
}
