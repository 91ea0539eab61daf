//! Who may use a connection for what: one decision, asked before anything reaches a backend.

use globset::{Glob, GlobSet, GlobSetBuilder};
use weft_kit::{Call, ToolError};

use crate::settings::{Access, Rights};

/// What a tool wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// See it.
    Read,
    /// Change rows, values or nodes.
    Write,
    /// Change tables.
    Migrate,
}

/// The rules of one connection.
#[derive(Debug)]
pub(crate) struct Rules {
    access: Access,
    tenants: GlobSet,
}

impl Rules {
    /// Fails on a glob that is none.
    pub(crate) fn new(access: Access) -> Result<Self, anyhow::Error> {
        let tenants = globs(&access.tenants)?;
        Ok(Self { access, tenants })
    }

    /// What anyone may do at most.
    pub(crate) fn most(&self) -> Rights {
        self.access.rights
    }

    /// Whether the caller may know that the connection exists.
    pub(crate) fn is_visible(&self, call: &Call) -> bool {
        let role = self.access.roles.is_empty() || self.access.roles.iter().any(|role| call.caller().has_role(role));
        role && (self.access.tenants.is_empty() || self.tenants.is_match(call.namespace()))
    }

    /// What the caller may do at most.
    pub(crate) fn rights(&self, call: &Call) -> Rights {
        let writers = &self.access.writers;
        let writes = writers.is_empty() || writers.iter().any(|role| call.caller().has_role(role));
        if writes { self.access.rights } else { Rights::ReadOnly }
    }

    /// Whether a tool may be used at all.
    pub(crate) fn offers(&self, tool: &str) -> bool {
        self.access.tools.is_empty() || self.access.tools.iter().any(|allowed| allowed == tool)
    }

    /// Fails unless the caller may do this, with this tool, on the connection called `name`.
    pub(crate) fn permit(&self, call: &Call, name: &str, (need, tool): (Need, &str)) -> Result<(), ToolError> {
        if !self.is_visible(call) {
            return Err(unknown(name));
        }
        if !self.offers(tool) {
            return Err(ToolError::refused(format!("{tool} may not be used on the connection {name:?}")));
        }
        let allowed = match need {
            Need::Read => true,
            Need::Write => self.rights(call) >= Rights::ReadWrite,
            Need::Migrate => self.rights(call) >= Rights::Migrate,
        };
        if allowed {
            return Ok(());
        }
        let what = if need == Need::Migrate { "may not change tables here" } else { "may only read here" };
        Err(ToolError::refused(format!("you {what}: connection {name:?}"))
            .hint("list_connections says what each connection allows"))
    }
}

/// What a connection that does not exist, or that the caller may not know of, looks like.
pub(crate) fn unknown(name: &str) -> ToolError {
    ToolError::not_found(format!("there is no connection {name:?}")).hint("list_connections names them all")
}

/// A set of globs.
pub(crate) fn globs(patterns: &[String]) -> Result<GlobSet, anyhow::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern)?);
    }
    Ok(set.build()?)
}
