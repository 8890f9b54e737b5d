//! Reminders of what ends: for every entry that a person gives a value, people's tokens and machines' alike.
//!
//! [`due`] decides, [`crate::ends`] remembers, [`crate::notices`] tells. At most one reminder of an entry is due at a time, and
//! it is written down as told before it is told. An entry with `rotate = "auto"` is reminded of from seven days before its
//! end on, and not before the last sixth of its life: had the agent rotated it, that end would have gone.

mod due;
mod text;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyfob_ipc::reply::{Note, Weight};
use keyfob_ipc::{Code, Refusal};

pub use due::{Look, Standing};

use crate::agent::Agent;
use crate::clock::{after, rfc3339, seconds_left};
use crate::config::{Ask, Config, Entry, EntryName};
use crate::ends::{About, End};
use crate::kind::Rotate;

/// After this, what reached nobody is tried again.
const AGAIN: Duration = Duration::from_secs(3600);

/// What is rotated by itself is spoken of from here on.
const NOT_ROTATED: Duration = Duration::from_secs(7 * 24 * 3600);

/// And not before the last sixth of its life: a third is when the agent begins ([`crate::rotation`]).
const NOT_ROTATED_OF_LIFE: u32 = 6;

/// Longest snooze, in days.
const LONGEST: u32 = 365;

const DAY: u64 = 24 * 3600;

impl Agent {
    /// Reminds, for as long as the agent lives. Sleeps until the next threshold.
    pub async fn remind(self: Arc<Self>) {
        let mut showing = self.watchers.showing();
        let mut before = *showing.borrow_and_update();
        loop {
            let snoozed = self.snoozed_now();
            // Whoever came while a reminder was being told, too.
            let watchers = *showing.borrow_and_update();
            if watchers > before {
                self.ends.retry(self.clock.now());
            }
            before = watchers;
            let mut stirred = self.holdings().stirred();
            let next = self.remind_now().await;
            let come = async {
                match next {
                    Some(next) => self.clock.wait_until(next).await,
                    None => std::future::pending().await,
                }
            };
            // The senders are ours.
            tokio::select! {
                () = come => {}
                () = self.ends.changed.notified() => {}
                // The keychain was read, say.
                _ = stirred.changed() => {}
                _ = showing.changed() => {}
            }
            // A snooze that ends is news, also where nothing is due.
            let now = self.clock.now();
            let is_over = |(_, until): &&(EntryName, Timestamp)| *until <= now;
            self.watchers.changed(snoozed.iter().filter(is_over).map(|(name, _)| name));
        }
    }

    fn snoozed_now(&self) -> Vec<(EntryName, Timestamp)> {
        let Ok(config) = self.config() else { return Vec::new() };
        let now = self.clock.now();
        let snoozed = |entry: &Arc<Entry>| {
            let until = self.ends.end(entry, &config)?.about.standing().snoozed(now)?;
            Some((entry.name.clone(), until))
        };
        reminded(&config).filter_map(snoozed).collect()
    }

    /// Tells what is due, one after the other, and says when to look again.
    pub async fn remind_now(&self) -> Option<Timestamp> {
        // Without a good configuration nobody knows what to remind of; an edit that mends it is heard of.
        loop {
            let config = self.config().ok()?;
            let now = self.clock.now();
            reminded(&config).for_each(|entry| self.learn_end(entry, &config));
            self.ends.save(&config, now).await;
            let looks: Vec<_> = reminded(&config)
                .filter_map(|entry| Some((entry, self.look(entry, &config, now)?)))
                .collect();
            let due: Vec<_> = looks.iter().filter(|(_, look)| look.due.is_some()).collect();
            if due.is_empty() {
                return looks.iter().filter_map(|(_, look)| look.next).min();
            }
            for (entry, _) in due {
                self.remind_of(entry, &config).await;
            }
        }
    }

    fn look(&self, entry: &Entry, config: &Config, now: Timestamp) -> Option<Look> {
        let end = self.ends.end(entry, config)?;
        Some(end.about.look(&thresholds(entry, config, &end), now))
    }

    /// Time may have passed since it was found due, and somebody may have acted: looks again.
    async fn remind_of(&self, entry: &Entry, config: &Config) {
        let now = self.clock.now();
        let Some(end) = self.ends.end(entry, config) else { return };
        let thresholds = thresholds(entry, config, &end);
        let Some(threshold) = end.about.look(&thresholds, now).due else { return };
        let note = move |about: &mut About| {
            // A snooze may have come first.
            let is_due = about.look(&thresholds, now).due == Some(threshold);
            if is_due {
                about.told.insert(threshold, now);
                about.owed = None;
            }
            is_due
        };
        match self.ends.note_aside(&entry.name, end.about.end, note).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(refusal) if refusal.code == Code::Pending => return,
            Err(refusal) => {
                // What cannot be written down could be told a second time.
                tracing::warn!(entry = %entry.name, "a reminder is put off: {}", refusal.say);
                return self.ends.put_off(&entry.name, after(now, AGAIN));
            }
        }
        tracing::info!(entry = %entry.name, threshold, "a reminder is due");
        // Whether or not anybody shows it, it does not come again.
        self.watchers.changed([&entry.name]);
        let is_shown = self.notices.tell(text::told(entry, &end, now)).is_shown().await;
        if !is_shown {
            let again = after(self.clock.now(), AGAIN);
            let owe = move |about: &mut About| {
                about.owed = Some((threshold, again));
                true
            };
            // Where that cannot be written down it counts as told.
            let _ = self.ends.note_aside(&entry.name, end.about.end, owe).await;
        }
        self.watchers.changed([&entry.name]);
    }

    /// No reminders about an entry for so many days; 0 ends that; without a number, until the next threshold.
    ///
    /// # Errors
    /// Where there is no such entry, no end of it is known, or it has ended.
    pub fn snooze(&self, name: &str, days: Option<u32>) -> Result<String, Refusal> {
        let config = self.config()?;
        let entry = config.find(name, Ask::Value)?;
        let (now, bare) = (self.clock.now(), &entry.name.name);
        self.learn_end(entry, &config);
        let Some(end) = self.ends.end(entry, &config) else {
            let say = format!("no end of `{}` is known, so nothing would remind of it", entry.name);
            return Err(Refusal::new(Code::BadRequest, say).hint("keyfob status"));
        };
        let thresholds = thresholds(entry, &config, &end);
        let about = end.about;
        if thresholds.is_empty() && days != Some(0) {
            let say = "the configuration wants no reminders (`reminders` under [agent])";
            return Err(Refusal::new(Code::BadRequest, say).hint("keyfob status"));
        }
        let until = match days {
            Some(0) => None,
            Some(days @ 1..=LONGEST) => Some(after(now, Duration::from_secs(u64::from(days) * DAY))),
            Some(_) => {
                let say = format!("a snooze has 1 to {LONGEST} days");
                return Err(
                    Refusal::new(Code::BadRequest, say).hint(format!("keyfob token snooze {bare} 30"))
                );
            }
            None => {
                let next = about.standing().coming(&thresholds, now);
                let over = || {
                    let what = if makes_keys(entry) { "key" } else { "token" };
                    let say =
                        format!("the {what} of `{}` has ended, and no reminder comes any more", entry.name);
                    Refusal::new(Code::BadRequest, say).hint(renew(entry, true))
                };
                Some(next.ok_or_else(over)?)
            }
        };
        self.ends.note(&entry.name, about.end, |about| {
            about.snoozed_until = until;
            true
        })?;
        self.watchers.changed([&entry.name]);
        Ok(match until {
            None => format!("reminders about `{}` come as configured", entry.name),
            Some(until) if days.is_some() && until > about.end && about.end > now => {
                format!(
                    "no reminders about `{}` until {}; it ends before that, on {}",
                    entry.name,
                    moment(until),
                    moment(about.end)
                )
            }
            Some(until) => format!("no reminders about `{}` until {}", entry.name, moment(until)),
        })
    }

    /// What is known of the end of what a person gave, and when it is reminded of.
    pub(crate) fn outlook(&self, entry: &Entry, config: &Config) -> Option<Outlook> {
        if !entry.source.takes_value() {
            return None;
        }
        self.learn_end(entry, config);
        let end = self.ends.end(entry, config)?;
        Some(Outlook { thresholds: thresholds(entry, config, &end), about: end.about })
    }

    /// What `status` says about an end that comes near.
    pub fn reminder_notes(&self, entry: &Entry, end: Option<Timestamp>, is_assumed: bool) -> Vec<Note> {
        let outlook = self.config().ok().and_then(|config| self.outlook(entry, &config));
        outlook.map_or_else(Vec::new, |outlook| self.notes_of(entry, &outlook, end, is_assumed))
    }

    pub(crate) fn notes_of(
        &self,
        entry: &Entry,
        outlook: &Outlook,
        end: Option<Timestamp>,
        is_assumed: bool,
    ) -> Vec<Note> {
        let (Some(end), Some(first)) = (end, outlook.thresholds.first().copied()) else { return Vec::new() };
        let now = self.clock.now();
        let left = seconds_left(now, end);
        let snoozed = outlook.about.standing().snoozed(now);
        let is_near = after(now, first) >= end;
        if !is_near && snoozed.is_none() {
            return Vec::new();
        }
        let probably = if is_assumed { "probably " } else { "" };
        let ends = match left {
            ..=0 => format!("has {probably}ended"),
            // The table beside it counts what is left.
            _ => format!("{probably}ends on {}", &rfc3339(end)[..10]),
        };
        // Beside it stands the life of the keys that the agent makes.
        let ends = if makes_keys(entry) { format!("the key that makes its keys {ends}") } else { ends };
        let say = match snoozed {
            Some(until) => format!("{ends}; no reminders until {}", moment(until)),
            None => ends,
        };
        let weight = match text::weight(left) {
            Weight::Due if snoozed.is_some() => Weight::Known,
            weight => weight,
        };
        let hint = if is_near { renew(entry, left <= 0 && !is_assumed) } else { String::new() };
        vec![Note { weight, say, hint }]
    }

    /// Takes in the end of what is held, where that is known; the keychain is not asked.
    fn learn_end(&self, entry: &Entry, config: &Config) {
        let holdings = self.holdings();
        if holdings.is_read(&entry.name) {
            self.ends.learn(&entry.name, config.agent.keychain, holdings.at_hand(&entry.name).as_deref());
        }
    }
}

/// An end, and when it is reminded of.
#[derive(Debug)]
pub struct Outlook {
    /// The end, and what was told of it.
    pub about: About,
    /// So long before it, the longest first; and at the end itself.
    pub thresholds: Vec<Duration>,
}

/// What is reminded of.
fn reminded(config: &Config) -> impl Iterator<Item = &Arc<Entry>> {
    config.entries.iter().filter(|entry| entry.source.takes_value())
}

/// When an entry is reminded of: the longest first, and at the end itself. Empty where nobody wants any.
fn thresholds(entry: &Entry, config: &Config, end: &End) -> Vec<Duration> {
    let all = &config.agent.reminders;
    let by_itself = entry.source.as_token().is_some_and(|token| token.rotate == Rotate::Auto);
    let longest = if by_itself { NOT_ROTATED.min(end.life() / NOT_ROTATED_OF_LIFE) } else { Duration::MAX };
    let wanted = all.iter().copied().filter(|threshold| *threshold <= longest);
    wanted.chain((!all.is_empty()).then_some(Duration::ZERO)).collect()
}

/// Whether what a person gives is a key with which the agent makes others: it cannot be rotated by a command.
fn makes_keys(entry: &Entry) -> bool {
    entry.source.as_outscale().is_some()
}

/// The command with which a person puts another value in the place of this one.
fn renew(entry: &Entry, is_over: bool) -> String {
    match entry.source.sign_in(&entry.name).filter(|_| makes_keys(entry)) {
        Some(add) => add,
        None => format!("keyfob token {} {}", if is_over { "add" } else { "rotate" }, entry.name.name),
    }
}

/// `2027-03-01 08:00 UTC`.
fn moment(moment: Timestamp) -> String {
    let text = rfc3339(moment);
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(clock)) => format!("{day} {clock} UTC"),
        _ => text,
    }
}
