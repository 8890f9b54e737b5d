//! The name service: gone, back, and silent.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use keyfob_e2e::real::together;
use keyfob_e2e::{Company, MEMORY, PATIENCE, Stage, run, start, token, wait_for};
use keyfob_sandbox::{IssuerOptions, Options};

use crate::apart::Apart;
use crate::{ANSWER, ASPECT, HOST, SESSION, VALUE, header, refused};

const LOCALHOST: &str = "127.0.0.1 localhost\n";

/// Passes connections on, and can cut all of them: who has one asks nobody for a name.
struct Front {
    port: u16,
    to: Arc<OnceLock<String>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Front {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let front = Self { port, to: Arc::default(), open: Arc::default() };
        let (to, open) = (Arc::clone(&front.to), Arc::clone(&front.open));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Some(Ok(server)) = to.get().map(TcpStream::connect) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { continue };
                    thread::spawn(move || {
                        // Either side may hang up as it likes.
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                open.lock().unwrap_or_else(PoisonError::into_inner).extend([client, server]);
            }
        });
        front
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may be gone.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn without_a_name_service_nobody_is_signed_out_and_it_goes_on_once_it_is_back() {
    let _turn = together();
    let front = Front::start();
    let issuer = IssuerOptions {
        access_token_seconds: 1,
        public_url: Some(format!("http://localhost:{}", front.port)),
        ..IssuerOptions::default()
    };
    let company = Company::with(Options { issuer, ..Options::default() });
    let base = company.addresses().issuer_base.replace("http://", "");
    front.to.set(base).expect("it is set once");
    let config = [MEMORY, &company.sso("okta", "*.cache.acme.dev"), &token("aspect", HOST)].concat();
    let apart = Apart::with_names_of_its_own(&config);
    apart.set_names(LOCALHOST);
    let mut login = apart.keyfob(&["login", "okta"]);
    login.env("BROWSER", Stage::get().bin("keyfob-sandbox-browser"));
    run(login, "").ok();
    apart.run(&["token", "add", "aspect"], VALUE).ok();
    let agent = apart.profile.agent_pid();

    apart.set_names("");
    front.cut();
    let mut output = apart.get(SESSION);
    wait_for("the end of the first token", PATIENCE, || {
        output = apart.get(SESSION);
        output.code != 0
    });
    let hint = "check the network or the VPN, then try again";
    refused(output, 1, &["http://localhost:", "cannot be reached"], hint);
    let status = apart.run(&["status", "--json"], "").ok().json();
    let session =
        status["entries"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "sso.okta"));
    assert_eq!(session.expect("it is there")["state"], "waiting");
    assert_eq!(header(apart.get(ASPECT), "X-Aspect"), VALUE);

    apart.set_names(LOCALHOST);
    wait_for("an answer once names are found again", PATIENCE, || apart.get(SESSION).code == 0);
    assert_eq!(apart.profile.agent_pid(), agent, "without a restart");
    assert_eq!(company.counts().grant("authorization_code"), 1, "nobody signed in again");
}

#[test]
fn a_name_service_that_does_not_answer_holds_no_tool_up() {
    let _turn = together();
    let far = "[sso.far]\nissuer = \"https://issuer.acme.test\"\nclient_id = \"keyfob\"\n";
    let apart = Apart::with_a_silent_name_service(&[MEMORY, far, &token("aspect", HOST)].concat());
    apart.run(&["token", "add", "aspect"], VALUE).ok();
    let mut login = apart.keyfob(&["login", "far"]);
    login.env("BROWSER", "/bin/false");
    let login = start(login, "");
    // Also while somebody waits for a name.
    for _ in 0..5 {
        let output = apart.get(ASPECT);
        assert!(output.took < ANSWER, "{output:?}");
        assert_eq!(header(output, "X-Aspect"), VALUE);
    }
    let output = login.output(PATIENCE).exits(1);
    let said = "https://issuer.acme.test cannot be reached in time";
    assert!(output.stderr.contains(said) && output.stderr.contains("check the network"), "{output:?}");
}
