//! How a `[secret.…]` table is read.

use std::ops::Range;

use keyfob_ipc::reply::is_variable;
use keyfob_ipc::text::escape;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::{AWS, InAws, SECRETS_MANAGER, SecretEntry, Source, members};
use crate::config::{EntryName, Problem, Reading};
use crate::kind::aws::read_region;
use crate::upstream::secrets_manager;

/// Names of one entry: more than a program has variables.
const KEYS: usize = 256;

#[derive(Deserialize)]
struct Table {
    keys: Option<Spanned<Vec<Spanned<String>>>>,
    from: Option<Spanned<String>>,
    id: Option<Spanned<String>>,
    aws: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    endpoint_url: Option<Spanned<String>>,
}

pub(super) fn read(value: Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Option<Box<dyn Source>> {
    let place = reading.place;
    let whole = value.span();
    let table: Option<Table> = {
        let given = values_in(&value);
        let before = reading.problems.len();
        let table = crate::config::read_table(place, value, &mut reading.problems);
        say_where_values_are(place, &given, &mut reading.problems[before..]);
        table
    };
    let table = table?;
    let before = reading.problems.len();
    let keys = table.keys.as_ref().map(|list| read_keys(list, reading)).unwrap_or_default();
    let mut missing = |key: &str, why: &str| {
        let say = format!("{place}: `{key}` is missing{why}");
        reading.problems.push(Problem { span: Some(whole.clone()), say });
    };
    let aws = match &table.from {
        None => {
            if table.keys.is_none() && table.id.is_none() {
                missing("keys", ", the names of its values: keys = [\"SECRET_KEY1\"]");
            }
            refuse_without_from(&table, reading);
            None
        }
        Some(from) if from.get_ref() == SECRETS_MANAGER => {
            let needed = format!(", which {SECRETS_MANAGER} needs");
            for (key, value) in [("id", &table.id), ("aws", &table.aws)] {
                if value.is_none() {
                    missing(key, &needed);
                }
            }
            read_aws(&table, reading)
        }
        Some(from) => {
            let say = format!(
                "{place}: `from` does not know `{}`; it knows `{SECRETS_MANAGER}`, and without it the values are in the keychain",
                escape(from.get_ref())
            );
            reading.problems.push(Problem::at(from, say));
            None
        }
    };
    (reading.problems.len() == before).then(|| -> Box<dyn Source> { Box::new(SecretEntry { keys, aws }) })
}

/// Keys under which people look for the values themselves.
const VALUES: [&str; 2] = ["value", "values"];

fn values_in(table: &Spanned<DeValue<'_>>) -> Vec<Range<usize>> {
    let keys = table.get_ref().as_table().into_iter().flat_map(|table| table.keys());
    keys.filter(|key| VALUES.contains(&key.get_ref().as_ref())).map(Spanned::span).collect()
}

/// No name that is near is what they meant.
fn say_where_values_are(place: &str, given: &[Range<usize>], problems: &mut [Problem]) {
    let name = place.split_once('.').map_or(place, |(_, name)| name);
    let about = |problem: &&mut Problem| problem.span.as_ref().is_some_and(|span| given.contains(span));
    for problem in problems.iter_mut().filter(about) {
        let unknown = problem.say.split(';').next().unwrap_or_default();
        problem.say = format!("{unknown}; values are never in this file: keyfob secret set {name}");
    }
}

/// What belongs to one in AWS.
fn refuse_without_from(table: &Table, reading: &mut Reading<'_>) {
    let place = reading.place;
    let given = [
        ("id", &table.id),
        ("aws", &table.aws),
        ("region", &table.region),
        ("endpoint_url", &table.endpoint_url),
    ];
    for (key, value) in given {
        if let Some(text) = value {
            let say = format!("{place}: `{key}` goes with from = \"{SECRETS_MANAGER}\"");
            reading.problems.push(Problem::at(text, say));
        }
    }
}

fn read_keys(list: &Spanned<Vec<Spanned<String>>>, reading: &mut Reading<'_>) -> Vec<String> {
    let place = reading.place;
    let texts = list.get_ref();
    if texts.is_empty() || texts.len() > KEYS {
        let say = format!("{place}: `keys` has 1 to {KEYS} names");
        reading.problems.push(Problem::at(list, say));
        return Vec::new();
    }
    let mut keys: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        let (key, shown) = (text.get_ref(), escape(text.get_ref()));
        let wrong = if !is_variable(key) {
            "is no name of a variable: letters, digits and `_`, no digit first"
        } else if key.starts_with(members::RESERVED) {
            "cannot be the name of a value: those in METAFLOW_ are Metaflow's own, which refuses them"
        } else if keys.contains(key) {
            "stands twice"
        } else {
            keys.push(key.clone());
            continue;
        };
        reading.problems.push(Problem::at(text, format!("{place}: `{shown}` {wrong}")));
    }
    keys
}

fn read_aws(table: &Table, reading: &mut Reading<'_>) -> Option<InAws> {
    let place = reading.place;
    let id = table.id.as_ref().and_then(|text| reading.check(read_id(place, text)));
    reading.through = table.aws.as_ref().map(Spanned::span);
    let reader = table.aws.as_ref().and_then(|text| reading.check(read_reader(place, text)));
    let region = table.region.as_ref().map(|text| reading.check(read_region(place, text)));
    let endpoint = table.endpoint_url.as_ref().and_then(|text| reading.address(text));
    if let (Some(text), Some(Some(region)), Some(of_arn)) =
        (&table.region, &region, id.as_deref().and_then(secrets_manager::region_of))
        && region != of_arn
    {
        let say = format!("{place}: `region` is {region}, and that of the ARN is {of_arn}; leave it out");
        reading.problems.push(Problem::at(text, say));
    }
    // Without a region of its own it is that of the ARN or of the reader ([`Source::complete`]).
    let region = region.flatten();
    Some(InAws { id: id?, reader: reader?, region, endpoint: endpoint.map(Into::into), use_fips: false })
}

fn read_id(place: &str, text: &Spanned<String>) -> Result<String, Problem> {
    if secrets_manager::is_id(text.get_ref()) {
        return Ok(text.get_ref().clone());
    }
    let say = format!(
        "{place}: a secret is named some/test/secret-name, or written \
         arn:aws:secretsmanager:eu-west-1:123456789012:secret:name"
    );
    Err(Problem::at(text, say))
}

fn read_reader(place: &str, text: &Spanned<String>) -> Result<EntryName, Problem> {
    let name = text.get_ref().strip_prefix("aws.").unwrap_or(text.get_ref());
    if name.contains('.') {
        let say = format!("{place}: `aws` names an [aws.*] entry, whose keys read the secret");
        return Err(Problem::at(text, say));
    }
    Ok(EntryName { kind: AWS, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Limits, load};

    const ROLES: &str = r#"
[sso.okta]
issuer = "https://okta.example"
client_id = "x"
[aws.dev]
sso = "okta"
role_arn = "arn:aws:iam::123456789012:role/Dev"
region = "eu-west-1"
[aws.bare]
command = ["/usr/bin/vault"]
"#;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-AbCdEf";

    fn read(table: &str) -> Result<Config, String> {
        let text = format!("{ROLES}[secret.x]\n{table}\n");
        load(&text, Limits { plain_loopback: true }).map_err(|problems| problems.join("; "))
    }

    fn facts(table: &str) -> String {
        let config = read(table).unwrap();
        let entry = config.entries.last().unwrap();
        let facts = entry.source.facts();
        facts.iter().map(|(name, fact)| format!("{name}={fact}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_secret_is_in_the_keychain_or_behind_a_role() {
        assert_eq!(facts("keys = [\"A\", \"B_2\"]"), "keys=A, B_2");
        let aws = "from = \"aws-secrets-manager\"\naws = \"dev\"\n";
        let named = format!("{aws}id = \"some/test/secret-name\"");
        let told = |region: &str| {
            format!("aws=dev from=aws-secrets-manager id=some/test/secret-name region={region}")
        };
        assert_eq!(facts(&named), told("eu-west-1"), "that of the role");
        assert_eq!(facts(&named.replace("\"dev\"", "\"aws.dev\"")), told("eu-west-1"));
        assert_eq!(facts(&format!("{named}\nregion = \"eu-west-3\"")), told("eu-west-3"));
        assert!(facts(&format!("{aws}id = \"{ARN}\"")).ends_with("region=us-east-1"), "that of the ARN");
        assert!(facts(&format!("{named}\nkeys = [\"A\"]")).contains("keys=A"));
    }

    #[test]
    fn each_mistake_is_named_with_the_way_out() {
        let aws = "from = \"aws-secrets-manager\"\nid = \"a\"\naws = \"dev\"\n";
        let long =
            format!("keys = [{}]", (0..257).map(|n| format!("\"K{n}\"")).collect::<Vec<_>>().join(", "));
        for (table, said) in [
            ("", "line 11: secret.x: `keys` is missing, the names of its values"),
            ("keys = []", "`keys` has 1 to 256 names"),
            (long.as_str(), "`keys` has 1 to 256 names"),
            ("keys = [\"1A\"]", "`1A` is no name of a variable"),
            ("keys = [\"A-B\"]", "`A-B` is no name of a variable"),
            ("keys = [\"A\", \"B\", \"A\"]", "line 12: secret.x: `A` stands twice"),
            ("keys = [\"METAFLOW_USER\"]", "those in METAFLOW_ are Metaflow's own"),
            ("key = [\"A\"]", "did you mean `keys`?"),
            (
                "keys = [\"A\"]\nvalue = \"b\"",
                "line 13: unknown key `secret.x.value`; values are never in this file: keyfob secret set x",
            ),
            (
                "values = { A = \"b\" }",
                "unknown key `secret.x.values`; values are never in this file: keyfob secret set x",
            ),
            ("keys = \"A\"", "here stands a list"),
            ("keys = [\"A\"]\nregion = \"eu-west-1\"", "`region` goes with from = \"aws-secrets-manager\""),
            ("id = \"a\"\naws = \"dev\"", "`id` goes with from = \"aws-secrets-manager\""),
            ("from = \"vault\"", "`from` does not know `vault`; it knows `aws-secrets-manager`"),
            ("from = \"aws-secrets-manager\"", "`id` is missing, which aws-secrets-manager needs"),
            ("from = \"aws-secrets-manager\"\nid = \"a\"", "`aws` is missing"),
            (&aws.replace("\"a\"", "\"a b\""), "a secret is named some/test/secret-name"),
            (&aws.replace("\"dev\"", "\"sso.okta\""), "`aws` names an [aws.*] entry"),
            (&aws.replace("\"dev\"", "\"okta\""), "line 14: secret.x: there is no entry [aws.okta]"),
            (&aws.replace("\"dev\"", "\"dve\""), "there is no entry [aws.dve]; did you mean `dev`?"),
            (&aws.replace("\"dev\"", "\"bare\""), "`region` is missing, and `aws.bare` has none"),
            (&format!("{aws}region = \"here\""), "this is not an AWS region"),
            (
                &format!("{}region = \"eu-west-1\"", aws.replace("\"a\"", &format!("\"{ARN}\""))),
                "`region` is eu-west-1, and that of the ARN is us-east-1",
            ),
            (&format!("{aws}endpoint_url = \"http://example.com\""), "must begin with https://"),
            (
                &format!(
                    "{}region = \"eu-west-1\"\nendpoint_url = \"https://example.com\"",
                    aws.replace("dev", "bare")
                ),
                "`endpoint_url` does not go with the keys of `aws.bare`",
            ),
        ] {
            let problems = read(table).unwrap_err();
            assert!(problems.contains(said), "{table}: {problems}");
        }
    }
}
