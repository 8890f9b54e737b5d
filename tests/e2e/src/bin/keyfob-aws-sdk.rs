//! The AWS SDK for Rust as a test's client: `keyfob-aws-sdk ENDPOINT`. Takes and gives lines as `src/real/aws_sdk.rs` says.
//!
//! It is the SDK with its default chain of credentials; only its HTTP goes through our one client, as the agent's does.

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    client::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod client {
    use std::collections::BTreeSet;
    use std::error::Error;
    use std::io::{self, Write as _};

    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_sdk_sts::Client;
    use aws_sdk_sts::config::ProvideCredentials as _;
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::display::DisplayErrorContext;
    use serde_json::{Value, json};

    type Failure = Box<dyn Error + Send + Sync>;

    pub(super) fn main() -> io::Result<()> {
        let endpoint = std::env::args().nth(1).unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut sdk = runtime.block_on(load(&endpoint));
        for verb in io::stdin().lines() {
            let verb = verb?;
            if verb == "renew" {
                sdk = runtime.block_on(load(&endpoint));
            }
            let answer = runtime.block_on(act(&verb, &sdk));
            let answer = answer.unwrap_or_else(|error| json!({"error": error.to_string()}));
            writeln!(io::stdout(), "{answer}")?;
        }
        Ok(())
    }

    /// The configuration as every program loads it, and a client over it.
    async fn load(endpoint: &str) -> (SdkConfig, Client) {
        let loader = aws_config::defaults(BehaviorVersion::latest());
        let config = loader.http_client(Seam(http())).endpoint_url(endpoint).load().await;
        let client = Client::new(&config);
        (config, client)
    }

    async fn act(verb: &str, (config, client): &(SdkConfig, Client)) -> Result<Value, Failure> {
        match verb {
            "renew" => Ok(json!({})),
            "keys" => keys(config).await,
            "identity" => Ok(json!({"Arn": identity(client).await?})),
            "identities" => {
                let mut calls = tokio::task::JoinSet::new();
                for _ in 0..10 {
                    let client = client.clone();
                    calls.spawn(async move { identity(&client).await });
                }
                let mut arns = BTreeSet::new();
                while let Some(called) = calls.join_next().await {
                    arns.insert(called??);
                }
                Ok(json!({"Arns": arns}))
            }
            verb => Err(format!("there is no {verb} here").into()),
        }
    }

    async fn keys(config: &SdkConfig) -> Result<Value, Failure> {
        let chain = config.credentials_provider().ok_or("there is no chain")?;
        let keys = chain.provide_credentials().await.map_err(|error| told(&error))?;
        let end = keys.expiry().and_then(|end| end.duration_since(std::time::UNIX_EPOCH).ok());
        Ok(json!({
            "AccessKeyId": keys.access_key_id(),
            "SecretAccessKey": keys.secret_access_key(),
            "SessionToken": keys.session_token(),
            "AccountId": keys.account_id().map(|id| id.as_str()),
            "Expiration": end.map(|end| end.as_secs()),
        }))
    }

    async fn identity(client: &Client) -> Result<String, Failure> {
        let answer = client.get_caller_identity().send().await.map_err(|error| told(&error))?;
        Ok(answer.arn.unwrap_or_default())
    }

    /// The SDK tells what went wrong in the causes of its errors alone.
    fn told(error: &(impl Error + 'static)) -> Failure {
        DisplayErrorContext(error).to_string().into()
    }

    fn http() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Plain loopback is all that a test has; a machine without certificates could build no other client.
        reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client can be built")
    }

    /// The SDK's HTTP seam.
    #[derive(Debug, Clone)]
    struct Seam(reqwest::Client);

    impl HttpClient for Seam {
        fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Seam {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let http = self.0.clone();
            HttpConnectorFuture::new(async move {
                let request =
                    request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
                let request = request.map(|body| body.bytes().map(<[u8]>::to_vec).unwrap_or_default());
                let request = reqwest::Request::try_from(request)
                    .map_err(|error| ConnectorError::user(error.into()))?;
                let answer = http.execute(request).await.map_err(|error| ConnectorError::io(error.into()))?;
                let (status, headers) = (answer.status(), answer.headers().clone());
                let body = answer.bytes().await.map_err(|error| ConnectorError::io(error.into()))?;
                let mut whole = http::Response::new(SdkBody::from(body.to_vec()));
                (*whole.status_mut(), *whole.headers_mut()) = (status, headers);
                HttpResponse::try_from(whole).map_err(|error| ConnectorError::other(error.into(), None))
            })
        }
    }
}
