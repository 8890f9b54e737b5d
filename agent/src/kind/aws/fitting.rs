//! Whether what is written of a role fits together with the region and with the entries behind it.

use keyfob_ipc::text::escape;

use super::KIND;
use super::arn::{RoleArn, partition_of, policy_partition};
use super::role::Role;
use crate::config::Entry;

impl Role {
    /// Keys of one partition are nothing to another one.
    pub(super) fn check_partition(&self, region: &str) -> Result<(), String> {
        let partition = partition_of(region);
        let role = RoleArn::parse(&self.role_arn).map(|role| ("role_arn", role.partition));
        let policies =
            self.policy_arns.iter().filter_map(|arn| Some(("policy_arns", policy_partition(arn)?)));
        let patterns = self.may_assume.iter().map(|pattern| ("may_assume", pattern.partition()));
        match role.into_iter().chain(policies).chain(patterns).find(|(_, other)| *other != partition) {
            None => Ok(()),
            Some((key, other)) => Err(format!(
                "`{key}` is of the partition {}, and the region {region} is of {partition}",
                escape(other)
            )),
        }
    }

    /// What a `command` gives has no holding that remembers where it may go, so it goes to AWS itself. Plain `http` is read for
    /// loopback alone, and only in a profile of its own.
    pub(super) fn check_places(&self, behind: &[&Entry]) -> Result<(), String> {
        let Some(root) = behind.last().filter(|root| root.name.kind == KIND.name && !root.source.holds())
        else {
            return Ok(());
        };
        let places = [("endpoint_url", &self.endpoint), ("signin_url", &self.signin)];
        let is_elsewhere = |place: &&(_, &Option<String>)| {
            place.1.as_deref().is_some_and(|address| !address.starts_with("http://"))
        };
        match places.iter().find(is_elsewhere) {
            None => Ok(()),
            Some((key, _)) => Err(format!(
                "`{key}` does not go with the keys of `{}`: nothing remembers where those may go, so they go to AWS alone",
                root.name
            )),
        }
    }
}
