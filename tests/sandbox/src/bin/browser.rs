//! `keyfob-sandbox-browser URL [USER_CODE]`: stands in for a person at a browser, as `$BROWSER` in tests and the demo.

use std::io::Write as _;
use std::process::ExitCode;

use keyfob_sandbox::browser::Browser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), user_code, None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return complaint("usage: keyfob-sandbox-browser URL [USER_CODE]", 2);
    };
    let mut browser = Browser::new("ada");
    if let Some(user_code) = user_code {
        browser = browser.with_user_code(&user_code);
    }
    match browser.visit(&url).await {
        Ok(page) if page.status < 400 => ExitCode::SUCCESS,
        // The address may carry a code, so only its path is said.
        Ok(page) => complaint(&format!("{} answered {}", page.url.path(), page.status), 1),
        Err(problem) => complaint(&problem.to_string(), 1),
    }
}

fn complaint(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "keyfob-sandbox-browser: {text}");
    ExitCode::from(code)
}
