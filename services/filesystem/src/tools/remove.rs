//! Moving things away, deleting them, and taking them back.

use std::sync::Arc;

use rustix::{
    fs::{AtFlags, RenameFlags, fsync, renameat_with, statat, unlinkat},
    io::Errno,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Approval, Call, Plan, Reply, ToolError};

use super::look::Nothing;
use crate::{
    Files, content, fault,
    root::{Parent, Place, Roots, kind},
    trash::{self, Item},
    walk::{self, Limits, Next},
    write,
};

/// What to move where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    source: String,
    destination: String,
    /// Put what is at the destination into the trash first.
    #[serde(default)]
    overwrite: bool,
}

/// Where it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Moved {
    path: String,
    /// What was at the destination before, in the trash.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<Item>,
}

pub(crate) async fn relocate(files: Arc<Files>, call: Call, args: Move) -> Result<Reply<Moved>, ToolError> {
    let work = move |_: &Call| {
        let (from, to) = (files.roots.place(&args.source)?, files.roots.place(&args.destination)?);
        let (source, target) = (files.roots.parent(&from)?, files.roots.parent(&to)?);
        write::may_remove(&from.shown, from.root.rights)?;
        statat(&source.dir, &source.name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| fault::system(&from.shown, error))?;
        let rename = || renameat_with(&source.dir, &source.name, &target.dir, &target.name, RenameFlags::NOREPLACE);
        let mut replaced = None;
        match rename() {
            Err(Errno::EXIST) if args.overwrite => {
                write::may_remove(&to.shown, to.root.rights)?;
                replaced = Some(trash::bury(&to.shown, to.root, &target)?);
                rename().map_err(|error| fault::system(&to.shown, error))?;
            }
            Err(Errno::INVAL) => return Err(ToolError::invalid("a directory cannot be moved into itself")),
            Err(Errno::XDEV) => {
                return Err(ToolError::refused("source and destination are on different file systems")
                    .hint("copy_file, then delete_file"));
            }
            Err(error) => return Err(fault::system(&to.shown, error)),
            Ok(()) => {}
        }
        for dir in [&source.dir, &target.dir] {
            fsync(dir).map_err(|error| fault::system(&to.shown, error))?;
        }
        let path = Roots::show(to.root, &target.below);
        let text = format!("moved to {}", content::plain(&path));
        Ok(Reply::new(Moved { path, replaced }).text(text))
    };
    call.blocking(work).await
}

/// What to delete.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    /// The file or directory.
    path: String,
    /// A directory with everything in it.
    #[serde(default)]
    recursive: bool,
    /// For good, not into the trash.
    #[serde(default)]
    permanent: bool,
}

/// What a deletion takes away.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Effects {
    path: String,
    kind: &'static str,
    /// Files and directories in it, itself included.
    entries: usize,
    bytes: u64,
    /// The first of them.
    sample: Vec<String>,
    permanent: bool,
}

/// What was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    path: String,
    /// Where restore_file finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    trashed: Option<Item>,
}

pub(crate) async fn plan(files: Arc<Files>, call: Call, args: Delete) -> Result<Plan<Effects>, ToolError> {
    let work = move |call: &Call| {
        let place = files.roots.place(&args.path)?;
        let parent = removable(&files.roots, &place)?;
        let stat = statat(&parent.dir, &parent.name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| fault::system(&place.shown, error))?;
        let kind = kind(&stat);
        let path = Roots::show(place.root, &parent.below);
        let mut effects = Effects {
            path,
            kind,
            entries: 1,
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            sample: Vec::new(),
            permanent: args.permanent,
        };
        if kind == "directory" {
            count(&files.roots, &place, call, &mut effects)?;
            if effects.entries > 1 && !args.recursive {
                return Err(
                    fault::system(&place.shown, Errno::NOTEMPTY).hint("set recursive to delete it with what is in it")
                );
            }
        }
        let how = if args.permanent { "for good" } else { "into the trash" };
        let summary = format!(
            "Delete {kind} {} ({} entries, {} bytes) {how}",
            content::plain(&effects.path),
            effects.entries,
            effects.bytes
        );
        let low = !args.permanent && effects.entries == 1;
        let plan = Plan::new(summary, effects).observed(place.shown.clone(), version(&stat));
        Ok(if low { plan.low_risk() } else { plan })
    };
    call.blocking(work).await
}

/// What identifies the thing that was looked at.
fn version(stat: &rustix::fs::Stat) -> String {
    format!("{}-{}-{}-{}", stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec)
}

fn removable(roots: &Roots, place: &Place<'_>) -> Result<Parent, ToolError> {
    let parent = roots.parent(place)?;
    write::may_remove(&place.shown, place.root.rights)?;
    Ok(parent)
}

fn count(roots: &Roots, place: &Place<'_>, call: &Call, effects: &mut Effects) -> Result<(), ToolError> {
    let limits = Limits { respect_ignore: false, ..Limits::SEARCH };
    let end = walk::walk(roots, place, &limits, call, &mut |found| {
        effects.entries += 1;
        effects.bytes += found.size();
        if effects.sample.len() < 20 {
            effects.sample.push(Roots::show(place.root, &found.below));
        }
        Ok(Next::Go)
    })?;
    match end.why() {
        Some(why) => Err(ToolError::too_large(format!("{}: {why}", place.shown)).hint("delete it in parts")),
        None => Ok(()),
    }
}

pub(crate) async fn delete(
    files: Arc<Files>,
    call: Call,
    args: Delete,
    approval: Approval,
) -> Result<Reply<Deleted>, ToolError> {
    let work = move |_: &Call| {
        let place = files.roots.place(&args.path)?;
        let parent = removable(&files.roots, &place)?;
        let failed = |error: Errno| fault::system(&place.shown, error);
        let stat = statat(&parent.dir, &parent.name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if approval.version(&place.shown).is_some_and(|seen| seen != version(&stat)) {
            return Err(ToolError::new("stale_plan", format!("{} has changed since it was planned", place.shown))
                .hint("plan again"));
        }
        let path = Roots::show(place.root, &parent.below);
        // Always by way of the trash: what is renamed away whole can then be taken apart in peace, or given back.
        let item = trash::bury(&place.shown, place.root, &parent)?;
        if args.permanent {
            trash::burn(place.root, &item.id).map_err(failed)?;
            let text = format!("deleted {} for good", content::plain(&path));
            return Ok(Reply::new(Deleted { path, trashed: None }).text(text));
        }
        let text = format!("moved {} into the trash as {}", content::plain(&path), item.id);
        Ok(Reply::new(Deleted { path, trashed: Some(item) }).text(text))
    };
    call.blocking(work).await
}

pub(crate) async fn trash(files: Arc<Files>, call: Call, _: Nothing) -> Result<Reply<Vec<Item>>, ToolError> {
    let work = move |call: &Call| {
        let mut budget = call.budget();
        let items = budget.fill(trash::list(&files.roots));
        let text: Vec<String> =
            items.iter().map(|item| format!("{} {}", item.id, content::plain(&item.path))).collect();
        let text = if text.is_empty() { "the trash is empty".to_owned() } else { text.join("\n") };
        Ok(Reply::new(items).text(text).truncated(budget.truncated()))
    };
    call.blocking(work).await
}

/// What to take back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    /// From list_trash.
    id: String,
}

pub(crate) async fn restore(files: Arc<Files>, call: Call, args: Restore) -> Result<Reply<Moved>, ToolError> {
    let work = move |_: &Call| {
        let path = trash::restore(&files.roots, &args.id)?;
        let text = format!("restored {}", content::plain(&path));
        Ok(Reply::new(Moved { path, replaced: None }).text(text))
    };
    call.blocking(work).await
}

/// Removes a directory tree below a handle, without following links; what unlinkat cannot do is told.
pub(crate) fn remove_tree(dir: &impl rustix::fd::AsFd, name: &std::path::Path) -> Result<(), Errno> {
    use rustix::fs::{Dir, Mode, OFlags, openat};
    match unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return other,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = openat(dir, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&inner)? {
        let entry = entry?;
        let bytes = entry.file_name().to_bytes();
        if bytes != b"." && bytes != b".." {
            remove_tree(&inner, std::path::Path::new(std::ffi::OsStr::new(&*entry.file_name().to_string_lossy())))?;
        }
    }
    unlinkat(dir, name, AtFlags::REMOVEDIR)
}
