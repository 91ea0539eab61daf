//! A file that is there whole or not at all: written beside its place, brought to the disk, and moved there.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::Path,
};

use uuid::Uuid;

/// Writes a file through `write`; when this returns, it is on the disk under its name.
pub(crate) fn replace<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    fs::create_dir_all(folder)?;
    let beside = folder.join(format!(".{}", Uuid::new_v4().simple()));
    let written = (|| {
        let mut out = BufWriter::new(File::create_new(&beside)?);
        write(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&beside, path)?;
        Ok(File::open(folder)?.sync_all()?)
    })();
    if written.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&beside);
    }
    written
}
