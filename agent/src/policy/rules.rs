//! What the configuration says of one entry, and of those that it is obtained through, made comparable.

use std::path::PathBuf;

use keyfob_ipc::peer::FileId;

use super::{Allowed, Chain, Confirm, Link, Policy, Role};
use crate::asker::file_at;
use crate::config::{Config, Entry, EntryName};

/// What must hold before an entry gives anything. Each entry behind it has a say: what is bought with a session is bound by
/// the policy of that session, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The entry that is asked for: the person is asked about this one, whichever entry says `confirm`.
    pub entry: EntryName,
    /// Every `allow` on the way; each must be met.
    pub allow: Vec<Allow>,
    /// The strictest `confirm` on the way.
    pub confirm: Confirm,
}

/// `allow` of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// Whose it is.
    pub entry: EntryName,
    /// Who is named; any of them meets it.
    pub admitted: Vec<Admitted>,
}

/// Who is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// A program.
    Program {
        /// As configured.
        path: PathBuf,
        /// The file that is there now; `None` where none is.
        file: Option<FileId>,
    },
    /// A Bazel server, as it says itself.
    BazelServer,
}

impl Rules {
    /// Every policy that has a say about an entry; empty where it is given to everybody.
    pub fn texts(config: &Config, entry: &Entry) -> Vec<(EntryName, Policy)> {
        let said = |name: &EntryName| Some((name.clone(), config.policy(name)?.clone()));
        let behind = std::iter::successors(entry.source.through().cloned(), |name| {
            config.entry(name)?.source.through().cloned()
        });
        // A role that a caller names has no policy of its own: that of the entry beside which it is named counts.
        let own = entry.name.role_behind().map_or_else(|| entry.name.clone(), |(named, _)| named);
        let mut all = vec![own];
        for name in behind {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all.iter().filter_map(said).filter(|(_, policy)| !policy.is_open()).collect()
    }

    /// Looks up the files that are named. May wait for a disk or a network.
    pub fn read(entry: EntryName, texts: &[(EntryName, Policy)]) -> Self {
        let admitted = |allowed: &Allowed| match allowed {
            Allowed::Program(path) => Admitted::Program { path: path.clone(), file: file_at(path) },
            Allowed::BazelServer => Admitted::BazelServer,
        };
        let allow = texts.iter().filter(|(_, policy)| !policy.allow.is_empty()).map(|(entry, policy)| {
            Allow { entry: entry.clone(), admitted: policy.allow.iter().map(admitted).collect() }
        });
        Self {
            allow: allow.collect(),
            confirm: texts.iter().map(|(_, policy)| policy.confirm).max().unwrap_or_default(),
            entry,
        }
    }

    /// Whether they ask nothing of anybody.
    pub fn are_open(&self) -> bool {
        self.allow.is_empty() && self.confirm == Confirm::Never
    }

    /// How many programs a yes rests on, from the caller on: those must be what they were when the answer goes out.
    pub fn rest_on(&self, chain: &Chain) -> usize {
        let asked =
            (self.confirm != Confirm::Never).then(|| chain.asking().map(|(nearer, _)| nearer)).flatten();
        let allowed = self.allow.iter().filter_map(|allow| allow.met_by(chain));
        allowed.chain(asked).map(|place| place + 1).max().unwrap_or(usize::from(!self.are_open()))
    }
}

impl Allow {
    /// The place of the nearest program that meets it.
    pub fn met_by(&self, chain: &Chain) -> Option<usize> {
        chain.attested().iter().position(|link| self.admitted.iter().any(|admitted| admitted.is(link)))
    }
}

impl Admitted {
    fn is(&self, link: &Link) -> bool {
        match self {
            Self::Program { file, .. } => file.is_some() && *file == link.file && !link.is_replaced,
            Self::BazelServer => matches!(link.role, Role::BazelServer(_)) && !link.is_replaced,
        }
    }
}
