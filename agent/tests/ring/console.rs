//! The AWS console in the browser: who gets the link that signs in, and who does not.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use keyfob_agent::asker::Asker;
use keyfob_agent::ledger::Deed;
use keyfob_ipc::reply::Reply;
use keyfob_ipc::{Code, ControlAsk, Refusal};
use keyfob_sandbox::{Endpoint, Fault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::company::{CONFIG, Company, MINUTE, eventually};
use crate::person::{Person, Seen};
use crate::programs::{Programs, allow, policy};

/// A limit of the tests themselves.
const SOON: Duration = Duration::from_secs(10);

/// `[aws.dev]` comes last in it.
fn config() -> String {
    format!("{CONFIG}signin_url = \"SIGNIN\"\n")
}

struct Stage {
    company: Company,
    programs: Programs,
}

impl Stage {
    async fn signed_in() -> Self {
        let company = Company::with(&config(), |_| {}).await;
        company.sign_in().await.unwrap();
        Self { company, programs: Programs::new() }
    }

    fn ask(&self, mut person: Person, asker: Asker, page: Option<&str>) -> Asking {
        let (agent, page) = (self.company.agent.clone(), page.map(str::to_owned));
        tokio::spawn(async move {
            let mut deed = Deed::new("aws-console");
            agent.aws_console("dev", page.as_deref(), &asker, &mut person, &mut deed).await
        })
    }

    /// How it ends for a person whose browser opens what it is given.
    async fn open(&self, page: Option<&str>) -> (Result<Reply, Refusal>, Seen) {
        let (person, seen) = Person::who_opens_the_browser();
        let asking = self.ask(person, self.programs.asker("bash"), page);
        (timeout(SOON, asking).await.expect("it ends").unwrap(), seen)
    }

    /// The address on this machine, not visited by anybody yet.
    async fn offered(&self) -> (Asking, Seen, Address) {
        let (person, mut seen) = Person::who_waits();
        let asking = self.ask(person, self.programs.asker("bash"), None);
        let address = Address::of(&timeout(SOON, seen.address()).await.expect("an address comes"));
        (asking, seen, address)
    }

    async fn refused(&self, page: Option<&str>) -> Refusal {
        let (answer, mut seen) = self.open(page).await;
        assert!(seen.was_left_alone(), "nothing was handed out");
        answer.unwrap_err()
    }
}

type Asking = JoinHandle<Result<Reply, Refusal>>;

struct Address {
    host: String,
    path: String,
}

impl Address {
    fn of(url: &str) -> Self {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Self { host: host.to_owned(), path: format!("/{path}") }
    }

    /// The one request that gets the link.
    fn genuine(&self) -> String {
        format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.path, self.host)
    }

    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut all = String::new();
        timeout(SOON, stream.read_to_string(&mut all)).await.expect("the connection ends").unwrap();
        all
    }

    async fn is_closed(&self) {
        eventually("the listener is gone", async || {
            TcpStream::connect(&self.host)
                .await
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        })
        .await;
    }
}

#[tokio::test]
async fn the_console_opens_as_the_role_and_the_keys_are_in_no_address() {
    let stage = Stage::signed_in().await;
    let (answer, mut seen) = stage.open(Some("/ec2/home")).await;
    let Ok(Reply::Done { say }) = answer else { panic!("{answer:?}") };
    assert_eq!(say, "the browser was sent to the AWS console as `aws.dev`");
    let address = seen.address().await;
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    assert_eq!(Address::of(&address).path.len(), 1 + 64, "256 bits");
    let page = seen.page().await;
    assert!(page.body.contains("assumed-role/OktaRole/ada@example.com"), "{}", page.body);
    let console = stage.company.sandbox.console();
    let [visit] = console.visits().try_into().unwrap();
    assert_eq!(visit.destination, "https://console.aws.amazon.com/ec2/home?region=eu-west-1");
    assert_eq!((visit.referer, console.keys_in_addresses()), (None, 0));
    assert_eq!(stage.company.counts().arrived(Endpoint::Console), 2);
}

/// Gives the link to whoever asks for it, as often as they ask: what the listener would be without its checks.
async fn careless_twin() -> Address {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = Address { host: listener.local_addr().unwrap().to_string(), path: "/console".to_owned() };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 303 See Other\r\nLocation: SigninToken=x\r\n\r\n").await;
        }
    });
    address
}

/// What somebody sends who is not the person's browser on its way from us.
fn attacks(address: &Address) -> Vec<String> {
    let Address { host, path } = address;
    let with = |line: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{line}\r\n\r\n");
    let port = host.rsplit(':').next().unwrap();
    vec![
        with("Origin: https://evil.example"),
        with("Origin: null"),
        with("X-Forwarded-For: 198.51.100.1"),
        with("Forwarded: for=198.51.100.1"),
        with("Host: evil.example"),
        format!("GET {path} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
        format!("GET {path} HTTP/1.0\r\n\r\n"),
        format!("HEAD {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"),
        format!("GET {path}?x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET {path}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "0".repeat(64)),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ]
}

#[tokio::test]
async fn whoever_is_not_the_browser_on_its_way_gets_no_link_and_uses_nothing_up() {
    let stage = Stage::signed_in().await;
    let (asking, _seen, address) = stage.offered().await;
    for attack in attacks(&address) {
        let answer = address.send(&attack).await;
        assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"), "{attack}\n{answer}");
        assert!(!answer.contains("Location") && !answer.contains("Signin"), "{attack}\n{answer}");
    }
    assert!(!asking.is_finished());
    let answer = address.send(&address.genuine()).await;
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    for part in ["location: http", "SigninToken=", "referrer-policy: no-referrer", "cache-control: no-store"]
    {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    asking.await.unwrap().unwrap();

    // The control: each of them gets it from a listener without these checks.
    let twin = careless_twin().await;
    for attack in attacks(&twin) {
        assert!(twin.send(&attack).await.contains("SigninToken"), "{attack}");
    }
}

#[tokio::test]
async fn the_second_visitor_is_told_that_somebody_was_faster() {
    let stage = Stage::signed_in().await;
    let (asking, _seen, address) = stage.offered().await;
    assert!(address.send(&address.genuine()).await.contains("SigninToken="));
    asking.await.unwrap().unwrap();
    for _ in 0..3 {
        let answer = address.send(&address.genuine()).await;
        assert!(answer.starts_with("HTTP/1.1 410 "), "{answer}");
        assert!(answer.contains("was used already") && answer.contains("Revoke sessions"), "{answer}");
        assert!(!answer.contains("SigninToken"), "{answer}");
    }
    // Not for ever.
    stage.company.pass(MINUTE);
    address.is_closed().await;

    let twin = careless_twin().await;
    for _ in 0..2 {
        assert!(twin.send(&twin.genuine()).await.contains("SigninToken"));
    }
}

#[tokio::test]
async fn many_at_once_get_one_link() {
    let stage = Stage::signed_in().await;
    let (asking, _seen, address) = stage.offered().await;
    let address = Arc::new(address);
    let visits: Vec<_> = (0..40)
        .map(|_| {
            let address = Arc::clone(&address);
            tokio::spawn(async move { address.send(&address.genuine()).await })
        })
        .collect();
    let mut links = 0;
    for visit in visits {
        links += usize::from(visit.await.unwrap().contains("SigninToken="));
    }
    assert_eq!(links, 1);
    asking.await.unwrap().unwrap();
}

#[tokio::test]
async fn other_users_who_come_and_say_nothing_do_not_keep_the_browser_out() {
    let stage = Stage::signed_in().await;
    let (asking, _seen, address) = stage.offered().await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(&address.host).await.unwrap());
    }
    assert!(address.send(&address.genuine()).await.contains("SigninToken="));
    asking.await.unwrap().unwrap();
    // Nor does one of them stay, with nobody to make room for.
    let mut last = silent.pop().unwrap();
    let ended = timeout(Duration::from_secs(4), last.read(&mut [0])).await;
    assert!(ended.is_ok(), "it is let go after a second");
}

#[tokio::test]
async fn an_address_to_which_nobody_comes_is_closed_after_a_minute() {
    let stage = Stage::signed_in().await;
    let (asking, _seen, address) = stage.offered().await;
    stage.company.pass(MINUTE - Duration::from_secs(1));
    assert!(!asking.is_finished());
    // The control: so long it is there.
    TcpStream::connect(&address.host).await.unwrap();
    stage.company.pass(Duration::from_secs(1));
    let refusal = timeout(SOON, asking).await.expect("it ends").unwrap().unwrap_err();
    assert_eq!((refusal.code, refusal.hint.as_str()), (Code::CalledOff, "keyfob aws console dev"));
    address.is_closed().await;
}

#[tokio::test]
async fn a_client_that_leaves_and_a_lock_take_the_way_away() {
    let stage = Stage::signed_in().await;
    let (asking, seen, address) = stage.offered().await;
    seen.leave();
    assert_eq!(asking.await.unwrap().unwrap_err().code, Code::CalledOff);
    address.is_closed().await;

    let (asking, _seen, address) = stage.offered().await;
    // A connection that was there before the lock gets nothing after it.
    let mut waiting = TcpStream::connect(&address.host).await.unwrap();
    stage.company.control(ControlAsk::Lock).await.unwrap();
    // It may be put out before it is read.
    let _ = waiting.write_all(address.genuine().as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, waiting.read_to_end(&mut answer)).await.expect("the connection ends");
    assert!(!String::from_utf8_lossy(&answer).contains("Signin"));
    assert_eq!(asking.await.unwrap().unwrap_err().code, Code::Locked);
    address.is_closed().await;
    assert_eq!(stage.refused(None).await.code, Code::Locked);
    assert!(stage.company.sandbox.console().visits().is_empty());
}

#[tokio::test]
async fn a_policy_of_the_role_counts_here_too() {
    let stage = Stage::signed_in().await;
    let terraform = allow(&stage.programs.path("terraform"));
    stage.company.configure(&format!("{}{}", config(), policy("aws.dev", &terraform)));
    assert_eq!(stage.refused(None).await.code, Code::NotAllowed);
    stage.company.configure(&format!("{}{}", config(), policy("aws.dev", "confirm = 'first'")));
    assert_eq!(stage.refused(None).await.code, Code::ApprovalPending);
    assert_eq!(stage.company.counts().arrived(Endpoint::Console), 0);
    assert_eq!(stage.company.sts_calls(), 0);

    let bash = allow(&stage.programs.path("bash"));
    stage.company.configure(&format!("{}{}", config(), policy("aws.dev", &bash)));
    stage.open(None).await.0.unwrap();
}

#[tokio::test]
async fn whoever_was_permitted_and_is_another_program_by_now_gets_nothing() {
    let stage = Stage::signed_in().await;
    let lines = allow(&stage.programs.path("bash"));
    stage.company.configure(&format!("{}{}", config(), policy("aws.dev", &lines)));
    let staged = stage.programs.staged("bash");
    stage.company.faults().set_times(Endpoint::Console, Fault::Slow(Duration::from_millis(400)), 1);
    let (person, mut seen) = Person::who_waits();
    let asking = stage.ask(person, Asker::behind(staged.clone()), None);
    eventually("AWS is asked", async || stage.company.counts().arrived(Endpoint::Console) == 1).await;
    let file = stage.programs.link("stray").file;
    staged.change(|links| links[1].file = file);
    assert_eq!(asking.await.unwrap().unwrap_err().code, Code::CalledOff);
    assert!(seen.was_left_alone());
}

#[tokio::test]
async fn what_has_no_console_is_refused_in_words() {
    let stage = Stage::signed_in().await;
    let others = "[aws.legacy]\ncommand = [\"/bin/cat\", \"/nowhere\"]\n\
                  [outscale.monitoring]\nregion = \"eu-west-2\"\nuser = \"monitoring\"\n";
    stage.company.configure(&format!("{}{others}", config()));
    for name in ["okta", "token.aspect", "absent", "aws.legacy", "outscale.monitoring"] {
        let (mut person, _seen) = Person::who_waits();
        let asker = stage.programs.asker("bash");
        let refusal = stage
            .company
            .agent
            .aws_console(name, None, &asker, &mut person, &mut Deed::default())
            .await
            .unwrap_err();
        assert_eq!(refusal.code, Code::UnknownEntry, "{refusal}");
    }
    for page in ["https://evil.example/", "//evil.example", "https://console.aws.amazon.com.evil.example/"] {
        assert_eq!(stage.refused(Some(page)).await.code, Code::BadRequest);
    }
    assert_eq!(stage.company.counts().arrived(Endpoint::Console), 0);
}

#[tokio::test]
async fn an_endpoint_that_does_not_play_along_is_named_and_nothing_of_the_keys_is_repeated() {
    let stage = Stage::signed_in().await;
    let keys = stage.company.keys("dev").await.unwrap();
    for (fault, code) in [
        (Fault::Status(400), Code::RoleRefused),
        (Fault::Status(403), Code::RoleRefused),
        (Fault::Status(503), Code::Offline),
        (Fault::Status(302), Code::RoleRefused),
        (Fault::Html, Code::ProviderUntrusted),
        (Fault::Endless, Code::ProviderUntrusted),
        (Fault::Reset, Code::Offline),
    ] {
        stage.company.faults().set_times(Endpoint::Console, fault.clone(), 1);
        let refusal = stage.refused(None).await;
        assert_eq!(refusal.code, code, "{fault:?}: {refusal}");
        let text = format!("{refusal:?}");
        let session_token = keys.session_token.as_ref().unwrap().expose();
        for secret in [keys.access_key_id.as_str(), keys.secret_access_key.expose(), session_token] {
            assert!(!text.contains(secret));
        }
    }
    stage.open(None).await.0.unwrap();
}

#[tokio::test]
async fn another_place_for_the_keys_waits_for_the_persons_word() {
    let company = Company::open().await;
    company.sign_in().await.unwrap();
    let stage = Stage { company, programs: Programs::new() };
    stage.company.configure(&config());
    assert_eq!(stage.refused(None).await.code, Code::DestinationChanged);
    let changes = stage.company.changes().await;
    let signin_url = &stage.company.sandbox.addresses().signin_url;
    let origin = signin_url.trim_end_matches("/federation");
    assert!(changes[0].places.iter().any(|place| place.contains(origin)), "{changes:?}");
    stage.company.confirm(Some(changes)).await.unwrap();
    stage.open(None).await.0.unwrap();
}
