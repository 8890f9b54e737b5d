//! `keyfob-examiner USER`: root, who sees into the processes of one user as a debugger does (see `src/examiner.rs`), until
//! its standard input closes.

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    examiner::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod examiner {
    use std::collections::{BTreeMap, HashMap};
    use std::fs::{self, File};
    use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _, chown};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::fs::{Mode, OFlags};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    use serde_json::{Value, json};

    /// Longest line that is read, in bytes.
    const LINE: u64 = 16 * 1024 * 1024;
    /// How much of a process's memory is looked at in one go, in bytes.
    const CHUNK: usize = 1024 * 1024;
    /// How long a process may take to stop.
    const STOP: Duration = Duration::from_secs(10);

    pub(super) fn main() -> io::Result<()> {
        let user = std::env::args().nth(1).ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
        let number: u32 = user.parse().map_err(io::Error::other)?;
        let folder = tempfile::Builder::new()
            .prefix("keyfob-examiner-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")?;
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        chown(&path, Some(number), None)?;
        writeln!(io::stdout(), "{}", json!({"address": path}))?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let user = user.clone();
                // A conversation that breaks off has a test that ended.
                thread::spawn(move || converse(&stream, &user));
            }
        });
        io::copy(&mut io::stdin(), &mut io::sink())?;
        folder.close()
    }

    fn converse(stream: &UnixStream, user: &str) -> io::Result<()> {
        if keyfob_ipc::peer::caller_of(stream.as_fd())?.user != user {
            return Err(io::Error::from(ErrorKind::PermissionDenied));
        }
        let (mut reader, mut writer) = (BufReader::new(stream), stream);
        loop {
            let mut line = String::new();
            if (&mut reader).take(LINE).read_line(&mut line)? == 0 {
                return Ok(());
            }
            let answer = obey(line.trim_end(), user);
            let answer = answer.unwrap_or_else(|error| json!({"error": error.to_string()}));
            writeln!(writer, "{answer}")?;
        }
    }

    fn obey(line: &str, user: &str) -> io::Result<Value> {
        let mut words = line.split(' ');
        let verb = words.next().unwrap_or_default();
        let process = Process::of(words.next().unwrap_or_default(), user)?;
        match verb {
            "search" => process.search(&Needles::parse(words)?),
            "maps" => {
                let mappings = process.mappings()?;
                let shown = mappings
                    .iter()
                    .map(|mapping| json!({"permissions": mapping.permissions, "file": mapping.file}));
                Ok(json!({"mappings": shown.collect::<Vec<_>>()}))
            }
            "environment" => {
                let text = process.read("environ")?;
                let variables = text.split(|byte| *byte == 0).filter(|variable| !variable.is_empty());
                let variables: Vec<_> = variables.map(String::from_utf8_lossy).collect();
                Ok(json!({"environment": variables}))
            }
            _ => Err(io::Error::from(ErrorKind::InvalidInput)),
        }
    }

    /// A process of that user; its number cannot become another's while this is held.
    struct Process {
        handle: OwnedFd,
        folder: OwnedFd,
    }

    struct Mapping {
        start: u64,
        end: u64,
        permissions: String,
        file: String,
    }

    impl Process {
        fn of(number: &str, user: &str) -> io::Result<Self> {
            let id = number.parse().ok().and_then(Pid::from_raw);
            let handle =
                pidfd_open(id.ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?, PidfdFlags::empty())?;
            let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
            let folder = rustix::fs::open(format!("/proc/{number}"), flags, Mode::empty())?;
            let process = Self { handle, folder };
            let status = process.read("status")?;
            let status = String::from_utf8_lossy(&status).into_owned();
            // Who it is, and who it could become. The owner of the folder is no answer: of a closed process it is root.
            let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
            if users.split_ascii_whitespace().count() != 4
                || users.split_ascii_whitespace().any(|one| one != user)
            {
                return Err(io::Error::other(format!("process {number} is not one of user {user}")));
            }
            Ok(process)
        }

        fn open(&self, name: &str) -> io::Result<File> {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            Ok(rustix::fs::openat(&self.folder, name, flags, Mode::empty())?.into())
        }

        fn read(&self, name: &str) -> io::Result<Vec<u8>> {
            let mut text = Vec::new();
            self.open(name)?.read_to_end(&mut text)?;
            Ok(text)
        }

        fn mappings(&self) -> io::Result<Vec<Mapping>> {
            let text = self.read("maps")?;
            let text = String::from_utf8_lossy(&text);
            text.lines().map(|line| mapping(line).ok_or_else(|| io::Error::other(line.to_owned()))).collect()
        }

        fn search(&self, needles: &Needles) -> io::Result<Value> {
            let _stopped = Stopped::stop(self)?;
            let memory = self.open("mem")?;
            let (mut bytes, mut unread, mut found) = (0, Vec::new(), BTreeMap::new());
            let mappings = self.mappings()?;
            for mapping in mappings.iter().filter(|mapping| mapping.permissions.starts_with('r')) {
                match needles.look(&memory, mapping, &mut found) {
                    Ok(()) => bytes += mapping.end - mapping.start,
                    Err(_) => unread.push(&mapping.file),
                }
            }
            let found = found
                .iter()
                .map(|((piece, mapping), count)| json!({"piece": piece, "mapping": mapping, "count": count}));
            Ok(json!({"bytes": bytes, "found": found.collect::<Vec<_>>(), "unread": unread}))
        }

        /// Whether every thread stands still.
        fn is_still(&self) -> io::Result<bool> {
            let folder =
                rustix::fs::openat(&self.folder, "task", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
            for thread in rustix::fs::Dir::read_from(&folder)? {
                let name = thread?.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    continue;
                }
                // One that has ended meanwhile moves no more.
                let stat = self.read(&format!("task/{name}/stat")).unwrap_or_default();
                let stat = String::from_utf8_lossy(&stat).into_owned();
                if stat
                    .rsplit_once(')')
                    .is_some_and(|(_, fields)| !fields.trim_start().starts_with(['T', 't', 'Z', 'X']))
                {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }

    /// A line of `/proc/PID/maps`: `7f12-7f13 r-xp 00000000 fe:00 1234   /usr/lib/…`.
    fn mapping(line: &str) -> Option<Mapping> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?.to_owned();
        Some(Mapping {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            permissions,
            file: fields.nth(3).unwrap_or_default().trim_start().to_owned(),
        })
    }

    /// A process that goes on when this is dropped.
    struct Stopped<'a>(&'a Process);

    impl<'a> Stopped<'a> {
        fn stop(process: &'a Process) -> io::Result<Self> {
            pidfd_send_signal(&process.handle, Signal::STOP)?;
            let stopped = Self(process);
            let end = Instant::now() + STOP;
            while !process.is_still()? {
                if Instant::now() > end {
                    return Err(io::Error::from(ErrorKind::TimedOut));
                }
                thread::yield_now();
            }
            Ok(stopped)
        }
    }

    impl Drop for Stopped<'_> {
        fn drop(&mut self) {
            // It may have been killed.
            let _ = pidfd_send_signal(&self.0.handle, Signal::CONT);
        }
    }

    /// Pieces of at least four bytes, looked for all at once.
    struct Needles {
        /// By their first four bytes.
        pieces: HashMap<[u8; 4], Vec<(usize, Vec<u8>)>>,
        /// Whether any begins with these two bytes; nearly every place in memory is done with here.
        beginnings: Vec<bool>,
        longest: usize,
    }

    impl Needles {
        fn parse<'w>(words: impl Iterator<Item = &'w str>) -> io::Result<Self> {
            let mut needles = Self { pieces: HashMap::new(), beginnings: vec![false; 1 << 16], longest: 0 };
            for (number, word) in words.enumerate() {
                let piece = bytes(word)?;
                let beginning =
                    *piece.first_chunk::<4>().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
                needles.beginnings[usize::from(u16::from_le_bytes([beginning[0], beginning[1]]))] = true;
                needles.longest = needles.longest.max(piece.len());
                needles.pieces.entry(beginning).or_default().push((number, piece));
            }
            Ok(needles)
        }

        fn look(
            &self,
            memory: &File,
            mapping: &Mapping,
            found: &mut BTreeMap<(usize, String), u64>,
        ) -> io::Result<()> {
            let mut chunk = vec![0; CHUNK + self.longest];
            let mut at = mapping.start;
            while at < mapping.end {
                let room = usize::try_from(mapping.end - at).unwrap_or(usize::MAX).min(chunk.len());
                memory.read_exact_at(&mut chunk[..room], at)?;
                // What begins in the last bytes of a chunk is found whole, and begins the next one.
                let fresh = room.min(CHUNK);
                for piece in self.within(&chunk[..room], fresh) {
                    *found.entry((piece, mapping.file.clone())).or_default() += 1;
                }
                at += fresh as u64;
            }
            Ok(())
        }

        /// The pieces that begin in the first `fresh` bytes. A plain loop: this looks at every byte of a process.
        fn within(&self, text: &[u8], fresh: usize) -> Vec<usize> {
            let mut found = Vec::new();
            let mut at = 0;
            while at < fresh && at + 4 <= text.len() {
                let beginning = text[at] as usize | (text[at + 1] as usize) << 8;
                if self.beginnings[beginning] {
                    let four = [text[at], text[at + 1], text[at + 2], text[at + 3]];
                    for (number, piece) in self.pieces.get(&four).into_iter().flatten() {
                        if text[at..].starts_with(piece) {
                            found.push(*number);
                        }
                    }
                }
                at += 1;
            }
            found
        }
    }

    fn bytes(hex: &str) -> io::Result<Vec<u8>> {
        let invalid = || io::Error::from(ErrorKind::InvalidInput);
        let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        pairs.map(|pair| u8::from_str_radix(pair.ok_or_else(invalid)?, 16).map_err(|_| invalid())).collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn pieces_are_found_where_they_begin_and_once() {
            let needles = Needles::parse(["61626364", "6263646566"].into_iter()).unwrap();
            assert_eq!(needles.within(b"xxabcdef", 8), [0, 1]);
            assert_eq!(needles.within(b"xxabcdef", 3), [0], "the rest begins the next chunk");
            assert_eq!(needles.within(b"abcabc", 6), [0; 0]);
        }

        #[test]
        fn a_line_of_the_kernels_list_is_read() {
            let line = "7ffe0-7fff0 rw-p 00000000 00:00 0                          [stack]";
            let found = mapping(line).unwrap();
            assert_eq!(
                (found.start, found.end, found.permissions.as_str(), found.file.as_str()),
                (0x7ffe0, 0x7fff0, "rw-p", "[stack]")
            );
            assert_eq!(mapping("7f00-7f10 rw-p 00000000 00:00 0").unwrap().file, "");
            assert_eq!(mapping("7f00-7f10 r-xp 0 fe:00 1 /a b/c").unwrap().file, "/a b/c");
        }
    }
}
