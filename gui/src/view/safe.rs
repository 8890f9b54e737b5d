//! Text from outside, made safe for a window, a menu or a notification.

use std::path::Path;

use keyfob_ipc::text::escape;

/// Characters of a path that are shown.
const PATH: usize = 200;

/// Of which so many are its end, where the name of the file is.
const PATH_END: usize = 140;

/// Characters of a program's name in a menu or a title.
const NAME: usize = 40;

/// Any text: control and invisible characters become visible, and what is absurdly long is cut.
pub fn text(text: &str) -> String {
    escape(text)
}

/// Several of them.
pub fn texts(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| escape(text)).collect()
}

/// A path: what is absurdly long is cut in the middle, so that nobody hides a file's name behind long folders.
pub fn path(path: &str) -> String {
    let length = path.chars().count();
    if length <= PATH {
        return escape(path);
    }
    let begin: String = path.chars().take(PATH - PATH_END).collect();
    let end: String = path.chars().skip(length - PATH_END).collect();
    format!("{}…{}", escape(&begin), escape(&end))
}

/// The name of a program's file; `None` where the system does not tell the program.
pub fn program_name(path: &str) -> Option<String> {
    let name = Path::new(path).file_name()?.to_string_lossy();
    let short: String = name.chars().take(NAME).collect();
    let more = if short.len() < name.len() { "…" } else { "" };
    Some(format!("{}{more}", escape(&short)))
}

/// Whether a text is an address that may be opened in a browser: it comes from outside, and becomes another program's argument.
pub(crate) fn is_web_address(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
        && !rest.is_empty()
        && !rest.starts_with(['/', '?', '#'])
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_web_is_a_web_address() {
        for good in ["https://acme.example/authorize?state=%41&x=1", "HTTP://127.0.0.1:4711/x", "http://a"] {
            assert!(is_web_address(good), "{good}");
        }
        for bad in [
            "file:///etc/passwd",
            "javascript://a",
            "-h",
            "https:acme.example",
            "https://",
            "https:///x",
            "https://?x",
            "https://a.example/ -x",
            "https://a/\n",
            "https://\u{e4}.example",
            " https://a",
            "",
        ] {
            assert!(!is_web_address(bad), "{bad}");
        }
    }

    #[test]
    fn control_and_bidirectional_characters_become_visible() {
        for safe in [text, path, |text: &str| program_name(text).unwrap()] {
            assert_eq!(safe("a\u{1b}[31m\n\u{202e}b"), "a\\u{1b}[31m\\u{a}\\u{202e}b");
        }
    }

    #[test]
    fn a_long_path_keeps_its_beginning_and_its_file() {
        let long = format!("/home/anna/{}/terraform", "x/".repeat(5000));
        let shown = path(&long);
        assert!(shown.starts_with("/home/anna/x/") && shown.ends_with("/x//terraform"), "{shown}");
        assert_eq!(shown.chars().count(), PATH + 1);
        assert_eq!(path("/usr/bin/terraform"), "/usr/bin/terraform");
    }

    #[test]
    fn a_path_of_invisible_characters_stays_bounded() {
        assert!(path(&"\u{200b}".repeat(10_000)).len() < 10 * PATH);
    }

    #[test]
    fn a_program_is_named_by_its_file() {
        assert_eq!(program_name("/usr/bin/terraform").unwrap(), "terraform");
        assert_eq!(program_name(""), None);
        assert_eq!(program_name(&format!("/{}", "y".repeat(300))).unwrap(), format!("{}…", "y".repeat(NAME)));
    }

    #[test]
    fn a_long_text_is_cut() {
        assert!(texts(&["z".repeat(5000)])[0].len() < 400);
    }
}
