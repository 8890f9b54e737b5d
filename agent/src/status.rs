//! What is held, and what stands in its way: `keyfob status`, entry by entry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyfob_ipc::reply::{EntryReport, Status};
use keyfob_ipc::{Code, Refusal};

use crate::agent::Agent;
use crate::clock::rfc3339;
use crate::config::{Config, Entry, EntryName};
use crate::kind::{Identity, LONGEST_CHAINED, TASK_ROLE};
use crate::lease::Lease;
use crate::plan;
use crate::state::State;

impl Agent {
    /// Everything that is held, and its state.
    pub(crate) async fn status(self: &Arc<Self>) -> Status {
        let config = self.config().unwrap_or_default();
        let (settings, entries) = (config.agent.report(), config.entries.clone());
        // The keychain is asked for all of them at once: its deadline passes once.
        let reports: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                let agent = self.clone();
                tokio::spawn(async move { agent.report(&entry).await })
            })
            .collect();
        let mut entries = Vec::with_capacity(reports.len());
        let share = plan::share(reports.len());
        for report in reports {
            let report = report.await.ok().map(|mut report| {
                plan::shorten(&mut report.plan, share);
                report
            });
            entries.extend(report);
        }
        Status {
            agent: self.about(),
            keychain: self.holdings().report().await,
            config: self.store().report(),
            entries,
            lock: self.lock_report_now().await,
            questions: self.open_questions(),
            settings,
        }
    }

    /// One entry and its state.
    pub async fn report(self: &Arc<Self>, entry: &Arc<Entry>) -> EntryReport {
        let now = self.clock.now();
        let through = entry.source.through();
        let config = self.config().unwrap_or_default();
        let root = Self::root_of(&config, entry).unwrap_or_else(|_| entry.name.clone());
        // What the keychain has not taken serves nobody yet.
        let settled = self.holdings().settle(&root).await;
        let held = self.holdings().get(&root).await.and_then(|holding| settled.map(|()| holding));
        let lease = self.leases.get(&entry.name).filter(|lease| lease.until > now);
        let facts =
            held.as_ref().ok().and_then(|holding| Some(holding.as_ref()?.facts.clone())).unwrap_or_default();
        // A value that its service has ended lives on in the memory of clusters.
        let dying = held.as_ref().ok().and_then(|holding| holding.as_ref()?.dead_but_remembered_until());
        let (ends, ends_assumed) =
            dying.map_or_else(|| entry.source.end(&facts), |remembered| (Some(remembered), false));
        let lease_end = lease.as_ref().and_then(|lease| lease.end());
        let until = match &through {
            Some(_) => lease_end,
            // What ends for a person there are the keys that tools get.
            None if entry.source.ends_with_lease() => lease_end.or(ends),
            None => ends,
        };
        let serves_keys = through.is_none() && entry.source.ends_with_lease() && lease.is_some();
        // A role whose session has ended serves the keys that it has, and no others.
        let is_signed_out = self.states.is_signed_out(&root) && (through.is_none() || lease.is_none());
        // A job's identity and another program are asked each time: nothing is held that could be missing.
        let holdless = config.entry(&root).filter(|holder| !holder.source.holds());
        let unready = holdless.as_ref().and_then(|holder| holder.source.ready(self, &root).err());
        let mut state = match (&held, self.states.get(&entry.name)) {
            _ if unready.is_some() => unready.map_or(State::SignedOut, State::Refused),
            (_, Some(state)) if holdless.is_some() && state.refusal().is_some() => state,
            // Nobody has to renew what is asked anew each time.
            _ if holdless.is_some() => State::held(None),
            (Err(refusal), _) => State::held(None).failed(refusal),
            (Ok(None), _) => State::SignedOut,
            (Ok(Some(_)), Some(state)) if state.refusal().is_some() => state,
            (Ok(Some(_)), _) if is_signed_out => State::SignedOut,
            // What a person has to renew counts, not the keys that the agent makes with it.
            (Ok(Some(_)), _) if through.is_none() => State::held(ends),
            (Ok(Some(_)), _) => State::held(until),
        };
        // What a role ends with is renewed by the agent, and an assumed end is for a person to look at.
        if through.is_none() {
            state = match state.clone().at(now) {
                State::SignedOut if ends_assumed => State::Ending { until: ends.unwrap_or(now) },
                // Keys that the agent has made serve on where the key that it was given has ended.
                State::SignedOut if serves_keys && !is_signed_out => {
                    State::Ending { until: ends.unwrap_or(now) }
                }
                other => other,
            };
        }
        let mut refusal = state.refusal().cloned();
        // What stands behind an entry stands in its way, too.
        let widened = match config.entry(&root) {
            Some(holder) => self.widened(&config, &holder).await,
            None => Vec::new(),
        };
        if !widened.is_empty() {
            let changed = crate::agent::destination_changed(&root, &widened);
            state = State::Refused(changed.clone());
            refusal = Some(changed);
        }
        let held_part = held.as_ref().ok().and_then(Option::as_deref).filter(|_| through.is_none());
        if let Some(incomplete) = held_part
            .filter(|_| refusal.is_none())
            .and_then(|part| entry.source.incomplete(&entry.name, part))
        {
            state = State::held(None).failed(&incomplete);
            refusal = Some(incomplete);
        }
        if state == State::SignedOut && refusal.is_none() {
            refusal = match &held {
                Ok(Some(_)) if entry.source.as_token().is_some() => Some(self.dead(entry, dying.is_some())),
                _ => self.root_refusal(entry, &root),
            };
        }
        let mut notes = match &held {
            Ok(Some(holding)) if through.is_none() => {
                let untried = self.outerbounds_notes(entry, holding);
                self.token_notes(entry, holding).into_iter().chain(untried).collect()
            }
            _ => Vec::new(),
        };
        let outlook = self.outlook(entry, &config);
        if let Some(outlook) = outlook.as_ref().filter(|_| dying.is_none() && matches!(held, Ok(Some(_)))) {
            // Of what the agent makes nobody has to be reminded.
            notes.extend(self.notes_of(entry, outlook, ends, ends_assumed));
        }
        notes.extend(self.unsaved_elsewhere(entry));
        notes.extend(self.outscale_notes(entry));
        // What stands in the way is said once.
        notes.retain(|note| refusal.as_ref().is_none_or(|refusal| refusal.say != note.say));
        notes.sort_by_key(|note| note.weight);
        let serves = !matches!(state, State::SignedOut | State::Refused(_));
        let holding = held.as_ref().ok().and_then(Option::as_deref).filter(|_| serves);
        let plan = match &through {
            None if !entry.source.ends_with_lease() => {
                // A session that has ended by the provider's word has no end to come; reminders go on.
                let ends = ends.filter(|_| serves || outlook.is_some());
                plan::of_holder(entry, outlook.as_ref(), holding, (ends, dying), now)
            }
            _ => {
                let lease = lease.as_deref().filter(|lease| serves && lease.is_renewed_ahead());
                plan::of_role(lease, ends.filter(|_| serves), outlook.as_ref(), now)
            }
        };
        let since = match through {
            None => facts.began(now),
            Some(_) => lease.as_ref().map(|lease| lease.since),
        };
        EntryReport {
            name: entry.name.to_string(),
            kind: entry.name.kind.to_owned(),
            state: state.report(),
            until: until.map(rfc3339),
            until_assumed: ends_assumed && through.is_none(),
            until_by: facts.token.ends_by.filter(|_| until.is_some() && dying.is_none()),
            owner: facts.owner,
            hosts: entry.source.hosts().iter().map(ToString::to_string).collect(),
            through: through.map(ToString::to_string),
            facts: self.facts(entry, &config, lease.as_deref()),
            refusal,
            notes,
            since: since.map(rfc3339),
            plan,
            quiet_until: outlook.and_then(|outlook| outlook.about.standing().snoozed(now)).map(rfc3339),
        }
    }

    /// What is configured, with what comes of it here: AWS gives a session of an hour to whoever comes with the keys of a role.
    fn facts(&self, entry: &Entry, config: &Config, lease: Option<&Lease>) -> BTreeMap<String, String> {
        let mut facts = entry.source.facts();
        if let Some(asked) = self.capped(entry, config, lease, &facts) {
            facts.insert("duration_capped".to_owned(), asked.as_secs().to_string());
            facts.insert("duration".to_owned(), LONGEST_CHAINED.as_secs().to_string());
        }
        // What is configured goes first.
        if let Some(chosen) = lease.and_then(|lease| lease.about.chosen.clone()) {
            facts.entry("region".to_owned()).or_insert(chosen.region);
            facts.entry("role_arn".to_owned()).or_insert(chosen.role_arn);
        } else if let Some(region) = self.chosen_region(&entry.name.of_role(TASK_ROLE)) {
            // Where nobody has asked for more than the keys of the task role.
            facts.entry("region".to_owned()).or_insert(region);
        }
        facts.into_iter().chain(config.policy_facts(&entry.name)).collect()
    }

    /// The session that is configured, where a machine that proves itself with keys gets none so long.
    fn capped(
        &self,
        entry: &Entry,
        config: &Config,
        lease: Option<&Lease>,
        facts: &BTreeMap<String, String>,
    ) -> Option<Duration> {
        let known = lease.and_then(|lease| lease.about.capped);
        known.or_else(|| {
            let behind = config.entry(entry.source.through()?)?;
            let identity = behind.source.as_machine()?.identity_here(&behind.name, &self.ambient).ok()?;
            let asked = Duration::from_secs(facts.get("duration")?.parse().ok()?);
            (identity == Identity::AwsIam && asked > LONGEST_CHAINED).then_some(asked)
        })
    }

    /// A token that is held and no good any more.
    fn dead(&self, entry: &Entry, is_lost: bool) -> Refusal {
        if is_lost {
            return crate::rotation::lost(&entry.name);
        }
        let say = if self.states.is_signed_out(&entry.name) {
            format!("the token service does not accept the token of `{}` any more", entry.name)
        } else {
            format!("the token of `{}` has ended", entry.name)
        };
        Refusal::new(Code::TokenNeeded, say).hint(format!("keyfob token add {}", entry.name.name))
    }

    fn root_refusal(&self, entry: &Entry, root: &EntryName) -> Option<Refusal> {
        let config = self.config().ok()?;
        let holder = config.entry(root)?;
        let hint = holder.source.sign_in(root)?;
        let refusal = if holder.source.as_sso().is_some() {
            Refusal::new(Code::SignInNeeded, format!("you are not signed in to `{root}`"))
        } else {
            crate::agent::none_held(entry)
        };
        Some(refusal.hint(hint))
    }

    /// The new places to which the configuration points what is held.
    pub(crate) async fn widened(&self, config: &Config, entry: &Entry) -> Vec<String> {
        let Ok(Some(holding)) = self.holdings().get(&entry.name).await else { return Vec::new() };
        holding.destination.widened_by(&entry.source.destination(&entry.name, config))
    }
}
