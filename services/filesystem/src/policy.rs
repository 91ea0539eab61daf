//! Paths inside the roots that are nobody's business: secrets may not be read, and what other programs obey not written.
//!
//! Rules are matched against the path that the kernel reports for an open handle, not against what the caller wrote, so that
//! a link inside the root is no way around them.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use weft_kit::ToolError;

use crate::trash;

/// The rules.
#[derive(Debug)]
pub(crate) struct Policy {
    read: GlobSet,
    write: GlobSet,
}

impl Policy {
    /// From globs on paths below a root.
    pub(crate) fn new(deny_read: &[String], deny_write: &[String]) -> Result<Self, globset::Error> {
        Ok(Self { read: set(deny_read)?, write: set(deny_write)? })
    }

    /// True for what may be listed but not opened.
    pub(crate) fn hides(&self, below: &Path) -> bool {
        self.read.is_match(below) || trash::holds(below)
    }

    pub(crate) fn may_read(&self, below: &Path, shown: &str) -> Result<(), ToolError> {
        if self.hides(below) { Err(denied(shown, "read")) } else { Ok(()) }
    }

    pub(crate) fn may_write(&self, below: &Path, shown: &str) -> Result<(), ToolError> {
        if self.hides(below) || self.write.is_match(below) { Err(denied(shown, "written")) } else { Ok(()) }
    }
}

fn denied(shown: &str, what: &str) -> ToolError {
    ToolError::refused(format!("{shown} may not be {what}: it holds secrets or is obeyed by other programs"))
}

fn set(globs: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        // Case is ignored: some file systems do, and a rule must hold there too.
        set.add(GlobBuilder::new(glob).literal_separator(true).case_insensitive(true).build()?);
    }
    set.build()
}
