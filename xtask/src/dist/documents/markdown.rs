//! A man page from one of our own pages: as much of Markdown as `docs/configuration.md` is written in.

use std::fmt::Write as _;

/// What a page begins with.
pub struct Heading<'a> {
    /// `keyfob-config`.
    pub name: &'a str,
    /// The section of the manual.
    pub section: u8,
    /// The line that `apropos` shows.
    pub about: &'a str,
}

/// The page. The text's own first heading is left out: the name says it.
pub fn page(text: &str, heading: &Heading<'_>, day: &str, version: &str) -> String {
    let Heading { name, section, about } = heading;
    let mut page = format!(
        ".TH {} {section} {day} \"keyfob {version}\" Keyfob\n.SH NAME\n{} \\- {}\n.SH DESCRIPTION\n",
        name.to_uppercase(),
        escaped(name),
        escaped(about)
    );
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            let _ = writeln!(page, ".SH {}", plain(title));
        } else if let Some(title) = line.strip_prefix("### ") {
            let _ = writeln!(page, ".SS {}", plain(title));
        } else if line.starts_with("# ") {
        } else if line.starts_with("```") {
            page.push_str(".PP\n.RS 4\n.nf\n");
            for line in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                page.push_str(&whole(&escaped(line)));
            }
            page.push_str(".fi\n.RE\n");
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            add_table(&rows, &mut page);
        } else if !line.trim().is_empty() {
            // Code may begin in one line and end in the next.
            let (start, first) = match line.strip_prefix("* ") {
                Some(item) => (".IP \\(bu 2\n", item),
                None => (".PP\n", line),
            };
            let mut text = first.trim().to_owned();
            while let Some(more) = lines.next_if(|line| goes_on(line)) {
                text.push(' ');
                text.push_str(more.trim());
            }
            page.push_str(start);
            page.push_str(&whole(&spans(&text)));
        }
    }
    page.push_str(".SH SEE ALSO\n.BR keyfob (1),\n.BR keyfobd (1)\n");
    page
}

/// Whether a line belongs to the paragraph above it.
fn goes_on(line: &str) -> bool {
    let begins = ["#", "|", "```", "* "];
    !line.trim().is_empty() && !begins.iter().any(|begin| line.starts_with(begin))
}

/// The first column is what a row is about; the others are told in a sentence, each by its heading where that says more than "is".
fn add_table(rows: &[Vec<String>], page: &mut String) {
    let [titles, _, rows @ ..] = rows else { return };
    for row in rows {
        let [about, told @ ..] = &row[..] else { continue };
        let _ = write!(page, ".TP\n{}", whole(&spans(about)));
        let last = told.len().saturating_sub(1);
        for (at, cell) in told.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let title = titles.get(at + 1).map_or("", |title| title.trim());
            let line = match (title, at == last) {
                ("" | "is", true) => spans(cell),
                ("" | "is", false) => format!("{}.", spans(cell)),
                (title, true) => format!("{}: {}", spans(title), spans(cell)),
                (title, false) => format!("{}: {}.", spans(title), spans(cell)),
            };
            page.push_str(&whole(&line));
            if at < last {
                page.push_str(".br\n");
            }
        }
    }
}

/// The cells of a row; a bar inside of code is written `\|`.
fn cells(row: &str) -> Vec<String> {
    let inner = row.trim().trim_start_matches('|');
    let inner = inner.strip_suffix('|').unwrap_or(inner).replace("\\|", "\u{0}");
    inner.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// Text with code and strong words in bold, links as their words.
fn spans(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        out.push_str(&escaped(&rest[..at]));
        let (mark, from) = (&rest[at..=at], &rest[at..]);
        let span =
            match mark {
                "`" => between(from, "`", "`")
                    .map(|(inner, after)| (format!("\\fB{}\\fR", escaped(inner)), after)),
                "*" => between(from, "**", "**")
                    .map(|(inner, after)| (format!("\\fB{}\\fR", spans(inner)), after)),
                _ => link(from).map(|(words, after)| (spans(words), after)),
            };
        match span {
            Some((made, after)) => {
                out.push_str(&made);
                rest = after;
            }
            None => {
                out.push_str(&escaped(mark));
                rest = &from[1..];
            }
        }
    }
    out.push_str(&escaped(rest));
    out
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(open)?.split_once(close)
}

/// `[words](where)`: the words, and what follows.
fn link(text: &str) -> Option<(&str, &str)> {
    let (words, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (_, after) = rest.split_once(')')?;
    (!words.contains('[')).then_some((words, after))
}

/// A heading has no fonts of its own.
fn plain(text: &str) -> String {
    escaped(&text.replace('`', ""))
}

/// A whole line: one that begins like a request is none.
fn whole(line: &str) -> String {
    let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{guard}{line}\n")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
        .replace('`', "\\(ga")
        .replace('^', "\\(ha")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: Heading<'_> = Heading { name: "keyfob-config", section: 5, about: "what it is" };

    fn made(text: &str) -> String {
        let page = page(text, &HEADING, "2026-11-22", "0.1.0");
        let (_, body) = page.split_once(".SH DESCRIPTION\n").unwrap();
        body.split_once(".SH SEE ALSO").unwrap().0.to_owned()
    }

    #[test]
    fn code_and_strong_words_are_bold_and_links_are_words() {
        let line = "Run `keyfob doctor` **now**, see [the page](a.md#b) and a*b.";
        assert_eq!(made(line), ".PP\nRun \\fBkeyfob doctor\\fR \\fBnow\\fR, see the page and a*b.\n");
    }

    #[test]
    fn code_goes_on_in_the_next_line_and_a_blank_one_begins_a_paragraph() {
        let text = "Run `keyfob\nconfig` now.\n\n`a` b\n* one\n  more\n* two";
        let expected = ".PP\nRun \\fBkeyfob config\\fR now.\n.PP\n\\fBa\\fR b\n.IP \\(bu 2\none more\n.IP \\(bu 2\ntwo\n";
        assert_eq!(made(text), expected);
    }

    #[test]
    fn nothing_of_a_text_is_a_request() {
        assert_eq!(made(".so /etc/passwd"), ".PP\n\\&.so /etc/passwd\n");
        assert_eq!(made("a\\fBb"), ".PP\na\\efBb\n");
        assert_eq!(made("```\n.so x\n```"), ".PP\n.RS 4\n.nf\n\\&.so x\n.fi\n.RE\n");
    }

    #[test]
    fn a_row_is_told_in_a_paragraph_of_its_own() {
        let table = "| key | default | is |\n| --- | --- | --- |\n| `a` | none | this |\n| `b` | | that |";
        let expected = ".TP\n\\fBa\\fR\ndefault: none.\n.br\nthis\n.TP\n\\fBb\\fR\nthat\n";
        assert_eq!(made(table), expected);
    }
}
