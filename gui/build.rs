//! Reads `tauri.conf.json` and `capabilities`, and makes the one command known.

use std::path::{Path, PathBuf};

use tauri_build::{AppManifest, Attributes};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=web/dist");
    println!("cargo:rerun-if-changed=icons");
    println!("cargo:rerun-if-changed=capabilities");
    if !Path::new("web/dist/index.html").is_file() {
        stand_in_for_the_page()?;
    }
    tauri_build::try_build(Attributes::new().app_manifest(AppManifest::new().commands(&["ask"])))?;
    Ok(())
}

/// The page is made by `npm run build` in `gui/web`, which `cargo xtask build` runs. Checks and unit tests do without.
fn stand_in_for_the_page() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var("PROFILE")? == "release" {
        return Err("gui/web/dist is missing: run `npm ci && npm run build` in gui/web".into());
    }
    let folder = PathBuf::from(std::env::var("OUT_DIR")?).join("page");
    std::fs::create_dir_all(&folder)?;
    let page = "<!doctype html><title>Keyfob</title><p>The page is not built: run npm ci && npm run build in gui/web.";
    std::fs::write(folder.join("index.html"), page)?;
    let folder = folder.display().to_string().replace('\\', "\\\\");
    // Read where the configuration is compiled in, and laid over the file.
    println!("cargo:rustc-env=TAURI_CONFIG={{\"build\":{{\"frontendDist\":\"{folder}\"}}}}");
    Ok(())
}
