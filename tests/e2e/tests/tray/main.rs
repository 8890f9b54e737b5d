//! The tray and its window as a person has them: a real panel, a real notification server, a window that is driven, and the
//! agent and the company behind them.
#![cfg(target_os = "linux")]

mod accessibility;
mod flows;
mod kinds;
mod menu;
mod notifications;
mod programs;
mod seat;
mod speed;
mod window;

use jiff::Timestamp;
use keyfob_e2e::{Company, MEMORY, token};
use keyfob_sandbox::Permissions;
use keyfob_sandbox::cluster::NAMES;

/// The host of `token.aspect`.
const HOST: &str = "aw-remote-ext.acme.dev";
/// An address there.
const URI: &str = "https://aw-remote-ext.acme.dev/ac/1";
/// Whose the tokens are.
const ADA: &str = "ada@example.com";
/// A token that only looks like one.
const VALUE: &str = "aw_0123456789abcdef0123456789";

/// `[token.aspect]`, made by the company's token API, for two clusters that are asked themselves.
fn served(company: &Company) -> String {
    let at = company.addresses();
    let [first, second] =
        [&at.cluster_url, &at.second_cluster_url].map(|url| url.replace("http://", "grpc://"));
    let [one, other] = NAMES;
    let hosts = format!("\"{HOST}\", \"127.0.0.1\"");
    token("aspect", HOST).replace(&format!("\"{HOST}\""), &hosts)
        + &format!("portal = \"{}\"\nservice = \"keyfob\"\napi = \"{}\"\n", at.portal_url, at.token_api_url)
        + &format!("clusters = {{ {one} = \"{first}\", {other} = \"{second}\" }}\n")
}

/// A session, a token of a service, a token by hand and a role, over a keychain in memory.
fn everything(company: &Company) -> String {
    [
        MEMORY.to_owned(),
        company.sso("okta", "*.cache.acme.dev"),
        served(company),
        token("paper", "paper.acme.dev"),
        company.aws("dev", "okta", &company.addresses().roles[0]),
    ]
    .concat()
}

/// So many days from now, in whole seconds as services write them.
fn in_days(days: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + days * 24 * 3600).expect("a time of ours")
}

/// A token of the company's that ends in so many days.
fn issue(company: &Company, permissions: Permissions, days: i64) -> String {
    company.portal().issue_token(ADA, permissions, in_days(days))
}
