//! The IAM of AWS, and EIM of OUTSCALE, which speaks the same language (version 2010-05-08): a form in, XML out.
//!
//! AWS: <https://docs.aws.amazon.com/IAM/latest/APIReference>, OUTSCALE: <https://docs.outscale.com/eim>. What EIM does not have is
//! refused as an unknown action, which is not what a person asked about.

mod statement;
mod xml;

use http::Request;
use keyfob_ipc::text::escape;

use super::http::{Http, HttpError};
use super::repeats;
use super::signed::{self, SigningKeys};
use crate::clock::SharedClock;

pub use statement::{Statement, read_policy};
pub use xml::Element;

const VERSION: &str = "2010-05-08";
/// Pages of one list.
const PAGES: usize = 10;
/// Groups, and policies of one holder, that are read.
const MOST: usize = 50;

/// EIM, as policies of OUTSCALE name it (<https://docs.outscale.com/en/userguide/EIM-Policy-Elements.html>); in signatures it is
/// `eim`.
pub const EIM: &str = "iam";

/// The actions with which the rights of a user are read ([`Iam::rights`]).
pub const USER_READS: [&str; 9] = [
    "GetGroupPolicy",
    "GetPolicy",
    "GetPolicyVersion",
    "GetUserPolicy",
    "ListAttachedGroupPolicies",
    "ListAttachedUserPolicies",
    "ListGroupPolicies",
    "ListGroupsForUser",
    "ListUserPolicies",
];

/// Where IAM is.
#[derive(Clone)]
pub struct Iam {
    /// The network.
    pub http: Http,
    /// Signatures carry the time.
    pub clock: SharedClock,
    /// `https://iam.amazonaws.com`: no slash at the end.
    pub base: String,
    /// Region of the signatures.
    pub region: String,
    /// `iam` or `eim`.
    pub service: &'static str,
}

/// Why IAM did not answer.
#[derive(Debug, thiserror::Error)]
pub enum IamError {
    /// The keys are not accepted.
    #[error("the keys are not accepted")]
    BadKey,
    /// The keys are good and may not do that.
    #[error("this is not allowed to these keys")]
    Denied,
    /// There is no such thing, or no such action.
    #[error("there is no such thing")]
    NotThere,
    /// It is there already.
    #[error("it is there already")]
    Exists,
    /// Anything else.
    #[error("it is refused ({0})")]
    Refused(String),
    /// The network's trouble, or an answer that is none.
    #[error(transparent)]
    Network(#[from] HttpError),
    /// An answer that cannot be read.
    #[error("the answer cannot be read")]
    Unreadable,
}

/// Whose policies are read.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// A user, with the groups it is in.
    User(&'a str),
    /// A role.
    Role(&'a str),
}

/// What somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Groups of a user.
    pub groups: Vec<String>,
    /// What the policies say, in the order in which they were read.
    pub statements: Vec<Statement>,
    /// Actions that would say more and are not allowed to these keys.
    pub missing: Vec<&'static str>,
}

impl Iam {
    /// One action.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn call(
        &self,
        by: &SigningKeys<'_>,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Element, IamError> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", VERSION)
            .extend_pairs(parameters)
            .finish();
        let request = Request::post(format!("{}/", self.base))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(form.into_bytes())
            .map_err(|_| HttpError::NotAllowed(self.base.clone()))?;
        let scope = (self.region.as_str(), self.service);
        let answer = signed::send(&self.http, by, scope, self.clock.now(), request).await?;
        let read = xml::read(answer.body());
        if answer.status().is_success() {
            return read.ok_or(IamError::Unreadable);
        }
        let error = read.ok_or(IamError::Unreadable)?;
        let code = error.find("Code").map(|code| code.text.clone()).unwrap_or_default();
        Err(refused(&code, by))
    }

    /// One list, all of its pages: what stands in each member under `field`.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn list(
        &self,
        by: &SigningKeys<'_>,
        action: &str,
        parameters: &[(&str, &str)],
        list: &str,
        field: Option<&str>,
    ) -> Result<Vec<String>, IamError> {
        let (mut all, mut marker) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut asked = parameters.to_vec();
            if let Some(marker) = &marker {
                asked.push(("Marker", marker));
            }
            let answer = self.call(by, action, &asked).await?;
            let members = answer.find(list).map(|list| list.children.as_slice()).unwrap_or_default();
            all.extend(members.iter().filter_map(|member| match field {
                Some(field) => member.child(field).map(|field| field.text.clone()),
                None => Some(member.text.clone()),
            }));
            let is_more = answer.find("IsTruncated").is_some_and(|more| more.text == "true");
            marker = answer.find("Marker").map(|marker| marker.text.clone()).filter(|_| is_more);
            if marker.is_none() || all.len() >= MOST {
                break;
            }
        }
        all.truncate(MOST);
        Ok(all)
    }

    /// What somebody may do, as far as these keys may read it.
    ///
    /// # Errors
    /// [`IamError`]; of a role [`IamError::Denied`] where nothing at all may be read.
    pub async fn rights(&self, by: &SigningKeys<'_>, holder: Holder<'_>) -> Result<Rights, IamError> {
        let mut found = Found::default();
        match holder {
            Holder::User(user) => {
                let named = [("UserName", user)];
                let action = "ListGroupsForUser";
                let groups = self.list(by, action, &named, "Groups", Some("GroupName")).await;
                let groups = found.take(action, groups)?.unwrap_or_default();
                self.policies(by, "User", user, &mut found).await?;
                for group in &groups {
                    self.policies(by, "Group", group, &mut found).await?;
                }
                found.rights.groups = groups;
            }
            Holder::Role(role) => {
                self.policies(by, "Role", role, &mut found).await?;
                // An address that knows none of it is no IAM, and says nothing about anybody.
                if found.read == 0 && found.is_denied {
                    return Err(IamError::Denied);
                }
            }
        }
        Ok(found.rights)
    }

    /// The policies of a user, a group or a role: those attached, and its own.
    async fn policies(
        &self,
        by: &SigningKeys<'_>,
        kind: &str,
        name: &str,
        found: &mut Found,
    ) -> Result<(), IamError> {
        let field = format!("{kind}Name");
        let named = [(field.as_str(), name)];
        let action = format!("ListAttached{kind}Policies");
        let attached = self.list(by, &action, &named, "AttachedPolicies", Some("PolicyArn")).await;
        for arn in found.take(&action, attached)?.unwrap_or_default() {
            if !found.is_new(&arn) {
                continue;
            }
            let version = found.take("GetPolicy", self.version(by, &arn).await)?;
            if let Some(version) = version {
                let document = self.document(by, &arn, &version).await;
                found.document("GetPolicyVersion", document)?;
            }
        }
        let action = format!("List{kind}Policies");
        let own = self.list(by, &action, &named, "PolicyNames", None).await;
        for policy in found.take(&action, own)?.unwrap_or_default() {
            if !found.is_new(&format!("{kind}/{name}/{policy}")) {
                continue;
            }
            let asked = [(field.as_str(), name), ("PolicyName", policy.as_str())];
            let action = format!("Get{kind}Policy");
            let answer = self.call(by, &action, &asked).await;
            let document = answer.map(|answer| text_of(&answer, "PolicyDocument"));
            found.document(&action, document)?;
        }
        Ok(())
    }

    /// The document of a managed policy, as it is in force.
    ///
    /// # Errors
    /// [`IamError`].
    pub async fn managed(&self, by: &SigningKeys<'_>, arn: &str) -> Result<String, IamError> {
        let version = self.version(by, arn).await?;
        self.document(by, arn, &version).await
    }

    async fn version(&self, by: &SigningKeys<'_>, arn: &str) -> Result<String, IamError> {
        let policy = self.call(by, "GetPolicy", &[("PolicyArn", arn)]).await?;
        Ok(text_of(&policy, "DefaultVersionId"))
    }

    async fn document(&self, by: &SigningKeys<'_>, arn: &str, version: &str) -> Result<String, IamError> {
        let asked = [("PolicyArn", arn), ("VersionId", version)];
        let answer = self.call(by, "GetPolicyVersion", &asked).await?;
        Ok(text_of(&answer, "Document"))
    }
}

fn text_of(answer: &Element, name: &str) -> String {
    answer.find(name).map(|element| element.text.clone()).unwrap_or_default()
}

/// What was read so far.
#[derive(Default)]
struct Found {
    rights: Rights,
    /// Policies that were looked at, so that one that is attached twice counts once.
    seen: Vec<String>,
    /// Answers that were none of a refusal.
    read: usize,
    /// Whether something may not be read.
    is_denied: bool,
}

impl Found {
    /// What may not be read is left out; whoever may read nothing, or has bad keys, is told so.
    fn take<T>(&mut self, action: &str, answer: Result<T, IamError>) -> Result<Option<T>, IamError> {
        match answer {
            Ok(read) => {
                self.read += 1;
                Ok(Some(read))
            }
            Err(IamError::Denied) => {
                self.is_denied = true;
                let known = USER_READS.into_iter().find(|known| *known == action);
                self.rights.missing.extend(known.filter(|known| !self.rights.missing.contains(known)));
                Ok(None)
            }
            Err(IamError::NotThere | IamError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_new(&mut self, policy: &str) -> bool {
        let is_new = self.seen.len() < MOST && !self.seen.iter().any(|seen| seen == policy);
        if is_new {
            self.seen.push(policy.to_owned());
        }
        is_new
    }

    fn document(&mut self, action: &str, document: Result<String, IamError>) -> Result<(), IamError> {
        if let Some(document) = self.take(action, document)? {
            let room = statement::MOST.saturating_sub(self.rights.statements.len());
            self.rights.statements.extend(read_policy(&document).into_iter().take(room));
        }
        Ok(())
    }
}

/// The error codes of IAM and EIM.
fn refused(code: &str, by: &SigningKeys<'_>) -> IamError {
    match code {
        "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "AuthFailure"
        | "IncompleteSignature"
        | "ExpiredTokenException" => IamError::BadKey,
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => {
            IamError::Denied
        }
        "NoSuchEntity" | "InvalidAction" => IamError::NotThere,
        "EntityAlreadyExists" => IamError::Exists,
        code if repeats(code, by.secret_access_key.expose()) => IamError::Refused(String::new()),
        code => IamError::Refused(escape(&code.chars().take(100).collect::<String>())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keyfob_ipc::Secret;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::Network;
    use crate::upstream::http::StandIn;

    /// An IAM that answers each action by this.
    fn iam(answer: fn(&str) -> (u16, &'static str)) -> Iam {
        let stand_in = StandIn::new(move |request| {
            assert!(
                request.headers().contains_key("x-amz-security-token"),
                "temporary keys send their token"
            );
            let form: Vec<(String, String)> =
                url::form_urlencoded::parse(request.body()).into_owned().collect();
            let (status, body) = answer(&form[0].1);
            let answer = http::Response::builder().status(status);
            let answer = answer.body((body.as_bytes().to_vec(), None)).unwrap();
            Box::pin(async move { Ok(answer) })
        });
        let http = Http::new(&Network::default(), false).unwrap().without_network(stand_in);
        let (base, region) = ("https://iam.amazonaws.com".to_owned(), "us-east-1".to_owned());
        Iam { http, clock: Arc::new(SystemClock), base, region, service: "iam" }
    }

    async fn rights_of_a_role(answer: fn(&str) -> (u16, &'static str)) -> Result<Rights, IamError> {
        let (secret, token) = (Secret::from("secret-secret"), Secret::from("token"));
        let keys = SigningKeys {
            access_key_id: "ASIA0123456789ABCDEF",
            secret_access_key: &secret,
            session_token: Some(&token),
        };
        iam(answer).rights(&keys, Holder::Role("OktaRole")).await
    }

    const DENIED: (u16, &str) =
        (403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>");

    #[tokio::test]
    async fn the_policies_of_a_role_are_read_attached_and_its_own() {
        let rights = rights_of_a_role(|action| match action {
            "ListAttachedRolePolicies" => (
                200,
                "<R><AttachedPolicies><member><PolicyArn>arn:p</PolicyArn></member></AttachedPolicies></R>",
            ),
            "GetPolicy" => (200, "<R><Policy><DefaultVersionId>v3</DefaultVersionId></Policy></R>"),
            "GetPolicyVersion" => (
                200,
                "<R><Document>%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22ec2%3ADescribe%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D</Document></R>",
            ),
            "ListRolePolicies" => (200, "<R><PolicyNames><member>own</member></PolicyNames></R>"),
            _ => (
                200,
                r#"<R><PolicyDocument>{"Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}</PolicyDocument></R>"#,
            ),
        });
        let said: Vec<_> =
            rights.await.unwrap().statements.into_iter().map(|one| (one.allows, one.words)).collect();
        assert_eq!(said, [(true, "ec2:Describe* on *".to_owned()), (false, "s3:* on *".to_owned())]);
    }

    #[tokio::test]
    async fn a_role_that_may_not_read_its_policies_is_denied_and_no_iam_says_nothing() {
        assert!(matches!(rights_of_a_role(|_| DENIED).await, Err(IamError::Denied)));
        let nothing = rights_of_a_role(|_| {
            (400, "<ErrorResponse><Error><Code>InvalidAction</Code></Error></ErrorResponse>")
        });
        assert_eq!(nothing.await.unwrap(), Rights::default());
        let half =
            rights_of_a_role(|action| if action == "ListRolePolicies" { DENIED } else { (200, "<R/>") });
        assert_eq!(half.await.unwrap(), Rights::default());
    }
}
