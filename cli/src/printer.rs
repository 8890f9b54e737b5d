//! Everything that is written goes through here: answers and results to standard output, refusals and progress to
//! standard error.

use std::io::{self, Write};
use std::path::Path;

use keyfob_ipc::{Refusal, Secret, text};
use serde::Serialize;
use zeroize::Zeroizing;

/// Longest first line that Bazel gets, in characters: Bazel buries what a helper says in a trace, where only a short line is
/// found again.
const SHORT: usize = 199;
/// Least of a sentence that says something, in characters.
const LEAST: usize = 20;
/// Most of one message to standard error, in bytes: tools read that stream only after our end, from a pipe that must hold it.
const LONGEST: usize = 4 * 1024;

/// The two output streams.
pub struct Printer {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    colour: bool,
    alarm_colour: bool,
    all: bool,
}

/// How a word is set off on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// It works.
    Good,
    /// It will need somebody.
    Warning,
    /// It does not work.
    Bad,
    /// What the eye looks for.
    Strong,
    /// Beside the point.
    Faint,
}

impl Paint {
    fn start(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
        }
    }
}

impl Printer {
    /// A printer without colour.
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self { out, err, colour: false, alarm_colour: false, all: false }
    }

    /// For `main`, where standard output is a terminal and nobody asked for plain text.
    pub fn allow_colour(&mut self) {
        self.colour = true;
    }

    /// The same for standard error, where a sentence may be set off from the others ([`Printer::alarm`]).
    pub fn allow_alarm_colour(&mut self) {
        self.alarm_colour = true;
    }

    /// For `main`, where a person sees standard error: what tools get shortened is shown whole.
    pub fn show_all(&mut self) {
        self.all = true;
    }

    /// The text, coloured where colour is allowed.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if self.colour { format!("{}{text}\x1b[0m", paint.start()) } else { text.to_owned() }
    }

    /// A tool's answer: one write of one line, from memory that is wiped.
    ///
    /// # Errors
    /// The stream's own; the caller must not report success then.
    pub fn answer(&mut self, answer: &impl Serialize) -> io::Result<()> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
        serde_json::to_writer(&mut *bytes, answer)?;
        bytes.push(b'\n');
        self.out.write_all(&bytes)?;
        self.out.flush()
    }

    /// One JSON value on one line of standard output.
    pub fn json(&mut self, value: &impl Serialize) {
        // As for `result`.
        let _ = self.json_is_read(value);
    }

    /// Text to standard output, line ends included.
    pub fn result(&mut self, text: &str) {
        // A reader that has gone (`| head`) has seen what it wanted.
        let _ = self.result_is_read(text);
    }

    /// The same; `false` where nobody reads any more.
    pub fn result_is_read(&mut self, text: &str) -> bool {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_ok()
    }

    /// As [`Printer::json`]; `false` where nobody reads any more.
    pub fn json_is_read(&mut self, value: &impl Serialize) -> bool {
        serde_json::to_string(value).is_ok_and(|line| self.result_is_read(&format!("{line}\n")))
    }

    /// What was done, to standard output.
    pub fn say(&mut self, sentence: &str) {
        self.result(&format!("keyfob: {}\n", text::escape(sentence)));
    }

    /// What a person should know meanwhile, to standard error.
    pub fn note(&mut self, sentence: &str) {
        self.aside(&format!("keyfob: {sentence}\n"));
    }

    /// What a person must not miss, to standard error.
    pub fn alarm(&mut self, sentence: &str) {
        let (start, end) = if self.alarm_colour { (Paint::Bad.start(), "\x1b[0m") } else { ("", "") };
        self.aside(&format!("keyfob: {start}{sentence}{end}\n"));
    }

    /// A value that a command exists to show: alone on one line of standard output, from memory that is wiped. A value that
    /// is no visible ASCII could steer a terminal; it is written as escapes.
    ///
    /// # Errors
    /// The stream's own: nobody has seen the value then.
    pub fn value(&mut self, value: &Secret<String>) -> io::Result<()> {
        let value = value.expose();
        let mut line = Zeroizing::new(String::with_capacity(10 * value.len() + 1));
        if value.bytes().all(|byte| byte.is_ascii_graphic()) {
            line.push_str(value);
        } else {
            line.extend(value.escape_default());
        }
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }

    /// A value for programs, as it is, with a line end, from memory that is wiped. On a terminal (`is_shown`) signs that could
    /// steer it are written as escapes.
    ///
    /// # Errors
    /// As for [`Printer::value`].
    pub fn raw(&mut self, value: &Secret<String>, is_shown: bool) -> io::Result<()> {
        let value = value.expose();
        let is_plain = |sign: char| matches!(sign, '\n' | '\t') || sign == ' ' || sign.is_ascii_graphic();
        let mut text = Zeroizing::new(String::with_capacity(10 * value.len() + 1));
        for sign in value.chars() {
            if is_shown && !is_plain(sign) {
                text.extend(sign.escape_default());
            } else {
                text.push(sign);
            }
        }
        text.push('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Text to standard error, line ends included.
    pub fn aside(&mut self, text: &str) {
        let end = text.floor_char_boundary(LONGEST);
        // There is no third stream to complain to.
        let _ = self.err.write_all(&text.as_bytes()[..end]).and_then(|()| self.err.flush());
    }

    /// A refusal, to standard error: a sentence, then the next command, on one line.
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.aside(&whole(refusal));
    }

    /// The same for Bazel, which buries it in a trace: the first line is short, unless a terminal gets it, and what that leaves out
    /// stands below.
    pub fn refuse_bazel(&mut self, refusal: &Refusal) {
        let (whole, short) = (whole(refusal), short(refusal));
        if self.all || whole == short {
            return self.aside(&whole);
        }
        self.aside(&format!("{short}{}\n", text::escape(&refusal.say)));
    }
}

fn whole(refusal: &Refusal) -> String {
    format!("keyfob: {}\n", sentence(&refusal.say, &refusal.hint))
}

/// One line that keeps the next command: first the second thoughts of the hint go, then the middle of the sentence.
fn short(refusal: &Refusal) -> String {
    let fits = |line: &String| line.chars().count() <= SHORT + 1;
    let line = whole(refusal);
    if fits(&line) {
        return line;
    }
    let hint = clauses(&refusal.hint, "; ").next().map_or(refusal.hint.as_str(), |(first, _)| first);
    let line = format!("keyfob: {}\n", sentence(&refusal.say, hint));
    if fits(&line) {
        return line;
    }
    let say = text::escape(refusal.say.trim_end_matches('.'));
    let next = next_step(hint);
    let room = SHORT.saturating_sub("keyfob: ".len() + next.chars().count());
    if room < LEAST { line } else { format!("keyfob: {}{next}\n", shortened(&say, room)) }
}

/// A sentence begins with whom it is about and ends with the cause: where both fit, what is between them goes.
fn shortened(say: &str, room: usize) -> String {
    let with_cause = clauses(say, ": ").find_map(|(about, cause)| {
        let left = room.checked_sub(cause.chars().count() + ": ".len())?;
        let about = cut(about, left);
        (about.len() > ELLIPSIS.len_utf8()).then(|| format!("{about}: {cause}"))
    });
    with_cause.unwrap_or_else(|| cut(say, room))
}

const ELLIPSIS: char = '\u{2026}';

/// What is before and behind each of these marks, but for those within backticks.
fn clauses<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(mark)
        .filter(|(at, _)| text[..*at].matches('`').count().is_multiple_of(2))
        .map(|(at, _)| (&text[..at], &text[at + mark.len()..]))
}

/// At most so many characters: whole words, nothing half within backticks, and an ellipsis where something is missing.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let is_end = |end: &usize| text[..*end].matches('`').count().is_multiple_of(2);
    let longest = text.char_indices().nth(room.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    let end = text[..longest].rmatch_indices(' ').map(|(at, _)| at).find(is_end);
    let kept = text[..end.unwrap_or_default()].trim_end_matches([':', ';', ',', ' ']);
    if kept.is_empty() { ELLIPSIS.to_string() } else { format!("{kept} {ELLIPSIS}") }
}

/// [`next_step`] as it follows a sentence: a question keeps its own mark.
pub fn joined_step(say: &str, hint: &str) -> String {
    let next = next_step(hint);
    if say.ends_with('?') { next.trim_start_matches('.').to_owned() } else { next }
}

/// A sentence from the agent with its next command, escaped.
pub fn sentence(say: &str, hint: &str) -> String {
    let say = say.trim_end_matches('.');
    format!("{}{}", text::escape(say), joined_step(say, hint))
}

/// A command with a path behind it, for a person to paste. `None` where a shell could read the path as anything else than a path, or
/// where a sentence could not show all of it.
pub fn pasteable(command: &str, path: &Path) -> Option<String> {
    let path = path.to_str().filter(|path| (1..=LONGEST_PATH).contains(&path.len()))?;
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) || cfg!(windows) && b":\\".contains(&byte)
    };
    (path.bytes().all(is_plain) && !path.starts_with('-')).then(|| format!("{command} {path}"))
}

/// In bytes; a sentence has 300 characters.
const LONGEST_PATH: usize = 160;

/// `. Run: …` for a command, `. Next: …` for other advice, nothing where there is no hint.
pub fn next_step(hint: &str) -> String {
    if hint.is_empty() {
        return String::new();
    }
    let hint = text::escape(hint);
    let command = matches!(hint.split(' ').next(), Some("keyfob" | "chmod" | "chown" | "systemctl"));
    format!(". {}: {hint}", if command { "Run" } else { "Next" })
}

#[cfg(test)]
mod tests {
    use keyfob_ipc::Code;

    use super::*;

    #[test]
    fn a_refusal_is_one_line_with_the_next_command() {
        let refusal =
            Refusal::new(Code::SignInNeeded, "nobody is signed in to okta").hint("keyfob login okta");
        assert_eq!(whole(&refusal), "keyfob: nobody is signed in to okta. Run: keyfob login okta\n");
    }

    #[test]
    fn only_a_path_that_is_nothing_else_to_a_shell_is_pasted() {
        let paste = |path: &str| pasteable("chmod 600", Path::new(path));
        assert_eq!(paste("/home/ada/.x_y-1/c.json").as_deref(), Some("chmod 600 /home/ada/.x_y-1/c.json"));
        for sign in "'\"`$;&|<>()*?[]{}~#! \n\t\u{1b}\u{202e}\u{e9}%^".chars() {
            assert_eq!(paste(&format!("/home/a{sign}touch x/c.json")), None, "{sign:?}");
        }
        assert_eq!((paste("-rf"), paste(""), paste(&"/a".repeat(200))), (None, None, None));
    }

    #[test]
    fn advice_that_is_no_command_is_not_called_one() {
        let refusal = Refusal::new(Code::Internal, "it broke.").hint("look at its log");
        assert_eq!(whole(&refusal), "keyfob: it broke. Next: look at its log\n");
        assert_eq!(whole(&Refusal::new(Code::Internal, "it broke")), "keyfob: it broke\n");
    }

    #[test]
    fn a_question_gets_no_full_stop() {
        let refusal = Refusal::new(Code::UnknownEntry, "no entry `okto`: did you mean `okta`?")
            .hint("keyfob login okta");
        assert_eq!(whole(&refusal), "keyfob: no entry `okto`: did you mean `okta`? Run: keyfob login okta\n");
    }

    #[test]
    fn a_long_sentence_is_said_once_and_whole_to_a_person() {
        let refusal = Refusal::new(Code::Offline, "word ".repeat(50) + "end").hint("keyfob why aws.dev");
        let expected = format!("keyfob: {}end. Run: keyfob why aws.dev\n", "word ".repeat(50));
        let seen = Seen::default();
        let mut printer = Printer::new(Box::new(io::sink()), Box::new(seen.clone()));
        printer.refuse(&refusal);
        printer.show_all();
        printer.refuse_bazel(&refusal);
        assert_eq!(*seen.0.borrow(), expected.repeat(2).as_bytes());
    }

    #[test]
    fn a_tool_gets_one_short_line_of_whole_words_with_the_next_command() {
        let role = "arn:aws:iam::123456789012:role/teams/platform/DeployToProduction";
        let hint = format!("put under [aws.dev] of the configuration: may_assume = [\"{role}\"]");
        let say = format!("no entry that is obtained through `aws.dev` has the role `{role}`");
        let line = short(&Refusal::new(Code::NotAllowed, say).hint(&*hint));
        assert_eq!(
            line,
            format!(
                "keyfob: no entry that is obtained through `aws.dev` has the role \u{2026}. Next: {hint}\n"
            )
        );
        assert!(line.chars().count() <= SHORT + 1, "{line}");

        let line = short(&Refusal::new(Code::Offline, "word ".repeat(60)).hint("keyfob why aws.dev"));
        assert!(line.ends_with("word word \u{2026}. Run: keyfob why aws.dev\n"), "{line}");
        assert!(line.chars().count() <= SHORT + 1 && line.chars().count() > SHORT - 6, "{line}");
        assert_eq!(line.lines().count(), 1);
        let line = short(&Refusal::new(Code::Offline, "x".repeat(300)).hint("keyfob status"));
        assert_eq!(line, "keyfob: \u{2026}. Run: keyfob status\n");
    }

    #[test]
    fn what_is_missing_survives_the_shortening() {
        let behind = "`aws.deploy-to-production` is obtained with `aws.hub`: `aws.hub` is obtained with `machine.ci`: ";
        let refusal = |say: &str, hint: &str| {
            Refusal::new(Code::MachineIdentityMissing, format!("{behind}{say}")).hint(hint)
        };
        let github = short(&refusal(
            "this job of GitHub Actions gets no ID token: ACTIONS_ID_TOKEN_REQUEST_URL is not set",
            "add `permissions: id-token: write` to the job; a pull request from a fork gets none",
        ));
        assert!(github.starts_with("keyfob: `aws.deploy-to-production` is"), "{github}");
        assert!(
            github.contains(" \u{2026}: this job of GitHub Actions gets no ID token: ACTIONS_ID"),
            "{github}"
        );
        assert!(github.contains("ACTIONS_ID_TOKEN_REQUEST_URL is not set. Next: "), "{github}");
        assert!(github.ends_with("add `permissions: id-token: write` to the job\n"), "{github}");
        let circleci = short(&refusal(
            "this job of CircleCI gets no ID token: CIRCLE_OIDC_TOKEN_V2 is not set",
            "give the job a context; a build of a fork gets a token only where it gets secrets",
        ));
        assert!(
            circleci.contains("CIRCLE_OIDC_TOKEN_V2 is not set. Next: give the job a context\n"),
            "{circleci}"
        );
        for line in [github, circleci] {
            assert!(line.chars().count() <= SHORT + 1, "{line}");
            assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        }
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let refusal = Refusal::new(Code::Internal, "a\u{1b}[31m\nb").hint("keyfob \u{7}");
        assert!(!whole(&refusal).trim_end().contains(char::is_control));
    }

    /// A stream that a test can look at.
    #[derive(Clone, Default)]
    struct Seen(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_value_is_alone_on_its_line_and_steers_no_terminal() {
        let seen = Seen::default();
        let mut printer = Printer::new(Box::new(seen.clone()), Box::new(io::sink()));
        printer.value(&Secret::from("aw_1")).unwrap();
        printer.value(&Secret::from("a\u{1b}[2J\u{202e}b")).unwrap();
        assert_eq!(*seen.0.borrow(), b"aw_1\na\\u{1b}[2J\\u{202e}b\n");
    }

    #[test]
    fn a_value_for_programs_is_as_it_is_but_on_a_terminal() {
        let seen = Seen::default();
        let mut printer = Printer::new(Box::new(seen.clone()), Box::new(io::sink()));
        let value = Secret::from("a \u{e9}\r\n\tb\u{1b}[2J");
        printer.raw(&value, false).unwrap();
        printer.raw(&value, true).unwrap();
        let expected = "a \u{e9}\r\n\tb\u{1b}[2J\na \\u{e9}\\r\n\tb\\u{1b}[2J\n";
        assert_eq!(String::from_utf8_lossy(&seen.0.borrow()), expected);
    }

    #[test]
    fn an_alarm_is_coloured_by_its_own_stream() {
        let seen = Seen::default();
        let mut printer = Printer::new(Box::new(io::sink()), Box::new(seen.clone()));
        printer.allow_colour();
        printer.alarm("lost");
        printer.allow_alarm_colour();
        printer.alarm("lost");
        assert_eq!(*seen.0.borrow(), b"keyfob: lost\nkeyfob: \x1b[31mlost\x1b[0m\n");
    }

    #[test]
    fn colour_only_where_allowed() {
        let mut printer = Printer::new(Box::new(io::sink()), Box::new(io::sink()));
        assert_eq!(printer.paint(Paint::Good, "live"), "live");
        printer.allow_colour();
        assert_eq!(printer.paint(Paint::Good, "live"), "\u{1b}[32mlive\u{1b}[0m");
    }
}
