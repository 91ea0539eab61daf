//! A registry in a file: instances written down by hand or by another tool, read again whenever the file changes.
//!
//! ```toml
//! [[instance]]
//! service = "filesystem"
//! address = "10.0.0.7:8501"
//! identity = "spiffe://weft.local/svc/filesystem"   # omit for plain HTTP
//! ```
//! A file that cannot be read, or says something impossible, changes nothing: the last good set stays, marked stale.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use tokio::sync::watch;

use crate::{Instance, PeerEra, ServiceId, Snapshot, Watch};

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);

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
    snapshots: watch::Sender<Arc<Snapshot>>,
}

impl StaticFile {
    /// Reads the file once; [`Self::follow`] keeps it read.
    pub fn open(path: &Path) -> Result<Arc<Self>, FileError> {
        let snapshot = Snapshot { services: parse(path, &read(path)?)?, stale: false, revision: 1 };
        Ok(Arc::new(Self { path: path.to_owned(), snapshots: watch::Sender::new(Arc::new(snapshot)) }))
    }

    /// Reads the file again whenever its content changes; never returns. Its owner aborts it.
    pub async fn follow(&self) {
        let mut seen = read(&self.path).unwrap_or_default();
        loop {
            tokio::time::sleep(LOOK).await;
            let text = match read(&self.path) {
                Ok(text) if text == seen && !self.snapshots.borrow().stale => continue,
                Ok(text) => text,
                Err(error) => {
                    self.mark_stale(&error);
                    continue;
                }
            };
            match parse(&self.path, &text) {
                Ok(services) => self.snapshots.send_modify(|present| {
                    *present = Arc::new(Snapshot { services, stale: false, revision: present.revision + 1 });
                }),
                Err(error) => self.mark_stale(&error),
            }
            seen = text;
        }
    }

    fn mark_stale(&self, error: &FileError) {
        self.snapshots.send_if_modified(|present| {
            if present.stale {
                return false;
            }
            tracing::warn!(%error, "the last good set of instances stays in use");
            let mut next = Snapshot::clone(present);
            next.stale = true;
            next.revision += 1;
            *present = Arc::new(next);
            true
        });
    }
}

impl Watch for StaticFile {
    fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }
}

fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })
}

fn parse(path: &Path, text: &str) -> Result<BTreeMap<ServiceId, Vec<Instance>>, FileError> {
    let wrong = |why: String| FileError::Wrong { path: path.to_owned(), why };
    let written: Written = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let mut services: BTreeMap<ServiceId, Vec<Instance>> = BTreeMap::new();
    let mut ids = HashSet::new();
    for one in written.instance {
        let instances = services.entry(one.service.clone()).or_default();
        let number = u32::try_from(instances.len() + 1).unwrap_or(u32::MAX);
        let usual = Instance::new(one.service, number, one.address);
        let instance = Instance {
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
        };
        if !ids.insert(instance.id.clone()) {
            return Err(wrong(format!("the id {:?} is given twice", instance.id)));
        }
        instances.push(instance);
    }
    Ok(services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_edit_is_followed_and_a_bad_edit_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.toml");
        std::fs::write(&path, "[[instance]]\nservice = \"echo\"\naddress = \"127.0.0.1:1\"\n").unwrap();
        let registry = StaticFile::open(&path).unwrap();
        let mut watch = registry.watch();
        let following = {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move { registry.follow().await })
        };
        tokio::time::sleep(LOOK / 2).await;
        let two = "[[instance]]\nservice = \"echo\"\naddress = \"127.0.0.1:1\"\n[[instance]]\nservice = \"echo\"\naddress = \"127.0.0.1:2\"\n";
        std::fs::write(&path, two).unwrap();
        watch.changed().await.unwrap();
        assert_eq!(watch.borrow_and_update().services.values().flatten().count(), 2);
        std::fs::write(&path, "[[instance]]\nservice = \"No\"\n").unwrap();
        watch.changed().await.unwrap();
        let snapshot = Arc::clone(&watch.borrow_and_update());
        assert!(snapshot.stale && snapshot.services.values().flatten().count() == 2);
        std::fs::write(&path, two).unwrap();
        watch.changed().await.unwrap();
        assert!(!watch.borrow_and_update().stale);
        following.abort();
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.toml");
        let missing = StaticFile::open(&path).unwrap_err().to_string();
        assert!(missing.contains("cannot read the registry file"), "{missing}");
        for (text, hint) in [
            ("[[instance]]\nservice = \"a_b\"\naddress = \"127.0.0.1:1\"\n", "a-z"),
            ("[[instance]]\nservice = \"a\"\naddress = \"nowhere\"\n", "address"),
            ("[[instance]]\nservice = \"a\"\naddress = \"127.0.0.1:1\"\nzome = \"x\"\n", "zome"),
            (
                "[[instance]]\nservice = \"a\"\naddress = \"127.0.0.1:1\"\nid = \"x\"\n[[instance]]\nservice = \"b\"\naddress = \"127.0.0.1:1\"\nid = \"x\"\n",
                "twice",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = StaticFile::open(&path).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
