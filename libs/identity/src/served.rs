//! The certificate that a listener for clients of the outside shows, and the names that their own certificates prove.
//!
//! Apart from [`crate::Identity`], because here nobody is a member of the mesh: clients know us by host name and bring a certificate
//! only where the operator has an authority for them. Each handshake uses the files of that moment; no connection is dropped when
//! they change, but one whose certificate is not taken any more must not stay. Other replicas of ours come through the same door,
//! and say so in the first message (`served/replica.rs`).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, TryLockError},
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    server::{Acceptor, NoServerSessionStorage},
    sign::CertifiedKey,
    version::TLS13,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::watch,
};
use tokio_rustls::{LazyConfigAcceptor, server};

use crate::{
    Identity, IdentityError, Life,
    handshake::{Present, explain, provider},
    pem,
};

mod clients;
mod names;
mod proven;
mod replica;

use clients::Clients;
use names::Names;
pub use proven::{Chain, Proven};
pub(crate) use replica::PROTOCOL as REPLICA;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// How long a client that is refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// The files of a listener.
#[derive(Debug, Clone)]
pub struct ServedFiles {
    /// The certificate, and behind it its intermediates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// The authorities that clients' certificates must be signed by; clients are not asked for any without.
    pub clients: Option<PathBuf>,
    /// What these authorities have revoked: a list of each, PEM or one in DER (RFC 5280, section 5).
    pub revoked: Option<PathBuf>,
    /// Whether a client must have a certificate.
    pub required: bool,
}

/// Who came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guest {
    /// A client, and what it proved if it showed a certificate.
    Client(Option<Proven>),
    /// Another replica of ours, which has proved to be one.
    Replica,
}

type Stamp = Vec<Option<(SystemTime, u64)>>;

/// A listener's side of handshakes: TLS 1.3, `h2` and `http/1.1`.
#[derive(Clone)]
pub struct Served(Arc<Inner>);

struct Inner {
    files: ServedFiles,
    present: ArcSwap<Material>,
    looked: Mutex<Looked>,
    /// Counts changes of what is present.
    changes: watch::Sender<u64>,
    /// Who we are in the mesh, as other replicas are too.
    identity: Option<Identity>,
}

/// The last look at the files.
struct Looked {
    at: Instant,
    stamp: Stamp,
    /// A list of revoked certificates was out of date.
    overdue: bool,
}

/// One moment of the files.
struct Material {
    config: Arc<ServerConfig>,
    certified: Arc<CertifiedKey>,
    names: Names,
    clients: Option<Arc<Clients>>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Served").field(&self.0.files.certificate).finish()
    }
}

impl Served {
    /// Reads the files, which must fit each other now; later changes are followed. Replicas prove to each other to be `identity`,
    /// and to hold this certificate where there is none.
    pub fn open(files: ServedFiles, identity: Option<Identity>) -> Result<Self, IdentityError> {
        // The stamp first: a change while the files are read is then seen at the next look.
        let looked = Looked { stamp: files.stamp(), at: Instant::now(), overdue: false };
        let material = Material::new(files.certified()?, Clients::read(&files)?.map(Arc::new))?;
        let (present, looked) = (ArcSwap::from_pointee(material), Mutex::new(looked));
        Ok(Self(Arc::new(Inner { files, present, looked, changes: watch::Sender::new(0), identity })))
    }

    /// Proves ourselves to whoever comes; gives who that is.
    pub async fn accept<S>(&self, stream: S) -> Result<(server::TlsStream<S>, Guest), IdentityError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.look();
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
        let begun = begun.map_err(|error| explain(&error, &Arc::default()))?;
        if replica::is_one(&begun.client_hello()) {
            return Ok((self.accept_replica(begun).await?, Guest::Replica));
        }
        // The count first: a change in between is then checked once more.
        let checked = *self.0.changes.borrow();
        let config = Arc::clone(&self.0.present.load().config);
        let stream = match begun.into_stream(config).into_fallible().await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                farewell(stream).await;
                return Err(explain(&error, &Arc::default()));
            }
        };
        let proven = stream.get_ref().1.peer_certificates().and_then(|chain| Proven::of(chain, checked));
        Ok((stream, Guest::Client(proven)))
    }

    /// Waits until a client that was let in would not be let in any more, and gives why: its certificate was revoked, its
    /// authority is not one any more, or the list that would tell is out of date.
    pub async fn distrusted(&self, chain: &Chain) -> IdentityError {
        let (mut changes, mut checked) = (self.0.changes.subscribe(), chain.checked);
        loop {
            let now = *changes.borrow_and_update();
            if now != checked {
                let clients = self.0.present.load().clients.clone();
                if let Some(Err(error)) = clients.map(|clients| clients.check(&chain.certificates)) {
                    return error;
                }
                checked = now;
            }
            // The sender lives as long as we do.
            let _ = changes.changed().await;
        }
    }

    /// True when the certificate that is shown is for `host`: a name, or an address without brackets.
    pub fn covers(&self, host: &str) -> bool {
        self.0.present.load().names.cover(host)
    }

    /// A host that the certificate that is shown is for; none where it has only names with `*`.
    pub fn host(&self) -> Option<String> {
        self.0.present.load().names.first()
    }

    /// How long the certificate is valid that was shown last.
    pub fn life(&self) -> Option<Life> {
        Life::of(self.0.present.load().certified.cert.first()?)
    }

    /// Looks whether the files have changed. What cannot be used is told of once, and what was in its place stays; the certificate
    /// and what clients are checked by do not wait for each other. Reads files: not for a thread that others wait for.
    pub fn look(&self) {
        let mut looked = match self.0.looked.try_lock() {
            Ok(looked) => looked,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody looks.
            Err(TryLockError::WouldBlock) => return,
        };
        if looked.at.elapsed() < LOOK {
            return;
        }
        looked.at = Instant::now();
        let stamp = self.0.files.stamp();
        let mut changed = stamp != looked.stamp && self.replace();
        looked.stamp = stamp;
        let until = self.0.present.load().clients.as_ref().and_then(|clients| clients.until);
        let overdue = until.is_some_and(|until| until <= SystemTime::now());
        if overdue && !looked.overdue {
            tracing::error!(
                list = ?self.0.files.revoked,
                "a list of revoked certificates is out of date: no client of its authority is let in until there is a new one"
            );
            changed = true;
        }
        looked.overdue = overdue;
        if changed {
            self.0.changes.send_modify(|count| *count += 1);
        }
    }

    /// Puts what the files hold now in the place of what was there; true when anything was.
    fn replace(&self) -> bool {
        let before = self.0.present.load_full();
        let certified = self.0.files.certified();
        let clients = Clients::read(&self.0.files);
        for error in [certified.as_ref().err(), clients.as_ref().err()].into_iter().flatten() {
            // Half written, mostly: the next change decides.
            tracing::warn!(%error, reason = error.label(), "what has changed cannot be used; what was there before stays");
        }
        if certified.is_err() && clients.is_err() {
            return false;
        }
        let certified = certified.unwrap_or_else(|_| Arc::clone(&before.certified));
        let clients = clients.map_or_else(|_| before.clients.clone(), |clients| clients.map(Arc::new));
        match Material::new(certified, clients) {
            Ok(material) => {
                self.0.present.store(Arc::new(material));
                let (certificate, revoked) = (&self.0.files.certificate, &self.0.files.revoked);
                tracing::info!(?certificate, ?revoked, "certificate, authorities or lists of the listener replaced");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the files do not fit each other; what was there before stays");
                false
            }
        }
    }
}

impl Material {
    fn new(certified: Arc<CertifiedKey>, clients: Option<Arc<Clients>>) -> Result<Self, IdentityError> {
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]);
        let builder = builder.map_err(|error| IdentityError::Handshake(error.to_string()))?;
        let present = Arc::new(Present(Arc::clone(&certified)));
        let mut config = match &clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(&clients.verifier)),
        }
        .with_cert_resolver(present);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if clients.is_some() {
            // A resumed session would not be checked again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config), names: Names::of(&certified.cert), certified, clients })
    }
}

impl ServedFiles {
    fn certified(&self) -> Result<Arc<CertifiedKey>, IdentityError> {
        let wrong = |path: &Path, why: String| IdentityError::File { path: path.to_owned(), why };
        let text = |path: &Path| fs::read(path).map_err(|error| wrong(path, error.to_string()));
        let (chain, key) = (text(&self.certificate)?, text(&self.key)?);
        let certified = pem::certified(&chain, &key).map_err(|fault| match fault {
            pem::Fault::Key(why) => wrong(&self.key, why),
            pem::Fault::Certificate(why) | pem::Fault::Authorities(why) => wrong(&self.certificate, why),
        })?;
        Ok(Arc::new(certified))
    }

    /// What changes when a file does; a mounted secret changes by its link.
    fn stamp(&self) -> Stamp {
        let of = |path: &PathBuf| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        let files = [Some(&self.certificate), Some(&self.key), self.clients.as_ref(), self.revoked.as_ref()];
        files.into_iter().flatten().map(of).collect()
    }
}

/// Lets a client read why it was refused: what it has sent meanwhile, unread, would reset the connection before that.
async fn farewell<S>(mut stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let reading = async {
        let mut rest = [0; 1024];
        stream.shutdown().await?;
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whoever does not go by itself goes now.
    let _ = tokio::time::timeout(FAREWELL, reading).await;
}

#[cfg(test)]
mod tests;
