//! The two users of the end-to-end tests. A test as root proves nothing about permissions.

use std::fs;

use crate::failure::{Doing as _, Failure};

/// Runs the end-to-end tests.
pub const TESTER: &str = "keyfob-test";
/// Knocks at the tester's doors and must be turned away.
pub const FOREIGNER: &str = "keyfob-foreign";

/// A user of this system.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Number of its first group.
    pub gid: u32,
}

impl Account {
    /// Looks a local user up; None when there is none of that name.
    pub fn find(name: &str) -> Result<Option<Self>, Failure> {
        Ok(Self::find_in(&fs::read_to_string("/etc/passwd").doing("read /etc/passwd")?, |entry| {
            entry.name == name
        }))
    }

    /// Looks a local user up by number.
    pub fn of_uid(uid: u32) -> Result<Option<Self>, Failure> {
        Ok(Self::find_in(&fs::read_to_string("/etc/passwd").doing("read /etc/passwd")?, |entry| {
            entry.uid == uid
        }))
    }

    /// Reads the format of passwd(5).
    fn find_in(passwd: &str, wanted: impl Fn(&Self) -> bool) -> Option<Self> {
        passwd.lines().filter_map(Self::parse).find(|account| wanted(account))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self { name, uid, gid })
    }
}

/// The shell lines that make the users which are not there yet.
pub fn create_script() -> Result<Vec<String>, Failure> {
    let mut script = Vec::new();
    for name in [TESTER, FOREIGNER] {
        if Account::find(name)?.is_none() {
            script.push(format!("useradd --system --create-home --shell /bin/sh {name}"));
        }
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n+::::::\nkeyfob-test:x:998:997::/home/k:/bin/sh\n";

    #[test]
    fn a_user_is_found_by_name_and_number() {
        let expected = Account { name: "keyfob-test".to_owned(), uid: 998, gid: 997 };
        assert_eq!(Account::find_in(PASSWD, |account| account.name == TESTER), Some(expected.clone()));
        assert_eq!(Account::find_in(PASSWD, |account| account.uid == 998), Some(expected));
    }

    #[test]
    fn a_name_that_only_begins_alike_is_another_user() {
        assert_eq!(Account::find_in(PASSWD, |account| account.name == "keyfob"), None);
    }
}
