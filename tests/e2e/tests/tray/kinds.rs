//! Chains, other programs' keys, keys of OUTSCALE and what waits for a job, in the window, with a real agent behind it.

use keyfob_e2e::Company;
use keyfob_e2e::real::together;

use crate::everything;
use crate::seat::{Seat, begin, due, go, row};

const DIALOG: &str = "dialog[data-dialog=key]";
const RENEWAL: &[&str] = &[
    "api:CreateAccessKey",
    "api:ReadAccessKeys",
    "api:UpdateAccessKey",
    "api:DeleteAccessKey",
    "ec2:Describe*",
];

fn kinds(company: &Company) -> String {
    let at = company.addresses();
    let (roles, sts, signin) = (&at.roles, &at.sts_url, &at.signin_url);
    let role = format!("role_arn = \"{}\"\nendpoint_url = \"{sts}\"\n", roles[1]);
    format!(
        "{}signin_url = \"{signin}\"\n\
         [aws.audit]\nsource = \"dev\"\n{role}\
         [aws.legacy]\ncommand = [\"/bin/cat\", \"/nowhere\"]\n\
         [aws.deploy]\nmachine = \"ci\"\nregion = \"eu-west-1\"\n{role}\
         [machine.ci]\n\
         [outscale.monitoring]\nregion = \"eu-west-2\"\nuser = \"monitoring\"\nendpoint_url = \"{}\"\n",
        everything(company),
        at.outscale_url
    )
}

#[test]
fn each_kind_is_shown_as_what_it_is_and_no_job_is_calm() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&kinds(&company));
    company.sign_in(&seat.profile, "okta");
    let window = seat.drive();
    for (entry, state, words) in [
        ("aws.audit", "live", "AWS role via dev"),
        ("aws.legacy", "live", "AWS keys of a program"),
        ("aws.deploy", "idle", "AWS role via ci"),
        ("machine.ci", "idle", "Job identity"),
        ("outscale.monitoring", "signed-out", "OUTSCALE key"),
    ] {
        window.wait_for(&format!("{}[data-state={state}]", row(entry)));
        window.wait_for_text(&row(entry), words);
    }
    window.wait_for_text(&row("aws.audit"), "Not used yet");
    window.wait_for_text(&row("machine.ci"), "No job here");
    // The chain serves, and the window follows.
    seat.profile.credential_process("aws.audit").ok();
    window.wait_for_text(&row("aws.audit"), "renews by itself");
    go(&window, "timeline");
    window.wait_for_text("main", "no job here");
    go(&window, "permissions");
    window.wait_for_text("main", "Chain");
}

#[test]
fn a_key_is_given_in_two_halves_and_taken_away_again() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&kinds(&company));
    let key = company.outscale().add_user("monitoring", RENEWAL, None);
    let window = seat.drive();
    window.click(&due("outscale.monitoring", "add-token"));
    window.type_into(&format!("{DIALOG} [name=value]"), &key.id);
    window.type_into(&format!("{DIALOG} [name=secret-key]"), &key.secret);
    window.click(&format!("{DIALOG} button[data-act=keep]"));
    window.wait_for(&format!("{DIALOG} [data-outcome]"));
    window.click(&format!("{DIALOG} button[data-act=close]"));
    window.wait_for_none(DIALOG);
    window.wait_for(&format!("{}[data-state=live]", row("outscale.monitoring")));
    let keys = seat.profile.credential_process("outscale.monitoring").ok().json();
    assert_ne!(keys["AccessKeyId"], key.id, "another key than that which makes them");
    assert_eq!(keys.get("SessionToken"), None);
    begin(&window, "outscale.monitoring", "remove-token");
    window.click("dialog[data-dialog=remove] button[data-act=remove]");
    window.wait_for(&format!("{}[data-state=signed-out]", row("outscale.monitoring")));
}

#[test]
fn the_console_opens_from_the_row_of_a_role() {
    let _turn = together();
    let company = Company::start();
    let seat = Seat::new(&kinds(&company));
    company.sign_in(&seat.profile, "okta");
    let window = seat.drive();
    window.wait_for(&format!("{}[data-state=live]", row("aws.dev")));
    begin(&window, "aws.dev", "open-console");
    let visits = keyfob_e2e::wait_for_some("a visit", keyfob_e2e::PATIENCE, || {
        Some(company.console().visits()).filter(|visits| !visits.is_empty())
    });
    assert!(visits[0].who.contains("assumed-role/OktaRole/"), "{visits:?}");
    window.wait_for_text("body", "sent to the AWS console");
}
