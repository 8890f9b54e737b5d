//! The configuration files of Metaflow: where they are, and what of them matters to keyfob.

use std::path::{Path, PathBuf};

use keyfob_ipc::reply::EntryReport;
use keyfob_ipc::{Code, Refusal, text};

use crate::dotfile::{self, Dotfile};
use crate::json_file::{Object, Wrong};
use crate::world::World;

/// The service key in plain text.
pub const KEY: &str = "METAFLOW_SERVICE_AUTH_KEY";
/// The entry that has the service key instead.
pub const SERVICE: &str = "METAFLOW_KEYFOB_SERVICE";
/// The `[aws.*]` entry whose keys flows get.
pub const AWS: &str = "METAFLOW_KEYFOB_AWS";
/// The region of that entry.
pub const REGION: &str = "METAFLOW_KEYFOB_REGION";
/// The path of this program.
pub const PROGRAM: &str = "METAFLOW_KEYFOB_PROGRAM";
/// What `keyfob setup metaflow` and `keyfob import` have to remember, in words: `file` (the first made the file), `empty` (the file
/// had nothing in it), `service` ([`SERVICE`] is of its own writing), [`IMPORT`], [`BOTH`].
pub const SETUP: &str = "METAFLOW_KEYFOB_SETUP";
/// The word for: [`SERVICE`] is of an import, which needs [`PROGRAM`]. Without it these members are a matter of the setup alone.
pub const IMPORT: &str = "import";
/// The word for: something else than the import needs [`PROGRAM`], too.
pub const BOTH: &str = "program";
/// The word for: an import gave the entry its key, so undoing it may take the key away there.
pub const MOVED: &str = "moved";
/// The header that a service key goes into.
pub const HEADER: &str = "x-api-key";

/// What a person has to know where the agent is of a second profile.
pub const OWN_PROFILE: &str = "Metaflow must run with the same KEYFOB_ variables and HOME as this command";

const SERVICE_URL: &str = "METAFLOW_SERVICE_URL";
const CONFIG_URL: &str = "OBP_METAFLOW_CONFIG_URL";
/// What `outerbounds configure` writes begins so.
const OUTERBOUNDS: &str = "OBP_";

/// One of them.
pub struct MetaflowFile {
    /// The file itself.
    pub file: Dotfile,
    /// Its members; `None` where it is not there, or has nothing but white space in it.
    pub object: Option<Object>,
}

impl MetaflowFile {
    /// Reads one that is a regular file of this person's, or is not there.
    ///
    /// # Errors
    /// [`Code::PlaceUnsafe`] and [`Code::BadRequest`] with the reason.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let shown = text::escape(&path.display().to_string());
        let file = Dotfile::read(path).map_err(|error| {
            Refusal::new(Code::PlaceUnsafe, format!("`{shown}` cannot be read ({error})"))
        })?;
        if file.content.is_some() && !is_ours(&file.path) {
            return Err(Refusal::new(Code::PlaceUnsafe, format!("`{shown}` belongs to somebody else")));
        }
        let content = file.content.as_deref().unwrap_or_default();
        if content.trim_ascii().is_empty() {
            return Ok(Self { file, object: None });
        }
        match Object::read(content) {
            Ok(object) => Ok(Self { file, object: Some(object) }),
            Err(wrong) => Err(Refusal::new(Code::BadRequest, format!("`{shown}` {wrong}"))
                .hint("mend that file, then run this again")),
        }
    }

    /// Its path, for a person.
    pub fn shown(&self) -> String {
        text::escape(&self.file.path.display().to_string())
    }

    /// A member that is filled text and no secret.
    pub fn plain(&self, name: &str) -> Option<String> {
        self.object.as_ref()?.plain(name).filter(|value| !value.is_empty())
    }

    /// The name of an entry; `None` also where what stands there can be none.
    pub fn entry(&self, name: &str) -> Option<String> {
        self.plain(name).filter(|value| is_entry(value))
    }

    /// Whether it has a service key in plain text.
    pub fn has_key(&self) -> bool {
        let key = self.object.as_ref().and_then(|object| object.string(KEY));
        key.is_some_and(|key| !key.expose().is_empty())
    }

    /// What was remembered ([`SETUP`]).
    pub fn remembers(&self, word: &str) -> bool {
        self.words().iter().any(|other| other == word)
    }

    /// All of that.
    pub fn words(&self) -> Vec<String> {
        self.plain(SETUP).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    /// Whether it is of a deployment of Outerbounds.
    pub fn is_of_outerbounds(&self) -> bool {
        self.object.as_ref().is_some_and(|object| object.names().any(|name| name.starts_with(OUTERBOUNDS)))
    }

    /// Who takes its service key.
    ///
    /// # Errors
    /// Why nobody is known to, in words.
    pub fn service(&self) -> Result<Service, String> {
        if !self.is_of_outerbounds() {
            let url = self
                .plain(SERVICE_URL)
                .ok_or(format!("it has no {SERVICE_URL}, whose host would get the key"))?;
            return Ok(Service { host: https(SERVICE_URL, &url)?.0.to_ascii_lowercase(), outerbounds: None });
        }
        let (name, url) = match (self.plain(CONFIG_URL), self.plain("OBP_API_SERVER")) {
            (Some(url), _) => (CONFIG_URL, url),
            (None, Some(server)) if !server.contains("://") => {
                ("OBP_API_SERVER", format!("https://{server}"))
            }
            (None, server) => ("OBP_API_SERVER", server.unwrap_or_default()),
        };
        let (host, path) = https(name, &url)?;
        let host = host.to_ascii_lowercase();
        let Some(domain) = host.strip_prefix("api.").filter(|domain| domain.contains('.')) else {
            return Err(format!("its {name} is not at `api.` of a domain"));
        };
        let of_path =
            |path: &str| path.split('/').skip_while(|part| *part != "perimeters").nth(1).map(str::to_owned);
        let perimeter =
            self.chosen_perimeter().or_else(|| of_path(path)).or_else(|| self.plain("OBP_PERIMETER"));
        let perimeter = perimeter.unwrap_or("default".to_owned());
        if !perimeter.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(format!("the perimeter `{}` is no name", text::escape(&perimeter)));
        }
        Ok(Service { outerbounds: Some((domain.to_owned(), perimeter)), host })
    }
}

impl MetaflowFile {
    /// What `outerbounds perimeter switch` wrote beside this file, which wins there.
    fn chosen_perimeter(&self) -> Option<String> {
        let mut name = std::ffi::OsString::from("ob_");
        name.push(self.file.path.file_name()?);
        Self::read(&self.file.path.with_file_name(name)).ok()?.plain("OB_CURRENT_PERIMETER")
    }
}

/// Whether a text can be the name of an entry, `kind.name`: only then it is repeated.
pub fn is_entry(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_part =
        |part: &str| (1..=64).contains(&part.len()) && part.bytes().all(is_plain) && !part.starts_with('-');
    text.split_once('.').is_some_and(|(kind, name)| is_part(kind) && is_part(name))
}

/// Has exactly these words remembered.
///
/// # Errors
/// None that a text without errors could have.
pub fn remembering(object: &Object, words: &[String]) -> Result<Object, Wrong> {
    if words.is_empty() { object.without(SETUP) } else { object.set(SETUP, &words.join(" ")) }
}

/// Who takes a service key.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// Its host, in lower case, letters, digits, dots and hyphens alone.
    pub host: String,
    /// The domain and the perimeter of a deployment of Outerbounds.
    pub outerbounds: Option<(String, String)>,
}

impl Service {
    /// An address there, as the agent is asked about.
    pub fn uri(&self) -> String {
        format!("https://{}/", self.host)
    }

    /// The hosts of an entry for it alone.
    pub fn pattern(&self) -> String {
        self.outerbounds.as_ref().map_or(self.host.clone(), |(domain, _)| format!("*.{domain}"))
    }

    /// Whether the key could be one of this entry.
    pub fn fits(&self, entry: &EntryReport) -> bool {
        let fact = |name: &str| entry.facts.get(name).map(String::as_str);
        match &self.outerbounds {
            Some((domain, perimeter)) => {
                entry.kind == "outerbounds"
                    && entry.hosts.iter().any(|pattern| covers(pattern, &self.host))
                    && fact("domain").is_none_or(|other| other.eq_ignore_ascii_case(domain))
                    && fact("perimeter").unwrap_or("default") == perimeter
            }
            None => {
                entry.kind == "token"
                    && fact("header").is_some_and(|header| header.eq_ignore_ascii_case(HEADER))
                    && entry.hosts.iter().any(|pattern| covers(pattern, &self.host))
            }
        }
    }
}

/// Whether the pattern of an entry has this host (the rules are Bazel's).
fn covers(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        None => pattern == host,
        Some(parent) => host.strip_suffix(parent).is_some_and(|head| head.is_empty() || head.ends_with('.')),
    }
}

/// Host and path of an `https` address.
fn https<'a>(name: &str, url: &'a str) -> Result<(&'a str, &'a str), String> {
    let Some(rest) = url.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).map(|_| &url[8..])
    else {
        return Err(format!("its {name} is no https address, and a key goes over TLS only"));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // What stands before an `@` is no host, and readers differ in which `@` counts: then there is no host here, nor a port.
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_number =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return Err(format!("its {name} has no host name"));
    }
    if !port.is_none_or(is_number) {
        return Err(format!("its {name} has a port that is no number"));
    }
    Ok((host, path))
}

/// The folder of them all.
pub fn folder(world: &World) -> Result<PathBuf, Refusal> {
    let home = || world.home();
    match &world.environment.metaflow_home {
        // Metaflow does what a shell would.
        Some(folder) => match folder.strip_prefix("~") {
            Ok(rest) => Ok(home()?.join(rest)),
            Err(_) => Ok(folder.clone()),
        },
        None => Ok(home()?.join(".metaflowconfig")),
    }
}

/// The one in force.
pub fn current(world: &World) -> Result<PathBuf, Refusal> {
    let name = match &world.environment.metaflow_profile {
        Some(profile) => format!("config_{profile}.json"),
        None => "config.json".to_owned(),
    };
    Ok(folder(world)?.join(name))
}

/// All that are there, by name.
pub fn all(world: &World) -> Result<Vec<PathBuf>, Refusal> {
    files(world, |name| name.starts_with("config") && name.ends_with(".json"))
}

/// What a command left beside them that was killed while it wrote. A file may lie elsewhere, and its link here.
pub fn left_over(world: &World) -> Result<Vec<PathBuf>, Refusal> {
    let mut left = files(world, |name| {
        let end = name.split_once(".json.keyfob-").filter(|_| name.starts_with("config"));
        end.is_some_and(|(_, process)| process.bytes().all(|byte| byte.is_ascii_digit()))
    })?;
    left.extend(all(world)?.iter().flat_map(|path| dotfile::left_over(path)));
    left.sort();
    left.dedup();
    Ok(left)
}

/// More than a person has.
const MOST: usize = 1000;

fn files(world: &World, is_one: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, Refusal> {
    let folder = folder(world)?;
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let shown = text::escape(&folder.display().to_string());
            return Err(Refusal::new(Code::PlaceUnsafe, format!("`{shown}` cannot be read ({error})")));
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_one))
        .take(MOST)
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(unix)]
fn is_ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let me = rustix::process::geteuid().as_raw();
    std::fs::metadata(path).is_ok_and(|metadata| metadata.uid() == me)
}

#[cfg(windows)]
fn is_ours(_path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(json: &str) -> Result<Service, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        MetaflowFile::read(&path).unwrap().service()
    }

    #[test]
    fn the_service_is_the_host_of_the_address() {
        for (url, host) in [
            ("https://meta.acme.dev", "meta.acme.dev"),
            ("HTTPS://Meta.Acme.dev:8443/api?x#y", "meta.acme.dev"),
        ] {
            let json = format!("{{\"METAFLOW_SERVICE_URL\":\"{url}\"}}");
            assert_eq!(service(&json), Ok(Service { host: host.to_owned(), outerbounds: None }));
        }
        for url in [
            "http://meta.acme.dev",
            "https://",
            "https://a@meta.acme.dev",
            "https://git.company.test:x@meta.acme.dev/",
            "https://git.company.test:443@meta.acme.dev/",
            "https://git.company.test:443:x@meta.acme.dev/",
            "https://meta.acme.dev:/",
            "https://meta.acme.dev:+1/",
            "https://meta.acme.dev:65536/",
            "https://meta.acme.dev\\\\@git.company.test/",
            "https://[::1]/",
            "https:\u{e9}//",
            "",
        ] {
            assert!(service(&format!("{{\"METAFLOW_SERVICE_URL\":\"{url}\"}}")).is_err(), "{url}");
        }
        assert!(service("{}").unwrap_err().contains("no METAFLOW_SERVICE_URL"));
    }

    #[test]
    fn a_deployment_is_told_by_its_address() {
        let url = "https://api.foo.obp.outerbounds.com/v1/perimeters/blue/metaflowconfigs/default";
        let is = |json: &str, perimeter: &str| {
            let domain = "foo.obp.outerbounds.com".to_owned();
            let host = format!("api.{domain}");
            assert_eq!(
                service(json),
                Ok(Service { host, outerbounds: Some((domain, perimeter.to_owned())) })
            );
        };
        is(&format!("{{\"OBP_METAFLOW_CONFIG_URL\":\"{url}\"}}"), "blue");
        is("{\"OBP_API_SERVER\":\"api.foo.obp.outerbounds.com\",\"OBP_PERIMETER\":\"red\"}", "red");
        is("{\"OBP_API_SERVER\":\"https://api.foo.obp.outerbounds.com\"}", "default");
        for wrong in [
            "{\"OBP_METAFLOW_CONFIG_URL\":\"https://foo.obp.outerbounds.com/\"}",
            "{\"OBP_METAFLOW_CONFIG_URL\":\"http://api.foo.obp.outerbounds.com/\"}",
            "{\"OBP_METAFLOW_CONFIG_URL\":\"https://api.foo.dev/v1/perimeters/a\\\"b/x\"}",
            "{\"OBP_PERIMETER\":\"x\"}",
        ] {
            assert!(service(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_perimeter_that_was_switched_to_is_the_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config_work.json");
        let url = "https://api.foo.obp.outerbounds.com/v1/perimeters/blue/metaflowconfigs/default";
        std::fs::write(&path, format!("{{\"OBP_METAFLOW_CONFIG_URL\":\"{url}\"}}")).unwrap();
        let perimeter = || MetaflowFile::read(&path).unwrap().service().unwrap().outerbounds.unwrap().1;
        for (beside, is) in [
            ("{\"OB_CURRENT_PERIMETER\":\"red\"}", "red"),
            ("{\"OB_CURRENT_PERIMETER\":\"\"}", "blue"),
            ("no JSON", "blue"),
        ] {
            std::fs::write(folder.path().join("ob_config_work.json"), beside).unwrap();
            assert_eq!(perimeter(), is);
        }
    }

    #[test]
    fn patterns_have_hosts_as_bazel_reads_them() {
        assert!(covers("*.acme.dev", "meta.acme.dev") && covers("*.acme.dev", "acme.dev"));
        assert!(covers("Meta.acme.dev", "meta.acme.dev"));
        assert!(!covers("*.acme.dev", "evil-acme.dev") && !covers("acme.dev", "meta.acme.dev"));
    }
}
