//! RS256, which GitHub and CircleCI sign with. The key stands in the repository: it guards nothing, and our crypto library makes none.

use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{RSA_PKCS1_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};

use super::{PublicKey, encode, part};

const KEY: &[u8] = include_bytes!("rsa.der");

/// An RS256 key pair.
#[derive(Debug)]
pub(crate) struct RsaKey {
    pair: RsaKeyPair,
    kid: &'static str,
    random: SystemRandom,
}

impl RsaKey {
    pub(crate) fn new(kid: &'static str) -> Result<Self, ring::error::Unspecified> {
        let pair = RsaKeyPair::from_pkcs8(KEY).map_err(|_| ring::error::Unspecified)?;
        Ok(Self { pair, kid, random: SystemRandom::new() })
    }

    pub(crate) fn public(&self) -> PublicKey {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.pair.public());
        PublicKey {
            kty: "RSA".into(),
            kid: Some(self.kid.into()),
            usage: Some("sig".into()),
            alg: Some("RS256".into()),
            n: Some(encode(&public.n)),
            e: Some(encode(&public.e)),
            ..PublicKey::default()
        }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let content = part(&json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"})) + "." + &part(claims);
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &self.random, content.as_bytes(), &mut signature)
            .expect("a key of 2048 bits signs");
        format!("{content}.{}", encode(&signature))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SignatureError, SigningKey, Unverified};
    use super::*;

    #[test]
    fn an_rs256_token_is_believed_under_its_own_key_alone() {
        let key = RsaKey::new("one").unwrap();
        let token = key.sign(&json!({"sub": "ada"}));
        let parsed = Unverified::parse(&token).unwrap();
        assert_eq!(parsed.verify(&[key.public()]), Ok(()));
        let other = SigningKey::generate().unwrap().public();
        assert_eq!(parsed.verify(&[other]), Err(SignatureError::NoKey));
        let (head, rest) = token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let forged = format!("{head}.{}.{signature}", part(&json!({"sub": "eve"})));
        assert_eq!(Unverified::parse(&forged).unwrap().verify(&[key.public()]), Err(SignatureError::Wrong));
    }
}
