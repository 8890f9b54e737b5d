//! Everything that is written goes through here: answers and results to standard output, refusals and progress to
//! standard error.

use std::io::{self, Write};

use keyfob_ipc::{Refusal, Secret, text};
use serde::Serialize;
use zeroize::Zeroizing;

/// Longest first line of a refusal, in characters: Bazel buries what a helper says in a trace, where only a short line
/// is found again.
const FIRST_LINE: usize = 199;
/// Most of one message to standard error, in bytes: tools read that stream only after our end, from a pipe that must hold it.
const LONGEST: usize = 4 * 1024;

/// The two output streams.
pub struct Printer {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    colour: bool,
    alarm_colour: bool,
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
        Self { out, err, colour: false, alarm_colour: false }
    }

    /// For `main`, where standard output is a terminal and nobody asked for plain text.
    pub fn allow_colour(&mut self) {
        self.colour = true;
    }

    /// The same for standard error, where a sentence may be set off from the others ([`Printer::alarm`]).
    pub fn allow_alarm_colour(&mut self) {
        self.alarm_colour = true;
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

    /// Text to standard error, line ends included.
    pub fn aside(&mut self, text: &str) {
        let end = text.floor_char_boundary(LONGEST);
        // There is no third stream to complain to.
        let _ = self.err.write_all(&text.as_bytes()[..end]).and_then(|()| self.err.flush());
    }

    /// A refusal, to standard error: a sentence, then the next command.
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.aside(&refusal_text(refusal));
    }
}

/// One line where it fits; else a shortened line that keeps the next command, and the whole sentence below.
fn refusal_text(refusal: &Refusal) -> String {
    let say = text::escape(refusal.say.trim_end_matches('.'));
    let next = joined_step(&refusal.say, &refusal.hint);
    let whole = format!("keyfob: {say}{next}\n");
    let surplus = whole.chars().count().saturating_sub(FIRST_LINE + 1);
    if surplus == 0 {
        return whole;
    }
    let length = say.chars().count();
    // An ellipsis takes three; a sentence of which next to nothing is left would say nothing.
    let kept = length.saturating_sub(surplus + 3);
    if kept < 20 {
        return whole;
    }
    let short: String = say.chars().take(kept).collect();
    format!("keyfob: {short}...{}\n{say}\n", next_step(&refusal.hint))
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
        assert_eq!(refusal_text(&refusal), "keyfob: nobody is signed in to okta. Run: keyfob login okta\n");
    }

    #[test]
    fn advice_that_is_no_command_is_not_called_one() {
        let refusal = Refusal::new(Code::Internal, "it broke.").hint("look at its log");
        assert_eq!(refusal_text(&refusal), "keyfob: it broke. Next: look at its log\n");
        assert_eq!(refusal_text(&Refusal::new(Code::Internal, "it broke")), "keyfob: it broke\n");
    }

    #[test]
    fn a_question_gets_no_full_stop() {
        let refusal = Refusal::new(Code::UnknownEntry, "no entry `okto`: did you mean `okta`?")
            .hint("keyfob login okta");
        assert_eq!(
            refusal_text(&refusal),
            "keyfob: no entry `okto`: did you mean `okta`? Run: keyfob login okta\n"
        );
    }

    #[test]
    fn a_long_sentence_keeps_its_command_in_the_first_line() {
        let refusal = Refusal::new(Code::Offline, "x".repeat(250)).hint("keyfob why aws.dev");
        let text = refusal_text(&refusal);
        let first = text.lines().next().unwrap();
        assert_eq!(first.chars().count(), FIRST_LINE);
        assert!(first.ends_with("... Run: keyfob why aws.dev") || first.ends_with("Run: keyfob why aws.dev"));
        assert!(text.lines().nth(1).unwrap().starts_with("xxx"));
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let refusal = Refusal::new(Code::Internal, "a\u{1b}[31m\nb").hint("keyfob \u{7}");
        assert!(!refusal_text(&refusal).trim_end().contains(char::is_control));
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
