//! Who the agent runs for, as a program is told that it starts for keys. Nothing else of its environment is such a program's business.

use std::ffi::OsString;

/// What is passed on.
#[cfg(unix)]
const PASSED_ON: [&str; 4] = ["HOME", "USER", "LOGNAME", "LANG"];
#[cfg(windows)]
const PASSED_ON: [&str; 6] = ["USERPROFILE", "USERNAME", "APPDATA", "LOCALAPPDATA", "SystemRoot", "PATH"];

/// Where such a program finds others: the system's own places.
#[cfg(unix)]
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// The person, as the environment names them. Read once, by `main`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person(Vec<(OsString, OsString)>);

impl Person {
    /// Reads the variables; `variable` looks one up.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let all = PASSED_ON.iter().filter_map(|name| Some((OsString::from(*name), variable(name)?)));
        #[cfg(unix)]
        let all = all.chain([(OsString::from("PATH"), OsString::from(PATH))]);
        Self(all.collect())
    }

    /// The whole environment of a program that is started.
    pub fn environment(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_who_and_where_is_passed_on() {
        let person = Person::read(|name| Some(format!("of {name}").into()));
        let all: Vec<_> = person
            .environment()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        assert_eq!(all[..4], ["HOME=of HOME", "USER=of USER", "LOGNAME=of LOGNAME", "LANG=of LANG"]);
        assert_eq!(all[4..], [format!("PATH={PATH}")], "not the agent's own");
    }
}
