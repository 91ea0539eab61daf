//! What is deleted goes to the trash of its root first, and can be taken back.
//!
//! The trash is a directory inside the root, because only there a rename is atomic. It is hidden from every tool but its own.
//! Each item has a directory of its own: the thing, and a note of where it was.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::{Component, Path},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, fsync, mkdirat, openat, renameat_with, unlinkat},
    io::Errno,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::ToolError;

use crate::{
    fault,
    root::{Parent, Root, Roots},
};

const TRASH: &str = ".weft-trash";
const ITEM: &str = "item";
const NOTE: &str = "note.json";

/// One thing in the trash.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Item {
    /// What restore_file takes.
    pub(crate) id: String,
    /// Where it was.
    pub(crate) path: String,
    /// When it was deleted, seconds since 1970.
    pub(crate) deleted_at: u64,
}

/// True for the trash and everything in it.
pub(crate) fn holds(below: &Path) -> bool {
    below.components().next() == Some(Component::Normal(TRASH.as_ref()))
}

/// Moves something into the trash.
pub(crate) fn bury(shown: &str, root: &Root, parent: &Parent) -> Result<Item, ToolError> {
    let failed = |error: Errno| fault::system(shown, error);
    let trash = open(root).map_err(failed)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let id = format!("{now}-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    mkdirat(&trash, id.as_str(), Mode::from_raw_mode(0o700)).map_err(failed)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(&trash, id.as_str(), flags, Mode::empty()).map_err(failed)?;
    let item = Item { id: id.clone(), path: Roots::show(root, &parent.below), deleted_at: now };
    let buried = (|| -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut note = File::from(openat(&place, NOTE, flags, Mode::from_raw_mode(0o600))?);
        let text = serde_json::to_vec(&item).map_err(|_| Errno::INVAL)?;
        note.write_all(&text).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        fsync(&note)?;
        renameat_with(&parent.dir, &parent.name, &place, ITEM, RenameFlags::NOREPLACE)?;
        fsync(&place)?;
        fsync(&parent.dir)
    })();
    if let Err(error) = buried {
        let _ = unlinkat(&place, NOTE, AtFlags::empty());
        let _ = unlinkat(&trash, id.as_str(), AtFlags::REMOVEDIR);
        return Err(match error {
            Errno::XDEV => ToolError::refused(format!("{shown} is on another file system than the trash of its root"))
                .hint("delete it with permanent: true"),
            other => fault::system(shown, other),
        });
    }
    Ok(item)
}

/// What is in the trash of all roots, newest first.
pub(crate) fn list(roots: &Roots) -> Vec<Item> {
    let mut items: Vec<Item> = roots.list.iter().flat_map(|root| of(root).unwrap_or_default()).collect();
    items.sort_by(|a, b| (b.deleted_at, &b.id).cmp(&(a.deleted_at, &a.id)));
    items
}

fn of(root: &Root) -> Result<Vec<Item>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let trash = match root.open(Path::new(TRASH), flags) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        other => other?,
    };
    let mut items = Vec::new();
    for entry in Dir::read_from(&trash)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        items.extend(note(root, &name));
    }
    Ok(items)
}

fn note(root: &Root, id: &str) -> Option<Item> {
    if id.starts_with('.') || id.contains('/') {
        return None;
    }
    let path = Path::new(TRASH).join(id).join(NOTE);
    let fd = root.open(&path, OFlags::RDONLY | OFlags::NOFOLLOW).ok()?;
    let mut text = Vec::new();
    File::from(fd).take(64 << 10).read_to_end(&mut text).ok()?;
    serde_json::from_slice::<Item>(&text).ok().filter(|item| item.id == id)
}

/// Takes something out of the trash, to where it was; gives the path.
pub(crate) fn restore(roots: &Roots, id: &str) -> Result<String, ToolError> {
    let found = roots.list.iter().find_map(|root| Some((root, note(root, id)?)));
    let (root, item) =
        found.ok_or_else(|| ToolError::not_found(format!("the trash holds no {id:?}")).hint("see list_trash"))?;
    let place = roots.place(&item.path)?;
    let parent = roots.parent(&place)?;
    let failed = |error: Errno| fault::system(&item.path, error);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let grave = root.open(&Path::new(TRASH).join(id), flags).map_err(failed)?;
    renameat_with(&grave, ITEM, &parent.dir, &parent.name, RenameFlags::NOREPLACE).map_err(failed)?;
    fsync(&parent.dir).map_err(failed)?;
    let _ = unlinkat(&grave, NOTE, AtFlags::empty());
    if let Ok(trash) = root.open(Path::new(TRASH), flags) {
        let _ = unlinkat(&trash, id, AtFlags::REMOVEDIR);
    }
    Ok(item.path)
}

/// Deletes an item of the trash for good.
pub(crate) fn burn(root: &Root, id: &str) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let trash = root.open(Path::new(TRASH), flags)?;
    crate::tools::remove::remove_tree(&trash, Path::new(id))
}

/// The trash directory, made if need be, with a note for git that it is not to be tracked.
fn open(root: &Root) -> Result<rustix::fd::OwnedFd, Errno> {
    let made = match mkdirat(root.dir(), TRASH, Mode::from_raw_mode(0o700)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error),
    };
    let trash = root.open(Path::new(TRASH), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
    if made {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let ignore = openat(&trash, ".gitignore", flags, Mode::from_raw_mode(0o600))?;
        // Without it git would show the trash, which is ugly and no harm.
        let _ = File::from(ignore).write_all(b"*\n");
    }
    Ok(trash)
}
