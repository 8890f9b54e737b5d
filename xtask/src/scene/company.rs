//! The sandbox company as a process beside us, and its steering by HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Doing as _, Failure};

/// Life of a token of which nobody is reminded yet, in days.
pub const LONG: u32 = 90;
/// Who signs in at the company.
const PERSON: &str = "ada@example.com";
/// The company is on this machine and does nothing else.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running company; dropping it ends it.
#[derive(Debug)]
pub struct Company {
    process: Child,
    addresses: Addresses,
}

/// Where its parts are.
#[derive(Debug)]
pub struct Addresses {
    /// The OpenID provider.
    pub issuer: String,
    /// The client that it knows.
    pub client_id: String,
    /// The page where personal access tokens are made.
    pub portal: String,
    /// The API beside it.
    pub token_api: String,
    /// The clusters that take such a token, `host:port` of each.
    pub clusters: [String; 2],
    /// The AWS STS.
    pub sts: String,
    /// A role that the STS knows.
    pub role: String,
    /// Steering.
    admin: String,
}

impl Company {
    /// Starts it and waits for the line that says where it is.
    pub fn start(program: &Path, options: &Value) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.args(["--json", "--options", &options.to_string()]);
        // It ends when its standard input closes: with us, however we end.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().doing("start the sandbox company")?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).doing("read where the sandbox company is")?;
        }
        match Addresses::read(&line) {
            Some(addresses) => Ok(Self { process, addresses }),
            None => {
                let _ = process.kill();
                let status = process.wait().doing("wait for the sandbox company")?;
                Err(Failure::new(format!("the sandbox company did not start: {status}")))
            }
        }
    }

    /// Where its parts are.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.process.try_wait().doing("look after the sandbox company")
    }

    /// A personal access token for so many days, as the portal's page makes it.
    pub fn make_token(&self, days: u32) -> Result<String, Failure> {
        let seconds = days * 24 * 3600;
        let wanted =
            json!({"owner": PERSON, "permissions": {"read": true, "write": true}, "seconds": seconds});
        let made = self.steer("POST", "tokens", &wanted)?;
        made["token"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Failure::new("the token portal made no token"))
    }

    /// A request to the steering endpoint, and its answer.
    pub fn steer(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        self.exchange(method, path, &body.to_string())
            .doing(format_args!("steer the sandbox company ({path})"))
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> std::io::Result<Value> {
        let host = self.addresses.admin.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        let request = format!(
            "{method} /sandbox/{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(std::io::Error::other(head.lines().next().unwrap_or("no answer").to_owned()));
        }
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It serves nothing that would be worth waiting for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Addresses {
    fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let place = |name: &str| line[name].as_str()?.strip_prefix("http://").map(str::to_owned);
        Some(Self {
            issuer: text("issuer_url")?,
            client_id: text("client_id")?,
            portal: text("portal_url")?,
            token_api: text("token_api_url")?,
            clusters: [place("cluster_url")?, place("second_cluster_url")?],
            sts: text("sts_url")?,
            role: line["roles"][0].as_str()?.to_owned(),
            admin: text("admin_url")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_says_not_everything_is_no_start() {
        let line = json!({
            "issuer_url": "http://127.0.0.1:1", "sts_url": "http://127.0.0.1:2", "admin_url": "http://127.0.0.1:3",
            "portal_url": "http://127.0.0.1:4/token", "token_api_url": "http://127.0.0.1:4/api/v1",
            "cluster_url": "http://127.0.0.1:5", "second_cluster_url": "http://127.0.0.1:6",
            "client_id": "demo", "roles": ["arn:aws:iam::123456789012:role/OktaRole"],
        });
        let addresses = Addresses::read(&line.to_string()).unwrap();
        assert_eq!((addresses.sts.as_str(), addresses.client_id.as_str()), ("http://127.0.0.1:2", "demo"));
        assert_eq!(addresses.clusters, ["127.0.0.1:5", "127.0.0.1:6"]);
        for missing in ["issuer_url", "roles", "admin_url", "portal_url", "token_api_url", "cluster_url"] {
            let mut line = line.clone();
            line[missing] = Value::Null;
            assert!(Addresses::read(&line.to_string()).is_none(), "{missing}");
        }
        assert!(Addresses::read("").is_none());
    }
}
