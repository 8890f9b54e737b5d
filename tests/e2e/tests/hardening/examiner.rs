//! The examiner is root: it must serve its user, about processes of that user, and nobody else.

use keyfob_e2e::{Examiner, Foreigner, Stage};

/// `EACCES`.
const DENIED: i32 = 13;

#[test]
fn the_examiner_sees_into_the_testers_own_processes_alone() {
    let mut examiner = Examiner::meet();
    let ours = std::process::id();
    assert!(!examiner.mappings(ours).is_empty());
    for line in ["maps 1", "environment 1", "search 1 61626364"] {
        let refused = examiner.try_ask(line);
        let error = refused["error"].as_str().unwrap_or_default();
        assert!(error.contains("process 1 is not one of user"), "{line}: {refused}");
    }
    for line in ["", "maps", "maps x", "write 1", &format!("search {ours} 61"), &format!("search {ours} xy")]
    {
        assert!(examiner.try_ask(line)["error"].is_string(), "{line}");
    }
}

#[test]
fn the_examiner_does_not_talk_to_another_user() {
    let mut foreigner = Foreigner::meet();
    let tried = foreigner.connect(&Stage::get().examiner, b"maps 1\n");
    assert_eq!((&tried["connected"], &tried["errno"]), (&false.into(), &DENIED.into()), "{tried}");
}
