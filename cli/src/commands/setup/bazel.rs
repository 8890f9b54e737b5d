//! `keyfob setup bazel`: `--credential_helper` lines in `~/.bazelrc`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use keyfob_ipc::reply::Status;
use keyfob_ipc::{Code, Refusal, text};

use super::{Lines, Place, plain_path, program};
use crate::dispatch::BAZEL_HELPER;
use crate::world::World;

pub fn default_file(world: &World) -> Result<PathBuf, Refusal> {
    Ok(world.home()?.join(".bazelrc"))
}

pub fn lines(status: &Status, place: &Place<'_>, world: &World) -> Result<Lines, Refusal> {
    let helper = program(world, Some(BAZEL_HELPER))?;
    let installed = helper.is_file();
    if !installed && !place.print {
        return Err(Refusal::new(Code::Internal, format!("`{}` is not installed", helper.display()))
            .hint("install keyfob again, all its names in one folder"));
    }
    let patterns: BTreeSet<&str> =
        status.entries.iter().flat_map(|entry| entry.hosts.iter().map(String::as_str)).collect();
    if patterns.is_empty() {
        return Err(Refusal::new(Code::UnknownHost, "no entry of the configuration has `hosts`")
            .hint(format!("add hosts to an entry in {}", status.config.path)));
    }
    let mut lines = block_lines(&patterns, &plain_path(&helper)?)?;
    if !installed {
        lines.warnings.push(format!("`{}` is not installed", helper.display()));
    }
    let headers: BTreeSet<String> = status
        .entries
        .iter()
        .filter(|entry| !entry.hosts.is_empty())
        .map(|entry| {
            entry.facts.get("header").map_or("authorization".to_owned(), |name| name.to_ascii_lowercase())
        })
        .chain(["authorization".to_owned()])
        .collect();
    lines.warnings.extend(rivals(place, &patterns, &headers));
    Ok(lines)
}

fn block_lines(patterns: &BTreeSet<&str>, helper: &str) -> Result<Lines, Refusal> {
    if helper.chars().any(char::is_control) {
        return Err(Refusal::new(Code::PlaceUnsafe, "the path of keyfob holds a control character")
            .hint("install keyfob in another folder"));
    }
    let mut lines = Lines { text: String::new(), summary: String::new(), warnings: vec![] };
    let mut count = 0;
    for pattern in patterns {
        if is_scope(pattern) {
            count += 1;
            // `common` and not `build`: `fetch`, `mod` and `query` reach the same hosts.
            lines.text.push_str(&format!(
                "common {}\n",
                quoted(&format!("--credential_helper={pattern}={helper}"))
            ));
        } else {
            let pattern = text::escape(pattern);
            lines.text.push_str(&format!("# left out, no host name for Bazel: {pattern}\n"));
            lines.warnings.push(format!("`{pattern}` is left out: Bazel takes only host names with a dot"));
        }
    }
    lines.summary =
        if count == 1 { "1 host asks keyfob".to_owned() } else { format!("{count} hosts ask keyfob") };
    Ok(lines)
}

/// Whether Bazel takes the pattern as a scope: labels of letters, digits and hyphens, at least one dot, and `*` as the
/// first label only (`CredentialHelperProvider` of Bazel).
fn is_scope(pattern: &str) -> bool {
    let mut labels = pattern.split('.').enumerate();
    pattern.contains('.')
        && labels.all(|(index, label)| {
            (index == 0 && label == "*")
                || (!label.is_empty()
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        })
}

/// One word of a bazelrc, which is split like a shell line.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=*./:+@~,%".contains(&byte);
    if word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Lines of the person's own that meet the same hosts: another helper, which may win, and fixed headers, which Bazel
/// sends beside ours so that the server sees two.
fn rivals(place: &Place<'_>, patterns: &BTreeSet<&str>, headers: &BTreeSet<String>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (at, line) in place.lines_beside().filter(|(_, line)| !line.trim_start().starts_with('#')) {
        for word in line.split_ascii_whitespace().map(|word| word.trim_matches(['"', '\''])) {
            if let Some(scope) = helper_scope(word)
                && patterns.iter().any(|pattern| meets(scope, pattern))
            {
                let scope = text::escape(scope);
                warnings.push(format!(
                    "{at} has another credential helper for `{scope}`, which may win over keyfob's: remove that line"
                ));
            }
            if let Some(name) = header_name(word)
                && headers.contains(&name)
            {
                let name = text::escape(&name);
                warnings.push(format!(
                    "{at} sends a fixed `{name}` header, which servers get beside keyfob's: remove it"
                ));
            }
        }
    }
    warnings
}

/// The scope of `--credential_helper=SCOPE=PATH`, also under the option's old name. Without one it is for all other hosts.
fn helper_scope(word: &str) -> Option<&str> {
    let value = word
        .strip_prefix("--credential_helper=")
        .or_else(|| word.strip_prefix("--experimental_credential_helper="))?;
    value.split_once('=').map(|(scope, _)| scope)
}

/// The header of `--remote_header=NAME=VALUE` and its siblings, in lower case.
fn header_name(word: &str) -> Option<String> {
    let (option, value) = word.split_once('=')?;
    let sends = matches!(
        option,
        "--remote_header"
            | "--remote_cache_header"
            | "--remote_exec_header"
            | "--remote_downloader_header"
            | "--bes_header"
    );
    sends.then(|| value.split('=').next().unwrap_or_default().trim_matches(['"', '\'']).to_ascii_lowercase())
}

/// Whether a scope is the pattern or lies within it.
fn meets(scope: &str, pattern: &str) -> bool {
    let (scope, pattern) = (scope.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    let within = pattern.strip_prefix("*.").is_some_and(|parent| {
        let name = scope.strip_prefix("*.").unwrap_or(&scope);
        name == parent || name.strip_suffix(parent).is_some_and(|head| head.ends_with('.'))
    });
    scope == pattern || within
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn one_line_for_each_host() {
        let lines =
            block_lines(&["*.cache.acme.dev", "aw.acme.dev"].into(), "/opt/keyfob/bazel-credential-keyfob")
                .unwrap();
        assert_eq!(
            lines.text,
            "\
common --credential_helper=*.cache.acme.dev=/opt/keyfob/bazel-credential-keyfob
common --credential_helper=aw.acme.dev=/opt/keyfob/bazel-credential-keyfob
"
        );
        assert_eq!(lines.summary, "2 hosts ask keyfob");
        assert!(lines.warnings.is_empty());
    }

    #[test]
    fn what_bazel_takes_for_a_scope() {
        for good in ["a.b", "*.acme.dev", "127.0.0.1", "x-y.acme.dev", "xn--bcher-kva.example"] {
            assert!(is_scope(good), "{good}");
        }
        for bad in
            ["localhost", "my_host.acme.dev", "[::1]", "a.*.b", "*", "a..b", ".a", "a.b:8443", "a.b\nx"]
        {
            assert!(!is_scope(bad), "{bad}");
        }
    }

    #[test]
    fn what_it_does_not_take_is_left_out_and_said() {
        let lines = block_lines(&["a.b", "localhost"].into(), "/x").unwrap();
        assert!(lines.text.contains("\n# left out, no host name for Bazel: localhost\n"));
        assert_eq!(lines.summary, "1 host asks keyfob");
        assert_eq!(lines.warnings.len(), 1);
        let evil = block_lines(&["a\nstartup --x"].into(), "/x").unwrap();
        assert_eq!(evil.text.lines().count(), 1);
    }

    #[test]
    fn paths_are_quoted_where_bazel_would_split_them() {
        let lines = block_lines(&["a.b"].into(), "/my apps/it's\"/k").unwrap();
        assert_eq!(lines.text, "common \"--credential_helper=a.b=/my apps/it's\\\"/k\"\n");
        assert!(block_lines(&["a.b"].into(), "/x\ny").is_err());
    }

    #[test]
    fn rivals_for_the_same_hosts_are_named() {
        let beside = "\
build --credential_helper=aw.acme.dev=/opt/other
# build --credential_helper=aw.acme.dev=/opt/other
build --credential_helper=elsewhere.example=/opt/other
common --remote_header=Authorization=Bearer\\ x --bes_header=x-team=build
build --remote_cache_header='X-Aspect=1'
common --credential_helper=/opt/default
build --experimental_credential_helper=a.cache.acme.dev=x
";
        let headers = ["authorization".to_owned(), "x-aspect".to_owned()].into();
        let place = Place { path: Path::new("/home/ada/.bazelrc"), beside, ours: 2..5, print: false };
        let warnings = rivals(&place, &["*.cache.acme.dev", "aw.acme.dev"].into(), &headers);
        let starts: Vec<&str> = warnings.iter().map(|text| &text[..6]).collect();
        // Our own three lines are the second to the fourth.
        assert_eq!(starts, ["line 1", "line 7", "line 8", "line 1"], "{warnings:?}");
        assert_eq!(
            warnings[0],
            "line 1 of `/home/ada/.bazelrc` has another credential helper for `aw.acme.dev`, which may win over keyfob's: \
             remove that line"
        );
        assert!(warnings.last().unwrap().starts_with("line 10 of "), "{warnings:?}");
    }

    #[test]
    fn look_alikes_are_no_rivals() {
        assert!(meets("acme.dev", "*.acme.dev"));
        assert!(meets("*.b.acme.dev", "*.acme.dev"));
        assert!(meets("ACME.dev", "acme.dev"));
        assert!(!meets("evil-acme.dev", "*.acme.dev"));
        assert!(!meets("a.acme.dev", "acme.dev"));
    }
}
