//! A folder of Metaflow's files, and an agent that keeps what it is given.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;
use std::sync::{Arc, Mutex};

use keyfob_ipc::reply::{EntryReport, Headers, Why};
use keyfob_ipc::{Code, Door, Refusal, Reply, Secret};
use serde_json::{Value, json as value};

use crate::fake::{Act, Profile, err, feed, out};
use crate::{entry, refused, status};

pub const KEY: &str = "s3rvice-k3y";
pub const PLAIN: &str = "{\r\n  \"METAFLOW_SERVICE_URL\" : \"https://meta.acme.dev/api\",\r\n  \
                     \"METAFLOW_SERVICE_AUTH_KEY\" : \"s3rvice-k3y\",\r\n  \"a\": [1,\t2]}";
pub const CONFIG_URL: &str = "https://api.foo.obp.outerbounds.com/v1/perimeters/blue/metaflowconfigs/default";

type Hook = Box<dyn FnMut(&str, usize) -> Option<Refusal> + Send>;

/// An agent that reads the configuration at each question, as the real one does.
pub struct Agent {
    /// Its kind.
    pub keychain: &'static str,
    pub own_profile: bool,
    pub held: BTreeMap<String, String>,
    /// Instead of any other answer to questions of this kind.
    pub refuses: BTreeMap<&'static str, Refusal>,
    /// What is kept is given back as something else.
    pub garbles: bool,
    /// Somebody writes this into that file while the agent keeps a key.
    pub edits: Option<(std::path::PathBuf, String)>,
    /// What happens at each question, of which it gets the kind and how many of it there were.
    pub hook: Option<Hook>,
    pub seen: BTreeMap<String, usize>,
    /// The configuration does not load with a new entry in it.
    pub is_picky: bool,
}

pub struct World {
    pub profile: Profile,
    pub agent: Arc<Mutex<Agent>>,
}

impl World {
    pub fn new() -> Self {
        let (profile, agent) = (Profile::new(), Arc::<Mutex<Agent>>::default());
        fs::create_dir(profile.path("home/.metaflowconfig")).unwrap();
        let config = profile.path("config.toml");
        for door in [Door::Tool, Door::Control] {
            let (agent, config) = (Arc::clone(&agent), config.clone());
            profile.answer(door, move |_, ask| {
                let configured = fs::read_to_string(&config).unwrap_or_default();
                agent.lock().unwrap().answer(ask, &configured, &config.display().to_string())
            });
        }
        Self { profile, agent }
    }

    pub fn agent(&self) -> std::sync::MutexGuard<'_, Agent> {
        self.agent.lock().unwrap()
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.profile.path("home/.metaflowconfig").join(name)
    }

    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn config(&self) -> String {
        fs::read_to_string(self.profile.path("config.toml")).unwrap_or_default()
    }

    /// No run ever shows a key, and none leaves a file behind.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_keyfob"));
        let mut command = self.profile.command(program, arguments);
        command.envs(variables.iter().copied());
        let output = feed(command, b"");
        let said = format!("{}{}", out(&output), err(&output));
        assert!(!said.contains(KEY), "{said}");
        for found in fs::read_dir(self.path("")).unwrap() {
            let name = found.unwrap().file_name().into_string().unwrap();
            assert!(!name.contains(".keyfob-"), "{name}");
        }
        output
    }

    pub fn asked(&self, what: &str) -> usize {
        self.profile.asked().iter().filter(|ask| ask[what].is_object()).count()
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            keychain: "system",
            held: BTreeMap::new(),
            refuses: BTreeMap::new(),
            garbles: false,
            edits: None,
            own_profile: false,
            hook: None,
            seen: BTreeMap::new(),
            is_picky: false,
        }
    }
}

impl Agent {
    fn answer(&mut self, ask: &Value, config: &str, path: &str) -> Act {
        let kind = ask.as_str().unwrap_or_else(|| ask.as_object().unwrap().keys().next().unwrap());
        if let Some(refusal) = self.refuses.get(kind) {
            return refused(refusal.clone()).into();
        }
        let seen = self.seen.entry(kind.to_owned()).or_default();
        *seen += 1;
        if let Some(refusal) = self.hook.as_mut().and_then(|hook| hook(kind, *seen)) {
            return refused(refusal).into();
        }
        let what = &ask[kind];
        match kind {
            "status" => self.status(config, path),
            "doctor" => Reply::Checks(vec![]),
            "token-add" => {
                self.edits.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
                let given = what["value"].as_str().unwrap();
                let key = match serde_json::from_str::<Value>(given) {
                    Ok(pasted) => pasted["METAFLOW_SERVICE_AUTH_KEY"].as_str().unwrap().to_owned(),
                    Err(_) => given.to_owned(),
                };
                self.held.insert(what["name"].as_str().unwrap().to_owned(), key);
                Reply::Token(serde_json::from_value(value!({"say": "it is kept"})).unwrap())
            }
            "token-remove" => {
                self.held.remove(what["name"].as_str().unwrap());
                Reply::Done { say: "it is forgotten".to_owned() }
            }
            "why" => Reply::Why(Box::new(Why {
                subject: String::new(),
                entry: at(config, what["subject"].as_str().unwrap()),
                refusal: None,
                say: String::new(),
            })),
            "get" => self.get(at(config, what["uri"].as_str().unwrap())),
            other => panic!("asked for {other}"),
        }
        .into()
    }

    fn status(&self, config: &str, path: &str) -> Reply {
        let Reply::Status(mut status) = status() else { panic!("no status") };
        status.entries = entries(config);
        status.config.path = path.to_owned();
        status.keychain.kind = self.keychain.to_owned();
        status.agent.own_profile = self.own_profile;
        if self.is_picky && !status.entries.is_empty() {
            status.config.errors = vec!["line 3: a key is twice in a table".to_owned()];
        }
        Reply::Status(status)
    }

    fn get(&self, entry: Option<EntryReport>) -> Reply {
        let Some(entry) = entry else {
            return refused(Refusal::new(Code::UnknownHost, "no entry has this host"));
        };
        let Some(key) = self.held.get(&entry.name) else {
            return refused(Refusal::new(Code::TokenNeeded, "no token is held"));
        };
        let key = if self.garbles { "another" } else { key };
        let headers = BTreeMap::from([("x-api-key".to_owned(), vec![Secret::from(key)])]);
        Reply::Headers(Headers { headers, expires: None })
    }
}

/// The same file when it says where the program is, for an import.
pub fn with_program(file: &str, space: &str, colon: &str) -> String {
    let own = fs::canonicalize(env!("CARGO_BIN_EXE_keyfob")).unwrap();
    let end = file.rfind('}').unwrap();
    let members = [("PROGRAM", own.display().to_string()), ("SETUP", "import moved".to_owned())];
    let members = members.map(|(name, value)| format!("{space}\"METAFLOW_KEYFOB_{name}\"{colon}\"{value}\""));
    format!("{}{}{}", &file[..end], members.concat(), &file[end..])
}

/// The few forms that the tests and the command write.
fn entries(config: &str) -> Vec<EntryReport> {
    let mut entries: Vec<EntryReport> = Vec::new();
    for line in config.lines() {
        let text = line.split('"').nth(1).unwrap_or_default().to_owned();
        match (line.split([' ', '.']).next().unwrap(), entries.last_mut()) {
            ("[token" | "[outerbounds" | "[aws", _) => entries.push(entry(line.trim_matches(['[', ']']))),
            ("hosts", Some(entry)) => {
                entry.hosts.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
            }
            ("outerbounds", Some(entry)) => entry.through = Some(format!("outerbounds.{text}")),
            ("domain", Some(entry)) => {
                entry.hosts.push(format!("*.{text}"));
                entry.facts.insert("domain".to_owned(), text);
            }
            ("machine", Some(entry)) => entry.through = Some(format!("machine.{text}")),
            ("header" | "perimeter", Some(entry)) => {
                entry.facts.insert(line.split(' ').next().unwrap().to_owned(), text);
            }
            _ => {}
        }
    }
    entries
}

fn at(config: &str, uri: &str) -> Option<EntryReport> {
    let host = uri.split('/').nth(2).unwrap();
    let covers = |pattern: &String| {
        *pattern == host || pattern.strip_prefix('*').is_some_and(|end| host.ends_with(end))
    };
    let all = entries(config).into_iter().filter(|entry| entry.hosts.iter().any(covers));
    all.max_by_key(|entry| entry.hosts[0].len())
}
