//! The programs behind a request, as they were read at one moment.

use std::path::PathBuf;

use keyfob_ipc::peer::FileId;
use keyfob_ipc::reply::Asking;
use keyfob_ipc::text::escape;

/// The caller and the programs behind it, the nearest first.
///
/// The kernel tells of each which file it runs. That one has started the next is told, too, but a program may run another
/// one at any time: a chain is of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// The caller first.
    pub links: Vec<Link>,
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its process.
    pub process: u32,
    /// The path of its executable; empty where the system does not tell.
    pub path: PathBuf,
    /// The file that runs; `None` where the system does not tell, and nothing is the same as that.
    pub file: Option<FileId>,
    /// Another file is at that path by now.
    pub is_replaced: bool,
    /// Its path leads to the same file for us as for it, as far as the system tells.
    pub is_attested: bool,
    /// What it is, beside a program.
    pub role: Role,
}

/// What a program is in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Keyfob's own: it asks for the one behind it.
    Keyfob,
    /// A shell that was given one command (`sh -c`): SDKs run a credential process through one. By its own word.
    OneCommand,
    /// A Bazel server, by its own word: `bazel(workspace)`.
    BazelServer(String),
    /// Called as Keyfob's own, and another file: it would ask for whoever runs it.
    Copy,
    /// Nothing else.
    Program,
    /// It had ended when it was looked at: nothing is known of it, and it hides nothing.
    Gone,
}

impl Chain {
    /// The one that is meant: the first that asks for itself, and how many are nearer.
    pub fn asking(&self) -> Option<(usize, &Link)> {
        let passes_on = |link: &Link| matches!(link.role, Role::Keyfob | Role::OneCommand | Role::Gone);
        self.links.iter().enumerate().find(|(_, link)| !passes_on(link))
    }

    /// Those up to the first whose path proves nothing, without it.
    pub fn attested(&self) -> &[Link] {
        let count = self.links.iter().take_while(|link| link.is_attested).count();
        &self.links[..count]
    }

    /// Whether the first of them are what they were.
    pub fn begins_like(&self, before: &Self, count: usize) -> bool {
        let is_same = |(now, then): (&Link, &Link)| {
            let of = |link: &Link| (link.process, link.file, link.is_replaced, link.is_attested);
            of(now) == of(then) && now.role == then.role
        };
        self.links.len() >= count
            && before.links.len() >= count
            && self.links.iter().zip(&before.links).take(count).all(is_same)
    }

    /// For people and for the ledger.
    pub fn report(&self) -> Asking {
        // Where keyfob stands alone, it is all there is to be named.
        let last = || self.links.len().checked_sub(1).map(|last| (last, &self.links[last]));
        let Some((nearer, asking)) = self.asking().or_else(last) else { return Asking::default() };
        let behind = self.links[nearer + 1..].iter().map(Link::shown).filter(|path| !path.is_empty());
        Asking {
            program: asking.shown(),
            pid: Some(asking.process),
            behind: behind.collect(),
            is_replaced: asking.is_replaced,
            is_unattested: self.links[..=nearer].iter().enumerate().any(|(place, link)| {
                // A caller that has its answer may have gone. Where one behind it has, it may be the one that is meant.
                !link.is_attested && (place > 0 || link.role != Role::Gone)
            }),
            claims: match &asking.role {
                Role::BazelServer(claim) => Some(escape(claim)),
                Role::Keyfob | Role::OneCommand | Role::Copy | Role::Program | Role::Gone => None,
            },
        }
    }
}

impl Link {
    fn shown(&self) -> String {
        escape(&self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(process: u32, role: Role) -> Link {
        Link {
            process,
            path: format!("/bin/p{process}").into(),
            file: Some(FileId { device: 1, inode: process.into() }),
            is_replaced: false,
            is_attested: true,
            role,
        }
    }

    #[test]
    fn the_one_that_is_meant_stands_behind_keyfob_and_its_shell() {
        let chain = |roles: &[Role]| Chain {
            links: (1..).zip(roles).map(|(process, role)| link(process, role.clone())).collect(),
        };
        let asking = |roles: &[Role]| chain(roles).asking().map(|(nearer, _)| nearer);
        let bazel = Role::BazelServer("bazel(ws)".to_owned());
        assert_eq!(asking(&[]), None);
        assert_eq!(asking(&[Role::Keyfob]), None);
        assert_eq!(asking(&[Role::Program, Role::Program]), Some(0));
        assert_eq!(asking(&[Role::Keyfob, Role::OneCommand, Role::Program, Role::Program]), Some(2));
        let report = chain(&[Role::Keyfob, bazel, Role::Program]).report();
        assert_eq!(
            (report.program.as_str(), report.pid, report.claims.as_deref()),
            ("/bin/p2", Some(2), Some("bazel(ws)"))
        );
        assert_eq!((report.behind, report.is_unattested), (vec!["/bin/p3".to_owned()], false));
        assert_eq!(chain(&[Role::Keyfob]).report().program, "/bin/p1");
        assert_eq!(Chain::default().report(), Asking::default());
        // A caller that has its answer is gone before the ledger looks.
        let mut gone = chain(&[Role::Gone, Role::Program]);
        gone.links[0] = Link { path: "".into(), file: None, is_attested: false, ..gone.links[0].clone() };
        assert_eq!((gone.report().program.as_str(), gone.report().is_unattested), ("/bin/p2", false));
        assert_eq!(gone.attested().len(), 0);
        // Who stands behind one that has gone did not ask by all that is known.
        let mut both = chain(&[Role::Keyfob, Role::Gone, Role::Program]);
        both.links[1] = gone.links[0].clone();
        assert_eq!((both.report().program.as_str(), both.report().is_unattested), ("/bin/p3", true));
    }

    #[test]
    fn what_stands_behind_one_without_proof_proves_nothing() {
        let mut chain = Chain { links: (1..=3).map(|process| link(process, Role::Program)).collect() };
        assert_eq!(chain.attested().len(), 3);
        chain.links[1].is_attested = false;
        assert_eq!(chain.attested().len(), 1);
        assert!(!chain.report().is_unattested);
        chain.links[0].is_attested = false;
        assert_eq!(chain.attested().len(), 0);
        assert!(chain.report().is_unattested);
    }

    #[test]
    fn a_chain_begins_like_another_as_far_as_files_and_processes_do() {
        let before = Chain { links: (1..=3).map(|process| link(process, Role::Program)).collect() };
        for change in [
            |link: &mut Link| link.file = Some(FileId { device: 1, inode: 99 }),
            |link: &mut Link| link.is_replaced = true,
            |link: &mut Link| link.is_attested = false,
            |link: &mut Link| link.process = 99,
        ] {
            let mut now = before.clone();
            change(&mut now.links[1]);
            assert!(now.begins_like(&before, 1) && !now.begins_like(&before, 2));
        }
        let short = Chain { links: before.links[..1].to_vec() };
        assert!(
            short.begins_like(&before, 1) && !short.begins_like(&before, 2) && !before.begins_like(&short, 2)
        );
    }
}
