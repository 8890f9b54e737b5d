//! Trust policies that let in who has this subject, or this role (IAM user guide, "Create a role for OpenID Connect federation").

use serde_json::{Value, json};

use crate::kind::Jwt;

/// In the place of an account that the configuration does not name.
pub(super) const ACCOUNT: &str = "123456789012";

/// The provider as IAM names it: the issuer without its scheme. Condition keys begin with it.
pub(super) fn provider(jwt: &Jwt) -> &str {
    let issuer = jwt.issuer();
    issuer.strip_prefix("https://").unwrap_or(issuer)
}

/// For a role that is assumed with the token.
pub(super) fn for_token(jwt: &Jwt, account: Option<(&str, &str)>) -> String {
    let (partition, account) = account.unwrap_or(("aws", ACCOUNT));
    let provider = provider(jwt);
    let audiences = jwt.audiences();
    let audience = if let [one] = audiences.as_slice() { json!(one) } else { json!(audiences) };
    pretty(&json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": format!("arn:{partition}:iam::{account}:oidc-provider/{provider}") },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    format!("{provider}:aud"): audience,
                    format!("{provider}:sub"): jwt.subject(),
                }
            }
        }]
    }))
}

/// For the machine user's role, which a role of the machine assumes.
pub(super) fn for_role(principal: &str) -> String {
    pretty(&json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": principal },
            "Action": "sts:AssumeRole"
        }]
    }))
}

/// The principal behind an ARN of `GetCallerIdentity`: the role of a session, a user as it is. A path of the role is not in it, so
/// one that has a path is to be completed by hand.
pub(super) fn role_of(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "sts", _, account, session] => {
            match session.strip_prefix("assumed-role/").and_then(|session| session.split('/').next()) {
                Some(role) => format!("arn:{partition}:iam::{account}:role/{role}"),
                None => arn.to_owned(),
            }
        }
        _ => arn.to_owned(),
    }
}

/// Everything but plain ASCII as JSON escapes it: whatever stands in a claim, a terminal gets it as text.
fn pretty(policy: &Value) -> String {
    let text = serde_json::to_string_pretty(policy).unwrap_or_default();
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || character == ' ' || character.is_ascii_graphic() {
            plain.push(character);
        } else {
            let mut units = [0; 2];
            plain.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_of_a_session_is_its_principal() {
        assert_eq!(
            role_of("arn:aws:sts::123456789012:assumed-role/Runner/i-0abc"),
            "arn:aws:iam::123456789012:role/Runner"
        );
        for as_it_is in ["arn:aws:iam::123456789012:user/ada", "arn:aws:sts::1:federated-user/x", "nonsense"]
        {
            assert_eq!(role_of(as_it_is), as_it_is);
        }
    }

    #[test]
    fn what_stands_in_a_claim_reaches_a_terminal_as_text_and_is_the_same_json() {
        let policy = json!({ "sub": "a\u{1b}[31m\u{202e}\u{1f600}" });
        let text = pretty(&policy);
        assert!(text.bytes().all(|byte| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic()), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), policy);
    }
}
