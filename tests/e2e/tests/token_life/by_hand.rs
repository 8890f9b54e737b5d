//! A service that is a page and nothing else, as Aspect Workflows is today.

use keyfob_e2e::real::http;
use keyfob_e2e::{Company, MEMORY, Profile, token};

use crate::{HOST, cluster_says, entry, given, in_days, notes, refused, text};

/// `token.aspect` with the company's page.
fn on_a_page(company: &Company) -> Profile {
    let portal = &company.addresses().portal_url;
    Profile::new(&[MEMORY, &token("aspect", HOST), &format!("portal = \"{portal}\"\n")].concat())
}

/// What the page shows this once.
pub fn generate(company: &Company) -> String {
    let page = http::get(&company.addresses().portal_url, None).body;
    let (_, rest) = page.split_once("<code id=\"token\">").expect("the page has a token");
    let (shown, _) = rest.split_once("</code>").expect("the page is whole");
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    marks.iter().fold(shown.to_owned(), |text, (escaped, mark)| text.replace(escaped, mark))
}

#[test]
fn a_token_from_a_page_lives_as_long_as_the_configuration_says() {
    let company = Company::start();
    let profile = on_a_page(&company);
    let value = generate(&company);
    assert!(company.portal().is_live(&value), "the page was read well");
    profile.add_token("aspect", &value);
    assert_eq!(given(&profile), value);
    assert_eq!(cluster_says(&company, &value), 200);
    let status = entry(&profile, "token.aspect");
    assert_eq!((&status["until_assumed"], text(&status["until_by"])), (&true.into(), "configuration".into()));
    assert_eq!(text(&status["until"])[..10], in_days(365).to_string()[..10]);
    let page = profile.run(&["status"], "").ok().stdout;
    assert!(page.contains("about 36"), "an end that is only assumed is not exact: {page}");

    // An edit counts for the token that is held.
    let config = std::fs::read_to_string(profile.config()).expect("our own file");
    profile.configure(&format!("{config}lifetime = \"20d\"\n"));
    let status = entry(&profile, "token.aspect");
    assert_eq!(text(&status["until"])[..10], in_days(20).to_string()[..10]);
    assert_eq!(text(&status["state"]), "ending");
}

#[test]
fn a_rotation_by_hand_takes_the_new_value_and_the_old_one_serves_until_then() {
    let company = Company::start();
    let profile = on_a_page(&company);
    let old = generate(&company);
    refused(profile.run(&["token", "rotate", "aspect"], &*old), 3);
    profile.add_token("aspect", &old);
    assert_eq!(cluster_says(&company, &old), 200);

    // Nothing and the very same value are no rotation; a program is told where the page is.
    for (value, reason) in [("", "token"), (&*old, "this is the very token"), ("gh_0123456789", "aw_")] {
        let said = refused(profile.run(&["token", "rotate", "aspect"], value), 1);
        assert!(said.contains(reason), "no `{reason}`: {said}");
        assert_eq!(given(&profile), old);
    }
    let new = generate(&company);
    assert!(company.portal().is_live(&new) && !company.portal().is_live(&old), "the page rotates");
    let output = profile.run(&["token", "rotate", "aspect"], &*new).ok();
    assert!(!output.stdout.contains(&new) && !output.stderr.contains(&new), "the value is repeated");
    assert_eq!(given(&profile), new);
    // The cluster has seen the old one within the hour.
    assert_eq!(cluster_says(&company, &old), 200);
    assert!(notes(&profile).contains("may accept the token before this one until"), "{}", notes(&profile));

    // What Keyfob cannot delete there it says.
    let said = profile.run(&["token", "remove", "aspect"], "").ok();
    assert!(said.stdout.contains("delete it on http"), "{said:?}");
    assert!(company.portal().is_live(&new));
    refused(profile.get(crate::URI), 3);
}
