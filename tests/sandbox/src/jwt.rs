//! JSON Web Tokens (RFC 7519): signing with ES256, verifying ES256 and RS256.

mod rsa;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use rsa::RsaKey;

/// A public key (RFC 7517), as far as ES256 and RS256 need it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PublicKey {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
}

/// The document at `jwks_uri`. Keys of kinds that we do not know are skipped when they do not fit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeySet {
    pub(crate) keys: Vec<PublicKey>,
}

/// An ES256 key pair.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pair: EcdsaKeyPair,
    kid: String,
    random: SystemRandom,
}

impl SigningKey {
    pub(crate) fn generate() -> Result<Self, ring::error::Unspecified> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|_| ring::error::Unspecified)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, pair.public_key().as_ref());
        let kid = encode(&digest.as_ref()[..16]);
        Ok(Self { pair, kid, random })
    }

    pub(crate) fn public(&self) -> PublicKey {
        // SEC 1: the byte 4, then x and y of 32 bytes each.
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        PublicKey {
            kty: "EC".into(),
            kid: Some(self.kid.clone()),
            usage: Some("sig".into()),
            alg: Some("ES256".into()),
            crv: Some("P-256".into()),
            x: Some(encode(x)),
            y: Some(encode(y)),
            ..PublicKey::default()
        }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let content = self.content(claims);
        let signature = self.signature(content.as_bytes());
        format!("{content}.{signature}")
    }

    /// A token whose signature is a real one, but over something else.
    pub(crate) fn sign_badly(&self, claims: &Value) -> String {
        let signature = self.signature(b"something else");
        format!("{}.{signature}", self.content(claims))
    }

    fn content(&self, claims: &Value) -> String {
        part(&json!({"alg": "ES256", "kid": self.kid, "typ": "JWT"})) + "." + &part(claims)
    }

    fn signature(&self, content: &[u8]) -> String {
        let signature = self.pair.sign(&self.random, content).expect("the system's random source answers");
        encode(signature.as_ref())
    }
}

/// A token with `alg` `none` (RFC 7519 section 6), which nobody may take.
pub(crate) fn unsigned(claims: &Value) -> String {
    part(&json!({"alg": "none"})) + "." + &part(claims) + "."
}

/// A token that has been taken apart, not yet believed.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    alg: String,
    kid: Option<String>,
    pub(crate) claims: Value,
    content: &'a str,
    signature: Vec<u8>,
}

/// Why a signature is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// No key of that id and kind.
    NoKey,
    /// The key says no.
    Wrong,
}

impl<'a> Unverified<'a> {
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            kid: Option<String>,
        }
        let (content, signature) = token.rsplit_once('.')?;
        let (header, claims) = content.split_once('.')?;
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        let claims: Value = serde_json::from_slice(&decode(claims)?).ok()?;
        claims.is_object().then_some(())?;
        Some(Self { alg: header.alg, kid: header.kid, claims, content, signature: decode(signature)? })
    }

    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// `aud` may be one string or several (RFC 7519 section 4.1.3).
    pub(crate) fn is_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    pub(crate) fn verify(&self, keys: &[PublicKey]) -> Result<(), SignatureError> {
        let kind = match self.alg.as_str() {
            "ES256" => "EC",
            "RS256" => "RSA",
            _ => return Err(SignatureError::NoKey),
        };
        let fits = |key: &&PublicKey| {
            key.kty == kind
                && (self.kid.is_none() || key.kid == self.kid)
                && key.usage.as_deref().is_none_or(|usage| usage == "sig")
                && key.alg.as_ref().is_none_or(|alg| *alg == self.alg)
        };
        let mut fitting = keys.iter().filter(fits).peekable();
        fitting.peek().ok_or(SignatureError::NoKey)?;
        if fitting.any(|key| self.signed_by(key).is_some()) { Ok(()) } else { Err(SignatureError::Wrong) }
    }

    fn signed_by(&self, key: &PublicKey) -> Option<()> {
        let content = self.content.as_bytes();
        if self.alg == "RS256" {
            let key = RsaPublicKeyComponents { n: decode(key.n.as_ref()?)?, e: decode(key.e.as_ref()?)? };
            return key.verify(&RSA_PKCS1_2048_8192_SHA256, content, &self.signature).ok();
        }
        if key.crv.as_deref() != Some("P-256") {
            return None;
        }
        let point = [&[4][..], &decode(key.x.as_ref()?)?, &decode(key.y.as_ref()?)?].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(content, &self.signature).ok()
    }
}

fn part(value: &Value) -> String {
    encode(value.to_string().as_bytes())
}

/// base64url without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_believed_under_its_own_key_alone() {
        let (ours, theirs) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let token = ours.sign(&json!({"sub": "ada", "aud": ["a", "b"]}));
        let parsed = Unverified::parse(&token).unwrap();
        assert_eq!(parsed.verify(&[theirs.public(), ours.public()]), Ok(()));
        assert_eq!(parsed.verify(&[theirs.public()]), Err(SignatureError::NoKey));
        let renamed = PublicKey { kid: ours.public().kid, ..theirs.public() };
        assert_eq!(parsed.verify(&[renamed]), Err(SignatureError::Wrong));
        assert!(parsed.is_for("b") && !parsed.is_for("c"));
    }

    #[test]
    fn unsigned_and_badly_signed_tokens_are_not_believed() {
        let key = SigningKey::generate().unwrap();
        let claims = json!({"sub": "ada"});
        let bad = key.sign_badly(&claims);
        assert_eq!(Unverified::parse(&bad).unwrap().verify(&[key.public()]), Err(SignatureError::Wrong));
        let none = unsigned(&claims);
        assert_eq!(Unverified::parse(&none).unwrap().verify(&[key.public()]), Err(SignatureError::NoKey));
    }
}
