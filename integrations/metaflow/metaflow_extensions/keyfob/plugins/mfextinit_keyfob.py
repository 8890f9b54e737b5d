"""What Metaflow finds. Nothing is imported here: where that fails, Metaflow drops the plugins of every extension."""

AWS_CLIENT_PROVIDERS_DESC = [("keyfob", ".keyfob_aws.KeyfobAwsClientProvider")]
SECRETS_PROVIDERS_DESC = [("keyfob", ".keyfob_secrets.KeyfobSecretsProvider")]
