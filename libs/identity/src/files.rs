//! An identity in PEM files, as cert-manager and most authorities deliver it: read again when they change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    Identity, IdentityError, Material, Source,
    pem::{self, Fault},
};
use arc_swap::ArcSwap;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// Where the parts of an identity lie.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate, and behind it its intermediates.
    pub certificate: PathBuf,
    /// The private key, PKCS#8 or SEC1.
    pub key: PathBuf,
    /// The authorities that peers must be signed by.
    pub authorities: PathBuf,
}

impl Files {
    /// The names that cert-manager gives in a mounted secret.
    pub fn in_directory(dir: &Path) -> Self {
        Self { certificate: dir.join("tls.crt"), key: dir.join("tls.key"), authorities: dir.join("ca.crt") }
    }

    /// Reads the files, which must fit each other now; later changes are followed.
    pub fn open(self) -> Result<Identity, IdentityError> {
        // The stamp first: a change while the files are read is then seen at the next look.
        let stamp = self.stamp();
        let material = Arc::new(self.read()?);
        let watched =
            Watched { files: self, present: ArcSwap::new(material), looked: Mutex::new((Instant::now(), stamp)) };
        Ok(Identity::new(Arc::new(watched)))
    }

    fn read(&self) -> Result<Material, IdentityError> {
        let wrong = |path: &Path, why: String| IdentityError::File { path: path.to_owned(), why };
        let text = |path: &Path| fs::read(path).map_err(|error| wrong(path, error.to_string()));
        let (chain, key, authorities) = (text(&self.certificate)?, text(&self.key)?, text(&self.authorities)?);
        pem::material(&chain, &key, &authorities).map_err(|fault| match fault {
            Fault::Certificate(why) => wrong(&self.certificate, why),
            Fault::Key(why) => wrong(&self.key, why),
            Fault::Authorities(why) => wrong(&self.authorities, why),
        })
    }

    /// What changes when a file does; a mounted secret changes by its link.
    fn stamp(&self) -> Vec<Option<(SystemTime, u64)>> {
        let of = |path: &PathBuf| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        [&self.certificate, &self.key, &self.authorities].into_iter().map(of).collect()
    }
}

type Stamp = Vec<Option<(SystemTime, u64)>>;

struct Watched {
    files: Files,
    present: ArcSwap<Material>,
    looked: Mutex<(Instant, Stamp)>,
}

impl Source for Watched {
    fn current(&self) -> Arc<Material> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.0.elapsed() >= LOOK {
            looked.0 = Instant::now();
            let stamp = self.files.stamp();
            if stamp != looked.1 {
                match self.files.read() {
                    Ok(material) => {
                        self.present.store(Arc::new(material));
                        looked.1 = stamp;
                        tracing::info!(certificate = ?self.files.certificate, "certificate replaced");
                    }
                    // The files may be half written: the next look decides.
                    Err(error) => tracing::warn!(%error, "the new certificate cannot be used; the old one stays"),
                }
            }
        }
        drop(looked);
        self.present.load_full()
    }
}
