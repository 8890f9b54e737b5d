//! Where both halves of an access key come from: two questions on a terminal, else standard input.

use keyfob_ipc::{Code, Refusal, Secret, text};
use serde::Deserialize;

use crate::prompt::{self, Ends};
use crate::world::World;

/// Both halves of an access key.
#[derive(Debug)]
pub struct Pair {
    /// The half that may be seen.
    pub access_key: String,
    /// The half that may not.
    pub secret_key: Secret<String>,
}

impl Pair {
    /// In one value: the agent reads two lines.
    pub fn to_value(&self) -> Secret<String> {
        Secret::new(format!("{}\n{}", self.access_key, self.secret_key.expose()))
    }
}

/// Asks for both halves, or reads them. `whose` ends the questions: `outscale.monitoring`.
pub fn take(whose: &str, again: &str, world: &mut World) -> Result<Pair, Refusal> {
    if !world.input.is_terminal {
        let given = super::value::read(&mut world.input.reader).map_err(|refusal| refusal.hint(again))?;
        return read(&given).map_err(|refusal| refusal.hint(again));
    }
    let whose = text::escape(whose);
    let access_key = prompt::shown(&format!("Access key {whose}: "))?;
    if access_key.trim().is_empty() {
        return Err(nothing().hint(again));
    }
    let secret_key = prompt::hidden(&format!("Secret key {whose} (not shown): "), Ends::WithLine)?;
    let pair = Pair {
        access_key: access_key.trim().to_owned(),
        secret_key: Secret::from(secret_key.expose().trim()),
    };
    check(pair).map_err(|refusal| refusal.hint(again))
}

/// `ACCESS:SECRET`, two lines, or JSON.
fn read(given: &Secret<String>) -> Result<Pair, Refusal> {
    #[derive(Deserialize)]
    struct Json {
        access_key: String,
        secret_key: Secret<String>,
    }
    let given = given.expose().trim();
    if given.is_empty() {
        return Err(nothing());
    }
    if given.starts_with('{') {
        let Ok(Json { access_key, secret_key }) = serde_json::from_str(given) else {
            return Err(refuse("the JSON has no `access_key` and `secret_key`"));
        };
        return check(Pair { access_key, secret_key });
    }
    let Some((access_key, secret_key)) = given.split_once(['\n', ':']) else {
        return Err(refuse("the secret half of the access key is missing"));
    };
    check(Pair { access_key: access_key.trim().to_owned(), secret_key: Secret::from(secret_key.trim()) })
}

/// What the agent checks too; here it saves the way. Nothing of it is repeated.
fn check(pair: Pair) -> Result<Pair, Refusal> {
    let is_id = (16..=128).contains(&pair.access_key.len())
        && pair.access_key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if !is_id {
        return Err(refuse("an access key has 16 to 128 capital letters and digits"));
    }
    let secret = pair.secret_key.expose();
    if secret.is_empty() {
        return Err(refuse("the secret half of the access key is missing"));
    }
    if !(16..=128).contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refuse("a secret key has 16 to 128 visible characters"));
    }
    Ok(pair)
}

fn nothing() -> Refusal {
    refuse("nothing was given")
}

fn refuse(why: &str) -> Refusal {
    Refusal::new(Code::TokenInvalid, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789ABCDEFGHIJ";
    const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t";

    #[test]
    fn both_halves_are_read_in_every_form() {
        for text in [
            format!("{ID}:{SECRET}\n"),
            format!("{ID}\r\n{SECRET}\r\n"),
            format!(r#"{{"access_key":"{ID}","secret_key":"{SECRET}"}}"#),
        ] {
            let pair = read(&Secret::new(text)).unwrap();
            assert_eq!((pair.access_key.as_str(), pair.secret_key.expose().as_str()), (ID, SECRET));
            assert_eq!(pair.to_value().expose(), &format!("{ID}\n{SECRET}"));
        }
    }

    #[test]
    fn what_is_no_key_is_not_repeated() {
        for text in ["", ID, "x:y", "{}", &format!("{SECRET}:{ID}"), &format!("{ID}:{SECRET} x")] {
            let refusal = read(&Secret::from(text)).unwrap_err();
            assert_eq!(refusal.code, Code::TokenInvalid);
            assert!(!refusal.say.contains("s3cr3t"), "{refusal}");
        }
        assert_eq!(read(&Secret::from(" \n")).unwrap_err().say, "nothing was given");
    }
}
