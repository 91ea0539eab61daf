//! Folders that the operator named → the files below them, and nothing else.
//!
//! Files are opened below the folder's handle by the kernel's own rules (`openat2`), so neither `..` nor a link leads out, not even
//! one that is made meanwhile: there is nothing to check beforehand and no race to lose. Hidden files and those that hold keys are
//! never read, as what is read can be found by everyone who may search.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, ensure};
use ignore::{WalkBuilder, overrides::OverrideBuilder};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, ToolError};

use crate::kind::is_pdf;

/// Neither out of the directory nor through any link.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// Endings of files that hold keys.
const KEYS: [&str; 7] = ["pem", "key", "p12", "pfx", "jks", "keystore", "kdbx"];
/// Beginnings of names of such files.
const NAMED: [&str; 4] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];

/// A folder whose files callers may have read in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootSettings {
    /// What callers name it: `[a-z0-9][a-z0-9_-]{0,63}`.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
}

/// The folders that may be read.
#[derive(Debug, Default)]
pub struct Roots(Vec<Root>);

/// One of them.
#[derive(Debug)]
pub struct Root {
    /// What callers name it.
    pub name: String,
    path: PathBuf,
    dir: OwnedFd,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Below the root.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified: i64,
}

/// All files of a walk.
#[derive(Debug, Default)]
pub struct Walked {
    /// In the order of their paths, folder by folder.
    pub files: Vec<Seen>,
    /// Larger than what may be indexed.
    pub too_large: usize,
    /// Could not be looked at.
    pub unreadable: usize,
    /// There are more than may be indexed.
    pub cut: bool,
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Files of one walk.
    pub files: usize,
    /// Bytes of a file.
    pub file_bytes: u64,
    /// Of those that are read by page.
    pub pdf_bytes: u64,
}

impl Roots {
    /// Opens all of them, so that one that cannot be read is known at once.
    pub fn open(settings: &[RootSettings]) -> Result<Self, anyhow::Error> {
        let mut roots = Vec::with_capacity(settings.len());
        for own in settings {
            ensure!(is_plain(&own.name), "a root is called by a-z, 0-9, _ and -: {:?}", own.name);
            ensure!(roots.iter().all(|root: &Root| root.name != own.name), "two roots are called {:?}", own.name);
            let wrong = || format!("the root {:?}: {} must be a folder that can be read", own.name, own.path.display());
            let path = own.path.canonicalize().with_context(wrong)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::open(&path, flags, Mode::empty()).with_context(wrong)?;
            roots.push(Root { name: own.name.clone(), path, dir });
        }
        Ok(Self(roots))
    }

    /// Whether nothing may be read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One by its name, the first without one.
    pub fn named(&self, name: Option<&str>) -> Result<&Root, ToolError> {
        match (name, self.0.first()) {
            (Some(name), _) => self.get(name),
            (None, Some(first)) => Ok(first),
            (None, None) => Err(ToolError::refused("this server has no folder that may be read")),
        }
    }

    /// One by its name.
    pub fn get(&self, name: &str) -> Result<&Root, ToolError> {
        self.0.iter().find(|root| root.name == name).ok_or_else(|| {
            let known: Vec<_> = self.0.iter().map(|root| root.name.as_str()).collect();
            let shown: String = name.chars().take(80).collect();
            ToolError::not_found(format!("there is no root {shown:?}")).hint(format!("roots: {}", known.join(", ")))
        })
    }
}

/// A path below a root as it is used: `""` for the root itself.
pub fn below(path: &str) -> Result<PathBuf, ToolError> {
    let mut plain = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => {
                return Err(ToolError::refused("path is below the root: no .. and no / in front"));
            }
        }
    }
    if path.contains('\0') || path.len() > 4_096 {
        return Err(ToolError::invalid("path is no path"));
    }
    Ok(plain)
}

impl Root {
    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        openat2(&self.dir, path, flags | OFlags::CLOEXEC, Mode::empty(), BENEATH)
    }

    /// All files below a directory that are not ignored, hidden or keys.
    pub fn walk(&self, call: &Call, top: &Path, globs: &[String], bounds: Bounds) -> Result<Walked, ToolError> {
        self.open(top, OFlags::PATH)
            .map_err(|_| ToolError::not_found("there is no such directory or file below the root"))?;
        let mut chosen = OverrideBuilder::new(&self.path);
        for glob in globs {
            chosen.add(glob).map_err(|error| ToolError::invalid(format!("a glob is wrong: {error}")))?;
        }
        let chosen = chosen.build().map_err(|error| ToolError::invalid(format!("the globs are wrong: {error}")))?;
        let walk = WalkBuilder::new(self.path.join(top))
            .follow_links(false)
            .parents(false)
            .git_global(false)
            .require_git(false)
            .overrides(chosen)
            .sort_by_file_name(std::cmp::Ord::cmp)
            .build();
        let mut walked = Walked::default();
        for entry in walk {
            call.check()?;
            let Ok(entry) = entry else {
                walked.unreadable += 1;
                continue;
            };
            if !entry.file_type().is_some_and(|kind| kind.is_file()) || is_key(entry.path()) {
                continue;
            }
            let Some(seen) = self.seen(&entry) else {
                walked.unreadable += 1;
                continue;
            };
            let most = if is_pdf(&seen.path) { bounds.pdf_bytes } else { bounds.file_bytes };
            if seen.size > most {
                walked.too_large += 1;
            } else if walked.files.len() >= bounds.files {
                walked.cut = true;
                return Ok(walked);
            } else {
                walked.files.push(seen);
            }
        }
        Ok(walked)
    }

    /// Whether a path below it is a file.
    pub fn is_file(&self, path: &str) -> bool {
        let opened = self.open(Path::new(path), OFlags::PATH).map(File::from);
        opened.is_ok_and(|file| file.metadata().is_ok_and(|meta| meta.is_file()))
    }

    fn seen(&self, entry: &ignore::DirEntry) -> Option<Seen> {
        let meta = entry.metadata().ok()?;
        let path = entry.path().strip_prefix(&self.path).ok()?.to_str()?.to_owned();
        let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        // Stores keep milliseconds.
        let modified = i64::try_from(modified / 1_000_000 * 1_000_000).ok()?;
        Some(Seen { path, size: meta.len(), modified })
    }

    /// A file and its bytes, if it may be read and is not too large; the file is at its beginning again.
    pub fn read(&self, path: &str, most: u64) -> Result<(File, Vec<u8>), ToolError> {
        let plain = below(path)?;
        let shown: String =
            path.chars().take(80).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
        let private = || ToolError::refused(format!("{shown:?} may not be read"));
        if is_key(&plain) || plain.iter().any(|part| part.as_encoded_bytes().starts_with(b".")) {
            return Err(private().hint("hidden files, and those that hold keys, are never read"));
        }
        let opened = self.open(&plain, OFlags::RDONLY | OFlags::NONBLOCK).map_err(|error| match error {
            Errno::XDEV | Errno::LOOP | Errno::ACCESS | Errno::PERM => {
                private().hint("give a file below the root, not a link to one")
            }
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => {
                ToolError::not_found(format!("there is no file {shown:?} below the root"))
            }
            other => std::io::Error::from(other).into(),
        });
        let mut file = File::from(opened?);
        if !file.metadata()?.is_file() {
            return Err(ToolError::refused(format!("{shown:?} is no file")));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(ToolError::too_large(format!("{shown:?} has more than {most} bytes")));
        }
        file.rewind()?;
        Ok((file, bytes))
    }
}

fn is_key(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    KEYS.contains(&ending.as_str()) || NAMED.iter().any(|key| name.starts_with(key))
}

/// `[a-z0-9][a-z0-9_-]{0,63}`.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['_', '-'])
}
