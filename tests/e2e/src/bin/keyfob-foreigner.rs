//! `keyfob-foreigner`: another user on the same machine, who does what the tests tell it (see `src/foreigner.rs`) until
//! its standard input closes.

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    foreigner::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod foreigner {
    use std::fs;
    use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread;
    use std::time::Duration;

    use serde_json::{Value, json};
    use tempfile::TempDir;

    /// How long it waits for the other side of a Unix socket; over every deadline of an agent.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Folders of sessions that are under way; whoever ends the process removes them.
    static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub(super) fn main() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let line = json!({"address": listener.local_addr()?.to_string()});
        writeln!(io::stdout(), "{line}")?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A session that breaks off has a test that ended.
                thread::spawn(move || Session::default().converse(stream));
            }
        });
        io::copy(&mut io::stdin(), &mut io::sink())?;
        for folder in FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // A session that ended removed its own.
            let _ = fs::remove_dir_all(folder);
        }
        Ok(())
    }

    /// What came to our sockets.
    #[derive(Default)]
    struct Visits {
        connections: AtomicU64,
        bytes: AtomicU64,
    }

    #[derive(Default)]
    struct Session {
        folder: Option<TempDir>,
        visits: Arc<Visits>,
    }

    impl Session {
        fn converse(mut self, stream: TcpStream) -> io::Result<()> {
            let mut writer = stream.try_clone()?;
            for line in BufReader::new(stream).lines() {
                let answer = self.obey(&line?).unwrap_or_else(
                    |error| json!({"errno": error.raw_os_error(), "error": error.to_string()}),
                );
                writeln!(writer, "{answer}")?;
            }
            Ok(())
        }

        fn obey(&mut self, line: &str) -> io::Result<Value> {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["connect", path, hex] => Ok(connect(path, &bytes(hex)?)),
                ["listen", name] => self.listen(name),
                ["report"] => Ok(json!({
                    "connections": self.visits.connections.load(Ordering::SeqCst),
                    "bytes": self.visits.bytes.load(Ordering::SeqCst),
                })),
                ["write", name, hex] => self.write(name, &bytes(hex)?),
                ["read", path] => fs::read(path).map(|content| json!({"read": content.len(), "errno": null})),
                _ => Err(io::Error::from(ErrorKind::InvalidInput)),
            }
        }

        fn folder(&mut self) -> io::Result<PathBuf> {
            let folder = match &self.folder {
                Some(folder) => folder.path(),
                None => self.folder.insert(squat()?).path(),
            };
            Ok(folder.to_owned())
        }

        fn write(&mut self, name: &str, content: &[u8]) -> io::Result<Value> {
            let path = self.folder()?.join(name);
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
            Ok(json!({"path": path}))
        }

        fn listen(&mut self, name: &str) -> io::Result<Value> {
            let path = self.folder()?.join(name);
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
            let visits = Arc::clone(&self.visits);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    visits.connections.fetch_add(1, Ordering::SeqCst);
                    let visits = Arc::clone(&visits);
                    thread::spawn(move || listen_to(stream, &visits));
                }
            });
            Ok(json!({"path": path}))
        }
    }

    /// A folder that everybody may enter and nobody else write in.
    fn squat() -> io::Result<TempDir> {
        let folder = tempfile::Builder::new()
            .prefix("keyfob-foreign-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")?;
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(folder.path().to_owned());
        Ok(folder)
    }

    fn listen_to(mut stream: UnixStream, visits: &Visits) {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut chunk) {
            visits.bytes.fetch_add(read as u64, Ordering::SeqCst);
        }
    }

    fn connect(path: &str, bytes: &[u8]) -> Value {
        let mut stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error) => {
                return json!({"connected": false, "sent": 0, "read": 0, "errno": error.raw_os_error()});
            }
        };
        let (sent, wrong) = match stream.write_all(bytes) {
            Ok(()) => (bytes.len(), None),
            Err(error) => (0, error.raw_os_error()),
        };
        let mut content = Vec::new();
        let read = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.read_to_end(&mut content));
        let wrong = read.err().and_then(|error| error.raw_os_error()).or(wrong);
        json!({"connected": true, "sent": sent, "read": content.len(), "errno": wrong})
    }

    fn bytes(hex: &str) -> io::Result<Vec<u8>> {
        let digits: Vec<char> = hex.chars().collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
        digits
            .chunks(2)
            .map(|pair| byte(pair).map_err(|_| io::Error::from(ErrorKind::InvalidInput)))
            .collect()
    }
}
