//! A client's file, read and replaced as a whole: who reads it sees the old text or the new, never a part.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};

/// The text of the file; empty when there is none.
pub(super) fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Puts `text` in the place of what is there; a link keeps leading where it led, and permissions stay.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(failed)?;
    let name = target.file_name().context("--file names no file")?.to_string_lossy().into_owned();
    let scratch = folder.join(format!(".{name}.weft-{}", std::process::id()));
    let done = fill(&scratch, &target, text).and_then(|()| fs::rename(&scratch, &target));
    if done.is_err() {
        let _ = fs::remove_file(&scratch);
    }
    done.with_context(failed)
}

fn fill(scratch: &Path, target: &Path, text: &str) -> std::io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(scratch)?;
    if let Ok(present) = fs::metadata(target) {
        file.set_permissions(present.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
