//! Asking a person, on the controlling terminal: standard input and output may be pipes meanwhile.
//!
//! A hidden value is read key by key. Line mode would cut it at 4095 bytes, and would leave the terminal mute for
//! good when the person presses Ctrl-C; read so, that key is a byte like the others and the terminal is set back first.
//! The console of Windows edits its lines itself.

use std::io;
use std::sync::OnceLock;

use keyfob_ipc::{Code, Refusal, Secret};
#[cfg(any(unix, test))]
use zeroize::Zeroizing;

use crate::unattended::Unattended;

/// Longest value that is taken, in bytes. Tokens are far below; what is above is no token.
pub const LONGEST: usize = 16 * 1024;

/// Why nobody is there to be asked.
static NOBODY: OnceLock<Unattended> = OnceLock::new();

/// For `main`: from here on every question is refused. A job may have a terminal, and nobody at it.
pub fn ask_nobody(why: Unattended) {
    NOBODY.get_or_init(|| why);
}

/// A refusal on its way out: where nobody is there it does not ask for a sign-in.
pub fn mended(refusal: Refusal) -> Refusal {
    match NOBODY.get() {
        Some(why) => why.mended(refusal),
        None => refusal,
    }
}

/// For a process that is about to end in the middle of a question.
pub fn give_back_terminal() {
    platform::give_back();
}

fn somebody() -> Result<(), Refusal> {
    if let Some(why) = NOBODY.get() {
        let say = format!("{}, so nothing is asked for on a terminal", why.words());
        return Err(Refusal::new(Code::CalledOff, say)
            .hint("give a value through standard input, or do this yourself, outside of CI"));
    }
    Ok(())
}

/// What ends a hidden value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// The end of the line.
    WithLine,
    /// The end of a line that stands alone: where more is pasted behind it, all of it is refused. (The console of Windows does not tell.)
    Alone,
    /// The end of the line on which the last brace is closed, and which has no backslash there: some services show JSON or a
    /// command of several lines, and what is left of it would go to the shell. (The console of Windows takes one line.)
    WithJson,
}

/// Asks for a value that is not shown.
///
/// # Errors
/// [`Code::CalledOff`] where the person breaks off, [`Code::BadRequest`] where there is no terminal, [`Code::TokenInvalid`] for a
/// value that cannot be taken here.
pub fn hidden(question: &str, ends: Ends) -> Result<Secret<String>, Refusal> {
    somebody()?;
    platform::hidden(question, ends).map_err(|error| refuse(&error))
}

/// Asks for a line that is shown.
///
/// # Errors
/// As [`hidden`].
pub fn shown(question: &str) -> Result<String, Refusal> {
    somebody()?;
    platform::shown(question).map_err(|error| refuse(&error))
}

/// Asks for a line that is shown, on a terminal and nowhere else. What was typed before the question is no answer to it.
///
/// # Errors
/// As [`hidden`].
pub fn now(question: &str) -> Result<String, Refusal> {
    somebody()?;
    platform::forget_keys().and_then(|()| platform::shown(question)).map_err(|error| refuse(&error))
}

/// Whether there is a terminal to ask on.
///
/// # Errors
/// [`Code::BadRequest`] where there is none.
pub fn present() -> Result<(), Refusal> {
    somebody()?;
    platform::present().map_err(|_| {
        Refusal::new(Code::BadRequest, "this is answered on a terminal alone, and there is none here")
    })
}

fn refuse(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::Interrupted => Refusal::new(Code::CalledOff, "called off"),
        io::ErrorKind::InvalidData => {
            Refusal::new(Code::TokenInvalid, format!("the input is no text of at most {LONGEST} bytes"))
        }
        io::ErrorKind::InvalidInput => Refusal::new(Code::TokenInvalid, "the value has several lines"),
        _ => Refusal::new(Code::BadRequest, format!("there is no terminal to ask on ({error})"))
            .hint("pass the value through standard input"),
    }
}

/// What a key does to the line.
#[cfg(any(unix, test))]
#[derive(Debug, PartialEq, Eq)]
enum Key {
    More,
    Done,
    CalledOff,
}

/// The hidden line so far.
#[cfg(any(unix, test))]
struct Line {
    bytes: Zeroizing<Vec<u8>>,
    too_long: bool,
    ends: Ends,
}

#[cfg(any(unix, test))]
impl Line {
    fn new(ends: Ends) -> Self {
        // The full size at once: growing would leave copies of the value in freed memory.
        Self { bytes: Zeroizing::new(Vec::with_capacity(LONGEST)), too_long: false, ends }
    }

    fn press(&mut self, byte: u8) -> Key {
        match byte {
            b'\r' | b'\n' if !self.is_open() => return Key::Done,
            // Ctrl-C and Ctrl-\.
            0x03 | 0x1c => return Key::CalledOff,
            // Ctrl-D ends a line, and is a way out of an empty one.
            0x04 if self.bytes.is_empty() => return Key::CalledOff,
            0x04 => return Key::Done,
            // Backspace takes a whole character: its continuation bytes too.
            0x08 | 0x7f => while self.bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U.
            0x15 => self.bytes.clear(),
            byte if self.bytes.len() < LONGEST => self.bytes.push(byte),
            _ => self.too_long = true,
        }
        Key::More
    }

    /// Whether JSON has begun that has not ended, or a line that a shell would go on with. Braces within strings of JSON are not
    /// told apart: tokens have none.
    fn is_open(&self) -> bool {
        if self.ends == Ends::WithJson && self.bytes.ends_with(b"\\") {
            return true;
        }
        let count = |brace| self.bytes.iter().filter(|byte| **byte == brace).count();
        self.ends == Ends::WithJson
            && self.bytes.trim_ascii_start().starts_with(b"{")
            && count(b'{') > count(b'}')
    }

    fn finish(self) -> io::Result<Secret<String>> {
        let text =
            std::str::from_utf8(&self.bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if self.too_long {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(Secret::from(text))
    }
}

#[cfg(unix)]
mod platform {
    use std::fs::File;
    use std::io::{self, Read as _, Write as _};
    use std::sync::{Mutex, PoisonError};

    use keyfob_ipc::Secret;
    use rustix::termios::{
        LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr,
    };

    use zeroize::Zeroizing;

    use super::{Ends, Key, LONGEST, Line};

    /// Most parts of a paste that are looked through.
    const MOST_PARTS: usize = 256;

    /// The terminal as it was before it became mute, for an end without drops.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    pub(super) fn give_back() {
        // Held only for a moment, and by whoever panics at most.
        if let Ok(mut before) = BEFORE.try_lock()
            && let (Some(before), Ok(terminal)) = (before.take(), terminal())
        {
            // Nothing can be done about a terminal that has gone.
            let _ = tcsetattr(terminal, OptionalActions::Flush, &before);
        }
    }

    /// The terminal, keys unseen; set back when dropped.
    struct Quiet<'a> {
        terminal: &'a File,
        before: Termios,
    }

    impl<'a> Quiet<'a> {
        fn new(terminal: &'a File) -> io::Result<Self> {
            let before = tcgetattr(terminal)?;
            let mut quiet = before.clone();
            quiet.local_modes -=
                LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
            quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
            quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
            *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before.clone());
            // What was typed before the question is no answer to it.
            tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
            Ok(Self { terminal, before })
        }
    }

    impl Quiet<'_> {
        /// Takes what comes right behind the end of a line, and says whether it is more than ends of lines. A paste is here at
        /// once, or in parts without a pause; a tenth of a second is one, and nobody types the next value in it.
        fn has_more(&self) -> io::Result<bool> {
            let mut brief = tcgetattr(self.terminal)?;
            brief.special_codes[SpecialCodeIndex::VMIN] = 0;
            brief.special_codes[SpecialCodeIndex::VTIME] = 1;
            tcsetattr(self.terminal, OptionalActions::Now, &brief)?;
            let mut more = Zeroizing::new([0; 4096]);
            let mut has_more = false;
            // A key that is held down goes on without a pause, too.
            for _ in 0..MOST_PARTS {
                match (&mut &*self.terminal).read(&mut *more) {
                    Ok(0) => break,
                    Ok(length) => {
                        has_more |= more[..length].iter().any(|byte| !b"\r\n".contains(byte));
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(has_more)
        }
    }

    impl Drop for Quiet<'_> {
        fn drop(&mut self) {
            // Nothing can be done about a terminal that has gone.
            let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
            BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    fn terminal() -> io::Result<File> {
        File::options().read(true).write(true).open("/dev/tty")
    }

    pub(super) fn hidden(question: &str, ends: Ends) -> io::Result<Secret<String>> {
        let terminal = terminal()?;
        let quiet = Quiet::new(&terminal)?;
        (&terminal).write_all(question.as_bytes())?;
        let mut line = Line::new(ends);
        let ended = loop {
            let mut key = [0];
            match (&terminal).read(&mut key) {
                Ok(0) => break Key::CalledOff,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            match line.press(key[0]) {
                Key::More => {}
                end => break end,
            }
        };
        let has_more = ends == Ends::Alone && ended == Key::Done && quiet.has_more()?;
        drop(quiet);
        (&terminal).write_all(b"\n")?;
        if ended == Key::CalledOff {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        if has_more {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        line.finish()
    }

    pub(super) fn present() -> io::Result<()> {
        terminal().map(drop)
    }

    pub(super) fn forget_keys() -> io::Result<()> {
        Ok(tcflush(terminal()?, QueueSelector::IFlush)?)
    }

    pub(super) fn shown(question: &str) -> io::Result<String> {
        let terminal = terminal()?;
        (&terminal).write_all(question.as_bytes())?;
        super::read_line((&terminal).take(LONGEST as u64))
    }
}

#[cfg(windows)]
mod platform {
    use std::fs::File;
    use std::io::{self, Read as _, Write as _};

    use keyfob_ipc::Secret;

    use super::{Ends, LONGEST};

    pub(super) fn hidden(question: &str, _ends: Ends) -> io::Result<Secret<String>> {
        let value = rpassword::prompt_password(question).map(Secret::new)?;
        if value.expose().len() > LONGEST {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(value)
    }

    pub(super) fn present() -> io::Result<()> {
        File::open("CONIN$").map(drop)
    }

    /// The console is set back by the crate that made it mute, or not at all.
    pub(super) fn give_back() {}

    /// The console keeps what was typed ahead; nothing that is safe can take it away.
    pub(super) fn forget_keys() -> io::Result<()> {
        Ok(())
    }

    pub(super) fn shown(question: &str) -> io::Result<String> {
        File::options().write(true).open("CONOUT$")?.write_all(question.as_bytes())?;
        super::read_line(File::open("CONIN$")?.take(LONGEST as u64))
    }
}

fn read_line(from: impl io::Read) -> io::Result<String> {
    let mut line = String::new();
    let read = io::BufRead::read_line(&mut io::BufReader::new(from), &mut line)?;
    if read == 0 {
        return Err(io::Error::from(io::ErrorKind::Interrupted));
    }
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(keys: &[u8]) -> (Key, io::Result<String>) {
        type_into(Line::new(Ends::WithLine), keys)
    }

    fn type_into(mut line: Line, keys: &[u8]) -> (Key, io::Result<String>) {
        let mut last = Key::More;
        for key in keys {
            last = line.press(*key);
            if last != Key::More {
                break;
            }
        }
        (last, line.finish().map(|secret| secret.expose().clone()))
    }

    #[test]
    fn keys_make_a_line() {
        let (end, line) = type_in(b"aw_1\r");
        assert_eq!((end, line.unwrap().as_str()), (Key::Done, "aw_1"));
        assert_eq!(type_in(b"abc\x7f\x7fd\n").1.unwrap(), "ad");
        assert_eq!(type_in(b"wrong\x15right\n").1.unwrap(), "right");
        assert_eq!(type_in("a\u{20ac}\u{7f}b\n".as_bytes()).1.unwrap(), "ab");
        assert_eq!(type_in(b"\x7f\x7fx\n").1.unwrap(), "x");
    }

    #[test]
    fn json_goes_on_until_its_last_brace() {
        let json = |keys: &[u8]| type_into(Line::new(Ends::WithJson), keys);
        let (end, text) = json(b"{\r  \"a\": {}\r}\rrest\r");
        assert_eq!((end, text.unwrap().as_str()), (Key::Done, "{\r  \"a\": {}\r}"));
        assert_eq!(json(b"cmVm\rrest\r").1.unwrap(), "cmVm");
        assert_eq!(json(b"x \\\r y\rrest\r").1.unwrap(), "x \\\r y");
        assert_eq!(type_in(b"x\\\ry\r").1.unwrap(), "x\\");
        assert_eq!(json(b"{\r\x03").0, Key::CalledOff);
        assert_eq!(json(b"{\r\x04").0, Key::Done);
        assert_eq!(type_in(b"{\r}\r").1.unwrap(), "{");
    }

    #[test]
    fn ways_out() {
        assert_eq!(type_in(b"abc\x03").0, Key::CalledOff);
        assert_eq!(type_in(b"\x04").0, Key::CalledOff);
        assert_eq!(type_in(b"abc\x04").0, Key::Done);
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        let mut keys = vec![b'x'; LONGEST];
        assert!(type_in(&keys).1.is_ok());
        keys.push(b'x');
        assert!(type_in(&keys).1.is_err());
        assert!(type_in(b"\xff\n").1.is_err());
    }

    #[test]
    fn a_shown_line_is_trimmed_and_the_end_of_input_calls_off() {
        assert_eq!(read_line(&b" yes \nmore"[..]).unwrap(), "yes");
        assert_eq!(read_line(&b""[..]).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
