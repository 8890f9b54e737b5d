//! Tables for people, and lines that end before the terminal does.

use crate::printer::{Paint, Printer};

/// What the shortest line may be: below that nothing can be laid out.
pub const NARROWEST: usize = 40;
/// Where no terminal tells.
pub const USUAL: usize = 80;

/// One column.
pub struct Column {
    /// Its first line.
    pub head: &'static str,
    /// How narrow it may be made where the table is too wide, in characters; 0 is not at all.
    pub least: usize,
}

impl Column {
    /// A column that keeps its width.
    pub const fn fixed(head: &'static str) -> Self {
        Self { head, least: 0 }
    }

    /// A column that gives way.
    pub const fn yielding(head: &'static str, least: usize) -> Self {
        Self { head, least }
    }
}

/// One cell: its text, which may have several lines, and how it is set off.
pub type Cell = (String, Option<Paint>);

/// Lays a table out in lines of at most `width` characters, as far as its columns give way. Each row has a cell for each
/// column, and those beyond the columns are left out; text from outside in it is already escaped.
pub fn table(columns: &[Column], rows: &[Vec<Cell>], width: usize, printer: &Printer) -> String {
    let mut widths = natural(columns, rows);
    squeeze(&mut widths, columns, width);
    let heads: Vec<Cell> =
        columns.iter().map(|column| (column.head.to_owned(), Some(Paint::Faint))).collect();
    let rows: Vec<Vec<(Vec<String>, Option<Paint>)>> = std::iter::once(&heads)
        .chain(rows)
        .map(|row| {
            row.iter().zip(&widths).map(|((text, paint), width)| (wrap(text, *width), *paint)).collect()
        })
        .collect();
    // Words do not fill every line, so a column may need less than it got.
    for (column, width) in widths.iter_mut().enumerate() {
        let lines = rows.iter().filter_map(|row| row.get(column)).flat_map(|(lines, _)| lines);
        *width = lines.map(|line| length(line)).max().unwrap_or_default();
    }
    let mut text = String::new();
    for row in &rows {
        lay_out(row, &widths, printer, &mut text);
    }
    text
}

/// Whether the table can be laid out in lines of `width` characters.
pub fn fits(columns: &[Column], rows: &[Vec<Cell>], width: usize) -> bool {
    let mut widths = natural(columns, rows);
    squeeze(&mut widths, columns, width);
    widths.iter().sum::<usize>() + gaps(columns) <= width
}

fn natural(columns: &[Column], rows: &[Vec<Cell>]) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| column.head.len()).collect();
    for row in rows {
        for (cell, widest) in row.iter().zip(&mut widths) {
            *widest = cell.0.lines().map(length).max().unwrap_or_default().max(*widest);
        }
    }
    widths
}

fn gaps(columns: &[Column]) -> usize {
    2 * columns.len().saturating_sub(1)
}

/// Takes from the widest column that gives way, until the table fits or nothing gives way any more.
fn squeeze(widths: &mut [usize], columns: &[Column], width: usize) {
    let gaps = gaps(columns);
    while widths.iter().sum::<usize>() + gaps > width {
        let yielding = widths
            .iter_mut()
            .zip(columns)
            .filter(|(now, column)| column.least > 0 && **now > column.least.max(column.head.len()));
        let Some((widest, _)) = yielding.max_by_key(|(now, _)| **now) else { return };
        *widest -= 1;
    }
}

fn lay_out(row: &[(Vec<String>, Option<Paint>)], widths: &[usize], printer: &Printer, text: &mut String) {
    let height = row.iter().map(|(lines, _)| lines.len()).max().unwrap_or_default();
    for line in 0..height {
        let mut gap = 0;
        for ((lines, paint), width) in row.iter().zip(widths) {
            let part = lines.get(line).map(String::as_str).unwrap_or_default();
            if !part.is_empty() {
                text.push_str(&" ".repeat(gap));
                gap = 0;
                match paint {
                    Some(paint) => text.push_str(&printer.paint(*paint, part)),
                    None => text.push_str(part),
                }
            }
            gap += width.saturating_sub(length(part)) + 2;
        }
        text.push('\n');
    }
}

/// Names and what is said about them, each in lines of at most `width` characters.
pub fn labelled(rows: &[(String, String)], width: usize) -> String {
    let widest = rows.iter().map(|(name, _)| length(name)).max().unwrap_or_default();
    let mut text = String::new();
    for (name, value) in rows {
        let mut name = name.as_str();
        for line in wrap(value, width.saturating_sub(widest + 4).max(20)) {
            text.push_str(&format!("  {name:<widest$}  {line}\n"));
            name = "";
        }
    }
    text
}

/// Breaks a text into lines of at most `width` characters: at spaces, else behind a sign that parts names, else anywhere.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for mut rest in text.lines() {
        while length(rest) > width {
            let most = rest.char_indices().nth(width).map_or(rest.len(), |(at, _)| at);
            let (end, next) = break_at(rest, most);
            lines.push(rest[..end].to_owned());
            rest = &rest[next..];
        }
        lines.push(rest.to_owned());
    }
    lines
}

/// Where a line ends that has at most the first `most` bytes, and where the next one begins.
fn break_at(text: &str, most: usize) -> (usize, usize) {
    // A space right behind the line is a break, too.
    let space = text.char_indices().take_while(|(at, _)| *at <= most).filter(|(_, sign)| *sign == ' ').last();
    match space {
        Some((at, _)) if at > 0 => (at, at + 1),
        _ => {
            let sign = text[..most].rfind(['.', '-', '/', ':', '@', '_', ',']);
            // Next to nothing on a line is worse than a broken word.
            let end = sign.map(|at| at + 1).filter(|end| *end * 3 >= most).unwrap_or(most);
            (end, end)
        }
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Printer {
        Printer::new(Box::new(std::io::sink()), Box::new(std::io::sink()))
    }

    fn cells(row: &[&str]) -> Vec<Cell> {
        row.iter().map(|text| ((*text).to_owned(), None)).collect()
    }

    const COLUMNS: [Column; 3] =
        [Column::yielding("NAME", 8), Column::fixed("READ"), Column::yielding("SAYS", 6)];

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let rows = [cells(&["a", "yes", "the cluster"]), cells(&["longer", "", ""]), cells(&["b", "", "x"])];
        assert_eq!(
            table(&COLUMNS, &rows, 80, &plain()),
            "NAME    READ  SAYS\na       yes   the cluster\nlonger\nb             x\n"
        );
    }

    #[test]
    fn what_gives_way_is_broken_into_lines() {
        let rows = [cells(&["cache.eu.acme.dev", "no effect", "the identity provider"])];
        let text = table(&COLUMNS, &rows, 37, &plain());
        assert_eq!(
            text,
            "NAME       READ       SAYS\ncache.eu.  no effect  the identity\nacme.dev              provider\n"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 37), "{text}");
    }

    #[test]
    fn what_keeps_its_width_is_never_broken() {
        let rows = [cells(&["x", "as long as it is", "y"])];
        assert!(table(&COLUMNS, &rows, 10, &plain()).contains("as long as it is"));
    }

    #[test]
    fn colour_does_not_count() {
        let mut printer = plain();
        printer.allow_colour();
        let rows =
            [vec![("a".to_owned(), None), ("yes".to_owned(), Some(Paint::Good)), ("b".to_owned(), None)]];
        let text = table(&COLUMNS, &rows, 80, &printer);
        assert!(text.ends_with("a     \u{1b}[32myes\u{1b}[0m   b\n"), "{text:?}");
    }

    #[test]
    fn lines_break_where_they_can() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("aw-remote-ext.acme.dev", 14), ["aw-remote-ext.", "acme.dev"]);
        assert_eq!(wrap("a\nb", 14), ["a", "b"]);
        assert_eq!(wrap("", 14), Vec::<String>::new());
        assert_eq!(wrap("\u{e9}\u{e9}\u{e9}", 2), ["\u{e9}\u{e9}", "\u{e9}"]);
        assert_eq!(wrap("ab", 0), ["a", "b"]);
    }

    #[test]
    fn long_values_stay_behind_their_names() {
        let rows = [
            ("who".to_owned(), "ada".to_owned()),
            ("groups".to_owned(), "one, two, three, four, five".to_owned()),
        ];
        assert_eq!(labelled(&rows, 32), "  who     ada\n  groups  one, two, three, four,\n          five\n");
    }
}
