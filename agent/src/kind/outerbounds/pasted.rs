//! What the page of a deployment offers to copy: `[prefix:]base64(zlib(JSON))`, by the behaviour of the public client
//! (`outerbounds configure`). Everything here is from outside: it is bounded before it takes room, and nothing of it is repeated.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use keyfob_ipc::Secret;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use serde_json::{Map, Value};
use url::Url;
use zeroize::{Zeroize as _, Zeroizing};

use crate::upstream::{outerbounds, secrets_manager};

/// Longest string that is read, in bytes. One has about a thousand.
pub const LONGEST: usize = 64 * 1024;
/// Largest configuration that comes out of one, in bytes: it must fit an answer to a tool.
pub const INFLATED: usize = 48 * 1024;

/// The member that has the key.
pub const KEY: &str = "METAFLOW_SERVICE_AUTH_KEY";
const URL: &str = "OBP_METAFLOW_CONFIG_URL";
const PERIMETER: &str = "OBP_PERIMETER";
const TYPE: &str = "OB_CONFIG_TYPE";
const SERVICE: &str = "METAFLOW_SERVICE_URL";
/// Members that tell the extension of Metaflow which program of Keyfob to run, and which entries to ask for. They are for a
/// person to write, and never for whoever answers or has made a string.
const OURS: &str = "METAFLOW_KEYFOB_";
/// Members that name a host of the deployment; some with a scheme, some without. Metaflow and its extension send the key to all of
/// them but the user interface (`SERVICE_HEADERS` in their sources).
const PLACES: [&str; 9] = [
    URL,
    SERVICE,
    "OBP_AUTH_SERVER",
    "OBP_API_SERVER",
    "OBP_INTEGRATIONS_URL",
    "METAFLOW_UI_URL",
    "METAFLOW_ARGO_EVENTS_WEBHOOK_URL",
    "METAFLOW_FAST_BAKERY_URL",
    "METAFLOW_OTEL_ENDPOINT",
];
/// The same as tasks in a cluster see them: there a name of the cluster's own is good, too.
const PLACES_IN_CLUSTER: [&str; 3] = [
    "METAFLOW_SERVICE_INTERNAL_URL",
    "METAFLOW_ARGO_EVENTS_INTERNAL_WEBHOOK_URL",
    "METAFLOW_AWS_SANDBOX_INTERNAL_SERVICE_URL",
];

/// Python's own decoder takes what has no padding at its end for damaged; a person who has lost it should not care.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a person has pasted.
#[derive(Debug)]
pub enum Pasted {
    /// A configuration with a key in it.
    Inline(Settings),
    /// Which secret of AWS has one: what machine users of IAM are given.
    Pointer(Pointer),
}

/// A secret of AWS Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// Its ARN.
    pub arn: String,
    /// Where it is read: that of the ARN.
    pub region: String,
}

/// A configuration with a key in it: where the rest of it is to be had and the key, or all of it.
#[derive(Clone, PartialEq)]
pub struct Settings {
    members: Map<String, Value>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Settings").field("perimeter", &self.perimeter()).finish_non_exhaustive()
    }
}

/// Why a text is none of it. None of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPasted {
    /// Nothing.
    #[error("no string was given")]
    Empty,
    /// More than [`LONGEST`], or [`INFLATED`].
    #[error("this is too long for a string of Outerbounds")]
    TooLong,
    /// No base64 of something that is deflated.
    #[error("this is no string of Outerbounds, or not the whole of it")]
    Malformed,
    /// What comes out is no configuration.
    #[error("there is no configuration in this string")]
    NoConfig,
    /// Of another kind than the two that are known.
    #[error("this string is of a kind that is not known here")]
    UnknownKind,
    /// A member is missing, or cannot be what it should be.
    #[error("there is no usable `{0}` in this string")]
    Lacks(&'static str),
}

impl Pasted {
    /// Reads a string, or the JSON object that such a string has in it.
    ///
    /// # Errors
    /// [`NotPasted`].
    pub fn read(text: &str) -> Result<Self, NotPasted> {
        if text.len() > LONGEST {
            return Err(NotPasted::TooLong);
        }
        let text = without_command(text.trim());
        if text.is_empty() {
            return Err(NotPasted::Empty);
        }
        if text.starts_with('{') {
            return Self::of_json(text.as_bytes());
        }
        // The prefix is for people.
        let encoded = text.split_once(':').map_or(text, |(_, encoded)| encoded);
        let encoded: Zeroizing<Vec<u8>> =
            Zeroizing::new(encoded.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
        let deflated = Zeroizing::new(BASE64.decode(&*encoded).map_err(|_| NotPasted::Malformed)?);
        Self::of_json(&inflate(&deflated)?)
    }

    fn of_json(json: &[u8]) -> Result<Self, NotPasted> {
        if json.len() > INFLATED {
            return Err(NotPasted::TooLong);
        }
        let members: Map<String, Value> = serde_json::from_slice(json).map_err(|_| NotPasted::NoConfig)?;
        match members.get(TYPE).map(Value::as_str) {
            None | Some(Some("inline")) => Settings::of(members).map(Self::Inline),
            Some(Some("aws-secrets-manager")) => Pointer::of(&members).map(Self::Pointer),
            Some(_) => Err(NotPasted::UnknownKind),
        }
    }
}

impl Pointer {
    fn of(members: &Map<String, Value>) -> Result<Self, NotPasted> {
        let (arn, region) = ("AWS_SECRETS_MANAGER_SECRET_ARN", "AWS_SECRETS_MANAGER_REGION");
        let text = |name: &'static str| members.get(name)?.as_str();
        let secret = text(arn).ok_or(NotPasted::Lacks(arn))?;
        let home = secrets_manager::region_of(secret).ok_or(NotPasted::Lacks(arn))?;
        // A replica in another region has another ARN.
        text(region).filter(|region| *region == home).ok_or(NotPasted::Lacks(region))?;
        Ok(Self { arn: secret.to_owned(), region: home.to_owned() })
    }
}

impl Settings {
    /// Takes in what a secret of AWS, or the keychain, has.
    ///
    /// # Errors
    /// [`NotPasted`].
    pub fn read(json: &[u8]) -> Result<Self, NotPasted> {
        match Pasted::of_json(json)? {
            Pasted::Inline(settings) => Ok(settings),
            // From one secret to the next one.
            Pasted::Pointer(_) => Err(NotPasted::UnknownKind),
        }
    }

    fn of(mut members: Map<String, Value>) -> Result<Self, NotPasted> {
        let key = members.get(KEY).and_then(Value::as_str);
        key.filter(|key| outerbounds::is_key(key)).ok_or(NotPasted::Lacks(KEY))?;
        members.remove(TYPE);
        drop_ours(&mut members);
        if members.contains_key(URL) {
            // The rest comes from there, and is newer.
            members.retain(|name, _| [URL, KEY, PERIMETER].contains(&name.as_str()));
        }
        Ok(Self { members })
    }

    /// A key that a deployment gave.
    pub fn of_key(key: &Secret<String>) -> Self {
        let key = Value::String(key.expose().clone());
        Self { members: Map::from_iter([(KEY.to_owned(), key)]) }
    }

    /// The same, with the address of the deployment where it names none.
    #[must_use]
    pub fn of_domain(mut self, domain: &str) -> Self {
        if self.check_domain(domain, None) == Err(None) {
            self.members.insert("OBP_AUTH_SERVER".to_owned(), Value::String(format!("auth.{domain}")));
        }
        self
    }

    /// As it is kept.
    pub fn to_value(&self) -> Secret<String> {
        // Texts by their names: writing them cannot fail.
        Secret::new(serde_json::to_string(&self.members).unwrap_or_default())
    }

    /// The key.
    pub fn key(&self) -> Secret<String> {
        Secret::from(self.members.get(KEY).and_then(Value::as_str).unwrap_or_default())
    }

    /// Which perimeter the page meant.
    pub fn perimeter(&self) -> Option<&str> {
        self.members.get(PERIMETER)?.as_str()
    }

    /// The whole configuration, where there is no address to have it from: what the page offered first.
    pub fn whole(&self) -> Option<&Map<String, Value>> {
        (!self.members.contains_key(URL) && self.members.contains_key(SERVICE)).then_some(&self.members)
    }

    /// Whether every host that it names is of a domain, or is a place that stands for it; and it names one.
    ///
    /// # Errors
    /// A host that is not, in ASCII; or nothing, where it names none.
    pub fn check_domain(&self, domain: &str, stand_in: Option<&str>) -> Result<(), Option<String>> {
        let named = |names: &'static [&str]| {
            let places =
                names.iter().filter_map(|name| self.members.get(*name)).filter(|place| !place.is_null());
            places.map(|place| address(place.as_str().unwrap_or_default()))
        };
        for url in named(&PLACES_IN_CLUSTER) {
            let url = url?;
            if !is_in_cluster(&url) {
                check_place(&url, domain, stand_in)?;
            }
        }
        let mut names_one = false;
        for url in named(&PLACES) {
            check_place(&url?, domain, stand_in)?;
            names_one = true;
        }
        if names_one { Ok(()) } else { Err(None) }
    }
}

/// Takes out what is for a person to write. Case does not count: Windows does not tell variables apart by it.
pub(super) fn drop_ours(members: &mut Map<String, Value>) {
    members.retain(|name, _| !name.to_ascii_uppercase().starts_with(OURS));
}

fn address(place: &str) -> Result<Url, Option<String>> {
    let with_scheme = if place.contains("://") { place.to_owned() } else { format!("https://{place}") };
    Url::parse(&with_scheme).map_err(|_| Some("an address that is none".to_owned()))
}

/// Whether nobody but a cluster knows the host: one of Kubernetes' own domain, or `SERVICE.jobs-…`, for the namespaces that jobs
/// of Outerbounds have; no domain of the internet ends so.
fn is_in_cluster(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let Some((service, rest)) = host.split_once('.') else { return false };
    let is_cluster = rest.ends_with(".svc")
        || rest.ends_with(".svc.cluster.local")
        || (rest.starts_with("jobs-") && !rest.contains('.'));
    let is_plain = url.username().is_empty() && url.password().is_none();
    is_cluster && !service.is_empty() && is_plain && matches!(url.scheme(), "http" | "https")
}

fn check_place(url: &Url, domain: &str, stand_in: Option<&str>) -> Result<(), Option<String>> {
    if stand_in.and_then(|base| Url::parse(base).ok()).is_some_and(|base| base.origin() == url.origin()) {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    let is_below = host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let is_plain = url.username().is_empty() && url.password().is_none();
    if is_below && is_plain && url.scheme() == "https" { Ok(()) } else { Err(Some(host.to_owned())) }
}

/// The page offers a command line to copy, too.
fn without_command(text: &str) -> &str {
    let rest = text.strip_prefix("outerbounds").filter(|rest| rest.starts_with(char::is_whitespace));
    let rest = rest.and_then(|rest| rest.trim_start().strip_prefix("configure"));
    rest.filter(|rest| rest.starts_with(char::is_whitespace)).map_or(text, str::trim_start)
}

/// Whatever is in it: never more than [`INFLATED`] bytes are taken or made.
fn inflate(deflated: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotPasted> {
    let mut inflated = Zeroizing::new(vec![0; INFLATED + 1]);
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate_flags::TINFL_FLAG_COMPUTE_ADLER32
        | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = Box::new(DecompressorOxide::new());
    let (status, _, length) = decompress(&mut state, deflated, &mut inflated, 0, flags);
    match status {
        TINFLStatus::Done if length <= INFLATED => {
            inflated[length..].zeroize();
            inflated.truncate(length);
            Ok(inflated)
        }
        TINFLStatus::Done | TINFLStatus::HasMoreOutput => Err(NotPasted::TooLong),
        _ => Err(NotPasted::Malformed),
    }
}

#[cfg(test)]
mod tests;
