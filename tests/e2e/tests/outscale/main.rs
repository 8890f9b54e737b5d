//! Access keys of OUTSCALE with the real programs, against a stand-in that verifies every signature.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use keyfob_e2e::needles::{Search, Secret, search};
use keyfob_e2e::{Company, Profile};
use keyfob_sandbox::AccessKey;

const NAME: &str = "outscale.monitoring";
const RENEWAL: &[&str] =
    &["api:CreateAccessKey", "api:ReadAccessKeys", "api:UpdateAccessKey", "api:DeleteAccessKey"];

fn config(company: &Company, keychain: &str) -> String {
    let endpoint = &company.addresses().outscale_url;
    format!(
        "[agent]\nkeychain = \"{keychain}\"\n\n[outscale.monitoring]\nregion = \"eu-west-2\"\nuser = \"monitoring\"\n\
         endpoint_url = \"{endpoint}\"\n"
    )
}

fn pasted(key: &AccessKey) -> String {
    format!("{}:{}\n", key.id, key.secret)
}

/// The id and the secret of the key that a tool gets.
fn served(profile: &Profile) -> (String, String) {
    let answer = profile.credential_process(NAME).ok().json();
    assert!(answer.get("SessionToken").is_none(), "{answer}");
    assert!(answer["Expiration"].as_str().unwrap().ends_with('Z'), "{answer}");
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("AccessKeyId"), text("SecretAccessKey"))
}

#[test]
fn an_outscale_key_is_made_served_and_removed_and_leaks_nowhere() {
    let company = Company::start();
    let outscale = company.outscale();
    let key = outscale.add_user("monitoring", RENEWAL, None);
    let profile = Profile::new(&config(&company, "memory"));
    let wrong = AccessKey { secret: "0".repeat(40), ..key.clone() };
    profile.run(&["token", "add", NAME], pasted(&wrong)).exits(1);
    profile.run(&["token", "add", NAME], pasted(&key)).ok();
    let (id, secret) = served(&profile);
    assert!(outscale.signs(&id) && id != key.id);
    assert_eq!(served(&profile).0, id);
    let status = profile.run(&["status"], "").ok();
    assert!(status.stdout.contains("monitoring"), "{}", status.stdout);
    let said = profile.run(&["token", "remove", NAME], "").ok();
    assert!(!outscale.signs(&id) && !outscale.signs(&key.id));
    assert_eq!(outscale.expiries_lost(), 0);
    let secrets = [Secret::new("bootstrap", &key.secret), Secret::new("made", &secret)];
    let needles = Search::new(&secrets);
    for output in [&status, &said] {
        let shown = format!("{}{}", output.stdout, output.stderr);
        assert!(needles.find(shown.as_bytes()).is_empty());
    }
    let mut found = Vec::new();
    search(profile.path(), &needles, &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_outscale_key_of_an_agent_that_was_killed_goes_on() {
    let company = Company::start();
    let key = company.outscale().add_user("monitoring", RENEWAL, None);
    let mut profile = Profile::new(&config(&company, "file"));
    let passphrase = profile.path().join("passphrase");
    std::fs::write(&passphrase, "correct horse").unwrap();
    std::fs::set_permissions(&passphrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    profile.set("KEYFOB_PASSPHRASE_FILE", &passphrase);
    profile.run(&["token", "add", NAME], pasted(&key)).ok();
    let first = served(&profile).0;
    profile.kill_agent();
    assert_eq!(served(&profile).0, first);
    assert_eq!(company.outscale().calls("CreateAccessKey"), 1);
}

#[test]
fn an_outscale_bootstrap_makes_the_user_and_a_second_one_changes_nothing() {
    let company = Company::start();
    let outscale = company.outscale();
    let root = outscale.root();
    let profile = Profile::new(&config(&company, "memory"));
    let run = |more: &[&str]| {
        let mut arguments = vec!["outscale", "bootstrap", "monitoring", "--actions", "ec2:Describe*"];
        arguments.extend(more);
        profile.run(&arguments, pasted(&root))
    };
    let plan = run(&["--dry-run"]).ok();
    assert!(plan.stdout.contains("create the group keyfob-monitoring"), "{}", plan.stdout);
    assert_eq!(outscale.changes(), 0);
    run(&[]).exits(1);
    assert_eq!(outscale.changes(), 0, "nobody said yes");
    run(&["--yes"]).ok();
    let changes = outscale.changes();
    let again = run(&["--yes"]).ok();
    assert!(
        !again.stdout.contains("  create the") && again.stdout.contains("there already"),
        "{}",
        again.stdout
    );
    assert_eq!(outscale.changes(), changes);
    let (id, _) = served(&profile);
    assert!(outscale.signs(&id));
    let needles = Search::new(&[Secret::new("administrator", &root.secret)]);
    let mut found = Vec::new();
    search(profile.path(), &needles, &mut found);
    assert!(found.is_empty() && needles.find(again.stdout.as_bytes()).is_empty(), "{found:?}");
}
