//! Cookies, as far as sign-in pages need them: name, path, and gone when emptied or ended.

use std::collections::BTreeMap;

use url::Url;

/// Cookies by origin, path and name.
#[derive(Clone, Debug, Default)]
pub(super) struct Cookies(BTreeMap<(String, String, String), String>);

impl Cookies {
    /// Takes a `Set-Cookie` header (RFC 6265 section 5.2, without domains).
    pub(super) fn set(&mut self, from: &Url, header: &str) {
        let mut parts =
            header.split(';').map(|part| part.trim().split_once('=').unwrap_or((part.trim(), "")));
        let Some((name, value)) = parts.next() else { return };
        let attributes: Vec<_> = parts.collect();
        let attribute = |wanted: &str| {
            attributes.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, it)| *it)
        };
        let path = attribute("path").filter(|path| path.starts_with('/')).unwrap_or("/");
        let key = (origin(from), path.to_owned(), name.to_owned());
        let long_ago = attribute("expires").is_some_and(|when| when.contains(" 1970 "));
        if value.is_empty() || long_ago || attribute("max-age") == Some("0") {
            self.0.remove(&key);
        } else {
            self.0.insert(key, value.to_owned());
        }
    }

    /// The `Cookie` header for an address, the longest path first.
    pub(super) fn of(&self, url: &Url) -> Option<String> {
        let here = origin(url);
        let mut fitting: Vec<_> =
            self.0.iter().filter(|((at, path, _), _)| *at == here && covers(path, url.path())).collect();
        fitting.sort_by_key(|((_, path, _), _)| std::cmp::Reverse(path.len()));
        let pairs: Vec<_> =
            fitting.into_iter().map(|((_, _, name), value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// RFC 6265 section 5.1.4.
fn covers(cookie: &str, path: &str) -> bool {
    let Some(rest) = path.strip_prefix(cookie) else { return false };
    rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_where_their_path_says() {
        let mut cookies = Cookies::default();
        let url = |path: &str| Url::parse(&format!("http://127.0.0.1:1{path}")).unwrap();
        cookies.set(&url("/auth"), "_interaction=one; path=/interaction/1; httponly");
        cookies.set(&url("/auth"), "_session=s; path=/; samesite=lax");
        assert_eq!(cookies.of(&url("/interaction/1")).unwrap(), "_interaction=one; _session=s");
        assert_eq!(cookies.of(&url("/interaction/12")).unwrap(), "_session=s");
        assert_eq!(cookies.of(&Url::parse("http://127.0.0.1:2/").unwrap()), None);
        cookies.set(&url("/"), "_session=; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(cookies.of(&url("/")), None);
    }
}
