//! Keys that another program gives.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyfob_agent::asker::Asker;
use keyfob_agent::config::Ask;
use keyfob_agent::policy::{Link, Role};
use keyfob_ipc::reply::EntryState;
use keyfob_ipc::{Code, ToolAsk};
use keyfob_sandbox::Keys;
use tempfile::TempDir;

use super::{B, role};
use crate::company::{A_MOMENT, Company, HOUR, MINUTE, eventually};
use crate::programs::Staged;

const GOOD: &str = r#"{"Version": 1, "AccessKeyId": "AKIALEGACY", "SecretAccessKey": "hidden", "SessionToken": "t", "Expiration": "2026-11-21T09:00:00.000+0000", "AccountId": "123456789012"}"#;

/// A company where `aws.legacy` runs a script.
struct Legacy {
    company: Company,
    folder: TempDir,
}

impl Legacy {
    async fn new(script: &str) -> Self {
        Self::with(script, "").await
    }

    async fn with(script: &str, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("creds");
        let config = format!(
            "[aws.legacy]\ncommand = [\"/bin/sh\", '{}', '{}', \"two words\", \"$HOME;`id`\"]\nregion = \"eu-west-1\"\n{more}",
            path.display(),
            folder.path().display()
        );
        std::fs::write(path, format!("cd \"$1\"; echo run >> runs\n{script}\n")).unwrap();
        Self { company: Company::with(&config, |_| {}).await, folder }
    }

    /// One that writes this.
    async fn writing(output: &str) -> Self {
        let legacy = Self::new("cat output").await;
        legacy.write(output);
        legacy
    }

    fn write(&self, output: &str) {
        std::fs::write(self.at("output"), output).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    fn runs(&self) -> usize {
        self.text("runs").lines().count()
    }

    async fn has(&self, name: &str) {
        eventually(name, async || self.text(name).ends_with('\n')).await;
    }

    /// Returns when no process of these is there any more.
    async fn are_gone(&self, name: &str) {
        for id in self.text(name).lines() {
            let folder = Path::new("/proc").join(id);
            eventually("the process has ended", async || !folder.exists() || is_dead(&folder)).await;
        }
    }
}

/// Whether it only waits to be taken leave of by whoever inherited it.
fn is_dead(process: &Path) -> bool {
    let status = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    status.rsplit(") ").next().is_none_or(|rest| rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn its_keys_are_given_and_kept() {
    let legacy = Legacy::writing(GOOD).await;
    let company = &legacy.company;
    for _ in 0..3 {
        let keys = company.keys_patiently("legacy").await.unwrap();
        assert_eq!((keys.version, keys.access_key_id.as_str()), (1, "AKIALEGACY"));
        assert_eq!(keys.secret_access_key.expose(), "hidden");
        assert_eq!(keys.session_token.as_ref().map(|token| token.expose().as_str()), Some("t"));
        assert_eq!(keys.expiration.as_deref(), Some("2026-11-21T09:00:00Z"), "in the one form that all read");
        assert_eq!(keys.account_id.as_deref(), Some("123456789012"));
    }
    assert_eq!(legacy.runs(), 1);
    let report = company.report("legacy").await;
    assert_eq!((report.state, report.through), (EntryState::Live, None));
    assert_eq!((report.facts["command"].as_str(), report.facts["region"].as_str()), ("/bin/sh", "eu-west-1"));
    assert_eq!(super::fact(company, "legacy", "account").await, ["123456789012"]);
}

#[tokio::test]
async fn two_hundred_callers_run_it_once() {
    let legacy = Legacy::writing(GOOD).await;
    let asks: Vec<_> = (0..200)
        .map(|_| {
            let (agent, entry) = (legacy.company.agent.clone(), legacy.company.entry("legacy"));
            tokio::spawn(async move {
                entry.source.aws_credentials(&agent, &entry, &keyfob_agent::policy::Permit::of_a_test()).await
            })
        })
        .collect();
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    assert_eq!(legacy.runs(), 1);
}

#[tokio::test]
async fn it_gets_its_words_and_nothing_of_ours() {
    let script = r#"
printf '%s|%s|%s\n' "$#" "$2" "$3" > words
env > environment
ps -o pgid= -p $$ > group 2>/dev/null || cut -d' ' -f5 /proc/$$/stat > group
echo $$ > id
pwd -P > /dev/null
wc -c > input
echo 'a secret for nobody' >&2
cat output"#;
    let legacy = Legacy::new(script).await;
    legacy.write(GOOD);
    legacy.company.keys_patiently("legacy").await.unwrap();
    assert_eq!(legacy.text("words"), "3|two words|$HOME;`id`\n", "no shell of ours has read them");
    let names: Vec<String> = legacy
        .text("environment")
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        // A shell's own.
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str()))
        .collect();
    assert!(names.contains(&"PATH".to_owned()), "{names:?}");
    for name in &names {
        assert!(["HOME", "USER", "LOGNAME", "LANG", "PATH"].contains(&name.as_str()), "{name}");
    }
    assert!(std::env::vars().count() > names.len(), "the control: this process has more");
    let home = legacy.text("environment").lines().any(|line| line == "HOME=/home/ada");
    assert!(home, "as `main` has said, and not as the environment says");
    assert_eq!(legacy.text("group").trim(), legacy.text("id").trim(), "a group of its own");
    assert_eq!(legacy.text("input").trim(), "0", "nothing to read");
}

#[tokio::test]
async fn keys_without_an_end_are_announced_without_one_and_asked_for_again() {
    let legacy = Legacy::writing(r#"{"Version": 1, "AccessKeyId": "AKIA1", "SecretAccessKey": "s"}"#).await;
    let company = &legacy.company;
    let keys = company.keys_patiently("legacy").await.unwrap();
    assert!(keys.expiration.is_none() && keys.session_token.is_none() && keys.account_id.is_none());
    assert_eq!(company.report("legacy").await.state, EntryState::Live);
    company.pass(7 * MINUTE);
    company.keys_patiently("legacy").await.unwrap();
    assert_eq!(legacy.runs(), 1);
    legacy.write(r#"{"Version": 1, "AccessKeyId": "AKIA2", "SecretAccessKey": "s"}"#);
    company.pass(9 * MINUTE);
    assert_eq!(company.keys_patiently("legacy").await.unwrap().access_key_id, "AKIA2");
    assert_eq!(legacy.runs(), 2);
}

#[tokio::test]
async fn what_it_writes_wrongly_is_named_and_not_repeated() {
    let legacy = Legacy::writing("").await;
    for (output, words) in [
        ("", "wrote something that is no JSON object"),
        ("Welcome to hidden!", "wrote something that is no JSON object"),
        (&*GOOD.replace("\"Version\": 1", "\"Version\": \"1\""), "wrote no `\"Version\": 1`"),
        (&*GOOD.replace("\"AKIALEGACY\"", "null"), "wrote no usable `AccessKeyId`"),
        (&*GOOD.replace("\"hidden\"", "\"\""), "wrote no usable `SecretAccessKey`"),
        (&*GOOD.replace("000+0000", "000"), "wrote an `Expiration` that is no time"),
        (&*GOOD.replace("T09:00", "T07:59"), "gave keys that have ended already"),
        (&*format!("{}{GOOD}", " ".repeat(70_000)), "wrote more than 65536 bytes and was ended"),
    ] {
        legacy.write(output);
        let asked = Instant::now();
        let refusal = legacy.company.keys_patiently("legacy").await.unwrap_err();
        assert!(asked.elapsed() < Duration::from_secs(8), "{words}");
        assert_eq!(refusal.code, Code::ProviderUntrusted, "{output}");
        assert!(
            refusal.say.starts_with("the command of `aws.legacy` ") && refusal.say.contains(words),
            "{refusal}"
        );
        assert!(!refusal.say.contains("hidden") && refusal.hint.ends_with("/bin/sh"), "{refusal:?}");
        assert_eq!(legacy.company.report("legacy").await.state, EntryState::Refused);
        legacy.company.pass(A_MOMENT);
    }
    legacy.write(GOOD);
    legacy.company.keys_patiently("legacy").await.unwrap();
}

#[tokio::test]
async fn its_exit_code_is_named_and_what_it_says_beside_is_not() {
    let legacy = Legacy::new("echo hidden; echo hidden >&2; exit 3").await;
    let refusal = legacy.company.keys_patiently("legacy").await.unwrap_err();
    assert_eq!(refusal.say, "the command of `aws.legacy` ended with exit code 3");
    assert_eq!(refusal.hint, "run it in a terminal and see what it says: /bin/sh");
    assert_eq!(legacy.company.report("legacy").await.state, EntryState::Waiting);
    let legacy = Legacy::new("kill -9 $$").await;
    let refusal = legacy.company.keys_patiently("legacy").await.unwrap_err();
    assert_eq!(refusal.say, "the command of `aws.legacy` was killed");
}

#[tokio::test]
async fn one_that_is_not_there_is_named() {
    let config = "[aws.legacy]\ncommand = [\"/nowhere/creds\"]\n";
    let company = Company::with(config, |_| {}).await;
    let refusal = company.keys_patiently("legacy").await.unwrap_err();
    assert_eq!(refusal.code, Code::ConfigBroken);
    assert!(refusal.say.starts_with("the command of `aws.legacy` cannot be started ("), "{refusal}");
}

#[tokio::test]
async fn old_keys_are_better_than_none_while_it_fails() {
    let legacy = Legacy::new("[ -e output ] && cat output || exit 1").await;
    legacy.write(GOOD);
    legacy.company.keys_patiently("legacy").await.unwrap();
    std::fs::remove_file(legacy.at("output")).unwrap();
    legacy.company.pass(50 * MINUTE);
    assert_eq!(legacy.company.keys_patiently("legacy").await.unwrap().access_key_id, "AKIALEGACY");
    legacy.company.pass(11 * MINUTE);
    assert_eq!(legacy.company.keys_patiently("legacy").await.unwrap_err().code, Code::Offline);
}

#[tokio::test]
async fn one_that_hangs_is_ended_after_ten_seconds_with_all_that_it_has_started() {
    let legacy =
        Legacy::new("sleep 600 & echo $! >> ids; (sleep 601 & echo $! >> ids); echo $$ >> ids; sleep 602")
            .await;
    let asked = Instant::now();
    let refusal = legacy.company.keys_patiently("legacy").await.unwrap_err();
    assert!(
        (Duration::from_secs(10)..Duration::from_secs(20)).contains(&asked.elapsed()),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(refusal.code, Code::Offline);
    assert_eq!(refusal.say, "the command of `aws.legacy` has not answered within 10 seconds and was ended");
    assert_eq!(legacy.text("ids").lines().count(), 3);
    legacy.are_gone("ids").await;
}

#[tokio::test]
async fn what_it_leaves_behind_is_ended_however_it_ends() {
    for end in ["cat output", "exit 3", "kill -9 $$", "cat output output; yes hidden"] {
        let script = format!("sleep 600 > /dev/null 2>&1 & echo $! >> ids; {end}");
        let legacy = Legacy::new(&script).await;
        legacy.write(GOOD);
        let given = legacy.company.keys_patiently("legacy").await;
        assert_eq!(given.is_ok(), end == "cat output", "{end}");
        assert_eq!(legacy.text("ids").lines().count(), 1, "{end}");
        legacy.are_gone("ids").await;
    }
}

#[tokio::test]
async fn an_agent_that_ends_ends_it() {
    let legacy = Legacy::new("echo $$ >> ids; sleep 600").await;
    let (agent, entry) = (legacy.company.agent.clone(), legacy.company.entry("legacy"));
    // A runtime of its own, which ends under the flight.
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.spawn(async move {
            entry.source.aws_credentials(&agent, &entry, &keyfob_agent::policy::Permit::of_a_test()).await
        });
        runtime.block_on(ended).unwrap();
        runtime.shutdown_background();
    });
    legacy.has("ids").await;
    end.send(()).unwrap();
    legacy.are_gone("ids").await;
    thread.join().unwrap();
}

fn link(process: u32, role: Role) -> Link {
    Link { process, path: "/bin/sh".into(), file: None, is_replaced: false, is_attested: true, role }
}

#[tokio::test]
async fn a_command_that_asks_for_its_own_keys_is_refused() {
    let more = "[aws.behind]\nsource = \"legacy\"\nrole_arn = \"arn:aws:iam::123456789012:role/x\"\n\
        [aws.other]\ncommand = [\"/bin/echo\", '{\"Version\": 1, \"AccessKeyId\": \"OTHER\", \"SecretAccessKey\": \"s\"}']\n";
    let legacy = Legacy::with("echo $$ >> id; until [ -e go ]; do sleep 0.02; done; cat output", more).await;
    legacy.write(GOOD);
    let (agent, entry) = (legacy.company.agent.clone(), legacy.company.entry("legacy"));
    let asking = tokio::spawn(async move {
        entry.source.aws_credentials(&agent, &entry, &keyfob_agent::policy::Permit::of_a_test()).await
    });
    legacy.has("id").await;
    let id: u32 = legacy.text("id").trim().parse().unwrap();
    // As the system would tell of it: `keyfob` below the script, below the agent.
    let own = || {
        Asker::behind(Staged::of([
            link(u32::MAX, Role::Keyfob),
            link(id, Role::Program),
            link(std::process::id(), Role::Program),
        ]))
    };
    let ask =
        |name: &str| ToolAsk::CredentialProcess { name: name.to_owned(), role_arn: None, task_role: false };
    let agent = &legacy.company.agent;
    for name in ["legacy", "behind"] {
        let asked = Instant::now();
        let refusal = agent.tool_of(ask(name), &own()).await.unwrap_err();
        assert_eq!(refusal.code, Code::NotAllowed, "{refusal}");
        let say = format!("the command of `aws.legacy` asks for `aws.{name}`, which waits for that command");
        assert_eq!(refusal.say, say);
        assert!(asked.elapsed() < Duration::from_secs(1));
    }
    // Another entry is its good right, and somebody else only waits.
    agent.tool_of(ask("other"), &own()).await.unwrap();
    let stranger =
        Asker::behind(Staged::of([link(u32::MAX, Role::Keyfob), link(u32::MAX - 1, Role::Program)]));
    let waiting = agent.tool_of(ask("legacy"), &stranger).await.unwrap_err();
    assert_eq!(waiting.code, Code::Pending, "{waiting}");
    std::fs::write(legacy.at("go"), "").unwrap();
    asking.await.unwrap().unwrap();
    // Once it has ended, its number says nothing.
    agent.tool_of(ask("legacy"), &own()).await.unwrap();
}

#[tokio::test]
async fn commands_that_wait_for_each_other_are_told_at_once() {
    let script = "echo $$ >> id; until [ -e go ]; do sleep 0.02; done; cat output";
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let config: String = [("one", &one), ("other", &other)]
        .map(|(name, folder)| {
            let path = folder.path().join("creds");
            std::fs::write(&path, format!("cd '{}'\n{script}\n", folder.path().display())).unwrap();
            std::fs::write(folder.path().join("output"), GOOD).unwrap();
            format!("[aws.{name}]\ncommand = [\"/bin/sh\", '{}']\n", path.display())
        })
        .concat();
    let company = Company::with(&config, |_| {}).await;
    let read = |folder: &TempDir| std::fs::read_to_string(folder.path().join("id")).unwrap_or_default();
    let below = |folder: &TempDir| {
        let id: u32 = read(folder).trim().parse().unwrap();
        Asker::behind(Staged::of([link(u32::MAX, Role::Keyfob), link(id, Role::Program)]))
    };
    let ask =
        |name: &str| ToolAsk::CredentialProcess { name: name.to_owned(), role_arn: None, task_role: false };
    let stranger = Asker::behind(Staged::of([link(u32::MAX, Role::Keyfob)]));
    let agent = company.agent.clone();
    let first_ask = ask("one");
    let first = tokio::spawn(async move { agent.tool_of(first_ask, &stranger).await });
    eventually("the first runs", async || read(&one).ends_with('\n')).await;
    let (agent, asker, second_ask) = (company.agent.clone(), below(&one), ask("other"));
    let second = tokio::spawn(async move { agent.tool_of(second_ask, &asker).await });
    eventually("the second runs", async || read(&other).ends_with('\n')).await;
    let asked = Instant::now();
    let refusal = company.agent.tool_of(ask("one"), &below(&other)).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(1), "{refusal}");
    assert_eq!(refusal.code, Code::NotAllowed, "{refusal}");
    assert_eq!(refusal.say, "the command of `aws.other` asks for `aws.one`, which waits for that command");
    for folder in [&one, &other] {
        std::fs::write(folder.path().join("go"), "").unwrap();
    }
    // Slow ones are pending, as ever.
    for asking in [first, second] {
        assert!(asking.await.unwrap().map_or_else(|refusal| refusal.code == Code::Pending, |_| true));
    }
    eventually("nothing runs", async || company.agent.commands.is_idle()).await;
}

#[tokio::test]
async fn another_version_of_the_agent_waits_while_it_runs() {
    let legacy = Legacy::new("echo $$ >> id; until [ -e go ]; do sleep 0.02; done; cat output").await;
    legacy.write(GOOD);
    let rooms = keyfob_agent::door::Rooms::within(256);
    let is_quiet = || keyfob_agent::upgrade::is_quiet(&legacy.company.agent, &rooms);
    assert!(is_quiet(), "the control: nothing else is in the middle");
    let (agent, entry) = (legacy.company.agent.clone(), legacy.company.entry("legacy"));
    let asking = tokio::spawn(async move {
        entry.source.aws_credentials(&agent, &entry, &keyfob_agent::policy::Permit::of_a_test()).await
    });
    legacy.has("id").await;
    assert!(!is_quiet());
    std::fs::write(legacy.at("go"), "").unwrap();
    asking.await.unwrap().unwrap();
    eventually("it is over", async || is_quiet()).await;
}

fn output(keys: &Keys) -> String {
    serde_json::json!({
        "Version": 1,
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key,
        "SessionToken": keys.session_token,
    })
    .to_string()
}

#[tokio::test]
async fn a_role_is_assumed_with_what_it_gives() {
    let more = format!(
        "[aws.b]\nsource = \"legacy\"\nrole_arn = \"{B}\"\nendpoint_url = \"STS\"\nsession_tags = {{ team = \"infra\" }}\n"
    );
    let legacy = Legacy::with("cat output", &more).await;
    let company = &legacy.company;
    let user = "arn:aws:iam::123456789012:user/legacy";
    company.sandbox.sts().set_role(role(B, &[user]));
    legacy.write(&output(&company.sandbox.sts().keys_of_user(user)));
    let keys = company.keys_patiently("b").await.unwrap();
    assert_eq!(keys.expiration.as_deref(), Some("2026-11-21T09:00:00Z"));
    let asked = company.counts().assumed[B].clone();
    assert_eq!((asked.by.as_str(), asked.session_name.as_str()), (user, "keyfob"));
    assert_eq!(asked.tags["team"], "infra");
    assert_eq!(company.report("b").await.state, EntryState::Live);
    assert_eq!(super::fact(company, "b", "hops").await, ["aws.legacy", "aws.b"]);

    // What it may not give is said by its own name, behind the hop.
    legacy.write("nothing");
    company.pass(2 * HOUR);
    let refusal = company.keys_patiently("b").await.unwrap_err();
    assert!(
        refusal.say.starts_with("`aws.b` is obtained with `aws.legacy`: the command of `aws.legacy` wrote"),
        "{refusal}"
    );
    // It leads to no role that nobody has written down.
    let config = company.agent.config().unwrap();
    let base = config.find("legacy", Ask::AwsCredentials).unwrap();
    let refusal = config.role_through(base, "arn:aws:iam::123456789012:role/z").unwrap_err();
    assert!(refusal.hint.contains("source = \"legacy\""), "{refusal:?}");
}
