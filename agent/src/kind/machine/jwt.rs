//! A job's ID token, as far as its bearer reads it. Its signature is for others: whoever gets the token checks it, and a bearer
//! learns nothing from it that the surroundings could not say as well.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use keyfob_ipc::Secret;
use serde_json::{Map, Value};

/// Longest token that is read, in characters: what STS takes (its API reference, `WebIdentityToken`).
pub const LONGEST: usize = 20_000;

/// Why a text is no ID token. None of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// Nothing.
    #[error("is empty")]
    Empty,
    /// More than [`LONGEST`].
    #[error("is too long for an ID token")]
    TooLong,
    /// Not three parts in base64, with JSON in two of them.
    #[error("is no JSON Web Token")]
    Malformed,
    /// No issuer, no subject or no end.
    #[error("is a token without `{0}`")]
    Lacks(&'static str),
}

/// A token that has the form of one.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// As it is sent.
    pub token: Secret<String>,
    /// What it says. Texts from outside.
    pub claims: Map<String, Value>,
    /// `exp`.
    pub until: Timestamp,
}

impl Jwt {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`NoToken`].
    pub fn read(token: Secret<String>) -> Result<Self, NoToken> {
        let text = token.expose();
        match text.len() {
            0 => return Err(NoToken::Empty),
            length if length > LONGEST => return Err(NoToken::TooLong),
            _ => {}
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoToken::Malformed);
        };
        object(header)?;
        if signature.is_empty() || URL_SAFE_NO_PAD.decode(signature).is_err() {
            return Err(NoToken::Malformed);
        }
        let claims = object(claims)?;
        for name in ["iss", "sub"] {
            if claims.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(NoToken::Lacks(name));
            }
        }
        let until = claims.get("exp").and_then(seconds).ok_or(NoToken::Lacks("exp"))?;
        Ok(Self { token, claims, until })
    }

    /// What a token says that need not be an ID token; nothing, where the text is no JSON Web Token.
    pub fn claims_of(token: &str) -> Option<Map<String, Value>> {
        let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
        (token.len() <= LONGEST).then(|| object(claims).ok()).flatten()
    }

    /// When such a token ends, if it says so.
    pub fn end_of(token: &str) -> Option<Timestamp> {
        Self::claims_of(token)?.get("exp").and_then(seconds)
    }

    /// A claim that is a text.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str().filter(|text| !text.is_empty())
    }

    /// `iss`.
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// `sub`.
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// `aud`, which may be one or several (RFC 7519 section 4.1.3).
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

fn object(part: &str) -> Result<Map<String, Value>, NoToken> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| NoToken::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| NoToken::Malformed)
}

/// Seconds since 1970, which a few issuers write with a fraction.
fn seconds(value: &Value) -> Option<Timestamp> {
    let whole = value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| (0.0..1e12).contains(number))?;
        number.trunc().to_string().parse().ok()
    })?;
    Timestamp::from_second(whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> Secret<String> {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        Secret::new(format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(claims), part("signature")))
    }

    #[test]
    fn only_what_is_a_token_is_taken_for_one() {
        let read = |text: &str| Jwt::read(Secret::from(text)).map(drop);
        assert_eq!(read(""), Err(NoToken::Empty));
        assert_eq!(read(&"x".repeat(LONGEST + 1)), Err(NoToken::TooLong));
        for text in ["x", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30.e30", "e30.W10.e30"] {
            assert_eq!(read(text), Err(NoToken::Malformed), "{text}");
        }
        assert_eq!(Jwt::read(token("{}")).map(drop), Err(NoToken::Lacks("iss")));
        assert_eq!(Jwt::read(token(r#"{"iss":"i","sub":""}"#)).map(drop), Err(NoToken::Lacks("sub")));
        assert_eq!(Jwt::read(token(r#"{"iss":"i","sub":"s"}"#)).map(drop), Err(NoToken::Lacks("exp")));
    }

    #[test]
    fn its_claims_are_read_and_debug_shows_no_token() {
        let whole = token(r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":1800000000.5}"#);
        let jwt = Jwt::read(whole.clone()).unwrap();
        assert_eq!((jwt.issuer(), jwt.subject(), jwt.audiences()), ("i", "s", vec!["a", "b"]));
        assert_eq!(jwt.until.as_second(), 1_800_000_000);
        assert!(!format!("{jwt:?}").contains(whole.expose().as_str()));
    }
}
