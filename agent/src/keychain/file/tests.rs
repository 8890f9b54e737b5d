use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;

use super::super::MAX_VALUE;
use super::*;

/// The cheapest derivation: these tests are about files, not about guessing.
const CHEAP: u8 = 2;

fn value(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

fn place() -> tempfile::TempDir {
    let only_ours = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(only_ours).tempdir().unwrap()
}

fn closed(folder: &Path) -> FileKeychain {
    FileKeychain::new(folder.to_owned(), Passphrase::Prompt, CHEAP)
}

async fn open(folder: &Path) -> FileKeychain {
    let keychain = closed(folder);
    keychain.unlock(&Secret::from("open sesame")).await.unwrap();
    keychain
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn text_of<T: std::fmt::Debug>(result: Result<T, KeychainError>) -> String {
    match result {
        Err(KeychainError::Failed(text)) => text,
        other => panic!("a failure was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn what_was_stored_is_there_for_the_next_start() {
    let place = place();
    let folder = place.path().join("state/keychain");
    let first = open(&folder).await;
    first.store("aws.dev", &value("one")).await.unwrap();
    first.store("aws.dev", &value("two")).await.unwrap();
    first.store("token.gone", &value("three")).await.unwrap();
    first.remove("token.gone").await.unwrap();
    first.remove("token.never").await.unwrap();
    drop(first);

    let second = open(&folder).await;
    assert_eq!(second.state().await, KeychainState::Present);
    assert_eq!(second.load("aws.dev").await, Ok(Some(value("two"))));
    assert_eq!(second.load("token.gone").await, Ok(None));
    for name in ["identity.age", "aws.dev.age"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder), 0o700);
    let sealed = std::fs::read(folder.join("aws.dev.age")).unwrap();
    assert!(!sealed.windows(3).any(|window| window == b"two"));
}

#[tokio::test]
async fn before_the_passphrase_it_is_locked_and_a_wrong_one_opens_nothing() {
    let place = place();
    open(place.path()).await.store("aws.dev", &value("one")).await.unwrap();

    let keychain = closed(place.path());
    assert_eq!(keychain.state().await, KeychainState::Locked);
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Locked));
    assert_eq!(keychain.store("aws.dev", &value("two")).await, Err(KeychainError::Locked));
    assert_eq!(keychain.remove("aws.dev").await, Err(KeychainError::Locked));

    assert_eq!(keychain.unlock(&Secret::from("open barley")).await, Err(KeychainError::Denied));
    assert_eq!(keychain.state().await, KeychainState::Locked);
    keychain.unlock(&Secret::from("open sesame")).await.unwrap();
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("one"))));
    assert_eq!(keychain.unlock(&Secret::from("open barley")).await, Err(KeychainError::Denied));
    assert_eq!(keychain.state().await, KeychainState::Present, "a wrong passphrase closes nothing");
}

#[tokio::test]
async fn a_closed_one_gives_nothing_and_takes_what_comes() {
    let place = place();
    let keychain = open(place.path()).await;
    keychain.store("aws.dev", &value("one")).await.unwrap();
    keychain.close().await;
    keychain.close().await;
    assert!(!keychain.opens_by_itself().await);
    assert_eq!(keychain.state().await, KeychainState::Locked);
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Locked));
    assert_eq!(keychain.remove("aws.dev").await, Err(KeychainError::Locked));
    assert_eq!(keychain.open().await, Err(KeychainError::Locked));
    keychain.store("aws.dev", &value("two")).await.unwrap();
    assert_eq!(keychain.unlock(&Secret::from("open barley")).await, Err(KeychainError::Denied));
    assert_eq!(keychain.state().await, KeychainState::Locked);
    keychain.unlock(&Secret::from("open sesame")).await.unwrap();
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("two"))));
    // One that was never opened knows nothing to store to.
    let keychain = closed(place.path());
    keychain.close().await;
    assert_eq!(keychain.store("aws.dev", &value("three")).await, Err(KeychainError::Locked));
}

#[tokio::test]
async fn a_closed_one_is_not_opened_by_a_passphrase_file_until_it_is_asked_to() {
    let place = place();
    let (folder, file) = (place.path().join("keychain"), place.path().join("passphrase"));
    std::fs::write(&file, "open sesame").unwrap();
    set_mode(&file, 0o600);
    let keychain = FileKeychain::new(folder, Passphrase::File(file), CHEAP);
    keychain.store("aws.dev", &value("one")).await.unwrap();
    keychain.close().await;
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Locked));
    assert_eq!(keychain.state().await, KeychainState::Locked);
    assert!(keychain.opens_by_itself().await);
    keychain.open().await.unwrap();
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("one"))));
}

#[tokio::test]
async fn an_empty_passphrase_makes_no_keychain() {
    let place = place();
    let folder = place.path().join("keychain");
    assert!(text_of(closed(&folder).unlock(&Secret::from("")).await).contains("empty"));
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_folder_that_others_can_enter_is_refused() {
    let place = place();
    set_mode(place.path(), 0o755);
    let text = text_of(closed(place.path()).unlock(&Secret::from("open sesame")).await);
    assert!(text.contains("chmod 700"), "{text}");
}

#[tokio::test]
async fn the_passphrase_file_opens_it_by_itself() {
    let place = place();
    let (folder, file) = (place.path().join("keychain"), place.path().join("passphrase"));
    for (text, mode) in [("open sesame\n", 0o600), ("open sesame", 0o600), ("open sesame\r\n", 0o400)] {
        std::fs::write(&file, text).unwrap();
        set_mode(&file, mode);
        let keychain = FileKeychain::new(folder.clone(), Passphrase::File(file.clone()), CHEAP);
        assert_eq!(keychain.state().await, KeychainState::Present, "{text:?}");
        set_mode(&file, 0o600);
    }
    let credentials = Passphrase::SystemdCredential(place.path().join("credentials"));
    let keychain = FileKeychain::new(folder, credentials, CHEAP);
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Locked), "a unit without this credential");
    std::fs::create_dir(place.path().join("credentials")).unwrap();
    let file = place.path().join("credentials/keyfob-passphrase");
    std::fs::write(&file, "open sesame").unwrap();
    set_mode(&file, 0o444);
    assert!(text_of(keychain.load("aws.dev").await).contains("mode is 0444"));
    set_mode(&file, 0o440);
    assert_eq!(keychain.load("aws.dev").await, Ok(None), "a file that came late is found");
}

#[tokio::test]
async fn a_passphrase_file_that_others_could_know_is_refused() {
    let place = place();
    let (folder, file) = (place.path().join("keychain"), place.path().join("passphrase"));
    let keychain = FileKeychain::new(folder.clone(), Passphrase::File(file.clone()), CHEAP);

    assert!(text_of(keychain.load("a").await).contains("No such file"));
    std::fs::write(&file, "open sesame").unwrap();
    for mode in [0o640, 0o604, 0o620, 0o644, 0o666] {
        set_mode(&file, mode);
        let text = text_of(keychain.load("a").await);
        assert!(text.contains("chmod 600") && text.contains(&format!("{mode:o}")), "{text}");
    }
    set_mode(&file, 0o600);
    for (bytes, why) in [(&b"\n"[..], "empty"), (b"\xff\n", "UTF-8"), (&[b'x'; 4097], "longer than 4 KiB")] {
        std::fs::write(&file, bytes).unwrap();
        assert!(text_of(keychain.load("a").await).contains(why));
    }
    std::fs::remove_file(&file).unwrap();
    symlink("/dev/null", &file).unwrap();
    assert!(text_of(keychain.load("a").await).contains("regular file"));
    std::fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&file).status().unwrap();
    assert!(made.success());
    assert!(text_of(keychain.load("a").await).contains("regular file"), "and nobody waits for its other end");
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_wrong_passphrase_file_is_tried_once_and_a_person_can_still_open() {
    let place = place();
    let (folder, file) = (place.path().join("keychain"), place.path().join("passphrase"));
    open(&folder).await.store("aws.dev", &value("one")).await.unwrap();
    std::fs::write(&file, "open barley").unwrap();
    set_mode(&file, 0o600);

    let keychain = FileKeychain::new(folder, Passphrase::File(file.clone()), CHEAP);
    assert_eq!(keychain.load("aws.dev").await, Err(KeychainError::Denied));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(keychain.state().await, KeychainState::Denied, "it does not look at the file again");
    keychain.unlock(&Secret::from("open sesame")).await.unwrap();
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("one"))));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_save_leaves_the_old_value() {
    let place = place();
    let keychain = open(place.path()).await;
    keychain.store("aws.dev", &value("old")).await.unwrap();
    let whole = std::fs::read(place.path().join("aws.dev.age")).unwrap();
    let torn = place.path().join(".aws.dev.age.new");
    std::fs::write(&torn, &whole[..whole.len() / 2]).unwrap();
    set_mode(&torn, 0o644);
    drop(keychain);

    let keychain = open(place.path()).await;
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("old"))));
    keychain.store("aws.dev", &value("new")).await.unwrap();
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("new"))));
    assert_eq!(mode(&place.path().join("aws.dev.age")), 0o600, "not that of what the crash left");
    assert!(!torn.exists());
}

#[tokio::test]
async fn a_save_that_fails_leaves_the_old_value() {
    let place = place();
    let keychain = open(place.path()).await;
    keychain.store("aws.dev", &value("old")).await.unwrap();
    // A folder in the way: the name cannot be taken, by root neither.
    std::fs::create_dir_all(place.path().join(".aws.dev.age.new/in/the/way")).unwrap();
    text_of(keychain.store("aws.dev", &value("new")).await);
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("old"))));
}

#[tokio::test]
async fn a_damaged_item_is_an_error_and_stays_as_it_is() {
    let place = place();
    let keychain = open(place.path()).await;
    keychain.store("aws.dev", &value("one")).await.unwrap();
    let file = place.path().join("aws.dev.age");
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;

    for bytes in [&whole[..whole.len() - 1], &flipped, b"", b"age-encryption.org/v2\n", &[0; 300_000]] {
        std::fs::write(&file, bytes).unwrap();
        let text = text_of(keychain.load("aws.dev").await);
        assert!(text.contains("aws.dev.age"), "{text}");
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
    assert_eq!(keychain.state().await, KeychainState::Present);
    keychain.store("aws.dev", &value("two")).await.unwrap();
    assert_eq!(keychain.load("aws.dev").await, Ok(Some(value("two"))), "a new value mends it");
}

#[tokio::test]
async fn an_items_file_is_no_good_under_another_name_or_in_another_keychain() {
    let place = place();
    let (here, there) = (place.path().join("here"), place.path().join("there"));
    let keychain = open(&here).await;
    keychain.store("aws.dev", &value("one")).await.unwrap();
    std::fs::copy(here.join("aws.dev.age"), here.join("aws.prod.age")).unwrap();
    assert!(text_of(keychain.load("aws.prod").await).contains("another item"));

    let foreign = open(&there).await;
    std::fs::copy(here.join("aws.dev.age"), there.join("aws.dev.age")).unwrap();
    assert!(text_of(foreign.load("aws.dev").await).contains("not for this keychain"));
}

#[tokio::test]
async fn a_lost_or_damaged_identity_is_not_replaced() {
    let place = place();
    open(place.path()).await.store("aws.dev", &value("one")).await.unwrap();
    let identity = place.path().join("identity.age");

    let whole = std::fs::read(&identity).unwrap();
    std::fs::write(&identity, &whole[..whole.len() - 1]).unwrap();
    let text = text_of(closed(place.path()).unlock(&Secret::from("open sesame")).await);
    assert!(text.contains("identity.age` is damaged"), "{text}");

    std::fs::remove_file(&identity).unwrap();
    let text = text_of(closed(place.path()).unlock(&Secret::from("open sesame")).await);
    assert!(text.contains("is gone"), "{text}");
    assert!(!identity.exists());
}

#[tokio::test]
async fn an_identity_that_demands_too_much_work_is_refused() {
    let place = place();
    open(place.path()).await;
    let identity = place.path().join("identity.age");
    let whole = std::fs::read(&identity).unwrap();
    let line_end = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0;
    let dearer = [&whole[..line_end - 1], b"22", &whole[line_end..]].concat();
    std::fs::write(&identity, dearer).unwrap();
    let text = text_of(closed(place.path()).unlock(&Secret::from("open sesame")).await);
    assert!(text.contains("more work"), "{text}");
}

#[tokio::test]
async fn names_that_are_no_plain_file_names_and_values_beyond_the_limit_are_refused() {
    let place = place();
    let keychain = open(place.path()).await;
    let long = "x".repeat(101);
    for name in ["", ".", "..", "../x", "a/b", ".hidden", "a b", "a\0", "ä", "identity", &long] {
        text_of(keychain.store(name, &value("one")).await);
        text_of(keychain.load(name).await);
        text_of(keychain.remove(name).await);
    }
    keychain.store("big", &Secret::new(vec![7; MAX_VALUE])).await.unwrap();
    assert_eq!(keychain.load("big").await, Ok(Some(Secret::new(vec![7; MAX_VALUE]))));
    text_of(keychain.store("big", &Secret::new(vec![7; MAX_VALUE + 1])).await);
}

#[tokio::test]
async fn names_that_differ_in_capitals_are_two_on_every_file_system() {
    let place = place();
    let keychain = open(place.path()).await;
    keychain.store("aws.Dev", &value("one")).await.unwrap();
    keychain.store("aws.dev", &value("two")).await.unwrap();
    assert_eq!(keychain.load("aws.Dev").await, Ok(Some(value("one"))));
    assert!(place.path().join("aws.+dev.age").exists());
}

#[tokio::test]
async fn calls_at_once_take_turns() {
    let place = place();
    let keychain = Arc::new(open(place.path()).await);
    let calls: Vec<_> = (0..40)
        .map(|number| {
            let keychain = Arc::clone(&keychain);
            tokio::spawn(async move {
                let wanted = value(&number.to_string());
                keychain.store(&format!("item-{number}"), &wanted).await.unwrap();
                keychain.store("shared", &wanted).await.unwrap();
                assert_eq!(keychain.load(&format!("item-{number}")).await, Ok(Some(wanted)));
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert!(keychain.load("shared").await.unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_under_any_name_come_back(
        name in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,60}",
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        prop_assume!(name != IDENTITY);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let place = place();
            let keychain = open(place.path()).await;
            let wanted = Secret::new(bytes);
            keychain.store(&name, &wanted).await.unwrap();
            prop_assert_eq!(keychain.load(&name).await, Ok(Some(wanted)));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn clearing_takes_every_item_and_the_identity_without_the_passphrase_and_nothing_else() {
    let folder = place();
    let keychain = open(folder.path()).await;
    for item in ["token.a", "sso.Gone"] {
        keychain.store(item, &value("value")).await.unwrap();
    }
    std::fs::write(folder.path().join("others.txt"), "not ours").unwrap();
    closed(folder.path()).clear().await.unwrap();
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["others.txt"]);
    // Again, and where there never was one.
    closed(folder.path()).clear().await.unwrap();
    closed(&folder.path().join("absent")).clear().await.unwrap();
}
