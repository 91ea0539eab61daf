//! Sealed tokens: what the gateway must remember, handed to the client unreadable and unchangeable.
//!
//! AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D) under a key that all replicas share. The purpose is bound as
//! associated data, so that a token made for one use is refused in another. Form: base64url of `nonce ‖ ciphertext ‖ tag`.

use std::{fs, io::ErrorKind, path::Path};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use weft_identity::keep_first;

const NONCE: usize = 12;
const TAG: usize = 16;

/// What can go wrong while a key is made or read.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file could not be read or written.
    #[error("cannot use the key file {path:?}; check its owner and mode")]
    File {
        /// The path tried.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a key.
    #[error("the key file {0:?} does not hold 32 bytes; remove it to have a new one made (open sessions end)")]
    Length(std::path::PathBuf),
    /// The operating system gave no randomness.
    #[error("no random bytes from the operating system")]
    Random,
}

/// The key and its two operations.
pub struct Seal {
    key: LessSafeKey,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seal(..)")
    }
}

impl Seal {
    /// A seal under the given 32 bytes.
    pub fn new(key: &[u8; 32]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError::Random)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Reads the key of `path`, or makes one (mode 0600) when there is none. Of replicas that start at once all get the first one's.
    pub fn open_or_create(path: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::File { path: path.to_owned(), source };
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut fresh = [0_u8; 32];
                rand::fill(&mut fresh).map_err(|_| SealError::Random)?;
                keep_first(path, &fresh).map_err(failed)?
            }
            read => read.map_err(failed)?,
        };
        let key = bytes.as_slice().try_into().map_err(|_| SealError::Length(path.to_owned()))?;
        Self::new(key)
    }

    /// Seals `plain` for `purpose`; `None` only when the system gives no randomness.
    pub(crate) fn seal(&self, purpose: &str, plain: &[u8]) -> Option<String> {
        let mut nonce = [0_u8; NONCE];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = Vec::with_capacity(NONCE + plain.len() + TAG);
        sealed.extend_from_slice(plain);
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.as_bytes()), &mut sealed)
            .ok()?;
        sealed.splice(0..0, nonce);
        Some(BASE64.encode(sealed))
    }

    /// Opens what [`Self::seal`] made for the same purpose; anything else is `None`.
    pub(crate) fn open(&self, purpose: &str, token: &str) -> Option<Vec<u8>> {
        let mut bytes = BASE64.decode(token).ok()?;
        let nonce: [u8; NONCE] = bytes.get(..NONCE)?.try_into().ok()?;
        let plain = self
            .key
            .open_within(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.as_bytes()), &mut bytes, NONCE..)
            .ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_unchanged_and_for_its_purpose() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let token = seal.seal("session", b"hello").unwrap();
        assert_eq!(seal.open("session", &token).as_deref(), Some(&b"hello"[..]));
        assert_eq!(seal.open("plan", &token), None);
        assert_eq!(Seal::new(&[8; 32]).unwrap().open("session", &token), None);
        let mut changed = token.clone().into_bytes();
        for index in 0..changed.len() {
            let kept = changed[index];
            changed[index] = if kept == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open("session", std::str::from_utf8(&changed).unwrap()), None, "byte {index}");
            changed[index] = kept;
        }
        for garbage in ["", "A", "AAAAAAAAAAAAAAAA", "not base64!"] {
            assert_eq!(seal.open("session", garbage), None);
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let token = Seal::open_or_create(&path).unwrap().seal("a", b"x").unwrap();
        assert!(Seal::open_or_create(&path).unwrap().open("a", &token).is_some());
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, b"short").unwrap();
        assert!(Seal::open_or_create(&path).unwrap_err().to_string().contains("32 bytes"));
    }
}
