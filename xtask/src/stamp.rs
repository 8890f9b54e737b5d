//! Names for states of files, to see whether what was made of them is still what they say.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Doing as _, Failure};

/// FNV-1a, 64 bits: names a state and protects nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stamp(u64);

impl Stamp {
    /// Of nothing yet.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in some bytes.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        Self(
            bytes
                .iter()
                .fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)),
        )
    }

    /// Takes in a file: its content alone.
    pub fn with_file(self, path: &Path) -> Result<Self, Failure> {
        fs::read(path).doing(format_args!("read {}", path.display())).map(|content| self.with(&content))
    }

    /// Takes in every file below a folder, by name and content; `skipped` are names in the folder itself.
    pub fn with_folder(mut self, folder: &Path, skipped: &[&str]) -> Result<Self, Failure> {
        for path in sorted(folder)? {
            let name = path.file_name().unwrap_or_default();
            if skipped.iter().any(|skipped| name == *skipped) {
                continue;
            }
            self = self.with(name.as_encoded_bytes()).with(b"/");
            self = if path.is_dir() {
                self.with_folder(&path, &[])?.with(b"..")
            } else {
                self.with_file(&path)?
            };
        }
        Ok(self)
    }

    /// For a file or a file's name.
    pub fn text(self) -> String {
        format!("{:016x}", self.0)
    }

    /// Whether this was written there last.
    pub fn is_at(self, path: &Path) -> bool {
        fs::read_to_string(path).is_ok_and(|text| text == self.text())
    }

    /// Writes it there.
    pub fn write(self, path: &Path) -> Result<(), Failure> {
        let folder = path.parent().unwrap_or(path);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, self.text()));
        written.doing(format_args!("write {}", path.display()))
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder).doing(format_args!("read {}", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        // Published test vector of FNV-1a, 64 bits.
        assert_eq!(Stamp::new().with(b"foobar").text(), "85944171f73967e8");
    }

    #[test]
    fn whatever_changes_below_a_folder_changes_its_stamp_but_what_is_skipped_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let stamp = || Stamp::new().with_folder(folder.path(), &["dist"]).unwrap();
        let mut seen = vec![stamp()];
        let changes: [&dyn Fn(); 5] = [
            &|| fs::write(at("a"), "1").unwrap(),
            &|| fs::write(at("a"), "2").unwrap(),
            &|| fs::rename(at("a"), at("b")).unwrap(),
            &|| fs::create_dir(at("c")).unwrap(),
            &|| fs::rename(at("b"), at("c/b")).unwrap(),
        ];
        for change in changes {
            change();
            let now = stamp();
            assert!(!seen.contains(&now), "{seen:?}");
            seen.push(now);
        }
        fs::write(at("dist"), "made").unwrap();
        assert_eq!(seen.last(), Some(&stamp()));
        let kept = at("dist-stamp");
        assert!(!stamp().is_at(&kept));
        seen[0].write(&kept).unwrap();
        assert!(seen[0].is_at(&kept) && !seen[1].is_at(&kept));
    }
}
