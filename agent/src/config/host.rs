//! Hosts and host patterns, by Bazel's own rules.
//!
//! A pattern is an exact name, or `*.` and a name, which also matches that name itself; the most specific one wins
//! (`--credential_helper` of Bazel). Names are compared in ASCII form: lower case, punycode, no trailing dot.

use std::fmt;

use url::Host as UrlHost;

/// A host in comparable form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

impl Host {
    /// Reads a host as people and URLs write it.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        // The URL parser would decode percent signs and drop tabs: nothing that says one host and means another.
        if text.contains(|character: char| "%/\\@?#: \t\r\n*".contains(character) || character.is_control())
            && !text.starts_with('[')
        {
            return Err(HostError::Malformed);
        }
        match UrlHost::parse(text).map_err(|_| HostError::Malformed)? {
            UrlHost::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                let labels_fit = name.split('.').all(|label| !label.is_empty() && label.len() <= 63);
                if !labels_fit || name.len() > 253 {
                    return Err(HostError::Malformed);
                }
                Ok(Self(name.to_owned()))
            }
            address @ (UrlHost::Ipv4(_) | UrlHost::Ipv6(_)) => Ok(Self(address.to_string())),
        }
    }

    /// Its text: a name in ASCII, an IPv4 address, or an IPv6 address in brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an address of this machine.
    pub fn is_loopback(&self) -> bool {
        match UrlHost::parse(&self.0) {
            Ok(UrlHost::Ipv4(address)) => address.is_loopback(),
            Ok(UrlHost::Ipv6(address)) => address.is_loopback(),
            Ok(UrlHost::Domain(name)) => name == "localhost",
            Err(_) => false,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What is wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// No host name or address.
    #[error("is not a host name")]
    Malformed,
    /// A wildcard that would match a whole top-level domain or more.
    #[error("is too wide: after `*.` comes a name with at least one dot")]
    TooWide,
}

/// A pattern of hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host alone.
    Exact(Host),
    /// This host and everything below it.
    Below(Host),
}

impl HostPattern {
    /// Reads `name`, `*.name` or an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let Some(base) = text.strip_prefix("*.") else { return Host::parse(text).map(Self::Exact) };
        let base = Host::parse(base)?;
        let is_name = base.as_str().contains('.') && base.as_str().parse::<std::net::IpAddr>().is_err();
        if is_name { Ok(Self::Below(base)) } else { Err(HostError::TooWide) }
    }

    /// Whether the host is matched.
    pub fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(base) => is_below(host.as_str(), base.as_str()),
        }
    }

    /// Whether everything that `other` matches is matched by this one.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(mine), Self::Exact(theirs)) => mine == theirs,
            (Self::Exact(_), Self::Below(_)) => false,
            (Self::Below(base), Self::Exact(name) | Self::Below(name)) => {
                is_below(name.as_str(), base.as_str())
            }
        }
    }

    /// How specific it is: exact before wildcard, longer before shorter.
    pub fn rank(&self) -> (bool, usize) {
        match self {
            Self::Exact(name) => (true, name.as_str().len()),
            Self::Below(name) => (false, name.as_str().len()),
        }
    }
}

/// The base itself, or a name that ends with a dot and the base; `evil-acme.dev` is not below `acme.dev`.
fn is_below(name: &str, base: &str) -> bool {
    name.strip_suffix(base).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(formatter, "{name}"),
            Self::Below(name) => write!(formatter, "*.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).unwrap().matches(&Host::parse(host).unwrap())
    }

    #[test]
    fn names_are_compared_in_one_form() {
        assert!(matches("Cache.Acme.DEV.", "cache.acme.dev"));
        assert!(matches("b\u{fc}cher.example", "XN--BCHER-KVA.example"));
        assert!(matches("127.0.0.1", "127.1"));
        assert!(matches("[::1]", "[0:0::1]"));
    }

    #[test]
    fn a_wildcard_matches_the_name_itself_and_below_but_no_look_alike() {
        assert!(matches("*.acme.dev", "acme.dev"));
        assert!(matches("*.acme.dev", "a.b.acme.dev"));
        for look_alike in ["evil-acme.dev", "acme.dev.evil.io", "acme.de", "xacme.dev", "dev"] {
            assert!(!matches("*.acme.dev", look_alike), "{look_alike}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "a b",
            "a/b",
            "u@h.example",
            "h.example:443",
            "a%2eb",
            "a..b",
            "*.example.com",
            "a\\b",
            "a\tb",
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
        assert_eq!(HostPattern::parse("*.dev"), Err(HostError::TooWide));
        assert_eq!(HostPattern::parse("*.127.0.0.1"), Err(HostError::TooWide));
        assert!(HostPattern::parse("*").is_err());
        assert!(HostPattern::parse("a.*.dev").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(host.as_str()), Ok(host), "reading is stable");
            }
        }

        #[test]
        fn a_covering_pattern_matches_all_that_the_covered_one_does(
            name in "[a-z]{1,4}(\\.[a-z]{1,4}){1,3}", wide in "[a-z]{1,4}\\.[a-z]{1,4}"
        ) {
            let wide = HostPattern::parse(&format!("*.{wide}")).unwrap();
            let exact = HostPattern::parse(&name).unwrap();
            prop_assert_eq!(wide.covers(&exact), wide.matches(&Host::parse(&name).unwrap()));
        }
    }
}
