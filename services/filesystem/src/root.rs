//! The boundary: allowed directories, held open, and the only way to any file.
//!
//! A path is never checked and then used: it is opened below a directory handle by `openat2` with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_MAGICLINKS`, so that the kernel refuses `..`, links and races that lead out. What was opened is then asked what
//! it is. Opening never blocks (`O_NONBLOCK`), so a FIFO cannot hold a thread.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2},
    io::Errno,
};
use weft_kit::ToolError;

use crate::{
    fault,
    policy::Policy,
    settings::{Rights, Settings},
};

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// A root is not a directory that can be opened.
    #[error("cannot serve the directory {path:?}: {why}; choose another with --root")]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No root at all.
    #[error("no directory is allowed; name at least one root")]
    None,
    /// A rule is no glob.
    #[error("a rule for denied paths is wrong: {0}")]
    Rule(#[from] globset::Error),
}

/// One allowed directory.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) rights: Rights,
    dir: OwnedFd,
}

/// A path below a root.
#[derive(Debug, Clone)]
pub(crate) struct Place<'r> {
    pub(crate) root: &'r Root,
    /// Below the root; `.` for the root itself.
    pub(crate) below: PathBuf,
    /// As the caller wrote it, for messages.
    pub(crate) shown: String,
}

/// The allowed directories and the rules inside them.
#[derive(Debug)]
pub(crate) struct Roots {
    pub(crate) list: Vec<Root>,
    pub(crate) policy: Policy,
    pub(crate) overwrite_needs_match: bool,
}

/// The longest path (`PATH_MAX`).
const LONGEST: usize = 4096;
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

impl Roots {
    pub(crate) fn open(settings: &Settings) -> Result<Self, RootError> {
        let open = |path: &Path| -> Result<(PathBuf, OwnedFd), std::io::Error> {
            let path = path.canonicalize()?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::open(&path, flags, Mode::empty())?;
            // A directory that cannot be listed serves nobody; it is better to know at once.
            rustix::fs::Dir::read_from(&dir)?;
            Ok((path, dir))
        };
        let mut list = Vec::new();
        let only: Vec<_> = settings
            .root
            .iter()
            .map(|path| crate::settings::RootSettings { path: path.clone(), rights: Rights::Rw })
            .collect();
        for root in if only.is_empty() { &settings.roots } else { &only } {
            let (path, dir) = open(&root.path)
                .map_err(|error| RootError::Open { path: root.path.clone(), why: error.to_string() })?;
            let rights = if settings.read_only { Rights::Ro } else { root.rights };
            list.push(Root { path, rights, dir });
        }
        if list.is_empty() {
            return Err(RootError::None);
        }
        let policy = Policy::new(&settings.deny_read, &settings.deny_write)?;
        Ok(Self { list, policy, overwrite_needs_match: settings.overwrite_needs_match })
    }

    /// Where a caller's path lies; says nothing of whether it exists.
    pub(crate) fn place(&self, path: &str) -> Result<Place<'_>, ToolError> {
        if path.is_empty() || path.contains('\0') {
            return Err(ToolError::invalid("the path is empty or holds a NUL character"));
        }
        if path.len() > LONGEST {
            return Err(ToolError::invalid(format!("{} is too long", fault::shorten(path))));
        }
        let asked = Path::new(path);
        let found = if asked.is_absolute() {
            // Compared by components, so that a sibling `root_evil` is not below `root`.
            let within = |root: &'_ Root| asked.strip_prefix(&root.path).ok().map(Path::to_path_buf);
            self.list
                .iter()
                .filter_map(|root| Some((root, within(root)?)))
                .max_by_key(|(root, _)| root.path.as_os_str().len())
        } else {
            self.list.first().map(|root| (root, asked.to_path_buf()))
        };
        let (root, below) = found.ok_or_else(|| fault::system(&fault::shorten(path), Errno::XDEV))?;
        let below = if below.as_os_str().is_empty() { PathBuf::from(".") } else { below };
        Ok(Place { root, below, shown: fault::shorten(path) })
    }

    /// The path for callers of something below a root.
    pub(crate) fn show(root: &Root, below: &Path) -> String {
        let clean: PathBuf = below.components().filter(|part| !matches!(part, Component::CurDir)).collect();
        let full = if clean.as_os_str().is_empty() { root.path.clone() } else { root.path.join(clean) };
        full.to_string_lossy().into_owned()
    }

    /// A regular file, open for reading, with its facts and its real path below the root.
    pub(crate) fn read(&self, place: &Place<'_>) -> Result<(File, Stat, PathBuf), ToolError> {
        let (fd, stat) = place.open(OFlags::RDONLY)?;
        regular(&place.shown, &stat)?;
        let below = place.root.real(&fd).unwrap_or_else(|| place.below.clone());
        self.policy.may_read(&below, &place.shown)?;
        Ok((File::from(fd), stat, below))
    }

    /// The parent directory of something that is to be written, open, with the last name and the rules checked.
    pub(crate) fn parent(&self, place: &Place<'_>) -> Result<Parent, ToolError> {
        if place.root.rights == Rights::Ro {
            return Err(ToolError::refused(format!("{} is in a directory that may only be read", place.shown)));
        }
        let name = match place.below.components().next_back() {
            Some(Component::Normal(name)) if !ends_in_slash_dot(&place.below) => name.to_owned(),
            _ => {
                return Err(ToolError::refused(format!(
                    "{} names an allowed directory itself, not something in it",
                    place.shown
                )));
            }
        };
        let above = place.below.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = Place { below: above.to_path_buf(), ..place.clone() };
        let (fd, _) = dir.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
        let above = place.root.real(&fd).unwrap_or_else(|| above.to_path_buf());
        let below = above.join(&name);
        self.policy.may_write(&below, &place.shown)?;
        Ok(Parent { dir: fd, name: PathBuf::from(name), below })
    }
}

/// `a/.` has the components of `a` but means the directory.
fn ends_in_slash_dot(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/.")
}

/// The directory that something is, or is to be, in.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) dir: OwnedFd,
    pub(crate) name: PathBuf,
    /// The real path below the root.
    pub(crate) below: PathBuf,
}

impl Place<'_> {
    /// Opens what is there, whatever it is, without blocking.
    pub(crate) fn open(&self, flags: OFlags) -> Result<(OwnedFd, Stat), ToolError> {
        let fd = self.root.open(&self.below, flags).map_err(|error| fault::system(&self.shown, error))?;
        let stat = fstat(&fd).map_err(|error| fault::system(&self.shown, error))?;
        Ok((fd, stat))
    }

    /// What is there, without opening it and without following a link at the end.
    pub(crate) fn stat(&self) -> Result<Stat, ToolError> {
        Ok(self.open(OFlags::PATH | OFlags::NOFOLLOW)?.1)
    }
}

impl Root {
    /// Opens a path below this root; the kernel refuses what leads out.
    pub(crate) fn open(&self, below: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        let flags = if flags.contains(OFlags::PATH) { flags } else { flags | OFlags::NONBLOCK | OFlags::NOCTTY };
        for _ in 0..16 {
            match openat2(&self.dir, below, flags, Mode::empty(), BENEATH) {
                // Something was renamed meanwhile; the kernel asks to try again.
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    pub(crate) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// The path below this root that the kernel knows an open handle by.
    pub(crate) fn real(&self, fd: &impl AsFd) -> Option<PathBuf> {
        let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        let path = std::fs::read_link(link).ok()?;
        let below = path.strip_prefix(&self.path).ok()?;
        Some(if below.as_os_str().is_empty() { PathBuf::from(".") } else { below.to_path_buf() })
    }
}

/// Refuses everything but a regular file.
pub(crate) fn regular(shown: &str, stat: &Stat) -> Result<(), ToolError> {
    match kind(stat) {
        "file" => Ok(()),
        "directory" => Err(ToolError::invalid(format!("{shown} is a directory")).hint("use list_directory")),
        other => Err(fault::not_regular(shown, &format!("a {other}"))),
    }
}

/// What something is, in a word.
pub(crate) fn kind(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::Unknown => "special file",
    }
}
