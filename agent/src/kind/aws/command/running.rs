//! Which programs run for which entries, and what they wait for in turn.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::EntryName;
use crate::person::Person;

/// The programs of every `command`, as they run.
#[derive(Debug)]
pub struct Commands {
    pub(super) person: Person,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    /// For which entry, by process.
    running: HashMap<u32, EntryName>,
    /// What programs that run wait for.
    waits: HashMap<u64, Wait>,
    last: u64,
}

#[derive(Debug)]
struct Wait {
    /// The entries whose programs wait.
    askers: Vec<EntryName>,
    /// What they wait for: an entry, and those that it is obtained through.
    behind: Vec<EntryName>,
}

impl Commands {
    /// None yet; each will be told of this person.
    pub fn of(person: Person) -> Arc<Self> {
        Arc::new(Self { person, now: Mutex::default() })
    }

    /// Whether no program runs.
    pub fn is_idle(&self) -> bool {
        self.now().running.is_empty()
    }

    /// Starts a program by `start`, which says its process. It may ask at once: whoever looks for it waits until it is known.
    pub(super) fn start<T, E>(
        &self,
        name: &EntryName,
        start: impl FnOnce() -> Result<(T, u32), E>,
    ) -> Result<(T, u32), E> {
        let mut now = self.now();
        let (program, id) = start()?;
        now.running.insert(id, name.clone());
        Ok((program, id))
    }

    /// That one has ended.
    pub(super) fn ended(&self, id: u32) {
        self.now().running.remove(&id);
    }

    /// Notes that one of these processes asks for an entry, which is obtained through those behind it. `None` where none of them is
    /// of a program that runs.
    ///
    /// # Errors
    /// The entry whose program asks, where the answer would wait for that program: by itself, or by programs that wait for it.
    pub(super) fn wait(
        self: &Arc<Self>,
        processes: impl Iterator<Item = u32>,
        behind: Vec<EntryName>,
    ) -> Result<Option<Waiting>, EntryName> {
        let mut now = self.now();
        let askers: Vec<EntryName> = processes.filter_map(|id| now.running.get(&id).cloned()).collect();
        if let Some(asker) = askers.iter().find(|asker| now.leads_to(&behind, asker)) {
            return Err(asker.clone());
        }
        if askers.is_empty() {
            return Ok(None);
        }
        now.last += 1;
        let number = now.last;
        now.waits.insert(number, Wait { askers, behind });
        Ok(Some(Waiting { commands: Arc::clone(self), number }))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// Whether one of these entries waits for the program of that one.
    fn leads_to(&self, from: &[EntryName], asker: &EntryName) -> bool {
        let (mut seen, mut left) = (Vec::new(), from.iter().collect::<Vec<_>>());
        while let Some(name) = left.pop() {
            if name == asker {
                return true;
            }
            if !seen.contains(&name) {
                seen.push(name);
                let waits = self.waits.values().filter(|wait| wait.askers.contains(name));
                left.extend(waits.flat_map(|wait| &wait.behind));
            }
        }
        false
    }
}

/// A program waits for an answer; dropped when it has it.
#[must_use = "it counts as long as it is kept"]
pub struct Waiting {
    commands: Arc<Commands>,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.commands.now().waits.remove(&self.number);
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Waiting").field(&self.number).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> EntryName {
        EntryName { kind: "aws", name: name.to_owned() }
    }

    /// Programs of `a`, `b` and `c`, as the processes 1, 2 and 3.
    fn three() -> Arc<Commands> {
        let commands = Commands::of(Person::default());
        for (id, of) in [(1, "a"), (2, "b"), (3, "c")] {
            commands.start(&name(of), || Ok::<_, ()>(((), id))).unwrap();
        }
        commands
    }

    #[test]
    fn programs_that_wait_for_each_other_are_found_however_many_they_are() {
        let commands = three();
        let wait = |id: u32, of: &str| commands.wait([99, id].into_iter(), vec![name("role"), name(of)]);
        assert_eq!(wait(1, "a").unwrap_err(), name("a"), "for itself");
        let first = wait(1, "b").unwrap();
        let second = wait(2, "c").unwrap();
        assert_eq!(wait(3, "a").unwrap_err(), name("c"), "through two others");
        assert_eq!(wait(2, "a").unwrap_err(), name("b"));
        assert!(wait(3, "other").unwrap().is_some(), "another entry is its good right");
        assert!(wait(98, "a").unwrap().is_none(), "somebody else only waits");
        drop(second);
        assert!(wait(3, "a").unwrap().is_some(), "nobody waits for it any more");
        drop(first);
        assert!(wait(2, "a").unwrap().is_some());
        for id in 1..=3 {
            assert!(!commands.is_idle());
            commands.ended(id);
        }
        assert!(commands.is_idle() && commands.now().waits.is_empty());
    }
}
