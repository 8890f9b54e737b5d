//! Values of entries that keep nothing in the keychain any more: they can still be forgotten.

use keyfob_ipc::{Code, ControlAsk, Refusal};

use super::{done, filled};
use crate::company::{CONFIG, Company};

async fn removing(company: &Company, name: &str, key: Option<&str>) -> Result<String, Refusal> {
    done(company, ControlAsk::SecretRemove { name: name.to_owned(), key: key.map(str::to_owned) }).await
}

#[tokio::test]
async fn values_of_an_entry_that_has_left_can_be_forgotten_by_its_full_name() {
    let company = filled().await;
    company.configure(CONFIG);
    for name in ["build", "secret.bild", "secret.build/x", "token.build", "secret."] {
        let refusal = removing(&company, name, None).await.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.hint.as_str()),
            (Code::UnknownEntry, "keyfob secret list"),
            "{name}"
        );
    }
    assert_eq!(
        removing(&company, "secret.build", Some("SECRET_KEY1")).await.unwrap(),
        "`secret.build` keeps no `SECRET_KEY1` any more; the configuration has no such entry"
    );
    let item = company.vault.item("secret.build").await.unwrap();
    assert_eq!(item["value"], r#"{"SECRET_KEY2":"two"}"#);
    assert_eq!(
        removing(&company, "secret.build", None).await.unwrap(),
        "`secret.build` keeps no value any more; the configuration has no such entry"
    );
    assert!(company.vault.item("secret.build").await.is_none());
    assert_eq!(
        removing(&company, "secret.build", None).await.unwrap_err().code,
        Code::UnknownEntry,
        "nothing is held"
    );
}

#[tokio::test]
async fn values_of_an_entry_that_has_moved_to_aws_can_be_forgotten_here() {
    let company = filled().await;
    let moved = "\n[secret.build]\nfrom = \"aws-secrets-manager\"\nid = \"a\"\naws = \"dev\"\n";
    company.configure(&format!("{CONFIG}{moved}"));
    assert_eq!(
        removing(&company, "build", None).await.unwrap(),
        "`secret.build` keeps no value any more in the keychain; those in AWS Secrets Manager stay there"
    );
    assert!(company.vault.item("secret.build").await.is_none());
    let refusal = removing(&company, "build", None).await.unwrap_err();
    assert!(refusal.say.contains("are in AWS Secrets Manager, not in the keychain"), "{refusal:?}");
}
