//! `cargo xtask dist`: what people install, made in `target/dist` from what `cargo xtask build --release` makes.
//!
//! Each system makes its own: packages and an archive on Linux, the application on macOS, the installer on Windows. What is made
//! depends on the sources, the version and the time of the release, and on the tools: whoever makes it again with the same ones gets the
//! same bytes.

#[cfg(target_os = "linux")]
mod archive;
#[cfg(target_os = "linux")]
mod checksums;
#[cfg(target_os = "linux")]
mod documents;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", test))]
#[cfg(unix)]
mod macos;
#[cfg(target_os = "linux")]
mod manifests;
mod marks;
mod notices;
#[cfg(target_os = "linux")]
mod sbom;
#[cfg(target_os = "linux")]
mod sizes;
#[cfg(target_os = "linux")]
mod trial;
#[cfg(any(target_os = "linux", windows))]
pub mod windows;

use std::env::consts::EXE_SUFFIX;
use std::fs;
#[cfg(target_os = "linux")]
use std::io::Write as _;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};

use clap::Args;

use crate::failure::{Doing as _, Failure};
use crate::{Checkout, build, say, tray};

#[derive(Args)]
pub struct Arguments {
    /// Only make the packages; do not install them anywhere to try them out
    #[arg(long)]
    without_trial: bool,
    /// Pack the programs that lie in target/release, and build none
    #[arg(long)]
    as_built: bool,
    /// Where the files of this release will be, for the manifests of package managers
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "URL", default_value = manifests::NOWHERE)]
    download_from: String,
    /// Build nothing: sum up the files of all systems that lie in this folder, and fill in the manifests that name them
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "FOLDER")]
    manifests_only: Option<PathBuf>,
    #[cfg(target_os = "macos")]
    #[command(flatten)]
    macos: macos::Arguments,
}

/// What is packed.
#[derive(Clone)]
pub struct Release {
    /// As in `Cargo.toml`: `0.1.0`.
    pub version: String,
    /// Seconds since 1970 that every file of a package is dated with: `SOURCE_DATE_EPOCH`, else the time of the last commit.
    pub epoch: u64,
    /// `keyfob`, stripped; its other names lie beside it.
    pub keyfob: PathBuf,
    /// `keyfobd`, stripped.
    pub keyfobd: PathBuf,
    /// `keyfob-tray`, stripped.
    pub tray: PathBuf,
    /// Where packages go: `target/dist`, empty at the start.
    pub folder: PathBuf,
}

/// Builds, packs, and tries out.
pub fn run(checkout: &Checkout, arguments: &Arguments) -> Result<(), Failure> {
    #[cfg(target_os = "linux")]
    if let Some(folder) = &arguments.manifests_only {
        checksums::write(folder)?;
        return manifests::write(checkout, env!("CARGO_PKG_VERSION"), &arguments.download_from, folder);
    }
    #[cfg(target_os = "linux")]
    linux::install_tools()?;
    let release = release(checkout, arguments.as_built)?;
    marks::check(checkout, &release)?;
    #[cfg(target_os = "linux")]
    on_linux(checkout, &release, arguments)?;
    #[cfg(target_os = "macos")]
    macos::pack(checkout, &release, &arguments.macos)?;
    #[cfg(windows)]
    windows::pack(checkout, &release)?;
    say(&format!("made {}", release.folder.display()));
    Ok(())
}

/// The packages and what goes with them: the archive, what is inside of the programs, checksums, manifests of package managers.
#[cfg(target_os = "linux")]
fn on_linux(checkout: &Checkout, release: &Release, arguments: &Arguments) -> Result<(), Failure> {
    let packages = linux::tree::packages(checkout, release)?;
    linux::pack(checkout, release, &packages)?;
    let archive = archive::make(checkout, release, &packages)?;
    archive::try_out(&archive, &release.version)?;
    sizes::check(release)?;
    sbom::write(checkout, release)?;
    checksums::write(&release.folder)?;
    manifests::write(checkout, &release.version, &arguments.download_from, &release.folder)?;
    if arguments.without_trial { Ok(()) } else { trial::run(checkout, release, &packages) }
}

fn release(checkout: &Checkout, as_built: bool) -> Result<Release, Failure> {
    let (keyfob, keyfobd, tray) = if as_built {
        let there = |name: &str| checkout.root.join("target/release").join(format!("{name}{EXE_SUFFIX}"));
        (there("keyfob"), there("keyfobd"), there(tray::PROGRAM))
    } else {
        let product = build::product(checkout, true)?;
        (product.keyfob, product.keyfobd, tray::build(checkout, true)?)
    };
    let folder = checkout.root.join("target/dist");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::new(format!("cannot empty {}: {error}", folder.display())));
        }
        _ => {}
    }
    fs::create_dir_all(&folder).doing(format_args!("make {}", folder.display()))?;
    Ok(Release {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: checkout.release_time()?,
        keyfob,
        keyfobd,
        tray,
        folder,
    })
}

/// Compressed as small as it goes, without a name or a date of its own.
#[cfg(target_os = "linux")]
fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut gzip = Command::new("gzip");
    gzip.args(["--best", "--no-name"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = gzip.spawn().doing("start gzip")?;
    let input = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // It writes while it reads, and a pipe holds little.
        scope.spawn(|| input.map(|mut input| input.write_all(bytes)));
        child.wait_with_output()
    });
    let output = output.doing("read from gzip")?;
    if output.status.success() { Ok(output.stdout) } else { Err(Failure::of_status("gzip", output.status)) }
}
