//! How a `[machine.…]` table is read.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::identity::Identity;
use super::role::UserRole;
use super::{Machine, Source};
use crate::config::{Problem, Reading};
use crate::kind::aws::{read_region, read_role_arn};
use crate::upstream::secrets_manager;

#[derive(Deserialize)]
struct Table {
    identity: Option<Spanned<Identity>>,
    audience: Option<Spanned<String>>,
    token_file: Option<Spanned<PathBuf>>,
    role_arn: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    secret_arn: Option<Spanned<String>>,
    endpoint_url: Option<Spanned<String>>,
}

pub(super) fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let span = value.span();
    let table: Table = crate::config::read_table(place, value, &mut reading.problems)?;
    let before = reading.problems.len();
    let identity = table.identity.as_ref().map(|identity| *identity.get_ref());
    let mut misplaced = |key: &str, span: Option<std::ops::Range<usize>>, of: &[Identity]| {
        if span.is_some() && identity.is_none_or(|identity| !of.contains(&identity)) {
            let of: Vec<_> =
                of.iter().map(|identity| format!("identity = \"{}\"", identity.name())).collect();
            let say = format!("{place}: `{key}` goes with {}", of.join(" or "));
            reading.problems.push(Problem { span, say });
        }
    };
    let iam = [Identity::AwsIam];
    misplaced("token_file", table.token_file.as_ref().map(Spanned::span), &[Identity::WebIdentityFile]);
    misplaced("role_arn", table.role_arn.as_ref().map(Spanned::span), &iam);
    misplaced("region", table.region.as_ref().map(Spanned::span), &iam);
    misplaced("secret_arn", table.secret_arn.as_ref().map(Spanned::span), &iam);
    misplaced("endpoint_url", table.endpoint_url.as_ref().map(Spanned::span), &iam);
    if let Some(audience) = &table.audience
        && identity == Some(Identity::AwsIam)
    {
        let say = format!("{place}: `audience` is for tokens, and aws-iam has none");
        reading.problems.push(Problem::at(audience, say));
    }
    let audience = table.audience.and_then(|text| reading.plain(&text));
    let token_file = table.token_file.and_then(|path| {
        let absolute = path.get_ref().is_absolute();
        reading.check(if absolute {
            Ok(path.get_ref().clone())
        } else {
            Err(Problem::at(&path, format!("{place}: token_file is an absolute path")))
        })
    });
    let role_arn = table.role_arn.and_then(|text| reading.check(read_role_arn(place, &text)));
    let region = table.region.and_then(|text| reading.check(read_region(place, &text)));
    let secret_arn = table.secret_arn.and_then(|text| {
        let arn = text.get_ref().clone();
        reading.check(match secrets_manager::region_of(&arn) {
            Some(_) => Ok(arn),
            None => Err(Problem::at(
                &text,
                format!(
                    "{place}: a secret is written arn:aws:secretsmanager:eu-west-1:123456789012:secret:name"
                ),
            )),
        })
    });
    let endpoint = table.endpoint_url.and_then(|text| reading.address(&text)).map(Into::into);
    if reading.problems.len() > before {
        return None;
    }
    let role = if identity == Some(Identity::AwsIam) {
        let mut needed = |key: &str, value: Option<String>| {
            if value.is_none() {
                let say = format!("{place}: `{key}` is missing, which aws-iam needs");
                reading.problems.push(Problem { span: Some(span.clone()), say });
            }
            value
        };
        let (role_arn, region) = (needed("role_arn", role_arn), needed("region", region));
        Some(UserRole { role_arn: role_arn?, region: region?, secret_arn, endpoint })
    } else {
        None
    };
    Some(Box::new(Machine { identity, audience, token_file, role }))
}
