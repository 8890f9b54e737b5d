//! What a hostile first caller would lead the agent to: a server with a certificate of nobody's, and a library that says
//! where it was loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyfob_e2e::real::{Lines, Part};
use keyfob_e2e::{Output, folder, run};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

const PYTHON: &str = "/usr/bin/python3";

/// It answers as `localhost` and as `*.acme.test`.
pub struct Rogue {
    pub port: u16,
    said: Lines,
    folder: TempDir,
    _server: Part,
}

impl Rogue {
    pub fn start() -> Self {
        let folder = folder();
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key).expect("a certificate authority");
        let key = KeyPair::generate().expect("a key");
        let names = ["localhost", "*.acme.test", "*.eu-west-3.amazonaws.com", "127.0.0.1"].map(str::to_owned);
        let mut leaf = CertificateParams::new(names).expect("names");
        // By name another one than its authority.
        leaf.distinguished_name.push(DnType::CommonName, "rogue");
        let leaf = leaf.signed_by(&key, &authority).expect("a certificate");
        fs::write(folder.path().join("authority.pem"), authority.pem()).expect("room");
        fs::write(folder.path().join("server.pem"), key.serialize_pem() + &leaf.pem()).expect("room");
        let mut command = Command::new(PYTHON);
        command.args(["-I", "-c", include_str!("rogue.py")]).arg(folder.path().join("server.pem"));
        let mut server = Part::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let said = Lines::of(server.child().stdout.take().expect("it is piped"));
        let port = said.find("its port", |line| line.strip_prefix("port ")?.parse().ok());
        Self { port, said, folder, _server: server }
    }

    /// The certificate of whoever signed its own.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The next thing that came.
    pub fn said(&self) -> String {
        self.said.find("something that came", |line| Some(line.to_owned()))
    }
}

/// An ordinary program that fetches an address, and believes its environment.
pub fn fetch(address: &str, environment: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(PYTHON);
    let script = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).status)";
    command.args(["-c", script, address]).env_clear().envs(environment.iter().copied());
    run(command, "")
}

/// A library that leaves a mark wherever it is loaded, by whatever way.
pub struct Marker {
    folder: TempDir,
}

impl Marker {
    pub fn build() -> Self {
        let marker = Self { folder: folder() };
        let source = r#"
            #include <fcntl.h>
            #include <stdio.h>
            #include <unistd.h>
            __attribute__((constructor)) static void mark(void) {
                char path[4096];
                snprintf(path, sizeof path, "%s/loaded.%d", FOLDER, (int)getpid());
                close(open(path, O_CREAT | O_WRONLY, 0600));
            }
            unsigned la_version(unsigned version) { return version; }
            int gconv_init(void *step) { return 1; }
            int gconv(void) { return 1; }
        "#;
        fs::write(marker.path().join("marker.c"), source).expect("room");
        let mut gcc = Command::new("/usr/bin/gcc");
        gcc.args(["-shared", "-fPIC", "-w", "-o"]).arg(marker.library()).arg(marker.path().join("marker.c"));
        gcc.arg(format!("-DFOLDER=\"{}\"", marker.path().display()));
        run(gcc, "").ok();
        marker
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn library(&self) -> PathBuf {
        self.path().join("marker.so")
    }

    /// Whether it was loaded since the last time that this was asked.
    pub fn was_loaded(&self) -> bool {
        let files = fs::read_dir(self.path()).expect("our own folder").flatten();
        let marks: Vec<_> =
            files.filter(|file| file.file_name().to_string_lossy().starts_with("loaded.")).collect();
        marks.iter().for_each(|mark| fs::remove_file(mark.path()).expect("our own file"));
        !marks.is_empty()
    }
}
