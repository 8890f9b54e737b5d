//! What the user of an entry may do: the actions that a person names, and what it needs for itself.

use keyfob_ipc::reply::is_eim_action;
use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal};
use serde_json::json;

use crate::config::EntryName;
use crate::upstream::iam::{EIM, USER_READS};

/// What a user needs to renew its own keys.
const RENEWAL: &[&str] =
    &["api:CreateAccessKey", "api:ReadAccessKeys", "api:UpdateAccessKey", "api:DeleteAccessKey"];
/// Most actions that are taken.
const ACTIONS: usize = 100;

/// What [`document`] allows beside the actions that are named, for people.
pub(super) const OWN: &str = "for itself, the four actions on access keys (of any user: EIM knows no narrower rule) and \
                              reading groups and policies, for `keyfob permissions`";

/// Actions such as `ec2:Describe*`, sorted; a refusal names all that are none.
pub(super) fn read_actions(actions: &[String]) -> Result<Vec<String>, Refusal> {
    let refuse =
        |say: String| Err(Refusal::new(Code::BadRequest, say).hint("keyfob outscale bootstrap --help"));
    if actions.is_empty() || actions.len() > ACTIONS {
        return refuse(format!("one to {ACTIONS} actions are to be named"));
    }
    let wrong: Vec<String> = actions
        .iter()
        .filter(|action| !is_eim_action(action))
        .map(|action| format!("`{}`", escape(action)))
        .collect();
    if !wrong.is_empty() {
        return refuse(format!("{}: no action, such as ec2:Describe*", wrong.join(", ")));
    }
    let mut actions = actions.to_vec();
    actions.sort();
    actions.dedup();
    Ok(actions)
}

/// The policy, as JSON.
pub(super) fn document(actions: &[String]) -> String {
    let allow = |actions: Vec<String>| json!({"Effect": "Allow", "Action": actions, "Resource": ["*"]});
    let renewal = RENEWAL.iter().map(|&action| action.to_owned()).collect();
    let reading = USER_READS.iter().map(|action| format!("{EIM}:{action}")).collect();
    json!({"Statement": [allow(actions.to_vec()), allow(renewal), allow(reading)]}).to_string()
}

/// The command that goes on, for a shell: names and actions hold nothing that quotes do not keep.
pub(super) fn command(name: &EntryName, actions: &[String]) -> String {
    format!("keyfob outscale bootstrap {} --actions '{}'", name.name, actions.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(actions: &[&str]) -> Result<Vec<String>, Refusal> {
        read_actions(&actions.iter().map(|&action| action.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_can_be_an_action_is_taken() {
        assert_eq!(
            read(&["ec2:Describe*", "api:Read*", "api:Read*"]).unwrap(),
            ["api:Read*", "ec2:Describe*"]
        );
        for wrong in [&[][..], &["ec2"], &[":x"], &["ec2:"], &["ec2:a\"b"], &["EC2:x"], &["ec2:a b"]] {
            assert_eq!(read(wrong).unwrap_err().code, Code::BadRequest, "{wrong:?}");
        }
        let refusal = read(&["ec2", "api:Read*", "x y"]).unwrap_err();
        assert_eq!(refusal.say, "`ec2`, `x y`: no action, such as ec2:Describe*");
    }

    #[test]
    fn a_command_goes_through_a_shell_whole() {
        let name = EntryName { kind: "outscale", name: "monitoring".to_owned() };
        let actions = read(&["ec2:Describe*", "api:Read*"]).unwrap();
        assert_eq!(
            command(&name, &actions),
            "keyfob outscale bootstrap monitoring --actions 'api:Read*,ec2:Describe*'"
        );
    }
}
