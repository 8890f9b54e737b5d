//! The sandbox's portal against the document of the open token API, by schemathesis.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use keyfob_e2e::{Company, Output, Stage, folder, run};
use keyfob_sandbox::{Endpoint, Fault, Options, Permissions};
use serde_json::{Value, json};

/// Whose tokens the requests bear.
#[derive(Clone, Copy)]
enum Bearer {
    Administrator,
    Ordinary,
}

/// What the answers alone can be held against, whatever they refuse.
const CONFORMANCE: &str = "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

/// A company on the day of the document's examples, whose ends would be in the past on any later one.
fn company() -> Company {
    let day: Timestamp = "2026-11-21T09:00:00Z".parse().expect("a time");
    Company::with(Options { clock: Arc::new(move || day), ..Options::default() })
}

/// Runs schemathesis with a fixed seed on every operation; what it did, as its own report says.
#[track_caller]
fn hold_against_the_document(company: &Company, bearer: Bearer, arguments: &[&str]) -> (Output, Value) {
    let folder = folder();
    fs::write(folder.path().join("hooks.py"), include_str!("token_api/hooks.py")).expect("room for a file");
    let report = folder.path().join("report.json");
    let addresses = company.addresses();
    let token = json!({"owner": "root", "admin": matches!(bearer, Bearer::Administrator),
        "permissions": Permissions::READ, "seconds": 3600});
    let mut command = Command::new(Stage::get().python("st"));
    command
        .arg("run")
        .arg(Stage::get().document("token-api/openapi.yaml"))
        .args([
            "--url",
            &addresses.token_api_url,
            "--seed",
            "1",
            "--generation-database",
            "none",
            "--no-color",
        ])
        .args(["--report", "json", "--report-json-path"])
        .arg(&report)
        .args(arguments)
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SANDBOX_TOKENS", format!("{}/sandbox/tokens", addresses.admin_url))
        .env("SANDBOX_TOKEN", token.to_string());
    let output = run(command, "");
    let report =
        fs::read_to_string(&report).unwrap_or_else(|error| panic!("no report ({error}): {output:?}"));
    (output, serde_json::from_str(&report).expect("the report is JSON"))
}

/// Every operation was tried, in every phase that was asked for.
#[track_caller]
fn assert_whole(report: &Value, phases: &[&str]) {
    assert_eq!(report["complete"], true, "{report}");
    assert_eq!((&report["operations"]["total"], &report["operations"]["tested"]), (&json!(9), &json!(9)));
    for phase in phases {
        assert_eq!(report["phases"][phase]["status"], "success", "{phase}: {report}");
    }
}

#[test]
fn the_sandbox_is_what_the_document_says() {
    let company = company();
    // The document's examples name tokens that are there.
    for _ in 0..8 {
        company.portal().issue_token("ada", Permissions::READ, Timestamp::MAX);
    }
    let (output, report) = hold_against_the_document(
        &company,
        Bearer::Administrator,
        &["--checks", "all", "--max-examples", "25"],
    );
    output.ok();
    assert_whole(&report, &["examples", "coverage", "fuzzing", "stateful"]);
    let rates = report["valid_rates"].as_object().expect("rates by operation");
    assert_eq!(rates.len(), 9);
    for (operation, phases) in rates {
        let accepted = |phase: &Value| phase["accepted"].as_u64().unwrap_or_default();
        let all: u64 = phases.as_object().expect("phases").values().map(accepted).sum();
        assert!(all > 0, "{operation} never succeeded: {phases}");
    }
}

#[test]
fn refusals_are_what_the_document_says() {
    const QUICK: [&str; 6] =
        ["--checks", CONFORMANCE, "--phases", "examples,coverage", "--max-examples", "1"];
    let company = company();
    let (output, report) = hold_against_the_document(&company, Bearer::Ordinary, &QUICK);
    output.ok();
    assert_whole(&report, &["examples", "coverage"]);
    for endpoint in [Endpoint::TokenSelf, Endpoint::TokenRotate, Endpoint::TokenDelete, Endpoint::TokenAdmin]
    {
        company.faults().set(endpoint, Fault::Busy(7));
    }
    let (output, report) = hold_against_the_document(&company, Bearer::Administrator, &QUICK);
    output.ok();
    assert_whole(&report, &["examples", "coverage"]);
}

/// Else the tests above would prove nothing.
#[test]
fn a_service_that_answers_with_a_page_is_noticed() {
    let company = company();
    company.faults().set(Endpoint::TokenAdmin, Fault::Html);
    let arguments = ["--checks", CONFORMANCE, "--phases", "coverage", "--max-examples", "1"];
    let (output, report) = hold_against_the_document(&company, Bearer::Administrator, &arguments);
    assert_eq!(output.code, 1, "{output:?}");
    assert_ne!(report["failures"], json!([]));
}
