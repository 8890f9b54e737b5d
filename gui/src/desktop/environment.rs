//! What of an environment the tray program does not run with.
//!
//! Whoever pastes a token into the window must be sure that nobody looks in, and a variable that an installer left in a login
//! profile is the easiest way to. Such a variable is already at work when `main` begins (a loader's) or is read by libraries
//! behind our back (the web view's), so the program starts itself again without them before anything else. A program that is
//! started by an enemy with everything chosen by them cannot be saved by this, nor by anything else.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Names, or beginnings of names where a star ends them. Each could put code or eyes of others into this process or into the
/// web view's.
const STRIPPED: &[&str] = &[
    // Loaded into every program, before its first line.
    "LD_PRELOAD",
    "LD_AUDIT",
    "DYLD_*",
    "GCONV_PATH",
    // GTK and what it is built on load modules from these, or open a debugger on the window. Not GTK_IM_MODULE, which names
    // an installed input method, and not GTK_THEME.
    "GTK_MODULES",
    "GTK3_MODULES",
    "GTK_PATH",
    "GTK_EXE_PREFIX",
    "GTK_DATA_PREFIX",
    "GTK_IM_MODULE_FILE",
    "GTK_DEBUG",
    "GDK_DEBUG",
    "GDK_PIXBUF_MODULE_FILE",
    "GDK_PIXBUF_MODULEDIR",
    "GIO_EXTRA_MODULES",
    "GIO_MODULE_DIR",
    "GST_*",
    // Drivers of the graphics card. The page is drawn without it.
    "LIBGL_DRIVERS_PATH",
    "GBM_BACKEND",
    "GBM_BACKENDS_PATH",
    "__EGL_VENDOR_LIBRARY_*",
    "__EGL_EXTERNAL_PLATFORM_CONFIG_*",
    "VK_*",
    "LIBVA_DRIVERS_PATH",
    "VDPAU_DRIVER_PATH",
    // The web view's own: a remote inspector, other programs in the place of its processes, no sandbox, engine switches.
    "WEBKIT_INSPECTOR_*",
    "WEBKIT_EXEC_PATH",
    "WEBKIT_INJECTED_BUNDLE_PATH",
    "WEBKIT_DISABLE_SANDBOX*",
    "WEBKIT_FORCE_SANDBOX",
    "WEBKIT_DEBUG",
    "JSC_*",
    "WEB_PROCESS_CMD_PREFIX",
    "NETWORK_PROCESS_CMD_PREFIX",
    // Arguments for the browser in WebView2 (`--remote-debugging-port`), another browser, another folder of its data.
    "WEBVIEW2_*",
    "COREWEBVIEW2_*",
    // WebDriver.
    "TAURI_*",
];

/// Where libraries are looked for before their own places. There are systems on which programs find none without it.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// What the end-to-end tests need of that to drive the window: WebDriver starts the program with these.
#[cfg(feature = "testing")]
const KEPT: &[&str] = &["TAURI_AUTOMATION", "TAURI_WEBVIEW_AUTOMATION", "WEBKIT_INSPECTOR_SERVER"];

/// What a program with the feature `testing` carries: `cargo xtask dist` ships none that does.
#[cfg(feature = "testing")]
pub const MARK: &str = "KEYFOB-TESTING-ONLY";
#[cfg(not(feature = "testing"))]
const KEPT: &[&str] = &[];

/// What the web view has to find: it draws without the graphics card here, and would load the card's driver all the same.
const ADDED: &[(&str, &str)] =
    if cfg!(target_os = "linux") { &[("WEBKIT_DISABLE_DMABUF_RENDERER", "1")] } else { &[] };

/// The environment to start again with; `None` where this one is as it should be. `is_of_the_system` tells of a folder whether
/// the system's own hands alone put files there ([`belongs_to_root`]).
pub fn cleaned(
    all: impl IntoIterator<Item = (OsString, OsString)>,
    is_of_the_system: impl Fn(&Path) -> bool,
) -> Option<Vec<(OsString, OsString)>> {
    let (stripped, mut clean): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, value)| {
        is_stripped(name, KEPT) || (name == LIBRARIES && !are_all(value, &is_of_the_system))
    });
    let missing = ADDED.iter().filter(|(added, _)| clean.iter().all(|(name, _)| name != added));
    let missing: Vec<_> = missing.map(|(name, value)| (name.into(), value.into())).collect();
    let is_as_it_should_be = stripped.is_empty() && missing.is_empty();
    clean.extend(missing);
    (!is_as_it_should_be).then_some(clean)
}

/// Whether every folder of the loader's list is such a one. An empty or relative one is wherever the program is started.
fn are_all(folders: &OsStr, is_of_the_system: impl Fn(&Path) -> bool) -> bool {
    let Some(folders) = folders.to_str() else { return false };
    folders.split([':', ';']).map(Path::new).all(|folder| folder.is_absolute() && is_of_the_system(folder))
}

/// Whether root alone decides what is in a folder: it is there, it and all above it are root's, and nobody else can write or
/// put another in its place.
#[cfg(unix)]
pub fn belongs_to_root(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    const WRITABLE: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let facts = |folder: &Path| folder.metadata().ok().filter(|facts| facts.is_dir() && facts.uid() == 0);
    let is_closed = |folder: &Path| facts(folder).is_some_and(|facts| facts.mode() & WRITABLE == 0);
    // In a sticky folder, only who owns something replaces it: /nix/store.
    let is_kept = |above: &Path| {
        facts(above).is_some_and(|facts| facts.mode() & WRITABLE == 0 || facts.mode() & STICKY != 0)
    };
    let Ok(resolved) = folder.canonicalize() else { return false };
    [folder, &*resolved].iter().all(|folder| is_closed(folder) && folder.ancestors().skip(1).all(is_kept))
}

/// Elsewhere no loader reads that list.
#[cfg(not(unix))]
pub fn belongs_to_root(_folder: &Path) -> bool {
    false
}

fn is_stripped(name: &OsStr, kept: &[&str]) -> bool {
    let name = name.to_string_lossy();
    // To Windows, names are the same in any case.
    let name = if cfg!(windows) { name.to_ascii_uppercase() } else { name.into_owned() };
    let matches = |known: &&str| match known.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *known,
    };
    STRIPPED.iter().any(matches) && !kept.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(name: &str, kept: &[&str]) -> bool {
        is_stripped(OsStr::new(name), kept)
    }

    #[test]
    fn nobody_drives_the_window_or_looks_in() {
        for name in [
            "TAURI_WEBVIEW_AUTOMATION",
            "TAURI_AUTOMATION",
            "WEBKIT_INSPECTOR_SERVER",
            "WEBKIT_INSPECTOR_HTTP_SERVER",
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS",
            "WEBVIEW2_ADDITIONAL_BROWSER_ARGUMENTS",
            "GTK_MODULES",
            "GTK_DEBUG",
            "LD_PRELOAD",
            "DYLD_INSERT_LIBRARIES",
            "JSC_useDollarVM",
            "LIBGL_DRIVERS_PATH",
            "GBM_BACKENDS_PATH",
            "__EGL_VENDOR_LIBRARY_DIRS",
            "__EGL_VENDOR_LIBRARY_FILENAMES",
            "VK_ADD_LAYER_PATH",
            "VK_INSTANCE_LAYERS",
            "VK_ICD_FILENAMES",
            "VK_DRIVER_FILES",
            "LIBVA_DRIVERS_PATH",
        ] {
            assert!(stripped(name, &[]), "{name}");
        }
    }

    #[test]
    fn what_a_desktop_needs_stays() {
        for name in [
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "DBUS_SESSION_BUS_ADDRESS",
            "GTK_IM_MODULE",
            "GTK_THEME",
            "WEBKIT_DISABLE_DMABUF_RENDERER",
            "LIBGL_ALWAYS_SOFTWARE",
            "KEYFOB_STATE_DIR",
            "LANG",
        ] {
            assert!(!stripped(name, &[]), "{name}");
        }
    }

    fn cleaned(all: Vec<(OsString, OsString)>) -> Option<Vec<(OsString, OsString)>> {
        super::cleaned(all, |folder| folder.starts_with("/run"))
    }

    #[cfg(unix)]
    #[test]
    fn libraries_come_out_of_folders_of_the_system_alone() {
        let clean = environment(&["HOME"]);
        let with = |folders: &str| {
            let mut all = clean.clone();
            all.push((LIBRARIES.into(), folders.into()));
            all
        };
        for good in ["/run/opengl-driver/lib", "/run/a:/run/b"] {
            assert_eq!(cleaned(with(good)), None, "{good}");
        }
        for bad in ["/home/ada/lib", "/run/a:/home/ada/lib", "/run/a:", ":/run/a", "lib", "/run/a;/tmp/x", ""]
        {
            assert_eq!(cleaned(with(bad)), Some(clean.clone()), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_write_is_not_of_the_system() {
        use std::os::unix::fs::{DirBuilderExt as _, symlink};
        assert!(belongs_to_root(Path::new("/")) && belongs_to_root(Path::new("/etc")));
        let folder = tempfile::tempdir().unwrap();
        let (open, link) = (folder.path().join("open"), folder.path().join("link"));
        std::fs::DirBuilder::new().mode(0o777).create(&open).unwrap();
        std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        symlink(&open, &link).unwrap();
        let below = open.join("below");
        std::fs::create_dir(&below).unwrap();
        for bad in [&*open, &link, &below, Path::new("/nowhere"), Path::new("/tmp"), Path::new("/etc/passwd")]
        {
            assert!(!belongs_to_root(bad), "{}", bad.display());
        }
    }

    /// With what is always added.
    fn environment(names: &[&str]) -> Vec<(OsString, OsString)> {
        let given = names.iter().map(|name| (name.into(), "1".into()));
        given.chain(ADDED.iter().map(|(name, value)| (name.into(), value.into()))).collect()
    }

    #[test]
    fn a_clean_environment_is_not_started_again() {
        let clean = environment(&["HOME"]);
        assert_eq!(cleaned(clean.clone()), None);
        assert_eq!(cleaned(environment(&["HOME", "LD_PRELOAD"])), Some(clean.clone()));
        let bare = clean[..1].to_vec();
        assert_eq!(cleaned(bare), (!ADDED.is_empty()).then_some(clean));
    }

    #[test]
    fn only_a_build_for_tests_can_be_driven() {
        let kept = cleaned(environment(&["TAURI_WEBVIEW_AUTOMATION"]));
        assert_eq!(kept.is_none(), cfg!(feature = "testing"));
        for name in ["LD_PRELOAD", "GTK_MODULES", "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS"] {
            assert!(is_stripped(OsStr::new(name), KEPT), "{name}");
        }
    }
}
