//! Variables that change what tools and the agent do. Only names are shown: a proxy's address may hold a password.

use keyfob_ipc::reply::{Check, Status};

use super::{attention, good};
use crate::world::World;

pub fn look(status: Option<&Status>, world: &World) -> Vec<Check> {
    let mut checks: Vec<Check> = profile(world).into_iter().collect();
    let proxies = &world.environment.proxies;
    if !proxies.is_empty() {
        let say = "is used by an agent that is started from here, unless [network] names a proxy";
        checks.push(good("environment", format!("{} {say}", proxies.join(", "))));
    }
    let has_roles = status.is_none_or(|status| status.entries.iter().any(|entry| entry.kind == "aws"));
    if world.environment.aws_key && has_roles {
        let say = "AWS_ACCESS_KEY_ID is set, which AWS tools take before any profile: they do not ask keyfob";
        checks.push(attention(
            "environment",
            say.to_owned(),
            "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY",
        ));
    }
    if checks.is_empty() {
        checks.push(good("environment", "no variable changes what keyfob does".to_owned()));
    }
    checks
}

/// Whether this is the person's own agent, or one apart.
fn profile(world: &World) -> Option<Check> {
    if world.environment.job {
        let say = "this is a job of `keyfob run`, which has an agent of its own, as long as it lasts";
        return Some(good("environment", say.to_owned()));
    }
    let around = &world.reach.surroundings;
    let set = [
        ("KEYFOB_CONFIG", &around.own_config),
        ("KEYFOB_STATE_DIR", &around.own_state),
        ("KEYFOB_RUNTIME_DIR", &around.own_runtime),
    ];
    let names: Vec<&str> = set.into_iter().filter(|(_, path)| path.is_some()).map(|(name, _)| name).collect();
    if !names.is_empty() {
        let verb = if names.len() == 1 { "makes" } else { "make" };
        let say =
            format!("{} {verb} a second profile, with an agent and holdings of its own", names.join(", "));
        return Some(attention(
            "environment",
            say,
            &format!("unset {} to meet your own agent", names.join(" ")),
        ));
    }
    world.reach.places().is_ok_and(|places| places.own_profile).then(|| {
        let say = "HOME or the like is not what the system says, which makes a second profile";
        attention("environment", say.to_owned(), "unset it to meet your own agent")
    })
}
