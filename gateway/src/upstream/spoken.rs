//! Which eras an instance speaks: said by the registry, or learned by asking, and forgotten again when it proves wrong.

use std::sync::atomic::{AtomicU8, Ordering};

use weft_mesh::PeerEra;
use weft_wire::version::{Era, Version};

/// What is known, shared by all views of one instance.
#[derive(Debug)]
pub(crate) struct Spoken(AtomicU8);

/// The eras that a server speaks; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Eras {
    pub(crate) session: bool,
    pub(crate) stateless: bool,
}

impl Eras {
    pub(crate) const SESSION: Self = Self { session: true, stateless: false };
    pub(crate) const STATELESS: Self = Self { session: false, stateless: true };

    /// The eras of the versions that a server lists; one that answers `server/discover` speaks the stateless era in any case.
    pub(crate) fn of_versions(versions: &[String]) -> Self {
        let session = versions.iter().any(|text| Version::parse(text).is_some_and(|it| it.era() == Era::Session));
        Self { session, stateless: true }
    }

    /// The name for people.
    pub(crate) const fn label(self) -> &'static str {
        match (self.session, self.stateless) {
            (true, true) => "dual",
            (false, true) => "stateless",
            _ => "session",
        }
    }
}

const SESSION: u8 = 1;
const STATELESS: u8 = 2;

impl Spoken {
    pub(crate) fn new(said: PeerEra) -> Self {
        Self(AtomicU8::new(match said {
            PeerEra::Dual => SESSION | STATELESS,
            PeerEra::Session => SESSION,
            PeerEra::Stateless => STATELESS,
            PeerEra::Unknown => 0,
        }))
    }

    /// What is known; none before anybody asked.
    pub(crate) fn eras(&self) -> Option<Eras> {
        let bits = self.0.load(Ordering::Relaxed);
        (bits != 0).then_some(Eras { session: bits & SESSION != 0, stateless: bits & STATELESS != 0 })
    }

    pub(crate) fn learn(&self, eras: Eras) {
        let bits = if eras.session { SESSION } else { 0 } | if eras.stateless { STATELESS } else { 0 };
        self.0.store(bits, Ordering::Relaxed);
    }

    /// The server answered as if it spoke something else: it is asked again.
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_can_be_forgotten() {
        let spoken = Spoken::new(PeerEra::Unknown);
        assert_eq!(spoken.eras(), None);
        spoken.learn(Eras::SESSION);
        assert_eq!(spoken.eras(), Some(Eras::SESSION));
        spoken.forget();
        assert_eq!(spoken.eras(), None);
        assert_eq!(Spoken::new(PeerEra::Dual).eras().map(Eras::label), Some("dual"));
    }

    #[test]
    fn listed_versions_tell_the_eras() {
        let of = |versions: &[&str]| Eras::of_versions(&versions.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["2026-07-28"]), Eras::STATELESS);
        assert!(of(&["2026-07-28", "2025-11-25"]).session);
        assert_eq!(of(&["2031-01-01"]), Eras::STATELESS);
    }
}
