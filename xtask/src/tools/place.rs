//! The cache folder of the tools. Each set of pins has a folder of its own, named by a digest of the pins, so that two
//! branches do not undo each other's work; a stamp inside says that it was filled to the end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The stamp's name; its text is what was pinned.
const STAMP: &str = "complete.stamp";

/// The root of all tools.
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$WEFT_CACHE`, else `weft` in the user's cache folder, else `target/weft-tools` where neither can be written.
    pub(crate) fn open(repo_root: &Path) -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let candidates = [
            set("WEFT_CACHE"),
            set("XDG_CACHE_HOME").map(|folder| folder.join("weft")),
            set("HOME").map(|home| home.join(".cache/weft")),
            Some(repo_root.join("target/weft-tools")),
        ];
        // A relative folder would mean another place for each command that runs somewhere else.
        let writable = |folder: PathBuf| {
            let root = std::path::absolute(folder).ok()?.join("tools");
            fs::create_dir_all(&root).ok()?;
            File::options().create(true).append(true).open(root.join("lock")).ok()?;
            Some(root)
        };
        let root = candidates.into_iter().flatten().find_map(writable);
        Ok(Self { root: root.context("no cache folder can be written: set WEFT_CACHE to one that can")? })
    }

    /// A cache in a folder of a test.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Held while installing, so that two test runs at once do not fill the same folder.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = File::options().create(true).append(true).open(self.root.join("lock"))?;
        file.lock().with_context(|| format!("cannot lock {}", self.root.join("lock").display()))?;
        Ok(file)
    }

    /// The folder for one kind of tool at these pins.
    pub(crate) fn folder(&self, kind: &str, pins: &str) -> Folder {
        let path = self.root.join(format!("{kind}-{:016x}", digest(pins.as_bytes())));
        Folder { path, pins: pins.to_owned() }
    }
}

/// One installed set.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pins: String,
}

impl Folder {
    pub(crate) fn is_complete(&self) -> bool {
        fs::read_to_string(self.path.join(STAMP)).is_ok_and(|text| text == self.pins)
    }

    /// Empties the folder, lets `install` fill it and stamps it; an interrupted or failed attempt leaves no stamp.
    pub(crate) fn fill(&self, install: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        if self.path.exists() {
            fs::remove_dir_all(&self.path).with_context(|| format!("cannot empty {}", self.path.display()))?;
        }
        fs::create_dir_all(&self.path)?;
        install(&self.path)?;
        fs::write(self.path.join(STAMP), &self.pins)?;
        Ok(())
    }
}

/// FNV-1a: names a folder, guards nothing.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(name: &str) -> Cache {
        let root = std::env::temp_dir().join(format!("weft-xtask-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Cache { root }
    }

    #[test]
    fn a_filled_folder_is_not_filled_again_and_other_pins_have_their_own() {
        let cache = cache("again");
        let folder = cache.folder("npm", "a 1.0.0");
        folder.fill(|path| Ok(fs::write(path.join("a"), "")?)).unwrap();
        folder.fill(|_| panic!("filled twice")).unwrap();
        assert!(cache.folder("npm", "a 1.0.0").is_complete());
        assert!(!cache.folder("npm", "a 1.0.1").is_complete());
        fs::remove_dir_all(&cache.root).unwrap();
    }

    #[test]
    fn a_failed_attempt_leaves_nothing_behind_that_the_next_one_trusts() {
        let cache = cache("failed");
        let folder = cache.folder("npm", "a 1.0.0");
        let failed = folder.fill(|path| {
            fs::write(path.join("half"), "")?;
            anyhow::bail!("no network")
        });
        assert!(failed.is_err() && !folder.is_complete());
        folder.fill(|path| Ok(fs::write(path.join("whole"), "")?)).unwrap();
        assert!(!folder.path.join("half").exists() && folder.is_complete());
        fs::remove_dir_all(&cache.root).unwrap();
    }
}
