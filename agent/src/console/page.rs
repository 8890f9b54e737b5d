//! Where the console of a partition is, and which page of it is meant.

use keyfob_ipc::text::escape;
use keyfob_ipc::{Code, Refusal, Secret};
use url::Url;

use super::ConsoleRole;
use crate::config::EntryName;

/// Partition, federation endpoint, console: each partition has its own, and takes no keys of another (AWS Sign-In endpoints).
const PARTITIONS: &[(&str, &str, &str)] = &[
    ("aws", "https://signin.aws.amazon.com/federation", "console.aws.amazon.com"),
    ("aws-cn", "https://signin.amazonaws.cn/federation", "console.amazonaws.cn"),
    ("aws-us-gov", "https://signin.amazonaws-us-gov.com/federation", "console.amazonaws-us-gov.com"),
];

/// Bytes of a page's address.
const LONGEST: usize = 2048;

/// Who is shown as the place to come back to when the console's session has ended.
const ISSUER: &str = "keyfob";

/// The console of one role.
#[derive(Debug)]
pub(super) struct Place {
    /// The federation endpoint.
    pub(super) endpoint: Url,
    console: &'static str,
    region: String,
}

impl Place {
    /// By the partition of the role.
    ///
    /// # Errors
    /// Where no console of that partition is known.
    pub(super) fn of(role: &ConsoleRole<'_>, name: &EntryName) -> Result<Self, Refusal> {
        let partition = role.partition;
        let known = PARTITIONS.iter().find(|(known, ..)| *known == partition);
        let place = known.and_then(|(_, federation, console)| {
            let endpoint = Url::parse(role.endpoint.unwrap_or(federation)).ok()?;
            Some(Self { endpoint, console, region: role.region.to_owned() })
        });
        place.ok_or_else(|| {
            let say = format!("no console is known for the partition `{}` of `{name}`", escape(partition));
            Refusal::new(Code::UnknownEntry, say).hint("sign in to that console in the browser")
        })
    }

    /// For sentences.
    pub(super) fn host(&self) -> String {
        escape(self.endpoint.host_str().unwrap_or_default())
    }

    /// The page that is meant: the console's home, a path of it, or an address within its domain.
    ///
    /// # Errors
    /// For any other place: a link that signs somebody in leads nowhere else.
    pub(super) fn destination(&self, asked: Option<&str>) -> Result<Url, Refusal> {
        let home = || format!("https://{}/console/home", self.console);
        let is_path = |text: &&str| text.starts_with('/') && !text.starts_with("//");
        let text = match asked {
            None => home(),
            Some(text) if is_path(&text) => format!("https://{}{text}", self.console),
            Some(text) => text.to_owned(),
        };
        let mut page = Url::parse(&text).ok().filter(|page| text.len() <= LONGEST && self.is_ours(page));
        let is_bare = asked.is_none_or(|text| is_path(&text));
        if let Some(page) = page.as_mut().filter(|_| is_bare)
            && !page.query_pairs().any(|(name, _)| name == "region")
        {
            page.query_pairs_mut().append_pair("region", &self.region);
        }
        page.ok_or_else(|| {
            let say = format!("`{}` is no page of the AWS console here", escape(&text));
            Refusal::new(Code::BadRequest, say)
                .hint(format!("name an address that begins with https://{}/", self.console))
        })
    }

    fn is_ours(&self, page: &Url) -> bool {
        let host = page.host_str().unwrap_or_default();
        let is_within = host == self.console
            || host.strip_suffix(self.console).is_some_and(|front| front.ends_with('.') && front.len() > 1);
        let is_plain = page.username().is_empty() && page.password().is_none() && page.port().is_none();
        page.scheme() == "https" && is_within && is_plain
    }

    /// The link that signs in.
    pub(super) fn link(&self, destination: &Url, token: &Secret<String>) -> Secret<String> {
        let mut link = self.endpoint.clone();
        link.query_pairs_mut()
            .append_pair("Action", "login")
            .append_pair("Issuer", ISSUER)
            .append_pair("Destination", destination.as_str())
            .append_pair("SigninToken", token.expose());
        Secret::new(link.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: &str) -> Result<Place, Refusal> {
        let role = ConsoleRole { partition, region: "eu-west-1", endpoint: None };
        Place::of(&role, &EntryName { kind: "aws", name: "dev".to_owned() })
    }

    fn page(partition: &str, asked: Option<&str>) -> Result<String, Refusal> {
        place(partition)?.destination(asked).map(Into::into)
    }

    #[test]
    fn each_partition_has_its_own_console_and_federation_endpoint() {
        for (partition, endpoint, home) in [
            (
                "aws",
                "https://signin.aws.amazon.com/federation",
                "https://console.aws.amazon.com/console/home?region=eu-west-1",
            ),
            (
                "aws-cn",
                "https://signin.amazonaws.cn/federation",
                "https://console.amazonaws.cn/console/home?region=eu-west-1",
            ),
            (
                "aws-us-gov",
                "https://signin.amazonaws-us-gov.com/federation",
                "https://console.amazonaws-us-gov.com/console/home?region=eu-west-1",
            ),
        ] {
            assert_eq!(place(partition).unwrap().endpoint.as_str(), endpoint);
            assert_eq!(page(partition, None).unwrap(), home);
        }
        assert_eq!(place("aws-iso").unwrap_err().code, Code::UnknownEntry);
    }

    #[test]
    fn a_page_is_a_path_or_an_address_of_the_console() {
        for (asked, expected) in [
            ("/ec2/home", "https://console.aws.amazon.com/ec2/home?region=eu-west-1"),
            ("/ec2/home?region=us-east-1", "https://console.aws.amazon.com/ec2/home?region=us-east-1"),
            ("/s3/buckets#x", "https://console.aws.amazon.com/s3/buckets?region=eu-west-1#x"),
            ("https://console.aws.amazon.com/iam/", "https://console.aws.amazon.com/iam/"),
            ("https://eu-west-1.console.aws.amazon.com/x", "https://eu-west-1.console.aws.amazon.com/x"),
        ] {
            assert_eq!(page("aws", Some(asked)).unwrap(), expected);
        }
    }

    #[test]
    fn no_link_leads_anywhere_else() {
        for bad in [
            "https://evil.example/",
            "https://evilconsole.aws.amazon.com/",
            "https://.console.aws.amazon.com/",
            "https://console.aws.amazon.com.evil.example/",
            "https://console.aws.amazon.com@evil.example/",
            "https://me@console.aws.amazon.com/",
            "https://console.aws.amazon.com:8443/",
            "http://console.aws.amazon.com/",
            "https://console.amazonaws.cn/",
            "//evil.example/",
            "javascript:alert(1)",
            "ec2",
            "",
        ] {
            assert_eq!(page("aws", Some(bad)).unwrap_err().code, Code::BadRequest, "{bad}");
        }
        assert!(page("aws", Some(&format!("/{}", "x".repeat(LONGEST)))).is_err());
    }

    #[test]
    fn a_link_carries_the_token_and_its_debug_does_not() {
        let place = place("aws").unwrap();
        let link = place.link(&place.destination(None).unwrap(), &Secret::from("t+/="));
        let url = Url::parse(link.expose()).unwrap();
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let pair = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!((pair("Action"), pair("SigninToken")), (Some("login"), Some("t+/=")));
        assert_eq!(pair("Destination"), Some("https://console.aws.amazon.com/console/home?region=eu-west-1"));
        assert_eq!(pair("SessionDuration"), None);
        assert!(!format!("{link:?}").contains("Signin"));
    }
}
