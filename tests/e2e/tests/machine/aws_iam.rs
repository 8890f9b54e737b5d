//! A machine of AWS: its own role, the machine user's, and a secret that a key of KMS encrypts, all of it by moto.

use keyfob_e2e::real::{Moto, together};
use keyfob_e2e::{Company, MEMORY, Profile, Stage, run};
use serde_json::Value;

/// Makes the account: the machine user's role, a key, and a secret of either kind.
const ACCOUNT: &str = r#"
import boto3, json, sys
endpoint = sys.argv[1]
client = lambda name: boto3.client(name, endpoint_url=endpoint, region_name="eu-west-1",
    aws_access_key_id="AKIAADMIN", aws_secret_access_key="admin")
iam, kms, secrets = client("iam"), client("kms"), client("secretsmanager")
trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
for name in ("Runner", "MachineUser", "Deploy"):
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
key = kms.create_key()["KeyMetadata"]["KeyId"]
body = json.dumps({"METAFLOW_SERVICE_AUTH_KEY": "marked-secret", "OBP_PERIMETER": "default"})
made = {
    "text": secrets.create_secret(Name="outerbounds/text", KmsKeyId=key, SecretString=body)["ARN"],
    "binary": secrets.create_secret(Name="outerbounds/binary", KmsKeyId=key, SecretBinary=body.encode())["ARN"],
}
print(json.dumps(made))
"#;

#[test]
fn a_container_reads_the_machine_users_secret_and_assumes_roles() {
    let _turn = together();
    let (moto, company) = (Moto::start(), Company::start());
    let made = {
        let profile = Profile::new(MEMORY);
        let mut command = profile.command(Stage::get().python("python"));
        command.args(["-c", ACCOUNT, moto.url()]);
        run(command, "").ok().json()
    };
    for kind in ["text", "binary"] {
        let secret = made[kind].as_str().expect("an ARN");
        let mut profile = Profile::new(&config(&moto, secret));
        let (url, token) = company.aws_machine().container();
        profile.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
        profile.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", token);
        let report = profile.run(&["machine", "claims", "ci", "--json"], "").ok();
        assert!(!report.stdout.contains("marked-secret"), "{report:?}");
        let whole: Value = report.json();
        let value = |name: &str| {
            let claims = whole["claims"].as_array().cloned().unwrap_or_default();
            let claim = claims.into_iter().find(|claim| claim["name"] == name);
            claim.and_then(|claim| claim["value"].as_str().map(str::to_owned)).unwrap_or_default()
        };
        assert_eq!(value("the secret has"), "METAFLOW_SERVICE_AUTH_KEY, OBP_PERIMETER", "{whole}");
        assert!(value("secret").ends_with(", readable"), "{whole}");
        assert!(value("becomes").contains("assumed-role/MachineUser/keyfob-ci"), "{whole}");
        let page = profile.run(&["machine", "claims", "ci"], "").ok();
        assert!(page.stdout.contains("sts:AssumeRole") && !page.stdout.contains("marked-secret"), "{page:?}");
        profile.credential_process("deploy").ok();
    }
}

#[test]
fn a_machine_without_a_role_and_a_secret_that_is_not_there_are_told_apart() {
    let _turn = together();
    let (moto, company) = (Moto::start(), Company::start());
    let secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:nothing-AbCdEf";
    let mut profile = Profile::new(&config(&moto, secret));
    profile.set("AWS_EC2_METADATA_DISABLED", "true");
    let refused = profile.credential_process("deploy").exits(1);
    assert!(refused.stderr.contains("this machine has no AWS role"), "{refused:?}");
    profile.run(&["agent", "stop"], "").ok();

    profile.unset("AWS_EC2_METADATA_DISABLED");
    profile.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", company.aws_machine().url());
    let report = profile.run(&["machine", "claims", "ci"], "").ok();
    assert!(report.stdout.contains("there is no secret"), "{report:?}");
}

fn config(moto: &Moto, secret: &str) -> String {
    let url = moto.url();
    format!(
        "{MEMORY}[machine.ci]\nidentity = \"aws-iam\"\nrole_arn = \"arn:aws:iam::123456789012:role/MachineUser\"\n\
         region = \"eu-west-1\"\nsecret_arn = \"{secret}\"\nendpoint_url = \"{url}\"\n\
         [aws.deploy]\nmachine = \"ci\"\nrole_arn = \"arn:aws:iam::123456789012:role/Deploy\"\n\
         region = \"eu-west-1\"\nendpoint_url = \"{url}\"\n"
    )
}
