//! The file of keys: names, roles and hashes, never a key itself.
//!
//! A secret is 256 random bits, so nobody can try all of them, or those that people choose: SHA-256 is enough, and a slow hash
//! (argon2, bcrypt) would cost each request what it costs an attacker, for nothing. Writers take turns by a lock on a file
//! beside it, because the file itself is replaced by each of them; a reader sees the old one or the new one, whole, even when
//! a writer is killed in between.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{Role, text};

/// Why keys cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("cannot use the file of keys {path:?}; check its owner and mode, or name another with --keys")]
    File {
        /// The file, or the one beside it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not hold keys.
    #[error("{path:?} is no file of keys: {why}; restore it, or remove it and make the keys anew")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Anybody may write to the file.
    #[error(
        "everybody may write to the file of keys {0:?}: chmod 600 it, and make sure that no key in it is a stranger's"
    )]
    Open(PathBuf),
    /// The name cannot be one.
    #[error("{0:?} cannot be a key's name: use 1 to 64 letters, digits and . _ - @")]
    Name(String),
    /// Another key that is in use has the name.
    #[error("a key called {0:?} is in use; revoke it first, or choose another name")]
    Taken(String),
    /// No key in use has this name or id.
    #[error("no key in use is called {0:?}, or has it as its id; `weft keys list` shows them")]
    Unknown(String),
    /// The operating system gave no randomness.
    #[error("no random bytes from the operating system")]
    Random,
}

/// One key, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The part of the key that is no secret.
    pub id: String,
    /// Who it was made for.
    pub name: String,
    /// What its caller may do.
    pub role: Role,
    /// Whose data it works on: the namespace that servers are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// SHA-256 of the secret, in hexadecimal.
    hash: String,
    /// When it was made, seconds since 1970.
    pub created: u64,
    /// When it ends by itself, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// When it was revoked, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

impl Entry {
    /// True until it is revoked or over.
    pub fn is_valid(&self) -> bool {
        self.revoked.is_none() && !self.is_over()
    }

    /// True when its own time is over.
    pub fn is_over(&self) -> bool {
        self.expires.is_some_and(|at| at <= now())
    }

    /// The hash as bytes; none when it is not one.
    pub(super) fn hash(&self) -> Option<[u8; 32]> {
        let mut hash = [0; 32];
        if self.hash.len() != 64 || !self.hash.is_ascii() {
            return None;
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&self.hash[at * 2..at * 2 + 2], 16).ok()?;
        }
        Some(hash)
    }
}

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct New {
    /// Who it is for.
    pub name: String,
    /// What its caller may do.
    pub role: Role,
    /// Whose data it works on.
    pub tenant: Option<String>,
    /// How long it lasts; for ever without it.
    pub life: Option<Duration>,
}

/// The wire form.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    keys: Vec<Entry>,
}

const VERSION: u32 = 1;

/// A file of keys.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at `path`, which need not be there yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All keys, those that are over too; none when there is no file.
    pub fn list(&self) -> Result<Vec<Entry>, KeysError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.failed(source)),
        };
        let mode = fs::metadata(&self.path).map_err(|source| self.failed(source))?.permissions().mode();
        if mode & 0o002 != 0 {
            return Err(KeysError::Open(self.path.clone()));
        }
        let wrong = |why: String| KeysError::Content { path: self.path.clone(), why };
        let content: Content = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if content.version != VERSION {
            return Err(wrong(format!("it is of version {}, and this program knows {VERSION}", content.version)));
        }
        match content.keys.iter().find(|key| key.hash().is_none() || !is_name(&key.name)) {
            Some(key) => Err(wrong(format!("the entry {:?} has no usable hash or name", key.id))),
            None => Ok(content.keys),
        }
    }

    /// Makes a key; the text is given this once and kept nowhere.
    pub fn create(&self, new: New) -> Result<(Entry, String), KeysError> {
        if let Some(wrong) = [Some(&new.name), new.tenant.as_ref()].into_iter().flatten().find(|name| !is_name(name)) {
            return Err(KeysError::Name(wrong.clone()));
        }
        let key = text::fresh().ok_or(KeysError::Random)?;
        let parts = text::parse(&key).map_err(|_| KeysError::Random)?;
        let entry = Entry {
            id: parts.id.to_owned(),
            role: new.role,
            tenant: new.tenant,
            hash: parts.hash().iter().map(|byte| format!("{byte:02x}")).collect(),
            created: now(),
            expires: new.life.map(|life| now().saturating_add(life.as_secs())),
            revoked: None,
            name: new.name,
        };
        self.change(|keys| {
            if keys.iter().any(|other| other.name == entry.name && other.is_valid()) {
                return Err(KeysError::Taken(entry.name.clone()));
            }
            keys.push(entry.clone());
            Ok(())
        })?;
        Ok((entry, key))
    }

    /// Revokes the key with this name or id.
    pub fn revoke(&self, which: &str) -> Result<Entry, KeysError> {
        self.change(|keys| {
            let found = keys.iter_mut().find(|key| (key.name == which || key.id == which) && key.is_valid());
            let key = found.ok_or_else(|| KeysError::Unknown(which.to_owned()))?;
            key.revoked = Some(now());
            Ok(key.clone())
        })
    }

    /// Reads, changes and replaces the file while nobody else does.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<T, KeysError>) -> Result<T, KeysError> {
        let beside = |end: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| KeysError::File { path: folder.to_owned(), source })?;
        let turn = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(beside(".lock"));
        let turn = turn.and_then(|turn| turn.lock().map(|()| turn)).map_err(|source| self.failed(source))?;
        let mut keys = self.list()?;
        let done = change(&mut keys)?;
        self.replace(&beside(".new"), folder, &keys).map_err(|source| self.failed(source))?;
        drop(turn);
        Ok(done)
    }

    fn replace(&self, fresh: &Path, folder: &Path, keys: &[Entry]) -> std::io::Result<()> {
        let content = Content { version: VERSION, keys: keys.to_vec() };
        // One that was left by a writer that was killed has no use, and might have another mode.
        match fs::remove_file(fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
        file.write_all(&serde_json::to_vec_pretty(&content)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(fresh, &self.path)?;
        File::open(folder)?.sync_all()
    }

    fn failed(&self, source: std::io::Error) -> KeysError {
        KeysError::File { path: self.path.clone(), source }
    }
}

/// Names go into headers and logs as they are.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@');
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
