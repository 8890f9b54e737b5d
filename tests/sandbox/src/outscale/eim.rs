//! EIM: users, groups and policies, in the language of the IAM of AWS (version 2010-05-08).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Outscale;
use super::account::{Account, Policy, User};
use crate::common::{locked, random_uuid};
use crate::door::{Call, Parameters};
use crate::net::escaped;
use crate::sigv4;

const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// A refusal: status, code.
type Refused = (u16, &'static str);

const NOT_THERE: Refused = (404, "NoSuchEntity");
const THERE: Refused = (409, "EntityAlreadyExists");
const INVALID: Refused = (400, "InvalidInput");

impl Outscale {
    pub(super) fn eim(&self, call: &Call) -> Response {
        let now = self.common.now();
        let account = &mut *locked(&self.account);
        let by = {
            let account = std::cell::RefCell::new(&mut *account);
            sigv4::verify(call, "eim", now, |id| account.borrow_mut().secret(id, now))
        };
        let Some(form) = call.form() else { return refusal(INVALID) };
        let action = form.get("Action").unwrap_or_default().to_owned();
        let answered = match by {
            _ if !account.lets_in => Err((403, "AccessDenied")),
            Err(_) => Err((403, "SignatureDoesNotMatch")),
            Ok(_) if form.get("Version") != Some("2010-05-08") => Err(INVALID),
            // Policies name EIM by its service code, which is `iam`.
            Ok(by) if !account.may(&by, &format!("iam:{action}")) => Err((403, "AccessDenied")),
            Ok(_) => {
                *account.calls.entry(action.clone()).or_default() += 1;
                act(account, &action, &form)
            }
        };
        match answered {
            Ok(result) => {
                let (result, id) = (format!("<{action}Result>{result}</{action}Result>"), random_uuid());
                let body = format!(
                    "<{action}Response xmlns=\"{NAMESPACE}\">{result}<ResponseMetadata><RequestId>{id}</RequestId>\
                     </ResponseMetadata></{action}Response>"
                );
                (StatusCode::OK, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
            }
            Err(refused) => refusal(refused),
        }
    }
}

fn act(account: &mut Account, action: &str, form: &Parameters) -> Result<String, Refused> {
    let given = |name: &str| form.get(name).ok_or(INVALID);
    let arn_of = |account: &Account, arn: &str| {
        account.policies.iter().position(|policy| policy.arn() == arn).ok_or(NOT_THERE)
    };
    match action {
        "GetUser" => {
            let user = account.user(given("UserName")?).ok_or(NOT_THERE)?;
            Ok(format!("<User>{}</User>", named("UserName", &user.name)))
        }
        "CreateUser" => {
            let name = given("UserName")?;
            if account.user(name).is_some() {
                return Err(THERE);
            }
            account.users.push(User { name: name.to_owned(), groups: Vec::new(), keys: Vec::new() });
            Ok(format!("<User>{}</User>", named("UserName", name)))
        }
        "GetGroup" => {
            let name = given("GroupName")?;
            account.groups.get(name).ok_or(NOT_THERE)?;
            Ok(format!("<Group>{}</Group><IsTruncated>false</IsTruncated>", named("GroupName", name)))
        }
        "CreateGroup" => {
            let name = given("GroupName")?;
            if account.groups.insert(name.to_owned(), Vec::new()).is_some() {
                return Err(THERE);
            }
            Ok(format!("<Group>{}</Group>", named("GroupName", name)))
        }
        "AddUserToGroup" => {
            let (user, group) = (given("UserName")?, given("GroupName")?.to_owned());
            account.groups.get(&group).ok_or(NOT_THERE)?;
            let groups = &mut account.user_mut(user).ok_or(NOT_THERE)?.groups;
            if !groups.contains(&group) {
                groups.push(group);
            }
            Ok(String::new())
        }
        "ListGroupsForUser" => {
            let user = account.user(given("UserName")?).ok_or(NOT_THERE)?;
            Ok(list("Groups", user.groups.iter().map(|group| named("GroupName", group))))
        }
        "ListPolicies" => Ok(list("Policies", account.policies.iter().map(policy))),
        "CreatePolicy" => {
            let (name, document) = (given("PolicyName")?, document(form)?);
            if account.policies.iter().any(|policy| policy.name == name) {
                return Err(THERE);
            }
            let new = Policy { name: name.to_owned(), versions: vec![document] };
            let shown = format!("<Policy>{}</Policy>", policy(&new));
            account.policies.push(new);
            Ok(shown)
        }
        "CreatePolicyVersion" => {
            let document = document(form)?;
            let at = arn_of(account, given("PolicyArn")?)?;
            account.policies[at].versions.push(document);
            Ok(String::new())
        }
        "GetPolicy" => {
            let at = arn_of(account, given("PolicyArn")?)?;
            Ok(format!("<Policy>{}</Policy>", policy(&account.policies[at])))
        }
        "GetPolicyVersion" => {
            let at = arn_of(account, given("PolicyArn")?)?;
            let encoded: String =
                url::form_urlencoded::byte_serialize(account.policies[at].document().as_bytes()).collect();
            let encoded = encoded.replace('+', "%20");
            Ok(format!("<PolicyVersion><Document>{encoded}</Document></PolicyVersion>"))
        }
        "AttachGroupPolicy" => {
            let (group, arn) = (given("GroupName")?, given("PolicyArn")?.to_owned());
            arn_of(account, &arn)?;
            let attached = account.groups.get_mut(group).ok_or(NOT_THERE)?;
            if !attached.contains(&arn) {
                attached.push(arn);
            }
            Ok(String::new())
        }
        "ListAttachedGroupPolicies" => {
            let attached = account.groups.get(given("GroupName")?).ok_or(NOT_THERE)?;
            Ok(list("AttachedPolicies", attached.iter().map(|arn| named("PolicyArn", arn))))
        }
        "ListAttachedUserPolicies" => {
            account.user(given("UserName")?).ok_or(NOT_THERE)?;
            Ok(list("AttachedPolicies", std::iter::empty()))
        }
        "ListUserPolicies" | "ListGroupPolicies" => Ok(list("PolicyNames", std::iter::empty())),
        _ => Err((400, "InvalidAction")),
    }
}

fn document(form: &Parameters) -> Result<String, Refused> {
    let document = form.get("PolicyDocument").ok_or(INVALID)?;
    match serde_json::from_str::<serde_json::Value>(document) {
        Ok(_) => Ok(document.to_owned()),
        Err(_) => Err((400, "MalformedPolicyDocument")),
    }
}

fn policy(policy: &Policy) -> String {
    let version = named("DefaultVersionId", &format!("v{}", policy.versions.len()));
    format!("{}{}{version}", named("PolicyName", &policy.name), named("Arn", &policy.arn()))
}

fn named(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

fn list(name: &str, members: impl Iterator<Item = String>) -> String {
    let members: String = members.map(|member| format!("<member>{member}</member>")).collect();
    format!("<{name}>{members}</{name}><IsTruncated>false</IsTruncated>")
}

fn refusal((status, code): Refused) -> Response {
    let body = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message></Message></Error>\
         <RequestId>{}</RequestId></ErrorResponse>",
        random_uuid()
    );
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}
