//! A small value → an opaque token that only this service can read, bound to who may use it, for what, and until when.
//!
//! Cursors and plans are handed to clients and come back as arguments, so they are attacker-controlled. AES-256-GCM hides and
//! authenticates them; purpose and service are associated data; caller, tool, arguments and expiry are inside and compared
//! after opening, so that a mismatch can be explained. Possession of a token proves nothing: the caller must match.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use weft_identity::keep_first;

use crate::caller::Caller;

/// Longer tokens are refused unread: ours are a few hundred bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// The 256-bit key of a service's tokens. Instances of one service that share it read each other's cursors and plans.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// A key that lives as long as this process.
    pub fn random() -> Result<Self, SealKeyError> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| SealKeyError::NoRandomness)?;
        Ok(Self(key))
    }

    /// A key that the operator made.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key kept in `path` (32 raw bytes, readable by the owner only), made at the first start. Of several that start at once over
    /// one path, all get the key of the first.
    pub fn open_or_create(path: &Path) -> Result<Self, SealKeyError> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let Self(fresh) = Self::random()?;
                keep_first(path, &fresh).map_err(|source| SealKeyError::Write { path: path.into(), source })?
            }
            read => read.map_err(|source| SealKeyError::Read { path: path.into(), source })?,
        };
        bytes.try_into().map(Self).map_err(|_| SealKeyError::Length { path: path.into() })
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    /// The file exists but cannot be read.
    #[error("cannot read the seal key {}: make it readable for this user, or remove it to get a new one", path.display())]
    Read {
        /// The key file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A new key cannot be kept.
    #[error("cannot write the seal key {}: the state directory must exist and be writable", path.display())]
    Write {
        /// The key file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{} is no seal key: it must hold exactly 32 bytes; remove it to get a new one", path.display())]
    Length {
        /// The key file.
        path: std::path::PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system's random number generator failed: a seal key cannot be made")]
    NoRandomness,
}

/// What a token is for. Tokens of one purpose never open as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Cursor,
    Plan,
    Question,
}

/// What a token is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) tool: &'a str,
    pub(crate) arguments: &'a Value,
}

/// Why a token does not open here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Not ours, altered, for something else, or another caller's: told apart by nobody outside.
    Unknown,
    Expired,
    OtherTool,
    OtherArguments,
}

#[derive(Serialize, Deserialize)]
struct Inside<B> {
    /// Expiry, seconds since 1970.
    e: u64,
    /// Caller and namespace, hashed.
    c: String,
    /// Tool.
    t: String,
    /// Canonical arguments, hashed.
    a: String,
    /// The value.
    b: B,
}

/// Seals and opens the tokens of one service.
pub(crate) struct Sealer {
    key: RandomizedNonceKey,
    service: String,
}

impl Sealer {
    pub(crate) fn new(key: &SealKey, service: &str) -> Result<Self, SealKeyError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key.0).map_err(|_| SealKeyError::NoRandomness)?;
        Ok(Self { key, service: service.to_owned() })
    }

    /// `None` only when `body` is no JSON or the system has no randomness.
    pub(crate) fn seal<B: Serialize>(&self, purpose: Purpose, to: Bound<'_>, until: u64, body: &B) -> Option<String> {
        let inside =
            Inside { e: until, c: caller_hash(to.caller), t: to.tool.to_owned(), a: hash(to.arguments), b: body };
        let mut bytes = serde_json::to_vec(&inside).ok()?;
        let nonce = self.key.seal_in_place_append_tag(Aad::from(self.context(purpose)), &mut bytes).ok()?;
        let token = [nonce.as_ref().as_slice(), &bytes].concat();
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    pub(crate) fn open<B: DeserializeOwned>(
        &self,
        purpose: Purpose,
        by: Bound<'_>,
        now: u64,
        token: &str,
    ) -> Result<B, Unfit> {
        if token.len() > MAX_TOKEN {
            return Err(Unfit::Unknown);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Unfit::Unknown)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Unfit::Unknown)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unfit::Unknown)?;
        let aad = Aad::from(self.context(purpose));
        let plain = self.key.open_in_place(nonce, aad, sealed).map_err(|_| Unfit::Unknown)?;
        let inside: Inside<B> = serde_json::from_slice(plain).map_err(|_| Unfit::Unknown)?;
        if inside.c != caller_hash(by.caller) {
            return Err(Unfit::Unknown);
        }
        if inside.t != by.tool {
            return Err(Unfit::OtherTool);
        }
        if inside.e <= now {
            return Err(Unfit::Expired);
        }
        if inside.a != hash(by.arguments) {
            return Err(Unfit::OtherArguments);
        }
        Ok(inside.b)
    }

    fn context(&self, purpose: Purpose) -> String {
        format!("weft/1 {purpose:?} {}", self.service)
    }
}

fn caller_hash(caller: &Caller) -> String {
    let digest = Sha256::new().chain_update(&caller.id).chain_update([0]).chain_update(&caller.namespace).finalize();
    URL_SAFE_NO_PAD.encode(&digest[..16])
}

/// Arguments that the kit itself reads: the same call continued or applied carries the same other arguments.
const OURS: [&str; 2] = ["cursor", "plan_id"];

/// A digest of the arguments that does not depend on the order of keys, without the tokens themselves.
fn hash(arguments: &Value) -> String {
    let mut digest = Sha256::new();
    match arguments {
        Value::Object(fields) => {
            digest_object(&mut digest, fields.iter().filter(|(name, _)| !OURS.contains(&name.as_str())));
        }
        other => digest_value(&mut digest, other),
    }
    URL_SAFE_NO_PAD.encode(&digest.finalize()[..16])
}

fn digest_object<'v>(digest: &mut Sha256, fields: impl Iterator<Item = (&'v String, &'v Value)>) {
    let mut fields: Vec<_> = fields.filter(|(_, value)| !value.is_null()).collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    digest.update(b"{");
    for (name, value) in fields {
        digest_text(digest, name);
        digest_value(digest, value);
    }
    digest.update(b"}");
}

fn digest_value(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => digest_object(digest, fields.iter()),
        Value::Array(items) => {
            digest.update(b"[");
            for item in items {
                digest_value(digest, item);
            }
            digest.update(b"]");
        }
        Value::String(text) => digest_text(digest, text),
        other => digest_text(digest, &format!("\u{1}{other}")),
    }
}

/// Length first, so that no two different sequences run together.
fn digest_text(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(&SealKey::from_bytes([7; 32]), "echo").unwrap()
    }

    #[test]
    fn arguments_hash_alike_in_any_order_and_with_any_token() {
        let a = json!({"path": "x", "limit": 3, "cursor": "1"});
        let b = json!({"plan_id": "2", "limit": 3, "path": "x", "glob": null});
        assert_eq!(hash(&a), hash(&b));
        assert_ne!(hash(&a), hash(&json!({"path": "x", "limit": "3"})));
        assert_ne!(hash(&json!(["ab", "c"])), hash(&json!(["a", "bc"])));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (caller, arguments) = (Caller::local("local"), json!({}));
        let to = Bound { caller: &caller, tool: "list", arguments: &arguments };
        let token = sealer().seal(Purpose::Cursor, to, 100, &5).unwrap();
        assert_eq!(sealer().open::<i32>(Purpose::Cursor, to, 99, &token), Ok(5));
        let raw = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..raw.len() * 8 {
            let mut bent = raw.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let bent = URL_SAFE_NO_PAD.encode(bent);
            assert_eq!(sealer().open::<i32>(Purpose::Cursor, to, 99, &bent), Err(Unfit::Unknown));
        }
    }

    #[test]
    fn a_token_fits_only_its_caller_tool_arguments_time_and_purpose() {
        let (caller, arguments) = (Caller::local("a"), json!({"path": "x"}));
        let to = Bound { caller: &caller, tool: "list", arguments: &arguments };
        let token = sealer().seal(Purpose::Plan, to, 100, &1).unwrap();
        let open = |purpose, by, now| sealer().open::<i32>(purpose, by, now, &token);
        assert_eq!(open(Purpose::Plan, to, 100), Err(Unfit::Expired));
        assert_eq!(open(Purpose::Question, to, 1), Err(Unfit::Unknown));
        assert_eq!(open(Purpose::Plan, Bound { tool: "grep", ..to }, 1), Err(Unfit::OtherTool));
        let (other_caller, other_arguments) = (Caller::local("b"), json!({}));
        assert_eq!(open(Purpose::Plan, Bound { arguments: &other_arguments, ..to }, 1), Err(Unfit::OtherArguments));
        assert_eq!(open(Purpose::Plan, Bound { caller: &other_caller, ..to }, 1), Err(Unfit::Unknown));
        let other = Sealer::new(&SealKey::from_bytes([7; 32]), "files").unwrap();
        assert_eq!(other.open::<i32>(Purpose::Plan, to, 1, &token), Err(Unfit::Unknown));
    }

    #[test]
    fn a_key_is_kept_privately_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let first = SealKey::open_or_create(&path).unwrap();
        assert_eq!(SealKey::open_or_create(&path).unwrap(), first);
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(SealKey::open_or_create(&path), Err(SealKeyError::Length { .. })));
    }
}
