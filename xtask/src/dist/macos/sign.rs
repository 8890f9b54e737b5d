//! Signatures, by codesign(1), and what is held to be true of them.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{SIGNED, TRAY, bundle};
use crate::Checkout;
use crate::failure::{Doing as _, Failure, run};

/// Signs the programs, then the bundle with all that is in it. Without an identity the signatures are ad hoc: whole, and nobody's.
pub fn sign(checkout: &Checkout, app: &Path, identity: Option<&str>) -> Result<(), Failure> {
    for (program, identifier) in SIGNED {
        sign_one(checkout, &app.join("Contents/MacOS").join(program), identifier, identity)?;
    }
    sign_one(checkout, app, TRAY, identity)
}

fn sign_one(
    checkout: &Checkout,
    path: &Path,
    identifier: &str,
    identity: Option<&str>,
) -> Result<(), Failure> {
    let mut codesign = Command::new("codesign");
    codesign.args(["--force", "--options", "runtime", "--identifier", identifier]);
    codesign.arg("--entitlements").arg(checkout.root.join(bundle::SOURCES).join("entitlements.plist"));
    codesign.args(["--sign", identity.unwrap_or("-")]);
    // A signature of nobody's gets no time stamp from Apple.
    codesign.arg(if identity.is_some() { "--timestamp" } else { "--timestamp=none" });
    run(codesign.arg(path))
}

/// Holds signatures and property lists to Apple's own checkers, and to what the keychain knows a program by.
pub fn check(app: &Path, has_identity: bool) -> Result<(), Failure> {
    run(Command::new("plutil").arg("-lint").arg(app.join("Contents/Info.plist")))?;
    let programs = SIGNED.map(|(program, identifier)| (app.join("Contents/MacOS").join(program), identifier));
    for (path, identifier) in programs.iter().map(|(path, name)| (&**path, *name)).chain([(app, TRAY)]) {
        run(Command::new("codesign").args(["--verify", "--strict", "--deep", "--verbose=2"]).arg(path))?;
        let signature = said("codesign", &["--display", "--verbose=4"], path)?;
        let wrong = |what: &str| Failure::new(format!("{} {what}:\n{signature}", path.display()));
        if !signature.lines().any(|line| line == format!("Identifier={identifier}")) {
            return Err(wrong(&format!("is not signed as {identifier}")));
        }
        let has_runtime =
            signature.lines().any(|line| line.starts_with("CodeDirectory") && line.contains("runtime"));
        if !has_runtime {
            return Err(wrong("is not signed for the hardened runtime"));
        }
        // The requirement that the next version has to meet, too. That of an ad hoc signature is this one file.
        let requirement = said("codesign", &["--display", "--requirements", "-"], path)?;
        let is_lasting =
            requirement.contains(&format!("identifier \"{identifier}\"")) && !requirement.contains("cdhash");
        if has_identity && !is_lasting {
            return Err(Failure::new(format!(
                "the keychain would ask again after each update of {}: {requirement}",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Both streams of a program that looks at a path.
fn said(program: &str, arguments: &[&str], path: &Path) -> Result<String, Failure> {
    let mut command = Command::new(program);
    let output = command.args(arguments).arg(path).stdin(Stdio::null()).output();
    let output = output.doing(format_args!("start {program}"))?;
    if !output.status.success() {
        return Err(Failure::of_status(program, output.status));
    }
    let both = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&both).into_owned())
}
