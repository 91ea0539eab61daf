//! A certificate → the time it is valid for, so that somebody can be told before it ends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// From when on.
    pub begins: SystemTime,
    /// Until when.
    pub ends: SystemTime,
}

impl Life {
    /// `None` of what is no certificate, or none of our era.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let moment = |seconds: i64| Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?));
        let validity = parsed.validity();
        Some(Self { begins: moment(validity.not_before.timestamp())?, ends: moment(validity.not_after.timestamp())? })
    }

    /// Both moments in seconds since the epoch.
    pub fn seconds(&self) -> (f64, f64) {
        let of = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        (of(self.begins), of(self.ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DevCa;

    #[test]
    fn an_identity_knows_how_long_its_certificate_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        let authority = DevCa::open_or_create(folder.path()).unwrap();
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let before = now();
        let identity = authority.issue_for("echo", time::Duration::hours(2)).unwrap();
        let (begins, ends) = identity.life().unwrap().seconds();
        // Certificates know whole seconds.
        let issued = before - 1.0..=now();
        assert!(begins <= before && issued.contains(&(ends - 7200.0)), "{begins} {issued:?} {ends}");
        assert_eq!(Life::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
