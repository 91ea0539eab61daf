//! Walks over directories: in a fixed order, below one handle, stopping at budgets and when called off.
//!
//! Links are shown and never followed. Ignore files (`.gitignore`, `.ignore`) are respected where asked, read like any other file
//! below the root. What the rules hide is not entered.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, Dir, OFlags, Stat, statat};
use weft_kit::{Call, ToolError};

use crate::{
    content, fault,
    root::{Place, Roots, kind},
};

/// One thing in a directory.
#[derive(Debug)]
pub(crate) struct Found {
    /// Below the root.
    pub(crate) below: PathBuf,
    pub(crate) name: String,
    pub(crate) stat: Stat,
}

impl Found {
    pub(crate) fn kind(&self) -> &'static str {
        kind(&self.stat)
    }

    pub(crate) fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }
}

/// What a walk may do.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) depth: usize,
    pub(crate) entries: usize,
    pub(crate) time: Duration,
    pub(crate) hidden: bool,
    pub(crate) respect_ignore: bool,
    /// Entries of one directory that are looked at.
    pub(crate) per_directory: usize,
}

impl Limits {
    pub(crate) const SEARCH: Self = Self {
        depth: 64,
        entries: 50_000,
        time: Duration::from_secs(10),
        hidden: true,
        respect_ignore: true,
        per_directory: 50_000,
    };
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All was seen.
    Done,
    /// The visitor had enough.
    Enough,
    /// Too many entries.
    Entries,
    /// Too long.
    Time,
}

impl End {
    /// Why the result is not all there is.
    pub(crate) const fn why(self) -> Option<&'static str> {
        match self {
            Self::Entries => Some("the walk stopped after the most entries it may look at"),
            Self::Time => Some("the walk stopped after the most time it may take"),
            Self::Done | Self::Enough => None,
        }
    }
}

/// What a visitor wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Go,
    /// Do not enter this directory.
    Skip,
    Stop,
}

/// A walk in progress.
struct Walk<'w> {
    roots: &'w Roots,
    place: &'w Place<'w>,
    limits: &'w Limits,
    call: &'w Call,
    began: Instant,
    seen: usize,
}

/// Visits everything below `place`, each directory's entries by name, parents first.
pub(crate) fn walk(
    roots: &Roots,
    place: &Place<'_>,
    limits: &Limits,
    call: &Call,
    visit: &mut dyn FnMut(&Found) -> Result<Next, ToolError>,
) -> Result<End, ToolError> {
    let mut walk = Walk { roots, place, limits, call, began: Instant::now(), seen: 0 };
    let (fd, stat) = place.open(OFlags::RDONLY)?;
    if kind(&stat) != "directory" {
        return Err(ToolError::invalid(format!("{} is not a directory", place.shown)));
    }
    let start = place.root.real(&fd).unwrap_or_else(|| place.below.clone());
    drop(fd);
    // A stack of directories still to be read, each with the ignore rules above it.
    let mut open: Vec<(PathBuf, usize, Vec<Gitignore>)> = vec![(start, 1, Vec::new())];
    while let Some((below, depth, mut rules)) = open.pop() {
        let mut entries = walk.list(&below, depth)?;
        if limits.respect_ignore {
            rules.extend(walk.rules(&below, &entries));
        }
        entries.retain(|entry| walk.shows(entry, &rules));
        let mut enter = Vec::new();
        for entry in entries {
            if let Some(end) = walk.over()? {
                return Ok(end);
            }
            match visit(&entry)? {
                Next::Stop => return Ok(End::Enough),
                Next::Go if entry.kind() == "directory" && depth < limits.depth => {
                    enter.push((entry.below, depth + 1, rules.clone()));
                }
                Next::Go | Next::Skip => {}
            }
        }
        open.extend(enter.into_iter().rev());
    }
    Ok(End::Done)
}

impl Walk<'_> {
    fn over(&mut self) -> Result<Option<End>, ToolError> {
        self.seen += 1;
        self.call.check()?;
        if self.seen.is_multiple_of(1000) {
            #[expect(clippy::cast_precision_loss, reason = "a count for people")]
            self.call.progress(self.seen as f64, None, format!("{} entries", self.seen));
        }
        Ok(if self.seen > self.limits.entries {
            Some(End::Entries)
        } else if self.began.elapsed() > self.limits.time {
            Some(End::Time)
        } else {
            None
        })
    }

    /// The entries of a directory by name. One that cannot be entered is empty: a walk is about what can be seen.
    fn list(&self, below: &Path, depth: usize) -> Result<Vec<Found>, ToolError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let fd = match self.place.root.open(below, flags) {
            Ok(fd) => fd,
            Err(error) if depth == 1 => return Err(fault::system(&self.place.shown, error)),
            Err(_) => return Ok(Vec::new()),
        };
        let mut entries = Vec::new();
        let reader = Dir::read_from(&fd).map_err(|error| fault::system(&self.place.shown, error))?;
        for entry in reader.take(self.limits.per_directory + 2) {
            let Ok(entry) = entry else { break };
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if name == "." || name == ".." {
                continue;
            }
            let Ok(stat) = statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let below = if below == Path::new(".") { PathBuf::from(&name) } else { below.join(&name) };
            entries.push(Found { below, name: name.to_string_lossy().into_owned(), stat });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn shows(&self, entry: &Found, rules: &[Gitignore]) -> bool {
        if self.roots.policy.hides(&entry.below) && entry.kind() == "directory" || crate::trash::holds(&entry.below) {
            return false;
        }
        if !self.limits.hidden && entry.name.starts_with('.') {
            return false;
        }
        if self.limits.respect_ignore && entry.name == ".git" {
            return false;
        }
        let directory = entry.kind() == "directory";
        // The nearest rule decides.
        let decided =
            rules.iter().rev().map(|rules| rules.matched(&entry.below, directory)).find(|matched| !matched.is_none());
        !decided.is_some_and(|matched| matched.is_ignore())
    }

    fn rules(&self, below: &Path, entries: &[Found]) -> Option<Gitignore> {
        let mut builder = GitignoreBuilder::new(below);
        let mut any = false;
        for name in [".gitignore", ".ignore"] {
            let Some(entry) = entries.iter().find(|entry| entry.name == name && entry.kind() == "file") else {
                continue;
            };
            let place = Place { below: entry.below.clone(), ..self.place.clone() };
            let Ok((mut file, stat, _)) = self.roots.read(&place) else { continue };
            let Ok(bytes) = content::whole(name, &mut file, &stat, 1 << 20) else { continue };
            for line in String::from_utf8_lossy(&bytes).lines() {
                // A line that is no rule counts as none, as it does for git.
                any |= builder.add_line(None, line).is_ok();
            }
        }
        if any { builder.build().ok() } else { None }
    }
}
