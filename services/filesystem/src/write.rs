//! Changing files so that there is always a whole one: a temporary file beside it, synced, then renamed into place.
//!
//! The rename is `RENAME_NOREPLACE` for what must not exist yet, so that two creators cannot both win. A link at the end of a
//! path is never written through, and a file with several names (hard links) is refused: the other name may be outside.

use std::{fs::File, io::Write as _, os::fd::AsFd, path::Path};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, Stat, fchmod, fstat, fsync, openat, renameat_with, statat, unlinkat},
    io::Errno,
};
use weft_kit::ToolError;

use crate::{
    content, fault,
    root::{Parent, kind, regular},
    settings::Rights,
};

/// What stands at the place of a write.
pub(crate) struct Present {
    pub(crate) etag: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: Mode,
}

/// How a write treats what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mannered {
    /// It must not exist.
    Create,
    /// It is replaced, if it is there.
    Overwrite,
}

/// What is at `parent/name` if it is a file that may be written; none when nothing is.
pub(crate) fn present(shown: &str, parent: &Parent, with_bytes: bool) -> Result<Option<Present>, ToolError> {
    let stat = match statat(&parent.dir, &parent.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(fault::system(shown, error)),
    };
    if kind(&stat) == "link" {
        return Err(ToolError::refused(format!("{shown} is a symbolic link; write to the file it names instead")));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = openat(&parent.dir, &parent.name, flags, Mode::empty()).map_err(|error| fault::system(shown, error))?;
    let stat = fstat(&fd).map_err(|error| fault::system(shown, error))?;
    writable(shown, &stat)?;
    let mut file = File::from(fd);
    let etag = content::etag(&file, &stat);
    let bytes = if with_bytes { content::whole(shown, &mut file, &stat, content::WHOLE)? } else { Vec::new() };
    Ok(Some(Present { etag, bytes, mode: Mode::from_raw_mode(stat.st_mode & 0o7777) }))
}

fn writable(shown: &str, stat: &Stat) -> Result<(), ToolError> {
    regular(shown, stat)?;
    if stat.st_nlink > 1 {
        return Err(ToolError::refused(format!(
            "{shown} has {} names (hard links); the others may be outside",
            stat.st_nlink
        ))
        .hint("copy it to a new name and work on the copy"));
    }
    Ok(())
}

/// Refuses when the version that the caller saw is not the one that is there.
pub(crate) fn matches(shown: &str, if_match: Option<&str>, present: Option<&Present>) -> Result<(), ToolError> {
    match (if_match, present) {
        (Some(wanted), Some(present)) if wanted == present.etag => Ok(()),
        (Some(_), Some(present)) => Err(ToolError::new("changed", format!("{shown} has changed since it was read"))
            .hint(format!("read it again; its etag is now {}", present.etag))),
        (Some(_), None) => Err(ToolError::new("changed", format!("{shown} does not exist any more"))),
        (None, _) => Ok(()),
    }
}

/// Puts `bytes` at `parent/name`, whole or not at all; gives the new etag.
pub(crate) fn put(
    shown: &str,
    parent: &Parent,
    bytes: &[u8],
    mannered: Mannered,
    before: Option<&Present>,
) -> Result<String, ToolError> {
    let failed = |error: Errno| fault::system(shown, error);
    let (mut file, temporary) = temporary(&parent.dir).map_err(failed)?;
    let written = (|| -> Result<(), ToolError> {
        file.write_all(bytes).map_err(|error| fault::io(shown, &error))?;
        let mode = before.map_or(Mode::from_raw_mode(0o644), |before| before.mode);
        fchmod(&file, mode).map_err(failed)?;
        fsync(&file).map_err(failed)?;
        // Looked at once more, right before it is replaced.
        if let Some(before) = before {
            let now = present(shown, parent, false)?;
            matches(shown, Some(&before.etag), now.as_ref())?;
        }
        let create = mannered == Mannered::Create || before.is_none();
        let flags = if create { RenameFlags::NOREPLACE } else { RenameFlags::empty() };
        renameat_with(&parent.dir, &temporary, &parent.dir, &parent.name, flags).map_err(failed)
    })();
    if let Err(error) = written {
        // Nothing is left behind; if even that fails, the name says what it is.
        let _ = unlinkat(&parent.dir, &temporary, AtFlags::empty());
        return Err(error);
    }
    fsync(&parent.dir).map_err(failed)?;
    let stat = fstat(&file).map_err(failed)?;
    Ok(content::etag(&file, &stat))
}

/// Adds to the end of a file, or makes it.
pub(crate) fn append(shown: &str, parent: &Parent, bytes: &[u8]) -> Result<(String, bool), ToolError> {
    let failed = |error: Errno| fault::system(shown, error);
    let existed = present(shown, parent, false)?.is_some();
    if !existed {
        return put(shown, parent, bytes, Mannered::Create, None).map(|etag| (etag, true));
    }
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = openat(&parent.dir, &parent.name, flags, Mode::empty()).map_err(failed)?;
    writable(shown, &fstat(&fd).map_err(failed)?)?;
    let mut file = File::from(fd);
    file.write_all(bytes).map_err(|error| fault::io(shown, &error))?;
    fsync(&file).map_err(failed)?;
    let stat = fstat(&file).map_err(failed)?;
    Ok((content::etag(&file, &stat), false))
}

/// A new file under a name that nobody has, for the owner alone.
pub(crate) fn temporary(dir: &impl AsFd) -> Result<(File, std::path::PathBuf), Errno> {
    let name = Path::new(&format!(".weft-{}.tmp", uuid::Uuid::new_v4().simple())).to_path_buf();
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(dir, &name, flags, Mode::from_raw_mode(0o600))?;
    Ok((File::from(fd), name))
}

/// Refuses where the root's rights do not allow replacing what is there.
pub(crate) fn may_replace(shown: &str, rights: Rights) -> Result<(), ToolError> {
    match rights {
        Rights::Append => {
            Err(ToolError::refused(format!("{shown} is in a directory where files may only be made and appended to")))
        }
        _ => Ok(()),
    }
}

/// Refuses where the root's rights do not allow taking something away.
pub(crate) fn may_remove(shown: &str, rights: Rights) -> Result<(), ToolError> {
    match rights {
        Rights::Rw => Ok(()),
        _ => Err(ToolError::refused(format!("{shown} is in a directory where nothing may be deleted or moved away"))),
    }
}
