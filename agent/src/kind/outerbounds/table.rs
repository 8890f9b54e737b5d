//! How `[outerbounds.…]` is read from the configuration.

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::{Origin, Outerbounds};
use crate::config::{EntryName, Host, HostPattern, Problem, Reading};
use crate::kind::Source;

/// The kind of machine users.
const MACHINE: &str = "machine";
const PERIMETER: &str = "default";

#[derive(Deserialize)]
struct Table {
    domain: Spanned<String>,
    perimeter: Option<Spanned<String>>,
    machine: Option<Spanned<String>>,
    principal: Option<Spanned<String>>,
    hosts: Option<Vec<Spanned<String>>>,
    endpoint_url: Option<Spanned<String>>,
}

pub(super) fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let table: Table = crate::config::read_table(place, value, &mut reading.problems)?;
    let before = reading.problems.len();
    let domain = reading.check(read_domain(place, &table.domain));
    let mut name = |text: &Spanned<String>, what: &str| reading.check(read_name(place, text, what));
    let perimeter = table.perimeter.as_ref().and_then(|text| name(text, "perimeter"));
    let principal = table.principal.as_ref().and_then(|text| name(text, "service principal"));
    reading.through = table.machine.as_ref().map(Spanned::span);
    let machine = table.machine.map(|text| {
        let bare = text.get_ref().strip_prefix("machine.").unwrap_or(text.get_ref());
        EntryName { kind: MACHINE, name: bare.to_owned() }
    });
    if let (Some(text), None) = (&table.principal, &machine) {
        let say = format!("{place}: `principal` goes with `machine`, the identity of the job that it is");
        reading.problems.push(Problem::at(text, say));
    }
    let hosts = table.hosts.as_ref().map(|texts| read_hosts(reading, texts, domain.as_ref()));
    let endpoint = table.endpoint_url.and_then(|text| reading.address(&text));
    if reading.problems.len() > before {
        return None;
    }
    let domain = domain?;
    let origin = match (machine, principal) {
        (Some(machine), Some(name)) => Origin::Principal { machine, name },
        // Whether it names a secret is in its own table ([`Source::complete`]).
        (Some(machine), None) => Origin::Secret { machine },
        (None, _) => Origin::Held { reader: None },
    };
    Some(Box::new(Outerbounds {
        perimeter: perimeter.unwrap_or_else(|| PERIMETER.to_owned()),
        origin,
        endpoint: endpoint.map(|address| address.as_str().trim_end_matches('/').to_owned()),
        hosts: hosts.unwrap_or_else(|| vec![HostPattern::Below(domain.clone())]),
        domain,
    }))
}

/// Its services, which people copy from the address of a page.
const SERVICES: [&str; 3] = ["ui", "api", "auth"];

/// The whole of it: `foo.obp.outerbounds.com`. Its first label is the name of the deployment.
fn read_domain(place: &str, text: &Spanned<String>) -> Result<Host, Problem> {
    fitting_domain(text.get_ref()).map_err(|wrong| {
        let say = format!("{place}: {wrong}; a domain is written foo.obp.outerbounds.com");
        Problem::at(text, say)
    })
}

/// What is wrong with it is said without repeating a text that may be anything.
fn fitting_domain(text: &str) -> Result<Host, String> {
    let wrong = |say: &str| Err(say.to_owned());
    if text.is_empty() {
        return wrong("`domain` is empty");
    }
    if text.contains("://") {
        return wrong("`domain` has no scheme (`https://`)");
    }
    if text.contains('*') {
        return wrong("`domain` has no `*`: it is one deployment");
    }
    if text.contains(['/', '?', '#']) {
        return wrong("`domain` has no `/` and nothing behind it");
    }
    if let Some((_, port)) = text.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('[')
    {
        return wrong("`domain` has no port");
    }
    let Ok(host) = Host::parse(text) else { return wrong("`domain` is no name of a host") };
    let is_address = host.as_str().parse::<std::net::IpAddr>().is_ok() || host.as_str().contains(':');
    if is_address || host.is_loopback() {
        return wrong("`domain` is a name, and no address of a machine");
    }
    if host.as_str().split('.').count() < 3 {
        return wrong("`domain` is the whole of it, with the names behind that of the deployment");
    }
    match host.as_str().split_once('.') {
        Some((service, rest)) if SERVICES.contains(&service) && rest.split('.').count() >= 3 => {
            Err(format!("`{service}.` is a service of the domain, and is left out: domain = \"{rest}\""))
        }
        _ => Ok(host),
    }
}

/// It becomes part of an address.
fn read_name(place: &str, text: &Spanned<String>, what: &str) -> Result<String, Problem> {
    let name = text.get_ref();
    let is_name = (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !name.bytes().all(|byte| byte == b'.');
    if is_name {
        Ok(name.clone())
    } else {
        Err(Problem::at(text, format!("{place}: the name of a {what} has letters, digits and -_.")))
    }
}

/// The key goes nowhere but to the deployment.
fn read_hosts(
    reading: &mut Reading<'_>,
    texts: &[Spanned<String>],
    domain: Option<&Host>,
) -> Vec<HostPattern> {
    let place = reading.place;
    let patterns = reading.hosts(texts);
    let Some(domain) = domain else { return patterns };
    let own = HostPattern::Below(domain.clone());
    for (pattern, text) in patterns.iter().zip(texts) {
        let host = match pattern {
            HostPattern::Exact(host) | HostPattern::Below(host) => host,
        };
        if !own.matches(host) {
            let say =
                format!("{place}: `{pattern}` is not below `{}`, where the key belongs", domain.as_str());
            reading.problems.push(Problem::at(text, say));
        }
    }
    patterns
}
