//! Who may have what an entry gives: for every kind, through others, and at the moment when it leaves.

use std::sync::atomic::Ordering;

use keyfob_agent::asker::Asker;
use keyfob_agent::kind::KINDS;
use keyfob_agent::policy::Role;
use keyfob_ipc::reply::{EntryState, Reply};
use keyfob_ipc::{Code, Refusal, ToolAsk};

use crate::company::{CACHE, CLUSTER, CONFIG, Company};
use crate::programs::{Programs, Staged, allow, policy};

/// How an entry of each kind is asked for.
fn asks() -> Vec<(&'static str, ToolAsk)> {
    let ask = |kind: &str| match kind {
        "sso" => ("sso.okta", ToolAsk::Get { uri: CACHE.to_owned() }),
        "token" => ("token.aspect", ToolAsk::Get { uri: CLUSTER.to_owned() }),
        "aws" => ("aws.dev", keys_of("dev")),
        // It gives nothing itself: what it proves is what a role gets.
        "machine" => ("machine.ci", keys_of("deploy")),
        "outscale" => (crate::outscale::NAME, keys_of("monitoring")),
        "outerbounds" => ("outerbounds.prod", ToolAsk::Metaflow { name: "prod".to_owned() }),
        "secret" => ("secret.build", crate::secrets::wanted("build", None)),
        other => panic!("say here how an entry of the new kind `{other}` is asked for"),
    };
    KINDS.iter().map(|kind| ask(kind.name)).collect()
}

fn keys_of(name: &str) -> ToolAsk {
    ToolAsk::CredentialProcess { name: name.to_owned(), role_arn: None, task_role: false }
}

/// What the kinds have that need more than a person.
const MORE: &str = r#"
[machine.ci]

[aws.deploy]
machine = "ci"
role_arn = "arn:aws:iam::123456789012:role/OktaRole"
region = "eu-west-1"
endpoint_url = "STS"
"#;

/// A company that has an entry of every kind, in a job of GitHub.
async fn with_every_kind(config: &str) -> Company {
    let mut company = Company::with(config, |_| {}).await;
    company.in_job(crate::machine::github(&company));
    company.sign_in().await.unwrap();
    company.add_token("aspect", "aw_1").await.unwrap();
    let key = company.sandbox.outscale().add_user("monitoring", crate::outscale::RENEWAL, None);
    crate::outscale::add(&company, &key).await.unwrap();
    crate::outscale::keys(&company).await.unwrap();
    let key = company.sandbox.outerbounds().issue_key("ada@acme.test");
    company.add_token("prod", &company.sandbox.outerbounds().magic_string(&key)).await.unwrap();
    let both = [("SECRET_KEY1", "one"), ("SECRET_KEY2", "two")];
    crate::secrets::set(&company, &both).await.unwrap();
    company
}

/// Asks for an entry; how the answer went.
async fn ask(company: &Company, entry: &str, asker: &Asker) -> Result<(), Refusal> {
    let (_, ask) = asks().into_iter().find(|(name, _)| *name == entry).unwrap();
    match company.agent.tool_of(ask, asker).await? {
        Reply::Headers(headers) if headers.headers.is_empty() => panic!("{entry} gives nothing"),
        Reply::Headers(_) | Reply::AwsCredentials(_) | Reply::Secret(_) | Reply::Metaflow(_) => Ok(()),
        other => panic!("{entry} gives {other:?}"),
    }
}

async fn furnished() -> Company {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    company.add_token("aspect", "aw_1").await.unwrap();
    company
}

#[tokio::test]
async fn an_entry_of_any_kind_gives_nothing_to_whom_its_policy_does_not_allow() {
    let config =
        [CONFIG, MORE, crate::outscale::CONFIG, crate::outerbounds::CONFIG, crate::secrets::KEPT].concat();
    let company = with_every_kind(&config).await;
    let programs = Programs::new();
    for (entry, _) in asks() {
        company.configure(&config);
        // The controls: without a policy everybody gets it,
        for asker in [Asker::unknown(), programs.asker("stray")] {
            ask(&company, entry, &asker).await.unwrap();
        }
        for lines in [
            allow(&programs.path("terraform")),
            "confirm = 'first'".to_owned(),
            "confirm = 'always'".to_owned(),
        ] {
            company.configure(&format!("{config}{}", policy(entry, &lines)));
            let is_asked = lines.starts_with("confirm");
            let refused = ask(&company, entry, &programs.asker("stray")).await.unwrap_err();
            let expected = if is_asked { Code::ApprovalPending } else { Code::NotAllowed };
            assert_eq!(refused.code, expected, "{entry} {lines}: {refused:?}");
            for asker in nobodies(&programs) {
                let refused = ask(&company, entry, &asker).await.unwrap_err();
                assert_eq!(refused.code, Code::NotAllowed, "{entry} {lines}: {refused:?}");
            }
            // and with one, whom it names.
            let allowed = ask(&company, entry, &programs.asker("terraform")).await;
            assert_eq!(allowed.is_ok(), !is_asked, "{entry} {lines}: {allowed:?}");
        }
    }
}

/// Those of whom too little is known, with the allowed program's path all the same.
fn nobodies(programs: &Programs) -> Vec<Asker> {
    let usual = || [programs.link("keyfob"), programs.link("terraform")];
    let but = |place: usize, change: fn(&mut keyfob_agent::policy::Link)| {
        let mut links = usual();
        change(&mut links[place]);
        Asker::behind(Staged::of(links))
    };
    vec![
        Asker::unknown(),
        Asker::behind(Staged::of([])),
        Asker::behind(Staged::of([programs.link("keyfob")])),
        but(1, |link| link.is_attested = false),
        but(0, |link| link.is_attested = false),
        but(1, |link| link.is_replaced = true),
        but(1, |link| (link.file, link.is_attested) = (None, false)),
        but(0, |link| (link.role, link.file, link.is_attested) = (Role::Gone, None, false)),
    ]
}

#[tokio::test]
async fn what_is_obtained_through_an_entry_is_bound_by_its_policy_too() {
    let company = furnished().await;
    let programs = Programs::new();
    let (terraform, stray) = (programs.asker("terraform"), programs.asker("stray"));
    company.configure(&format!("{CONFIG}{}", policy("sso.okta", &allow(&programs.path("terraform")))));
    for entry in ["sso.okta", "aws.dev"] {
        ask(&company, entry, &terraform).await.unwrap();
        let refused = ask(&company, entry, &stray).await.unwrap_err();
        assert_eq!(refused.code, Code::NotAllowed);
        assert!(refused.hint.ends_with("to allow of [policy.\"sso.okta\"]"), "{refused:?}");
    }
    ask(&company, "token.aspect", &stray).await.unwrap();

    // Both must agree.
    let both = policy("sso.okta", &allow(&programs.path("terraform")))
        + &policy("aws.dev", &allow(&programs.path("stray")));
    company.configure(&format!("{CONFIG}{both}"));
    for asker in [&terraform, &stray] {
        assert_eq!(ask(&company, "aws.dev", asker).await.unwrap_err().code, Code::NotAllowed);
    }
    let together = Asker::behind(Staged::of([
        programs.link("keyfob"),
        programs.link("stray"),
        programs.link("terraform"),
    ]));
    ask(&company, "aws.dev", &together).await.unwrap();

    // The strictest word about asking counts, and what is asked for is what the person is asked about.
    company.configure(&format!(
        "{CONFIG}{}",
        policy("sso.okta", "confirm = 'always'") + &policy("aws.dev", "confirm = 'first'")
    ));
    let refused = ask(&company, "aws.dev", &terraform).await.unwrap_err();
    assert_eq!((refused.code, refused.hint.as_str()), (Code::ApprovalPending, "keyfob approve aws.dev"));
    let Ok(Reply::Questions(open)) = company.control(keyfob_ipc::ControlAsk::Questions).await else {
        panic!()
    };
    assert_eq!(
        (open[0].entry.as_str(), open[0].offers.as_slice()),
        ("aws.dev", &[keyfob_ipc::reply::Approval::Once][..])
    );
}

#[tokio::test]
async fn a_refusal_names_the_program_and_the_line_to_add() {
    let company = furnished().await;
    let programs = Programs::new();
    let script = programs.path("deploy");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    let absent = programs.path("absent");
    std::fs::remove_file(&absent).unwrap();
    let lines = format!(
        "allow = ['{}', '{}', '{}']",
        programs.path("terraform").display(),
        script.display(),
        absent.display()
    );
    company.configure(&format!("{CONFIG}{}", policy("token.aspect", &lines)));

    let stray = programs.path("stray");
    let refused = ask(&company, "token.aspect", &programs.asker("stray")).await.unwrap_err();
    let begin = format!("the policy of `token.aspect` does not allow `{}`", stray.display());
    assert!(refused.say.starts_with(&begin), "{refused:?}");
    assert!(refused.say.contains(&format!("`{}` in it is a script", script.display())), "{refused:?}");
    assert!(refused.say.contains(&format!("`{}` in it is not there", absent.display())), "{refused:?}");
    assert_eq!(
        refused.hint,
        format!("add {:?} to allow of [policy.\"token.aspect\"]", stray.to_str().unwrap())
    );

    let staged = programs.staged("terraform");
    staged.change(|links| links[1].is_replaced = true);
    let refused = ask(&company, "token.aspect", &Asker::behind(staged)).await.unwrap_err();
    let say = format!("`{}` was replaced while it ran", programs.path("terraform").display());
    assert_eq!((refused.say, refused.hint.as_str()), (say, "start it again"));

    let server = programs.staged("java");
    server.change(|links| links[1].role = Role::BazelServer("bazel(ws)".to_owned()));
    let server = Asker::behind(server);
    let refused = ask(&company, "token.aspect", &server).await.unwrap_err();
    assert_eq!(refused.hint, "add \"bazel-server\" to allow of [policy.\"token.aspect\"]");
    company.configure(&format!("{CONFIG}{}", policy("token.aspect", "allow = ['bazel-server']")));
    ask(&company, "token.aspect", &server).await.unwrap();
}

#[tokio::test]
async fn nobody_looks_at_programs_before_an_answer_that_needs_no_policy() {
    let company = furnished().await;
    let programs = Programs::new();
    company.configure(&format!("{CONFIG}{}", policy("token.aspect", &allow(&programs.path("terraform")))));
    let staged = programs.staged("terraform");
    let asker = Asker::behind(staged.clone());
    for entry in ["sso.okta", "aws.dev"] {
        ask(&company, entry, &asker).await.unwrap();
        assert!(asker.is_unchanged().await);
    }
    assert_eq!(staged.looks(), 0);
    ask(&company, "token.aspect", &asker).await.unwrap();
    assert_eq!(staged.looks(), 1);
    assert!(asker.is_unchanged().await);
    assert_eq!(staged.looks(), 2);
}

type Change = Box<dyn Fn(&mut Vec<keyfob_agent::policy::Link>)>;

#[tokio::test]
async fn a_program_that_runs_another_one_meanwhile_gets_nothing() {
    let company = furnished().await;
    let programs = Programs::new();
    company.configure(&format!("{CONFIG}{}", policy("token.aspect", &allow(&programs.path("terraform")))));
    let stray = programs.link("stray");
    let file = stray.file;
    let changes: [Change; 4] = [
        Box::new(move |links| links[1].file = file),
        Box::new(move |links| links[0].file = file),
        Box::new(|links| links[1].is_replaced = true),
        Box::new(|links| links.truncate(1)),
    ];
    for change in changes {
        let staged = programs.staged("terraform");
        let asker = Asker::behind(staged.clone());
        ask(&company, "token.aspect", &asker).await.unwrap();
        assert!(asker.is_unchanged().await);
        staged.change(|links| change(links));
        assert!(!asker.is_unchanged().await);
        // The control: where no policy has a say, nothing rests on it.
        ask(&company, "sso.okta", &asker).await.unwrap();
        assert!(asker.is_unchanged().await);
    }
    let staged = programs.staged("terraform");
    let asker = Asker::behind(staged.clone());
    ask(&company, "token.aspect", &asker).await.unwrap();
    // What stands behind the one that is allowed may come and go.
    staged.change(|links| links.push(stray.clone()));
    assert!(asker.is_unchanged().await);
    staged.is_alive.store(false, Ordering::Relaxed);
    assert!(!asker.is_unchanged().await);
}

#[tokio::test]
async fn an_edit_of_a_policy_counts_at_the_next_call_and_what_is_served_goes_on() {
    let company = furnished().await;
    let programs = Programs::new();
    let stray = programs.asker("stray");
    ask(&company, "sso.okta", &stray).await.unwrap();
    let calls = company.token_calls();
    company.configure(&format!("{CONFIG}{}", policy("sso.okta", &allow(&programs.path("terraform")))));
    assert_eq!(ask(&company, "sso.okta", &stray).await.unwrap_err().code, Code::NotAllowed);
    company.configure(CONFIG);
    ask(&company, "sso.okta", &stray).await.unwrap();
    assert_eq!(company.token_calls(), calls, "the lease is the same");
}

#[tokio::test]
async fn why_shows_what_the_policy_says_and_asks_nobody() {
    let company = furnished().await;
    let programs = Programs::new();
    let why = async |asker: &Asker| match company
        .agent
        .tool_of(ToolAsk::Why { subject: "aspect".to_owned() }, asker)
        .await
    {
        Ok(Reply::Why(why)) => *why,
        other => panic!("not a why: {other:?}"),
    };
    let terraform = programs.path("terraform");
    company.configure(&format!("{CONFIG}{}", policy("token.aspect", &allow(&terraform))));
    let allowed = why(&programs.asker("terraform")).await;
    assert_eq!(
        (allowed.refusal, allowed.say.as_str()),
        (None, "`token.aspect` answers, and its policy allows this program")
    );
    let facts = allowed.entry.unwrap().facts;
    assert_eq!((facts["allow"].as_str(), facts["confirm"].as_str()), (terraform.to_str().unwrap(), "never"));
    let refused = why(&programs.asker("bash")).await;
    assert_eq!(refused.entry.unwrap().state, EntryState::Live);
    assert_eq!(refused.refusal.unwrap().code, Code::NotAllowed);

    company.configure(&format!("{CONFIG}{}", policy("token.aspect", "confirm = 'first'")));
    let asked = why(&programs.asker("bash")).await.refusal.unwrap();
    assert_eq!((asked.code, asked.hint.as_str()), (Code::ApprovalPending, "keyfob approve token.aspect"));
    assert_eq!(company.agent.open_questions(), 0);

    // What stands in everybody's way is said first.
    company.remove_token("aspect").await.unwrap();
    assert_eq!(why(&programs.asker("bash")).await.refusal.unwrap().code, Code::TokenNeeded);
}

#[tokio::test]
async fn a_policy_that_would_guard_nothing_is_an_error_with_its_line() {
    let company = Company::open().await;
    let check = async |text: &str| {
        company.configure(&format!("{text}{CONFIG}"));
        match company.control(keyfob_ipc::ControlAsk::ConfigCheck).await {
            Ok(Reply::Config(report)) => report.errors,
            other => panic!("not a report: {other:?}"),
        }
    };
    for (text, expected) in [
        (
            "[policy.\"token.aspekt\"]\n",
            "line 1: policy: there is no entry `token.aspekt`; did you mean [policy.\"token.aspect\"]?",
        ),
        (
            "[policy.token.aspect]\n",
            "line 1: policy: there is no entry `token`; the name stands in quotation marks: [policy.\"token.name\"]",
        ),
        ("[policy.\"ssh.key\"]\n", "line 1: policy: there is no entry `ssh.key`"),
        (
            "[policy.\"token.aspect\"]\nallow = []\n",
            "line 2: policy.\"token.aspect\": an empty `allow` names nobody; leave it out to allow every program",
        ),
        (
            "[policy.\"token.aspect\"]\nallow = [\n  'terraform']\n",
            "line 3: policy.\"token.aspect\": `terraform` is not the absolute path of a program; write \"/usr/bin/terraform\" or \"bazel-server\"",
        ),
        (
            "[policy.\"token.aspect\"]\nallow = ['/']\n",
            "line 2: policy.\"token.aspect\": `/` is not the absolute path of a program; write \"/usr/bin/terraform\" or \"bazel-server\"",
        ),
        (
            "[policy.\"token.aspect\"]\nallow = 'bazel-server'\n",
            "line 2: policy.\"token.aspect\": here stands a list, such as [\"one\", \"two\"]",
        ),
        (
            "[policy.\"token.aspect\"]\nalow = []\n",
            "line 2: unknown key `policy.\"token.aspect\".alow`; did you mean `allow`?",
        ),
        (
            "[policy.\"token.aspect\"]\nconfirm = 'twice'\n",
            "line 2: policy.\"token.aspect\": `twice` is not known here; known: `never`, `first`, `always`",
        ),
        ("policy = 1\n", "line 1: `policy` holds a table for each entry; write [policy.\"kind.name\"]"),
    ] {
        #[cfg(windows)]
        let expected = expected.replace("\"/usr/bin/terraform\"", "'C:\\Programs\\terraform.exe'");
        assert_eq!(check(text).await, [expected], "{text}");
    }
    let many = (0..65).map(|number| format!("'/bin/p{number}'")).collect::<Vec<_>>().join(", ");
    let problems = check(&format!("[policy.\"token.aspect\"]\nallow = [{many}]\n")).await;
    assert_eq!(problems, ["line 2: policy.\"token.aspect\": `allow` has 65 programs; at most 64"]);
    let good = "[policy.\"token.aspect\"]\nallow = ['bazel-server', '/usr/bin/terraform']\nconfirm = 'always'\n[policy.\"aws.dev\"]\n";
    assert_eq!(check(good).await, Vec::<String>::new());
    // A file with such an error leaves the one before it in force.
    check("[policy.\"token.aspekt\"]\n").await;
    assert_eq!(company.report("aspect").await.facts["confirm"], "always");
}
