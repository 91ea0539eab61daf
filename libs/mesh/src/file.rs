//! A registry in a file: instances written down by hand or by another tool, read again whenever the file changes.
//!
//! ```toml
//! [[instance]]
//! service = "filesystem"
//! address = "10.0.0.7:8501"
//! identity = "spiffe://weft.local/svc/filesystem"   # omit for plain HTTP
//! ```
//! A file that cannot be read, or says something impossible, changes nothing: the last good set stays, marked stale.
//!
//! Whoever writes the file may be seen half way, and half a file is often a good one: no instances, or an instance whose
//! identity is still to come. So an edit counts only when two looks see the same text, and one that leaves no instance
//! only when it stays for a whole [`LOOK`].

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use tokio::sync::watch;

use crate::{
    Instance, PeerEra, ServiceId, Snapshot, Watch,
    latest::{Latest, Services},
};

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);

/// Until the second look at an edit.
const SETTLE: Duration = Duration::from_millis(200);

/// Why a file is not a registry.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the registry file {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not say what a registry says.
    #[error("the registry file {path:?} is wrong: {why}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and what.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    instance: Vec<WrittenInstance>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInstance {
    service: ServiceId,
    address: SocketAddr,
    id: Option<String>,
    path: Option<String>,
    identity: Option<String>,
    version: Option<String>,
    weight: Option<u32>,
    zone: Option<String>,
    healthy: Option<bool>,
    era: Option<PeerEra>,
    sessions: Option<bool>,
    #[serde(default)]
    schemes: Vec<String>,
    policy: Option<String>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
}

/// A registry in a file.
#[derive(Debug)]
pub struct StaticFile {
    path: PathBuf,
    opened: String,
    latest: Latest,
}

impl StaticFile {
    /// Reads the file once; [`Self::follow`] keeps it read.
    pub fn open(path: &Path) -> Result<Arc<Self>, FileError> {
        let opened = std::fs::read_to_string(path).map_err(|source| unreadable(path, source))?;
        let latest = Latest::new(parse(path, &opened)?, false);
        Ok(Arc::new(Self { path: path.to_owned(), opened, latest }))
    }

    /// Reads the file again whenever its content changes; never returns. Its owner aborts it.
    pub async fn follow(&self) {
        let mut judged = self.opened.clone();
        let mut edit: Option<String> = None;
        loop {
            tokio::time::sleep(edit.as_deref().map_or(LOOK, |text| self.settle(text))).await;
            let text = match tokio::fs::read_to_string(&self.path).await {
                Ok(text) => text,
                Err(source) => {
                    edit = None;
                    self.keep(&unreadable(&self.path, source));
                    continue;
                }
            };
            let settled = text == judged || edit.as_ref() == Some(&text);
            if !settled {
                edit = Some(text);
                continue;
            }
            edit = None;
            if text != judged || self.latest.is_stale() {
                match parse(&self.path, &text) {
                    Ok(services) => self.latest.replace(services, false),
                    Err(error) => self.keep(&error),
                }
                judged = text;
            }
        }
    }

    /// How long an edit must stay as it is.
    fn settle(&self, text: &str) -> Duration {
        let empties = parse(&self.path, text).is_ok_and(|services| services.is_empty());
        if empties { LOOK } else { SETTLE }
    }

    fn keep(&self, error: &FileError) {
        if self.latest.mark_stale() {
            tracing::warn!(%error, "the last good set of instances stays in use");
        }
    }
}

impl Watch for StaticFile {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.latest.watch()
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> FileError {
    FileError::Read { path: path.to_owned(), source }
}

fn parse(path: &Path, text: &str) -> Result<Services, FileError> {
    let wrong = |why: String| FileError::Wrong { path: path.to_owned(), why };
    let written: Written = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let mut services = Services::new();
    let mut ids = HashSet::new();
    for one in written.instance {
        let instances = services.entry(one.service.clone()).or_default();
        let number = u32::try_from(instances.len() + 1).unwrap_or(u32::MAX);
        let instance = instance(one, number);
        if !ids.insert(instance.id.clone()) {
            return Err(wrong(format!("the id {:?} is given twice", instance.id)));
        }
        instances.push(instance);
    }
    Ok(services)
}

fn instance(one: WrittenInstance, number: u32) -> Instance {
    let usual = Instance::new(one.service, number, one.address);
    Instance {
        id: one.id.unwrap_or(usual.id),
        path: one.path.unwrap_or(usual.path),
        identity: one.identity,
        version: one.version.unwrap_or_default(),
        weight: one.weight.unwrap_or(1),
        zone: one.zone,
        healthy: one.healthy.unwrap_or(true),
        era: one.era.unwrap_or_default(),
        sessions: one.sessions.unwrap_or(true),
        schemes: one.schemes,
        policy: one.policy,
        meta: one.meta,
        ..usual
    }
}

#[cfg(test)]
mod tests;
