//! How `[token.…]` is read from the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::{Header, Rotate, Token};
use crate::config::{Host, HostPattern, Problem, Reading};
use crate::kind::Source;
use crate::service::{self, SERVICES, Service, Shape};

/// A year, what services give where they are not asked for something else.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Deserialize)]
struct Table {
    hosts: Vec<Spanned<String>>,
    header: Option<Spanned<String>>,
    prefix: Option<Spanned<String>>,
    portal: Option<Spanned<String>>,
    lifetime: Option<Spanned<String>>,
    service: Option<Spanned<String>>,
    api: Option<Spanned<String>>,
    rotate: Option<Spanned<Rotate>>,
    owner: Option<Spanned<String>>,
    clusters: Option<BTreeMap<String, Spanned<String>>>,
}

pub(super) fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let span = value.span();
    let table: Table = crate::config::read_table(place, value, &mut reading.problems)?;
    let hosts = reading.hosts(&table.hosts);
    let header = table.header.and_then(|text| reading.check(read_header(place, &text)));
    let prefix = table.prefix.and_then(|text| reading.plain(&text));
    let owner = table.owner.and_then(|text| reading.plain(&text));
    let portal = table.portal.and_then(|text| reading.address(&text));
    let lifetime = table.lifetime.and_then(|text| reading.duration(&text));
    let service = match &table.service {
        Some(text) => reading.check(read_service(place, text))?,
        None => SERVICES[0],
    };
    let api = read_api(reading, service, table.api, span);
    if let Some(rotate) = &table.rotate
        && *rotate.get_ref() == Rotate::Auto
        && matches!(service.shape(), Shape::ByHand)
    {
        let say = format!(
            "{place}: rotate = \"auto\" needs a service that rotates by its API; \"{}\" does not",
            service.name()
        );
        reading.problems.push(Problem::at(rotate, say));
    }
    let clusters = read_clusters(reading, table.clusters.unwrap_or_default(), &hosts);
    Some(Box::new(Token {
        hosts,
        header: header.unwrap_or(Header::Bearer),
        prefix: prefix.unwrap_or_default(),
        portal: portal.map(Into::into),
        lifetime: lifetime.unwrap_or(LIFETIME),
        service,
        api,
        rotate: table.rotate.map(Spanned::into_inner).unwrap_or(Rotate::Remind),
        owner,
        clusters,
    }))
}

fn read_service(place: &str, text: &Spanned<String>) -> Result<&'static dyn Service, Problem> {
    service::of(text.get_ref()).ok_or_else(|| {
        let known: Vec<String> = SERVICES.iter().map(|service| format!("\"{}\"", service.name())).collect();
        let shown = keyfob_ipc::text::escape(text.get_ref());
        Problem::at(
            text,
            format!("{place}: the service `{shown}` is not known here; known: {}", known.join(", ")),
        )
    })
}

fn read_api(
    reading: &mut Reading<'_>,
    service: &'static dyn Service,
    text: Option<Spanned<String>>,
    table: std::ops::Range<usize>,
) -> Option<Url> {
    let place = reading.place;
    match (text, service.usual_api()) {
        (Some(text), _) => {
            let address = reading.address(&text);
            if service.has_api() {
                return address;
            }
            let say = format!("{place}: `api` needs a `service` other than \"{}\"", service.name());
            reading.check(Err(Problem::at(&text, say)))
        }
        (None, Some(usual)) => Url::parse(usual).ok(),
        (None, None) if service.has_api() => {
            let say = format!("{place}: the service \"{}\" needs `api`, its address", service.name());
            reading.problems.push(Problem { span: Some(table), say });
            None
        }
        (None, None) => None,
    }
}

fn read_header(place: &str, text: &Spanned<String>) -> Result<Header, Problem> {
    let name = text.get_ref();
    let parsed: Result<http::HeaderName, _> = name.parse();
    match parsed {
        // gRPC decodes the value of a name that ends in `-bin` as base64.
        Ok(parsed) if parsed.as_str().ends_with("-bin") => {
            Err(Problem::at(text, format!("{place}: a header whose name ends in -bin is binary in gRPC")))
        }
        Ok(parsed) if parsed == http::header::AUTHORIZATION => Ok(Header::Bearer),
        Ok(_) => Ok(Header::Named(name.clone())),
        Err(_) => Err(Problem::at(text, format!("{place}: this is not the name of a header"))),
    }
}

fn read_clusters(
    reading: &mut Reading<'_>,
    clusters: BTreeMap<String, Spanned<String>>,
    hosts: &[HostPattern],
) -> BTreeMap<String, Url> {
    let place = reading.place;
    let mut known = BTreeMap::new();
    for (name, text) in clusters {
        let address = Url::parse(text.get_ref()).ok();
        let fits = |address: &Url| {
            let host = address.host_str().and_then(|host| Host::parse(host).ok());
            let is_safe = match address.scheme() {
                "grpcs" => true,
                "grpc" => reading.limits.plain_loopback && host.as_ref().is_some_and(Host::is_loopback),
                _ => false,
            };
            let is_plain =
                address.username().is_empty() && address.password().is_none() && address.query().is_none();
            is_safe && is_plain && host.is_some_and(|host| hosts.iter().any(|pattern| pattern.matches(&host)))
        };
        let checked = address.filter(fits).ok_or_else(|| {
            Problem::at(&text, format!("{place}: a cluster is a grpcs:// address with a host of this entry"))
        });
        if let Some(address) = reading.check(checked) {
            known.insert(name, address);
        }
    }
    known
}
