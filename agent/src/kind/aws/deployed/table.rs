//! How an `[aws.…]` table with `outerbounds` is read.

use toml::Spanned;

use super::Deployed;
use crate::config::{EntryName, Problem, Reading};
use crate::kind::Source;
use crate::kind::aws::{Places, Table, read_patterns, read_places, read_region, read_session};

/// Reads one whose `outerbounds` names this entry.
pub(in crate::kind::aws) fn read(
    behind: EntryName,
    table: &Table,
    reading: &mut Reading<'_>,
) -> Option<Box<dyn Source>> {
    let before = reading.problems.len();
    refuse_for_deployments(table, reading);
    let place = reading.place;
    let region = table.region.as_ref().and_then(|text| reading.check(read_region(place, text)));
    let (duration, session_name) = read_session(table, reading);
    let may_assume = table.may_assume.as_ref().map(|list| read_patterns(list, reading));
    let Places { endpoint, signin, use_fips } = read_places(table, reading);
    if reading.problems.len() > before {
        return None;
    }
    let may_assume = may_assume.unwrap_or_default();
    Some(Box::new(Deployed {
        behind,
        region,
        duration: duration?,
        session_name,
        may_assume,
        endpoint,
        signin,
        use_fips,
    }))
}

/// The deployment says which role it is, and how it is assumed.
fn refuse_for_deployments(table: &Table, reading: &mut Reading<'_>) {
    let spans = [
        ("role_arn", table.role_arn.as_ref().map(Spanned::span)),
        ("session_tags", table.session_tags.as_ref().map(Spanned::span)),
        ("external_id", table.external_id.as_ref().map(Spanned::span)),
        ("policy_arns", table.policy_arns.as_ref().map(Spanned::span)),
    ];
    for (key, span) in spans.into_iter().filter_map(|(key, span)| Some((key, span?))) {
        let say = format!(
            "{}: `{key}` does not go with `outerbounds`, which says itself which role it is; for another role use `may_assume`, \
             or an entry with this one as its `source`",
            reading.place
        );
        reading.problems.push(Problem { span: Some(span), say });
    }
}
