//! What does not run under Wine, and why. `.github/workflows/check.yml` runs it on a real Windows.

use std::process::Command;

use crate::cargo::Artifact;
use crate::say;

struct LeftOut {
    /// The name of the test file, as cargo has it.
    file: &'static str,
    /// A test in it; all of them where there is none.
    test: Option<&'static str>,
    why: &'static str,
}

const COMMAND: &str = "where the agent starts a command, this Wine's cmd.exe ends with 1";
const QUIET: &str = "its time limit is one that Wine keeps on a quiet machine alone";
const WATCHED: &str = "an edit that is looked for in the background is not heard of in time under Wine";

const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        file: "keyfob_ipc",
        test: Some("peer::platform::process::tests::arguments_are_what_the_process_was_called_with"),
        why: "Wine 8 tells nobody the command line of a process",
    },
    of_the_ring("kinds::a_role_whose_keys_went_with_an_edit_is_as_if_it_had_not_been_used", COMMAND),
    of_the_ring("kinds::doctor_has_words_for_each_and_asks_nobody_where_no_job_runs", COMMAND),
    of_the_ring("kinds::what_the_agent_renews_by_itself_is_never_ending_and_its_renewal_is_planned", COMMAND),
    of_the_ring("aws::three_hundred_callers_make_one_call", QUIET),
    of_the_ring("config::the_status_of_thousands_of_entries_fits_through_the_door_in_time", QUIET),
    of_the_ring("refresh::three_hundred_asks_at_once_make_one_refresh_and_read_the_keychain_once", QUIET),
    of_the_ring(
        "consent::kept::what_a_clock_that_is_set_back_has_ended_does_not_come_back_with_a_restart",
        QUIET,
    ),
    of_the_ring("reminders::kept::a_watcher_that_comes_takes_what_nobody_could_show", QUIET),
    of_the_ring("news::an_edit_is_heard_of_without_a_question", WATCHED),
    of_the_ring("news::an_edit_that_does_not_load_is_heard_of_and_so_is_its_mending", WATCHED),
];

const fn of_the_ring(test: &'static str, why: &'static str) -> LeftOut {
    LeftOut { file: "ring", test: Some(test), why }
}

/// Adds the arguments with which a test file runs without what is left out, and says what that is. Returns whether anything is left
/// to run.
pub fn without(file: &Artifact, command: &mut Command) -> bool {
    let of_the_file: Vec<_> = LEFT_OUT.iter().filter(|left_out| left_out.file == file.name).collect();
    for left_out in &of_the_file {
        let what = left_out.test.unwrap_or("all tests");
        say(&format!("left out under Wine: {what} of {} ({})", file.name, left_out.why));
    }
    if of_the_file.iter().any(|left_out| left_out.test.is_none()) {
        return false;
    }
    let tests: Vec<_> = of_the_file.iter().filter_map(|left_out| left_out.test).collect();
    if !tests.is_empty() {
        command.arg("--exact");
    }
    for test in tests {
        command.args(["--skip", test]);
    }
    true
}
