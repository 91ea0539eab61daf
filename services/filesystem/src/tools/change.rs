//! Making and changing files.

use std::{path::Path, sync::Arc};

use rustix::{
    fs::{Mode, OFlags, fsync, mkdirat},
    io::Errno,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::Changed;
use crate::{
    Files, content,
    edit::{self, Edit},
    fault,
    root::{Parent, Place, Roots, kind},
    walk::{self, Limits, Next},
    write::{self, Mannered, Present},
};

/// The largest content of one call.
const LARGEST: usize = 4 << 20;

/// What to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Write {
    /// The file.
    path: String,
    content: String,
    /// create (must not exist), overwrite (the usual) or append.
    #[serde(default)]
    mode: WriteMode,
    /// Only if the file still has this etag.
    if_match: Option<String>,
    /// Only show what would change.
    #[serde(default, alias = "dryRun")]
    dry_run: bool,
}

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WriteMode {
    Create,
    #[default]
    Overwrite,
    Append,
}

pub(crate) async fn write(files: Arc<Files>, call: Call, args: Write) -> Result<Reply<Changed>, ToolError> {
    if args.content.len() > LARGEST {
        return Err(ToolError::too_large(format!("content is larger than {LARGEST} bytes")).hint("append it in parts"));
    }
    let work = move |_: &Call| {
        let place = files.roots.place(&args.path)?;
        let parent = files.roots.parent(&place)?;
        let before = write::present(&place.shown, &parent, args.dry_run)?;
        write::matches(&place.shown, args.if_match.as_deref(), before.as_ref())?;
        let path = Roots::show(place.root, &parent.below);
        let created = before.is_none();
        if args.mode == WriteMode::Create && !created {
            return Err(fault::system(&place.shown, Errno::EXIST).into_hint("use mode overwrite to replace it"));
        }
        if args.mode == WriteMode::Overwrite && !created {
            write::may_replace(&place.shown, place.root.rights)?;
            if files.roots.overwrite_needs_match && args.if_match.is_none() {
                return Err(ToolError::refused(format!(
                    "{} exists: pass its etag as if_match to replace it",
                    place.shown
                )));
            }
        }
        if args.dry_run {
            let old = before.map(|before| before.bytes).unwrap_or_default();
            let mut new = if args.mode == WriteMode::Append { old.clone() } else { Vec::new() };
            new.extend_from_slice(args.content.as_bytes());
            let diff = edit::diff(&place.shown, &old, &new);
            let text = diff.unified.clone();
            return Ok(Reply::new(Changed { path, etag: None, created, dry_run: true, diff: Some(diff) }).text(text));
        }
        let etag = match args.mode {
            WriteMode::Append => write::append(&place.shown, &parent, args.content.as_bytes())?.0,
            WriteMode::Create => write::put(&place.shown, &parent, args.content.as_bytes(), Mannered::Create, None)?,
            WriteMode::Overwrite => {
                write::put(&place.shown, &parent, args.content.as_bytes(), Mannered::Overwrite, before.as_ref())?
            }
        };
        let verb = if created { "made" } else { "wrote" };
        let text = format!("{verb} {}, etag {etag}", content::plain(&path));
        Ok(Reply::new(Changed { path, etag: Some(etag), created, dry_run: false, diff: None }).text(text))
    };
    call.blocking(work).await
}

/// An error with one more hint.
trait Hinted {
    fn into_hint(self, hint: &str) -> Self;
}

impl Hinted for ToolError {
    fn into_hint(self, hint: &str) -> Self {
        self.hint(hint)
    }
}

/// What to edit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditFile {
    /// The file.
    path: String,
    /// Applied in order, all or none.
    #[schemars(length(min = 1, max = 100))]
    edits: Vec<Edit>,
    /// Only if the file still has this etag.
    if_match: Option<String>,
    /// Only show what would change.
    #[serde(default, alias = "dryRun")]
    dry_run: bool,
}

pub(crate) async fn edit(files: Arc<Files>, call: Call, args: EditFile) -> Result<Reply<Changed>, ToolError> {
    let work = move |_: &Call| {
        let place = files.roots.place(&args.path)?;
        let parent = files.roots.parent(&place)?;
        write::may_replace(&place.shown, place.root.rights)?;
        let before: Present =
            write::present(&place.shown, &parent, true)?.ok_or_else(|| fault::system(&place.shown, Errno::NOENT))?;
        write::matches(&place.shown, args.if_match.as_deref(), Some(&before))?;
        let after = edit::apply(&place.shown, &before.bytes, &args.edits)?;
        let diff = edit::diff(&place.shown, &before.bytes, &after);
        let path = Roots::show(place.root, &parent.below);
        let etag = if args.dry_run {
            None
        } else {
            Some(write::put(&place.shown, &parent, &after, Mannered::Overwrite, Some(&before))?)
        };
        let text = diff.unified.clone();
        Ok(Reply::new(Changed { path, etag, created: false, dry_run: args.dry_run, diff: Some(diff) }).text(text))
    };
    call.blocking(work).await
}

/// Which directory.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Directory {
    /// The directory.
    path: String,
}

pub(crate) async fn directory(files: Arc<Files>, call: Call, args: Directory) -> Result<Reply<Changed>, ToolError> {
    let work = move |_: &Call| {
        let place = files.roots.place(&args.path)?;
        let created = ensure(&files.roots, &place)?;
        let path = Roots::show(place.root, &place.below);
        let text = format!("{} {}", if created { "made" } else { "is there:" }, content::plain(&path));
        Ok(Reply::new(Changed { path, etag: None, created, dry_run: false, diff: None }).text(text))
    };
    call.blocking(work).await
}

/// Makes a directory and those above it, each below the handle of the one before.
fn ensure(roots: &Roots, place: &Place<'_>) -> Result<bool, ToolError> {
    let mut created = false;
    let mut reached = std::path::PathBuf::new();
    for part in place.below.components() {
        reached.push(part);
        let step = Place { below: reached.clone(), ..place.clone() };
        match place.root.open(&reached, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(_) => continue,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(fault::system(&place.shown, error)),
        }
        let parent: Parent = roots.parent(&step)?;
        match mkdirat(&parent.dir, &parent.name, Mode::from_raw_mode(0o755)) {
            Ok(()) => created = true,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(fault::system(&place.shown, error)),
        }
        fsync(&parent.dir).map_err(|error| fault::system(&place.shown, error))?;
    }
    Ok(created)
}

/// What to copy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copy {
    source: String,
    destination: String,
    /// Replace a file that is there.
    #[serde(default)]
    overwrite: bool,
    /// A directory with everything in it.
    #[serde(default)]
    recursive: bool,
}

/// What was copied.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Copied {
    path: String,
    files: usize,
    bytes: u64,
}

/// Files and bytes of one copy.
const COPIES: usize = 10_000;
const COPY_BYTES: u64 = 1 << 30;

pub(crate) async fn copy(files: Arc<Files>, call: Call, args: Copy) -> Result<Reply<Copied>, ToolError> {
    let work = move |call: &Call| {
        let (from, to) = (files.roots.place(&args.source)?, files.roots.place(&args.destination)?);
        let mut copied = Copied { path: String::new(), files: 0, bytes: 0 };
        if kind(&from.stat()?) == "directory" {
            if !args.recursive {
                return Err(ToolError::invalid(format!("{} is a directory", from.shown)).hint("set recursive"));
            }
            tree(&files.roots, (&from, &to), args.overwrite, call, &mut copied)?;
            copied.path = Roots::show(to.root, &to.below);
        } else {
            copied.path = file(&files.roots, &from, &to, args.overwrite, &mut copied)?;
        }
        let text =
            format!("copied {} files, {} bytes, to {}", copied.files, copied.bytes, content::plain(&copied.path));
        Ok(Reply::new(copied).text(text))
    };
    call.blocking(work).await
}

fn file(
    roots: &Roots,
    from: &Place<'_>,
    to: &Place<'_>,
    overwrite: bool,
    copied: &mut Copied,
) -> Result<String, ToolError> {
    let (mut source, stat, _) = roots.read(from)?;
    let bytes = content::whole(&from.shown, &mut source, &stat, 256 << 20)?;
    copied.bytes += bytes.len() as u64;
    copied.files += 1;
    if copied.bytes > COPY_BYTES || copied.files > COPIES {
        return Err(ToolError::too_large(format!("more than {COPIES} files or {COPY_BYTES} bytes; copy it in parts")));
    }
    let parent = roots.parent(to)?;
    let before = write::present(&to.shown, &parent, false)?;
    if before.is_some() {
        if !overwrite {
            return Err(fault::system(&to.shown, Errno::EXIST).hint("set overwrite to replace it"));
        }
        write::may_replace(&to.shown, to.root.rights)?;
    }
    let mannered = if before.is_some() { Mannered::Overwrite } else { Mannered::Create };
    write::put(&to.shown, &parent, &bytes, mannered, before.as_ref())?;
    Ok(Roots::show(to.root, &parent.below))
}

fn tree(
    roots: &Roots,
    (from, to): (&Place<'_>, &Place<'_>),
    overwrite: bool,
    call: &Call,
    copied: &mut Copied,
) -> Result<(), ToolError> {
    let top = super::look::opened_at(from)?;
    let inside = to.root.path.join(&to.below).starts_with(from.root.path.join(&top));
    if inside {
        return Err(ToolError::invalid("a directory cannot be copied into itself"));
    }
    ensure(roots, to)?;
    let limits = Limits { respect_ignore: false, time: std::time::Duration::from_secs(120), ..Limits::SEARCH };
    let end = walk::walk(roots, from, &limits, call, &mut |found| {
        let name: &Path = found.below.strip_prefix(&top).unwrap_or(&found.below);
        let target = Place { below: to.below.join(name), ..to.clone() };
        match found.kind() {
            "directory" => ensure(roots, &target).map(|_| ())?,
            "file" => {
                let source = Place { below: found.below.clone(), ..from.clone() };
                file(roots, &source, &target, overwrite, copied).map(|_| ())?;
            }
            // Links and special files are not copied: what they mean elsewhere is not known.
            _ => {}
        }
        Ok(Next::Go)
    })?;
    match end.why() {
        Some(why) => Err(ToolError::too_large(format!("{why}; what was copied so far stays"))),
        None => Ok(()),
    }
}
