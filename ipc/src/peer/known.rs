//! Windows: the known folders of this user, as the system has them.

use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::S_OK;
use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::Win32::UI::Shell::{
    FOLDERID_LocalAppData, FOLDERID_Profile, FOLDERID_RoamingAppData, KF_FLAG_DONT_VERIFY,
    SHGetKnownFolderPath,
};
use windows_sys::core::GUID;

use crate::peer::Folders;

/// The longest path that Windows knows, in UTF-16 units.
const LONGEST: usize = 32 * 1024;

/// The folders of this user by the system.
///
/// The profile is what the system noted when it made the account's profile. The two others are kept relative to
/// `%USERPROFILE%`, so that a false `USERPROFILE` may move them: trust them only where that variable is absent or agrees
/// with the profile.
pub fn folders() -> Folders {
    Folders {
        home: known(&FOLDERID_Profile),
        local_app_data: known(&FOLDERID_LocalAppData),
        app_data: known(&FOLDERID_RoamingAppData),
    }
}

/// One known folder. Whether it is there is not looked at: it may be on a file server.
fn known(folder: &GUID) -> Option<PathBuf> {
    let mut text = null_mut();
    // SAFETY: `folder` is borrowed, a null token stands for this user, and the result is ours.
    let answer = unsafe {
        SHGetKnownFolderPath(folder, KF_FLAG_DONT_VERIFY.cast_unsigned(), null_mut(), &raw mut text)
    };
    let path = (answer == S_OK && !text.is_null()).then(|| {
        // SAFETY: the call has made a text that ends with a zero, and no unit behind that is read.
        let length = (0..LONGEST).take_while(|at| unsafe { *text.add(*at) } != 0).count();
        // SAFETY: these units were just read.
        PathBuf::from(OsString::from_wide(unsafe { std::slice::from_raw_parts(text, length) }))
    });
    // SAFETY: the text is freed once, after its last use and even after a failure, as the call asks; null is fine.
    unsafe { CoTaskMemFree(text.cast_const().cast()) };
    path.filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// In the environment of a child: the file that it writes its answer to.
    const ANSWER: &str = "KNOWN_FOLDERS_ANSWER";

    #[test]
    fn all_are_known() {
        let folders = folders();
        assert!(folders.home.is_some_and(|home| home.is_dir()));
        assert!(folders.local_app_data.is_some());
        assert!(folders.app_data.is_some());
    }

    #[test]
    fn no_variable_moves_the_home() {
        let home = format!("{:?}", folders().home);
        if let Some(answer) = std::env::var_os(ANSWER) {
            return std::fs::write(answer, home).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let answer = folder.path().join("home");
        let variables = ["USERPROFILE", "HOMEPATH", "USERNAME", "LOCALAPPDATA", "APPDATA"];
        let child = Command::new(std::env::current_exe().unwrap())
            .arg("no_variable_moves_the_home")
            .env(ANSWER, &answer)
            .envs(variables.map(|name| (name, r"C:\elsewhere")))
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        assert_eq!(std::fs::read_to_string(answer).unwrap(), home);
    }
}
