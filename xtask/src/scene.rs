//! The sandbox company and an agent in a profile of its own, for the demo and the benches. Everything is real but the
//! company: the agent is started by the first `keyfob`, and every credential comes out of `keyfob`.

mod company;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::Checkout;
use crate::cargo::{Artifact, Kind};
use crate::failure::{Doing as _, Failure};
use crate::processes::check_interrupted;
pub use company::{Company, LONG};

/// An address that the personal access token is for.
pub const TOKEN_URI: &str = "https://aw-remote-ext.acme.dev/cache/ac/5eed";
/// The entry of that token.
pub const TOKEN: &str = "aspect";
/// An address that the SSO session's access token is for.
pub const SESSION_URI: &str = "https://eu.cache.acme.dev/cache/ac/5eed";
/// The entry of the AWS role.
pub const ROLE: &str = "aws.dev";

/// The programs that a scene runs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `keyfob`, with `keyfobd` beside it.
    pub keyfob: PathBuf,
    /// The sandbox company.
    pub company: PathBuf,
    /// Its stand-in for a person at a browser.
    pub browser: PathBuf,
}

impl Programs {
    /// Builds all of them as plain `cargo build` does.
    pub fn build(checkout: &Checkout) -> Result<Self, Failure> {
        let built = build(checkout, &["keyfob", "keyfob-agent", "keyfob-sandbox"])?;
        program(&built, "keyfobd")?;
        Self::found(&built, program(&built, "keyfob")?)
    }

    /// Builds the company only, for a `keyfob` that is there.
    #[cfg(target_os = "linux")]
    pub fn around(keyfob: PathBuf, checkout: &Checkout) -> Result<Self, Failure> {
        Self::found(&build(checkout, &["keyfob-sandbox"])?, keyfob)
    }

    fn found(built: &[Artifact], keyfob: PathBuf) -> Result<Self, Failure> {
        let [company, browser] =
            ["keyfob-sandbox", "keyfob-sandbox-browser"].map(|name| program(built, name));
        Ok(Self { keyfob, company: company?, browser: browser? })
    }
}

fn build(checkout: &Checkout, packages: &[&str]) -> Result<Vec<Artifact>, Failure> {
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let arguments: Vec<_> = ["build"].into_iter().chain(packages).chain(["--bins"]).collect();
    checkout.artifacts_quietly(&arguments)
}

fn program(built: &[Artifact], name: &str) -> Result<PathBuf, Failure> {
    let found = built.iter().find(|artifact| artifact.name == name && artifact.kind == Kind::Program);
    found
        .map(|artifact| artifact.path.clone())
        .ok_or_else(|| Failure::new(format!("cargo built no program {name}")))
}

/// What differs between scenes.
#[derive(Debug)]
pub struct Setting {
    /// The company's options, as JSON.
    pub company: Value,
    /// `keychain` of the configuration; `file` is opened by a passphrase file.
    pub keychain: &'static str,
    /// Variables beside those that make the profile.
    pub environment: Vec<(&'static str, String)>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { company: Value::Object(serde_json::Map::new()), keychain: "memory", environment: Vec::new() }
    }
}

/// A running company, a place for an agent, and the way to talk to both. Dropping it ends both and removes the place.
#[derive(Debug)]
pub struct Scene {
    programs: Programs,
    environment: Vec<(&'static str, String)>,
    company: Company,
    folder: TempDir,
}

impl Scene {
    /// Starts the company and lays out the profile; the first `keyfob` call starts the agent.
    pub fn start(programs: &Programs, setting: &Setting) -> Result<Self, Failure> {
        let folder = private_folder()?;
        let company = Company::start(&programs.company, &setting.company)?;
        let environment = setting.environment.clone();
        let scene = Self { programs: programs.clone(), environment, company, folder };
        write_private(&scene.configuration(), &configuration(&scene.company, setting))?;
        if setting.keychain == "file" {
            write_private(&scene.passphrase(), "correct horse battery staple\n")?;
        }
        Ok(scene)
    }

    /// The company.
    pub fn company(&mut self) -> &mut Company {
        &mut self.company
    }

    /// `keyfob` in the scene's profile.
    pub fn keyfob(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(&self.programs.keyfob);
        command.args(arguments);
        command
    }

    /// A program of ours in the scene's profile.
    pub fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment()).envs(self.environment.iter().cloned());
        let passphrase = self.passphrase();
        if passphrase.exists() {
            command.env("KEYFOB_PASSPHRASE_FILE", passphrase);
        }
        command
    }

    /// The variables that make the profile.
    pub fn environment(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("KEYFOB_STATE_DIR", self.folder.path().join("state")),
            ("KEYFOB_RUNTIME_DIR", self.folder.path().join("run")),
            ("KEYFOB_CONFIG", self.configuration()),
        ]
    }

    /// A folder for files of the caller's own, gone with the scene.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The socket of the tool door (Unix).
    #[cfg(target_os = "linux")]
    pub fn tool_door(&self) -> PathBuf {
        self.folder.path().join("run").join("agent.sock")
    }

    /// Adds tables to the configuration; the agent reads them at the next question.
    pub fn configure(&self, tables: &str) -> Result<(), Failure> {
        let mut file =
            fs::File::options().append(true).open(self.configuration()).doing("configure the agent")?;
        file.write_all(tables.as_bytes()).doing("configure the agent")
    }

    /// Where `keyfob` is.
    pub fn programs_folder(&self) -> &Path {
        self.programs.keyfob.parent().unwrap_or(Path::new("."))
    }

    /// Runs `keyfob` with this on its standard input; gives what it wrote to standard output.
    pub fn ask(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        check_interrupted()?;
        ask(&mut self.keyfob(arguments), input)
    }

    /// Asks as Bazel does.
    pub fn get(&self, uri: &str) -> Result<String, Failure> {
        self.ask(&["get"], &request(uri))
    }

    /// Signs in at the company, whose person approves at once. Says who signed in.
    pub fn sign_in(&self, entry: &str) -> Result<String, Failure> {
        check_interrupted()?;
        let mut command = self.keyfob(&["login", entry, "--browser", "--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut login = command.spawn().doing("start keyfob")?;
        let outcome = self.meet_the_provider(&mut login);
        // Where we gave up before it did, it would wait for a person.
        let _ = login.kill();
        let status = login.wait().doing("wait for keyfob login")?;
        match outcome? {
            Some(say) => Ok(say),
            None => Err(failure("keyfob login", status, &read_all(login.stderr.take()))),
        }
    }

    /// Keeps a personal access token of the company's portal in `token.aspect`, which ends in so many days. Gives what its
    /// service says of it, as JSON.
    pub fn add_token(&self, days: u32) -> Result<String, Failure> {
        let token = self.company.make_token(days)?;
        self.ask(&["token", "add", TOKEN, "--json"], &token)
    }

    /// Follows the steps of a sign-in; nothing if it ended without success.
    fn meet_the_provider(&self, login: &mut Child) -> Result<Option<String>, Failure> {
        let Some(steps) = login.stdout.take() else { return Ok(None) };
        for line in BufReader::new(steps).lines() {
            let line = line.doing("read from keyfob login")?;
            let line: Value = serde_json::from_str(&line).doing("understand keyfob login")?;
            if let Some(url) = line["step"]["open-browser"]["url"].as_str() {
                ask(Command::new(&self.programs.browser).arg(url), "")?;
            }
            if let Some(say) = line["done"]["say"].as_str() {
                return Ok(Some(say.to_owned()));
            }
            if let Some(say) = line["refused"]["say"].as_str() {
                return Err(Failure::new(format!("keyfob login was refused: {say}")));
            }
        }
        Ok(None)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn passphrase(&self) -> PathBuf {
        self.folder.path().join("passphrase")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let mut stop = self.keyfob(&["agent", "stop"]);
        stop.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // An agent that does not end is ended with the orphans.
        let _ = stop.status();
    }
}

/// A credential helper request.
pub fn request(uri: &str) -> String {
    serde_json::json!({ "uri": uri }).to_string()
}

fn private_folder() -> Result<TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("keyfob-demo-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    // The agent wants paths that hold for it too, and looks at every folder on the way.
    let parent = fs::canonicalize(std::env::temp_dir()).doing("find the folder for temporary files")?;
    builder.tempdir_in(parent).doing("make a folder for the demo")
}

fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    file.doing(format_args!("write {}", path.display()))
}

/// The configuration of an agent at the company.
pub fn configuration(company: &Company, setting: &Setting) -> String {
    let at = company.addresses();
    format!(
        r#"[agent]
keychain = "{keychain}"

[sso.okta]
issuer = "{issuer}"
client_id = "{client_id}"
hosts = ["*.cache.acme.dev"]

[token.aspect]
hosts = ["aw-remote-ext.acme.dev", "127.0.0.1"]
header = "X-Aspect"
prefix = "aw_"
portal = "{portal}"
service = "keyfob"
api = "{token_api}"
clusters = {{ aw-remote-ext = "grpc://{cluster}", aw-remote-two = "grpc://{second_cluster}" }}

[aws.dev]
sso = "okta"
role_arn = "{role}"
region = "eu-west-1"
endpoint_url = "{sts}"
"#,
        keychain = setting.keychain,
        issuer = at.issuer,
        client_id = at.client_id,
        portal = at.portal,
        token_api = at.token_api,
        cluster = at.clusters[0],
        second_cluster = at.clusters[1],
        role = at.role,
        sts = at.sts,
    )
}

/// Runs a command to its end and gives its standard output; what it wrote to standard error is the failure.
fn ask(command: &mut Command, input: &str) -> Result<String, Failure> {
    let name = name_of(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(format_args!("start {name}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read ends first; its exit code tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().doing(format_args!("wait for {name}"))?;
    if !output.status.success() {
        return Err(failure(&name, output.status, &String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).doing(format_args!("read what {name} answered"))
}

fn failure(name: &str, status: ExitStatus, stderr: &str) -> Failure {
    match stderr.trim() {
        "" => Failure::new(format!("{name} failed: {status}")),
        said => Failure::new(format!("{name} failed: {}", said.trim_start_matches("keyfob: "))),
    }
}

/// `keyfob token add`: the program and its first words, never an address.
fn name_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words =
        command.get_args().map(OsStr::to_string_lossy).take_while(|word| !word.contains("://")).take(2);
    [program.to_string_lossy()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

fn read_all(from: Option<impl std::io::Read>) -> String {
    let mut text = String::new();
    if let Some(mut from) = from {
        // What cannot be read is not said.
        let _ = from.read_to_string(&mut text);
    }
    text
}
