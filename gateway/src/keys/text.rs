//! The written form of a key: `weft_<id>_<secret>`, where the last six characters of the secret check the rest.
//!
//! The prefix lets scanners of repositories find a key that was committed, the id finds its entry without trying all of them,
//! and the check tells a typo from a key that is not known. Lower-case base32, because it survives being read aloud and a
//! double click selects all of it.

use aws_lc_rs::{digest, rand};

/// What every key begins with.
const PREFIX: &str = "weft_";
/// Characters of an id: 40 bits.
const ID: usize = 8;
/// Characters of the random part: 256 bits.
const RANDOM: usize = 52;
/// Characters that check the rest: 30 bits.
const CHECK: usize = 6;
/// RFC 4648, section 6, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Not a key: a character was lost or changed, or it is something else altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mistyped;

/// A key taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) id: &'a str,
    secret: &'a str,
}

impl Parts<'_> {
    /// What is kept of the secret.
    pub(super) fn hash(&self) -> [u8; 32] {
        sha256(self.secret.as_bytes())
    }
}

/// A new key; none only when the system gives no randomness.
pub(super) fn fresh() -> Option<String> {
    let (mut id, mut secret) = ([0; 5], [0; 32]);
    rand::fill(&mut id).ok()?;
    rand::fill(&mut secret).ok()?;
    let (id, secret) = (base32(&id), base32(&secret));
    let check = check(&id, &secret);
    Some(format!("{PREFIX}{id}_{secret}{check}"))
}

/// Takes a key apart.
pub(super) fn parse(key: &str) -> Result<Parts<'_>, Mistyped> {
    let (id, secret) = key.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(Mistyped)?;
    let is_base32 = |text: &str| text.bytes().all(|byte| ALPHABET.contains(&byte));
    if id.len() != ID || secret.len() != RANDOM + CHECK || !is_base32(id) || !is_base32(secret) {
        return Err(Mistyped);
    }
    let (random, given) = secret.split_at(RANDOM);
    if check(id, random) == given { Ok(Parts { id, secret }) } else { Err(Mistyped) }
}

fn check(id: &str, random: &str) -> String {
    let mut text = base32(&sha256(format!("weft key 1 {id} {random}").as_bytes()));
    text.truncate(CHECK);
    text
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// Without padding.
fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    let digit = |at: usize| (0..5).fold(0, |digit, next| digit << 1 | bit(at + next));
    (0..bytes.len() * 8).step_by(5).map(|at| char::from(ALPHABET[digit(at)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_an_id_and_a_secret_of_its_own() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_eq!(one.len(), PREFIX.len() + ID + 1 + RANDOM + CHECK);
        let (one, other) = (parse(&one).unwrap(), parse(&other).unwrap());
        assert!(one.id != other.id && one.hash() != other.hash());
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        for (plain, text) in [("", ""), ("f", "my"), ("foob", "mzxw6yq"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(base32(plain.as_bytes()), text);
        }
    }

    #[test]
    fn every_single_slip_is_told_from_a_key() {
        let key = fresh().unwrap();
        for at in 0..key.len() {
            let mut changed = key.clone().into_bytes();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(parse(std::str::from_utf8(&changed).unwrap()), Err(Mistyped), "character {at}");
            let mut lost = key.clone();
            lost.remove(at);
            assert_eq!(parse(&lost), Err(Mistyped), "without character {at}");
        }
        for other in ["", "weft_", "weft__", "sk-1234", &format!("{key}a"), &key.to_uppercase()] {
            assert_eq!(parse(other), Err(Mistyped), "{other}");
        }
    }
}
