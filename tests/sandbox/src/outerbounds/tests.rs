use serde_json::json;

use super::*;
use crate::circleci::Version;
use crate::net;
use crate::{Options, Sandbox};

async fn ask(url: &str, key: &str, body: Option<&Value>) -> (u16, Value) {
    let mut request = net::client().get(url);
    if !key.is_empty() {
        request = request.header("x-api-key", key);
    }
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&net::body(answer).await.unwrap()).unwrap())
}

fn principal(name: &str, deployment: &str) -> Value {
    json!({ "servicePrincipalName": name, "deploymentName": deployment, "perimeter": PERIMETER })
}

/// A token of GitHub for an audience.
async fn github(sandbox: &Sandbox, audience: &str) -> String {
    let (url, token) = sandbox.github_actions().request();
    let request = net::client().get(format!("{url}&audience={audience}")).bearer_auth(token);
    let answer: Value =
        serde_json::from_slice(&net::body(request.send().await.unwrap()).await.unwrap()).unwrap();
    answer["value"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_is_taken_until_it_is_revoked_and_no_other_is() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let outerbounds = sandbox.outerbounds();
    let key = outerbounds.issue_key("ada");
    for path in [
        "/v1/perimeters/default/metaflowconfigs/default",
        "/generate/aws",
        "//generate/aws",
        "/generate/k8s",
        "/v1/me/perimeters?privilege=Execute",
        "/v1/workstations",
    ] {
        let url = format!("{}{path}", outerbounds.url());
        assert_eq!(ask(&url, &key, None).await.0, 200, "{path}");
        assert_eq!(ask(&url, "obk_other", None).await.0, 403, "{path}");
        assert_eq!(ask(&url, "", None).await.0, 401, "{path}");
    }
    let url = format!("{}/v1/perimeters/default/metaflowconfigs/default", outerbounds.url());
    let (_, answer) = ask(&url, &key, None).await;
    assert_eq!(answer["config"]["METAFLOW_SERVICE_AUTH_KEY"], json!(key));
    outerbounds.revoke(&key);
    assert_eq!(ask(&url, &key, None).await.0, 403);
    assert_eq!(sandbox.counts().arrived(Endpoint::OuterboundsConfig), 5);
}

#[tokio::test]
async fn a_principal_is_believed_by_a_token_for_this_deployment_alone() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let outerbounds = sandbox.outerbounds();
    let url = format!("{}/generate/service-principal", outerbounds.url());
    let mine = principal(PRINCIPAL, "foo");
    let ours = github(&sandbox, "https://foo.obp.acme.test").await;
    let (status, answer) = ask(&url, &ours, Some(&mine)).await;
    assert_eq!(status, 200);
    let origin = answer["token"].as_str().unwrap();
    assert!(outerbounds.is_live(origin));
    let circleci = sandbox.circleci().token(Version::Second);
    assert_eq!(ask(&url, &circleci, Some(&mine)).await.0, 200);
    let elsewhere = github(&sandbox, "sts.amazonaws.com").await;
    assert_eq!(ask(&url, &elsewhere, Some(&mine)).await.0, 401);
    let forged = format!("{}x", ours);
    assert_eq!(ask(&url, &forged, Some(&mine)).await.0, 401);
    assert_eq!(ask(&url, &ours, Some(&principal("other", "foo"))).await.0, 403);
    assert_eq!(ask(&url, &ours, Some(&principal(PRINCIPAL, "bar"))).await.0, 404);
    assert_eq!(ask(&url, &ours, None).await.0, 400);
    outerbounds.add_principal("strict", Some("repo:acme/other"));
    assert_eq!(ask(&url, &ours, Some(&principal("strict", "foo"))).await.0, 403);
    sandbox.github_actions().set_life(-1);
    let ended = github(&sandbox, "https://foo.obp.acme.test").await;
    assert_eq!(ask(&url, &ended, Some(&mine)).await.0, 401);
}

#[tokio::test]
async fn tokens_of_principals_end() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let outerbounds = sandbox.outerbounds();
    outerbounds.set_origin_life(0);
    let url = format!("{}/generate/service-principal", outerbounds.url());
    let circleci = sandbox.circleci().token(Version::First);
    let (_, answer) = ask(&url, &circleci, Some(&principal(PRINCIPAL, "foo"))).await;
    assert!(!outerbounds.is_live(answer["token"].as_str().unwrap()));
}

#[tokio::test]
async fn the_sts_believes_a_web_identity() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let outerbounds = sandbox.outerbounds();
    let key = outerbounds.issue_key("ada");
    outerbounds.set_customer_role(Some(CSPR_ROLE));
    let (_, answer) = ask(&format!("{}/generate/aws", outerbounds.url()), &key, None).await;
    assert_eq!(
        (&answer["role_arn"], &answer["region"], &answer["cspr_role_arn"]),
        (&json!(TASK_ROLE), &json!(REGION), &json!(CSPR_ROLE))
    );
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", TASK_ROLE),
        ("RoleSessionName", "ada"),
        ("WebIdentityToken", answer["token"].as_str().unwrap()),
    ];
    let sts = sandbox.addresses().sts_url.clone();
    let answer = net::client().post(&sts).form(&form).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(sandbox.counts().assumed[TASK_ROLE].by, "ada");
}

#[tokio::test]
async fn an_integration_says_where_its_values_are() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let outerbounds = sandbox.outerbounds();
    let key = outerbounds.issue_key("ada");
    outerbounds.add_integration("my-secret", "arn:aws:secretsmanager:…:x", "aws-secrets-manager");
    let asked = |name: &str| json!({ "perimeter_name": PERIMETER, "integration_name": name });
    for path in ["/secrets/metadata", "/integrations/secrets/metadata"] {
        let url = format!("{}{path}", outerbounds.url());
        let (status, answer) = ask(&url, &key, Some(&asked("my-secret"))).await;
        assert_eq!((status, &answer["secret_backend_type"]), (200, &json!("aws-secrets-manager")));
        let (status, answer) = ask(&url, &key, Some(&asked("other"))).await;
        assert_eq!((status, &answer["error"]["statusCode"]), (404, &json!(404)));
    }
}
