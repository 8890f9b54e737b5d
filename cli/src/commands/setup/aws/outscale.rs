//! What makes a profile of the AWS tools one for OUTSCALE. Several of its regions have the name of one of AWS.

/// The kind of these entries.
pub(super) const KIND: &str = "outscale";

/// What OUTSCALE has of the services of AWS: the name in `[services]` (AWS SDKs and Tools Reference Guide, "Service-specific
/// endpoints"), and the first part of its address (docs.outscale.com, "Regions, endpoints, and subregions reference").
const SERVICES: [(&str, &str); 5] = [
    ("ec2", "fcu"),
    ("elastic_load_balancing", "lbu"),
    ("iam", "eim"),
    ("s3", "oos"),
    ("direct_connect", "directlink"),
];

/// The section of addresses that goes with a profile.
pub(super) fn section(profile: &str) -> String {
    format!("keyfob-{profile}")
}

/// The rest of a profile, behind `region`. Every other service has the address of the first one: it is refused there, in place
/// of being asked at AWS.
pub(super) fn lines(profile: &str, region: &str) -> String {
    let section = section(profile);
    let address = |host: &str| format!("endpoint_url = https://{host}.{region}.outscale.com\n");
    let fallback = address(SERVICES[0].1);
    let mut lines = format!("{fallback}services = {section}\n[services {section}]\n");
    for (service, host) in SERVICES {
        lines.push_str(&format!("{service} =\n  {}", address(host)));
    }
    lines
}

/// For tools that do not know these lines.
pub(super) fn caution(entry: &str) -> String {
    format!(
        "an AWS CLI before 2.13 or boto3 before 1.28 would ask AWS with the keys of `{entry}`: they do not read endpoint_url"
    )
}
