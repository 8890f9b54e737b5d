//! What logind did not say, says late, or does not say at all.

use super::*;

/// A session of which nothing can be learned.
enum Odd {
    Silent,
    Refuses,
}

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Odd {
    #[zbus(property)]
    async fn user(&self) -> zbus::fdo::Result<(u32, OwnedObjectPath)> {
        match self {
            Self::Silent => std::future::pending().await,
            Self::Refuses => Err(zbus::fdo::Error::AccessDenied("no".to_owned())),
        }
    }
}

const ODD: &str = "/org/freedesktop/login1/session/_33";

async fn desk_with(odd: Odd) -> (Desk, Logind) {
    let desk = Desk::new("[\"screen\", \"sleep\"]").await;
    let logind = Logind::start(&desk.bus).await;
    logind.bus.object_server().at(ODD, odd).await.unwrap();
    logind.is_listened_to(1).await;
    (desk, logind)
}

/// An agent that begins while the screen is locked, or not.
async fn begins_behind(is_locked: bool, lock_on: &str) -> Desk {
    let bus = Bus::start();
    let logind = Logind::start(&bus).await;
    logind.is_locked.store(is_locked, Ordering::Relaxed);
    let company = Company::with(&config(lock_on), |_| {}).await;
    company.add_token("aspect", "aw_1").await.unwrap();
    let listening = tokio::spawn(company.agent.clone().lock_with_the_desktop(SystemBus(bus.socket())));
    let desk = Desk { company, bus, listening };
    logind.is_listened_to(1).await;
    logind.is_understood().await;
    desk
}

#[tokio::test]
async fn an_agent_that_begins_behind_a_locked_screen_is_locked() {
    let desk = begins_behind(true, "[\"screen\", \"sleep\"]").await;
    desk.is_locked_by(LockedBy::Screen).await;
    // Control: not where the screen is open, nor where the screen is not asked for.
    for (is_locked, lock_on) in [(false, "[\"screen\", \"sleep\"]"), (true, "[\"sleep\"]")] {
        assert_eq!(begins_behind(is_locked, lock_on).await.locked_by(), None);
    }
}

#[tokio::test]
async fn a_session_of_which_nothing_is_told_may_be_ours() {
    let (desk, logind) = desk_with(Odd::Refuses).await;
    logind.session(ODD, "Lock").await;
    desk.is_locked_by(LockedBy::Screen).await;
}

#[tokio::test]
async fn sleep_waits_for_no_session_and_for_no_flood() {
    let (desk, logind) = desk_with(Odd::Silent).await;
    let stranger = desk.bus.connect().await;
    for _ in 0..500 {
        logind.session(ODD, "Lock").await;
        logind.locked_hint(FOREIGN, true).await;
        stranger.emit_signal(None::<&str>, OWN, SESSION, "Lock", &()).await.unwrap();
    }
    logind.sleep(true).await;
    eventually("it is locked", async || desk.locked_by().is_some()).await;
    // A session that cannot be told whose it is locks, too, but only once logind has had its time.
    assert_eq!(desk.locked_by(), Some(LockedBy::Sleep));
    eventually("the machine may sleep", async || logind.is_released()).await;
}
