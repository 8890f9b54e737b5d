//! What a tool gets for a while. Leases live in memory only, and never outlive the holding that bought them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::Secret;

use crate::clock::{after, before};
use crate::config::EntryName;
use crate::holdings::Gate;
use crate::kind::Settings;
use crate::upstream::signed::SigningKeys;

/// What is handed out is good for at least this long.
pub const MARGIN: Duration = Duration::from_secs(60);

/// A clock is put right by this much without a word. Set back by more, it says nothing about what was bought before.
const SET_BACK: Duration = Duration::from_secs(60);

/// A tool caches at most this long, so that a rotation or a sign-out is noticed by a running build.
pub const CACHE: Duration = Duration::from_secs(10 * 60);

/// AWS SDKs run the process again on *every* call with 15 minutes or less left (facts of botocore), so renewal
/// begins at twenty.
const AWS_RENEW: Duration = Duration::from_secs(20 * 60);
const AWS_PREFER: Duration = Duration::from_secs(15 * 60);
/// An SSO access token is renewed in the background this long before its end.
const SESSION_RENEW: Duration = Duration::from_secs(5 * 60);

/// Values of a secret are as good as new for this long: many tasks that begin together make one call, and a value that somebody
/// has changed is in use soon.
const SECRET_SERVES: Duration = Duration::from_secs(5 * 60);
/// So long they are there for when AWS is out of reach.
const SECRET_KEPT: Duration = Duration::from_secs(3600);
/// The same for the configuration of a deployment.
const CONFIG_KEPT: Duration = Duration::from_secs(12 * 3600);

/// A new lease is not replaced for this long, however little life it was given: where this machine's clock is wrong, every
/// lease looks like an old one, and the service must not be asked at each call.
const REST: Duration = Duration::from_secs(10);
/// A lease with less than this left is no use to anybody.
const LAST: Duration = Duration::from_secs(1);

/// A short-lived credential, with the moments that decide about it.
#[derive(Debug)]
pub struct Lease {
    /// What it is.
    pub body: Body,
    /// When it was bought.
    pub since: Timestamp,
    /// From here on it is renewed in the background, and served meanwhile.
    pub renew_from: Timestamp,
    /// From here on a caller waits for the new one, and gets this one only if that fails.
    pub prefer_until: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// What is known of AWS keys beside the keys.
    pub about: About,
    used: AtomicBool,
    /// The epoch of the holding that it was bought with ([`crate::holdings::Holdings::epoch`]), where that matters.
    epoch: Option<u64>,
}

/// What is known of AWS keys beside the keys, by whoever gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// They have no end of their own: the lease ends only so that another program is asked again.
    pub is_endless: bool,
    /// Their account, where the role does not say it.
    pub account: Option<String>,
    /// Session tags that the ID token brought along: `team=infra`.
    pub session_tags: Vec<String>,
    /// The session that was configured, where AWS gives none so long.
    pub capped: Option<Duration>,
    /// What Outerbounds chose, where it is no matter of the configuration.
    pub chosen: Option<Chosen>,
}

/// What Outerbounds chose for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The role of these keys.
    pub role_arn: String,
    /// Where STS gave them.
    pub region: String,
    /// A role of the customer's, to be assumed with them.
    pub customer_role: Option<String>,
}

/// What a lease holds, by kind.
#[derive(Debug)]
pub enum Body {
    /// Tokens of an SSO session.
    Session(SessionTokens),
    /// Temporary AWS keys.
    Aws(AwsKeys),
    /// Values of a secret of AWS, by their names.
    Secret(BTreeMap<String, Secret<String>>),
    /// A service key of Outerbounds.
    Key(Settings),
    /// The configuration of Metaflow in a deployment of Outerbounds, as JSON without the key.
    Config(Secret<String>),
}

/// Tokens of an SSO session.
#[derive(Debug)]
pub struct SessionTokens {
    /// For Bazel hosts.
    pub access_token: Secret<String>,
    /// For STS, and its own end; absent where the provider gave none.
    pub id_token: Option<(Secret<String>, Timestamp)>,
    /// The person, as AWS session name.
    pub session_name: String,
}

/// Temporary AWS keys.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// `ASIA…`.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: Secret<String>,
    /// Sent along with every call, for temporary keys.
    pub session_token: Option<Secret<String>>,
    /// Who these keys are, by the word of AWS: `arn:aws:sts::…:assumed-role/…`.
    pub assumed: Option<String>,
}

impl AwsKeys {
    /// To sign with.
    pub fn signing(&self) -> SigningKeys<'_> {
        SigningKeys {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            session_token: self.session_token.as_ref(),
        }
    }
}

impl Lease {
    /// Tokens that end at `until`.
    pub fn session(tokens: SessionTokens, now: Timestamp, until: Timestamp) -> Self {
        let ahead = SESSION_RENEW.min(life(now, until) / 3);
        let prefer = MARGIN.min(life(now, until) / 4);
        Self::new(Body::Session(tokens), now, ahead, prefer, until)
    }

    /// Keys that end at `until`. The margins follow from the life that was asked for (`asked`), so that a grant that is
    /// shorter than the role allows is replaced early; roles whose sessions are short get shorter margins.
    pub fn aws(keys: AwsKeys, now: Timestamp, until: Timestamp, asked: Duration) -> Self {
        let allowed = life(now, until).max(asked);
        let spare = allowed.saturating_sub(AWS_PREFER);
        let (renew, prefer) = if spare >= MARGIN * 2 {
            (AWS_RENEW.min(AWS_PREFER + spare / 2), AWS_PREFER)
        } else {
            (allowed / 2, MARGIN.min(allowed / 4))
        };
        Self::new(Body::Aws(keys), now, renew, prefer, until)
    }

    /// Values that were read at `now`. They have no end: whoever asks later has them read again, and gets these while that cannot be
    /// done.
    pub fn secret(values: BTreeMap<String, Secret<String>>, now: Timestamp) -> Self {
        let stale = SECRET_KEPT.saturating_sub(SECRET_SERVES);
        Self::new(Body::Secret(values), now, stale, stale, after(now, SECRET_KEPT))
    }

    /// A service key that ends at `until`.
    pub fn key(settings: Settings, now: Timestamp, until: Timestamp) -> Self {
        let ahead = SESSION_RENEW.min(life(now, until) / 3);
        let prefer = MARGIN.min(life(now, until) / 4);
        Self::new(Body::Key(settings), now, ahead, prefer, until)
    }

    /// A configuration that was fetched at `now`. As [`Lease::secret`] it has no end; but it hardly ever changes, and flows go on
    /// with it for half a day.
    pub fn config(config: Secret<String>, now: Timestamp) -> Self {
        let stale = CONFIG_KEPT.saturating_sub(SECRET_SERVES);
        Self::new(Body::Config(config), now, stale, stale, after(now, CONFIG_KEPT))
    }

    fn new(body: Body, since: Timestamp, renew: Duration, prefer: Duration, until: Timestamp) -> Self {
        let rest = after(since, REST.min(life(since, until) / 4));
        let (renew_from, prefer_until) = (before(until, renew).max(rest), before(until, prefer).max(rest));
        Self {
            body,
            since,
            renew_from,
            prefer_until,
            until,
            about: About::default(),
            used: AtomicBool::new(false),
            epoch: None,
        }
    }

    /// The same with what is known of it.
    #[must_use]
    pub fn with(self, about: About) -> Self {
        Self { about, ..self }
    }

    /// The same, bought in this epoch of its holding.
    #[must_use]
    pub fn of_epoch(self, epoch: u64) -> Self {
        Self { epoch: Some(epoch), ..self }
    }

    /// Whether it was bought in this epoch.
    pub fn is_of_epoch(&self, epoch: u64) -> bool {
        self.epoch == Some(epoch)
    }

    /// How it may be used now.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        // One that had ended when it was bought is past its end even by a clock that is put right a little.
        if after(now, SET_BACK) < self.since || self.until <= now {
            Freshness::Ended
        } else if now < self.renew_from {
            Freshness::Fresh
        } else if now < self.prefer_until {
            Freshness::Renewing
        } else if after(now, LAST) < self.until {
            Freshness::Last
        } else {
            Freshness::Ended
        }
    }

    /// Notes that a tool got it: only what is used is renewed ahead of its end. Says whether this was the first time.
    pub fn mark_used(&self) -> bool {
        !self.used.swap(true, Ordering::Relaxed)
    }

    /// Whether a tool got it.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether it is renewed before anybody asks. A secret is not read without somebody who wants it.
    pub fn is_renewed_ahead(&self) -> bool {
        !matches!(self.body, Body::Secret(_) | Body::Config(_))
    }

    /// Its end, where one means something to a person: values of a secret are only read again.
    pub fn end(&self) -> Option<Timestamp> {
        self.is_renewed_ahead().then_some(self.until)
    }

    /// When the agent looks at it by itself: to renew it, or to forget values that nobody gets any more.
    fn next_look(&self) -> Option<Timestamp> {
        match self.body {
            Body::Secret(_) | Body::Config(_) => Some(self.until),
            Body::Session(_) | Body::Aws(_) | Body::Key(_) => self.is_used().then_some(self.renew_from),
        }
    }

    /// Until when a tool may cache what it gets from this: `min(end - margin, now + 10 minutes)`.
    pub fn cache_until(&self, now: Timestamp) -> Timestamp {
        cache_until(now, Some(self.until))
    }
}

/// `min(end - 60 s, now + 10 minutes)`, and never in the past.
pub fn cache_until(now: Timestamp, end: Option<Timestamp>) -> Timestamp {
    let latest = after(now, CACHE);
    end.map_or(latest, |end| before(end, MARGIN).min(latest)).max(now)
}

fn life(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

/// How a lease may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As it is.
    Fresh,
    /// As it is, while a new one is bought.
    Renewing,
    /// Only if a new one cannot be had.
    Last,
    /// Not at all.
    Ended,
}

/// Most roles that callers have named, for each entry that they are reached through: a tool must not fill the memory.
pub const NAMED_ROLES: usize = 64;

/// Every entry's newest lease.
#[derive(Debug, Default)]
pub struct Leases {
    all: Mutex<HashMap<EntryName, Arc<Lease>>>,
    gate: Gate,
}

impl Leases {
    /// None are taken in while this is shut.
    pub fn behind(gate: Gate) -> Self {
        Self { all: Mutex::default(), gate }
    }

    /// The newest lease of an entry.
    pub fn get(&self, name: &EntryName) -> Option<Arc<Lease>> {
        self.with(|leases| leases.get(name).cloned())
    }

    /// Takes a new one in.
    pub fn put(&self, name: EntryName, lease: Arc<Lease>) {
        self.with(|leases| {
            if self.gate.is_shut() {
                return;
            }
            if let Some(first) = first_to_go(leases, &name) {
                leases.remove(&first);
            }
            leases.insert(name, lease);
        });
    }

    /// Takes one out, if it is the only one who has it.
    pub fn take(&self, name: &EntryName) -> Option<Lease> {
        Arc::into_inner(self.with(|leases| leases.remove(name))?)
    }

    /// Drops those of the entries named.
    pub fn drop_where(&self, gone: impl Fn(&EntryName) -> bool) {
        self.with(|leases| leases.retain(|name, _| !gone(name)));
    }

    /// The next moment at which a used lease wants to be renewed and may be, or values have to be forgotten, and its entry.
    pub fn next_renewal(&self, not_before: &HashMap<EntryName, Timestamp>) -> Option<(Timestamp, EntryName)> {
        let due = |name: &EntryName, lease: &Lease| {
            let look = lease.next_look()?;
            Some(not_before.get(name).map_or(look, |pause| look.max(*pause)))
        };
        self.with(|leases| {
            leases.iter().filter_map(|(name, lease)| Some((due(name, lease)?, name.clone()))).min()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<EntryName, Arc<Lease>>) -> T) -> T {
        act(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The role that makes place for another one of the same entry, where there are [`NAMED_ROLES`]: the one that ends first.
fn first_to_go(leases: &HashMap<EntryName, Arc<Lease>>, newcomer: &EntryName) -> Option<EntryName> {
    let (base, _) = newcomer.role_behind().filter(|_| !leases.contains_key(newcomer))?;
    let of_base = || leases.iter().filter(|(name, _)| name.is_role_behind(&base));
    if of_base().count() < NAMED_ROLES {
        return None;
    }
    of_base().min_by_key(|(_, lease)| lease.until).map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn keys() -> AwsKeys {
        AwsKeys {
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            session_token: None,
            assumed: None,
        }
    }

    #[test]
    fn an_hour_of_aws_keys_is_renewed_at_twenty_minutes_and_withheld_at_fifteen() {
        let lease = Lease::aws(keys(), at(0), at(3600), Duration::from_secs(3600));
        assert_eq!(lease.freshness(at(0)), Freshness::Fresh);
        assert_eq!(lease.freshness(at(3600 - 1200 - 1)), Freshness::Fresh);
        assert_eq!(lease.freshness(at(3600 - 1200)), Freshness::Renewing);
        assert_eq!(lease.freshness(at(3600 - 901)), Freshness::Renewing);
        assert_eq!(lease.freshness(at(3600 - 900)), Freshness::Last);
        assert_eq!(lease.freshness(at(3600)), Freshness::Ended);
    }

    #[test]
    fn a_role_of_fifteen_minutes_is_served_for_most_of_them() {
        let lease = Lease::aws(keys(), at(0), at(900), Duration::from_secs(900));
        assert_eq!(lease.freshness(at(0)), Freshness::Fresh);
        assert_eq!(lease.freshness(at(450)), Freshness::Renewing);
        assert_eq!(lease.freshness(at(839)), Freshness::Renewing);
        assert_eq!(lease.freshness(at(845)), Freshness::Last);
    }

    #[test]
    fn a_short_grant_of_a_long_role_is_replaced_soon_but_not_at_each_call() {
        let lease = Lease::aws(keys(), at(0), at(890), Duration::from_secs(3600));
        assert_eq!(lease.freshness(at(9)), Freshness::Fresh);
        assert_eq!(lease.freshness(at(10)), Freshness::Last);
    }

    #[test]
    fn a_role_of_twenty_minutes_is_replaced_before_fifteen_are_left() {
        let lease = Lease::aws(keys(), at(0), at(1200), Duration::from_secs(1200));
        assert_eq!(lease.freshness(at(149)), Freshness::Fresh);
        assert_eq!(lease.freshness(at(150)), Freshness::Renewing);
        assert_eq!(lease.freshness(at(300)), Freshness::Last);
    }

    #[test]
    fn values_of_a_secret_are_read_again_after_five_minutes_and_kept_for_an_hour() {
        let values = BTreeMap::from([("KEY".to_owned(), Secret::from("marked"))]);
        let lease = Lease::secret(values, at(0));
        for (moment, freshness) in [
            (299, Freshness::Fresh),
            (300, Freshness::Last),
            (3598, Freshness::Last),
            (3599, Freshness::Ended),
            (-61, Freshness::Ended),
        ] {
            assert_eq!(lease.freshness(at(moment)), freshness, "{moment}");
        }
        assert!(!format!("{lease:?}").contains("marked"));
        // Nobody reads it ahead; at its end it is looked at once more, to be forgotten.
        lease.mark_used();
        let (leases, name) = (Leases::default(), EntryName { kind: "secret", name: "db".to_owned() });
        leases.put(name.clone(), Arc::new(lease));
        assert_eq!(leases.next_renewal(&HashMap::new()), Some((at(3600), name)));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_last_longer() {
        let lease = Lease::aws(keys(), at(0), at(3600), Duration::from_secs(3600));
        assert_eq!(lease.freshness(at(-60)), Freshness::Fresh);
        assert_eq!(lease.freshness(at(-61)), Freshness::Ended);
    }

    #[test]
    fn what_had_ended_when_it_was_bought_is_never_served() {
        let lease = Lease::aws(keys(), at(0), at(-50), Duration::from_secs(3600));
        for moment in [-60, -50, -30, -1, 0, 1] {
            assert_ne!(lease.freshness(at(moment)) == Freshness::Ended, moment < -50, "{moment}");
        }
    }

    #[test]
    fn a_tool_caches_ten_minutes_or_to_a_minute_before_the_end() {
        assert_eq!(cache_until(at(0), None), at(600));
        assert_eq!(cache_until(at(0), Some(at(3600))), at(600));
        assert_eq!(cache_until(at(0), Some(at(300))), at(240));
        assert_eq!(cache_until(at(0), Some(at(30))), at(0));
    }

    #[test]
    fn only_used_leases_are_renewed_ahead() {
        let leases = Leases::default();
        let name = EntryName { kind: "aws", name: "dev".to_owned() };
        leases.put(name.clone(), Arc::new(Lease::aws(keys(), at(0), at(3600), Duration::from_secs(3600))));
        assert_eq!(leases.next_renewal(&HashMap::new()), None);
        leases.get(&name).unwrap().mark_used();
        assert_eq!(leases.next_renewal(&HashMap::new()), Some((at(2400), name)));
    }

    #[test]
    fn roles_that_callers_name_fill_no_memory_and_leave_the_others_alone() {
        let leases = Leases::default();
        let name = |name: &str| EntryName { kind: "aws", name: name.to_owned() };
        let lease = |end| Arc::new(Lease::aws(keys(), at(0), at(end), Duration::ZERO));
        let role = |number| name("dev").of_role(&format!("arn:aws:iam::123456789012:role/r{number}"));
        leases.put(name("dev"), lease(1));
        leases.put(name("dev2").of_role("arn:aws:iam::123456789012:role/x"), lease(1));
        for number in 0..NAMED_ROLES as i64 + 10 {
            leases.put(role(number), lease(3600 + number));
        }
        assert_eq!(leases.with(|all| all.len()), NAMED_ROLES + 2);
        assert!(leases.get(&role(9)).is_none() && leases.get(&role(10)).is_some());
        // The same again takes nobody's place.
        leases.put(role(10), lease(9999));
        assert!(leases.get(&role(11)).is_some() && leases.get(&name("dev")).is_some());
    }
}
