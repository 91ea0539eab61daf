//! A client's certificate, after it was verified, as names; and the whole chain, for the day when it is verified again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// What a client's certificate proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its names, each behind its kind: `dns:`, `uri:`, `email:` (alternative names), `cn:` (the subject's common name). Visible ASCII.
    pub names: Vec<String>,
    /// When it ends.
    pub until: SystemTime,
    /// What it was proved with, to be looked at again.
    pub chain: Chain,
}

/// The certificates that a client showed, and the change of the files after which they were checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) checked: u64,
}

impl Proven {
    /// What a certificate that was verified proves. Names that could not stand in a header are left out.
    pub(super) fn of(chain: &[CertificateDer<'_>], checked: u64) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
        let alternative = parsed.subject_alternative_name().ok().flatten();
        let alternative =
            alternative.iter().flat_map(|names| names.value.general_names.iter()).filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(format!("dns:{name}")),
                GeneralName::URI(name) => Some(format!("uri:{name}")),
                GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
                _ => None,
            });
        let common = parsed.subject().iter_common_name().filter_map(|name| Some(format!("cn:{}", name.as_str().ok()?)));
        let names =
            alternative.chain(common).filter(|name| name.len() <= 256 && name.bytes().all(|it| it.is_ascii_graphic()));
        let until = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
        let chain = Chain { certificates: chain.iter().map(|it| it.clone().into_owned()).collect(), checked };
        Some(Self { names: names.collect(), until: UNIX_EPOCH + Duration::from_secs(until), chain })
    }
}
