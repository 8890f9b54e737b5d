//! What needs a person now, each thing once.

use crate::page::{Deed, Page, Row};

/// Everything that the icon calls for.
#[derive(Debug, Default)]
pub(super) struct Needs<'a> {
    /// How many questions are open.
    pub questions: usize,
    /// Whether the lock or the keychain is to be opened.
    pub unlock: bool,
    /// Whether the keychain is in the way, and cannot be opened by a click.
    pub keychain: bool,
    /// Whether the configuration has errors.
    pub configuration: bool,
    /// What is due, without opening anything. Several entries may wait for one deed.
    pub deeds: Vec<&'a Deed>,
    /// Entries about which something urgent is to be read, and nothing is due.
    pub urgent: Vec<&'a Row>,
}

impl<'a> Needs<'a> {
    pub(super) fn of(page: &'a Page) -> Self {
        let mut needs = Self {
            questions: page.questions.len(),
            unlock: page.lock.is_some(),
            configuration: page.configuration.as_ref().is_some_and(|it| !it.errors.is_empty()),
            ..Self::default()
        };
        if let Some(keychain) = &page.keychain {
            let is_locked = keychain.state == "locked" || keychain.needs_passphrase;
            needs.unlock |= is_locked;
            needs.keychain = !is_locked && keychain.state != "present";
        }
        for row in &page.rows {
            match &row.due {
                Some(Deed::Unlock) => needs.unlock = true,
                Some(deed) if !needs.deeds.contains(&deed) => needs.deeds.push(deed),
                Some(_) => {}
                None if is_urgent(row) => needs.urgent.push(row),
                None => {}
            }
        }
        needs
    }

    /// How many things.
    pub(super) fn count(&self) -> usize {
        let others = [self.unlock, self.keychain, self.configuration];
        self.questions + others.iter().filter(|needs| **needs).count() + self.deeds.len() + self.urgent.len()
    }
}

/// Whether something may be lost unless somebody reads about it.
pub(super) fn is_urgent(row: &Row) -> bool {
    row.notes.iter().any(|note| note.weight == "urgent")
}
