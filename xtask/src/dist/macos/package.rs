//! The archive and the package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::bundle::{self, assemble, filled};
use super::sign;
use crate::dist::{Release, notices};
use crate::failure::{Doing as _, Failure, run};
use crate::{Checkout, say};

#[derive(Args)]
pub struct Arguments {
    /// Sign with this identity of the keychain ("Developer ID Application: …"); else signatures are ad hoc
    #[arg(long, value_name = "IDENTITY")]
    sign_as: Option<String>,
    /// Sign the package with this one ("Developer ID Installer: …")
    #[arg(long, value_name = "IDENTITY", requires = "sign_as")]
    sign_package_as: Option<String>,
    /// Let Apple notarize, with what `xcrun notarytool store-credentials` has put into the keychain under this name
    #[arg(long, value_name = "PROFILE", requires = "sign_package_as")]
    notarize_as: Option<String>,
    /// The keychain that has that name, where it is not the usual one
    #[arg(long, value_name = "FILE", requires = "notarize_as")]
    keychain: Option<PathBuf>,
}

/// Makes the bundle, signs and checks it, and packs it.
pub fn pack(checkout: &Checkout, release: &Release, arguments: &Arguments) -> Result<(), Failure> {
    let work = tempfile::tempdir().doing("make a folder to work in")?;
    let root = work.path().join("root");
    let app = assemble(&checkout.root, release, &root.join("Applications"))?;
    for (name, programs) in [("NOTICES", &notices::COMMAND_LINE), ("NOTICES-tray", &notices::TRAY)] {
        let file = app.join("Contents/Resources").join(format!("{name}.txt"));
        bundle::write(&file, &notices::of(checkout, programs)?)?;
    }
    bundle::date(&app, release.epoch)?;
    sign::sign(checkout, &app, arguments.sign_as.as_deref())?;
    sign::check(&app, arguments.sign_as.is_some())?;
    if arguments.sign_as.is_none() {
        say(
            "the signatures are ad hoc: macOS asks before it opens these, and the keychain after each update",
        );
    }
    let archive = output(release, "zip");
    zip(&app, &archive)?;
    if let Some(profile) = &arguments.notarize_as {
        notarize(&archive, profile, arguments.keychain.as_deref())?;
        // An archive cannot hold the ticket; the application in it can.
        run(Command::new("xcrun").args(["stapler", "staple"]).arg(&app))?;
        fs::remove_file(&archive).doing(format_args!("replace {}", archive.display()))?;
        zip(&app, &archive)?;
    }
    let package = output(release, "pkg");
    make_package(checkout, release, arguments, (work.path(), &root), &package)?;
    if let Some(profile) = &arguments.notarize_as {
        notarize(&package, profile, arguments.keychain.as_deref())?;
        run(Command::new("xcrun").args(["stapler", "staple"]).arg(&package))?;
        run(Command::new("spctl").args(["--assess", "--type", "install", "--verbose"]).arg(&package))?;
    }
    Ok(())
}

/// `Keyfob-0.1.0-aarch64.zip`
fn output(release: &Release, extension: &str) -> PathBuf {
    let name = format!("Keyfob-{}-{}.{extension}", release.version, std::env::consts::ARCH);
    release.folder.join(name)
}

fn zip(app: &Path, archive: &Path) -> Result<(), Failure> {
    // Apple's own keeps links, permissions and what a signature is stored in.
    run(Command::new("ditto").args(["-c", "-k", "--sequesterRsrc", "--keepParent"]).arg(app).arg(archive))
}

fn make_package(
    checkout: &Checkout,
    release: &Release,
    arguments: &Arguments,
    (work, root): (&Path, &Path),
    package: &Path,
) -> Result<(), Failure> {
    let sources = checkout.root.join(bundle::SOURCES);
    run(Command::new("plutil").arg("-lint").arg(sources.join("components.plist")))?;
    let mut pkgbuild = Command::new("pkgbuild");
    pkgbuild.arg("--root").arg(root).args(["--install-location", "/", "--ownership", "recommended"]);
    pkgbuild.args(["--identifier", "dev.keyfob.pkg", "--version", &release.version]);
    pkgbuild.arg("--component-plist").arg(sources.join("components.plist"));
    pkgbuild.arg("--scripts").arg(sources.join("scripts"));
    run(pkgbuild.arg(work.join("keyfob.pkg")))?;
    // As the installer calls it.
    let processor = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let distribution = work.join("Distribution.xml");
    bundle::write(&distribution, &filled(&sources.join("Distribution.xml"), &release.version, processor)?)?;
    let mut productbuild = Command::new("productbuild");
    productbuild.arg("--distribution").arg(&distribution).arg("--package-path").arg(work);
    if let Some(identity) = &arguments.sign_package_as {
        productbuild.args(["--sign", identity, "--timestamp"]);
    }
    run(productbuild.arg(package))?;
    if arguments.sign_package_as.is_some() {
        run(Command::new("pkgutil").arg("--check-signature").arg(package))?;
    }
    Ok(())
}

fn notarize(file: &Path, profile: &str, keychain: Option<&Path>) -> Result<(), Failure> {
    let mut notarytool = Command::new("xcrun");
    notarytool.args(["notarytool", "submit", "--wait", "--timeout", "30m", "--keychain-profile", profile]);
    if let Some(keychain) = keychain {
        notarytool.arg("--keychain").arg(keychain);
    }
    run(notarytool.arg(file))
}
