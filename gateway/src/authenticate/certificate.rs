//! Callers by client certificate: the names that a certificate of the operator's authority proves, and the role that the settings
//! give to the first of them that fits.

use std::time::SystemTime;

use globset::GlobSet;

use super::{Arrival, Caller, Denied, Kind, Standing};
use crate::{
    authorize::Role,
    settings::{auth::Auth, globs::globs},
};

/// One entry of the settings.
#[derive(Debug)]
struct Rule {
    names: GlobSet,
    role: Role,
    tenant: Option<String>,
}

#[derive(Debug)]
pub(super) struct Certified(Vec<Rule>);

impl Certified {
    /// None when the settings give no role to any certificate.
    pub(super) fn new(auth: &Auth) -> Option<Self> {
        let rule = |entry: &crate::settings::auth::CertificateRole| Rule {
            names: globs("auth.certificate", std::slice::from_ref(&entry.name), &mut Vec::new()),
            role: entry.role,
            tenant: entry.tenant.clone(),
        };
        (!auth.certificate.is_empty()).then(|| Self(auth.certificate.iter().map(rule).collect()))
    }
}

impl Kind for Certified {
    fn label(&self) -> &'static str {
        "certificate"
    }

    fn look(&self, arrival: &Arrival<'_>) -> Option<Result<Caller, Denied>> {
        let proven = arrival.peer.certificate.as_ref()?;
        let fits = |rule: &Rule| proven.names.iter().find(|name| rule.names.is_match(name)).cloned();
        let (rule, name) = self.0.iter().find_map(|rule| Some((rule, fits(rule)?)))?;
        // Checked in the handshake, but a connection may outlive it.
        if proven.until < SystemTime::now() {
            return Some(Err(Denied::Expired));
        }
        let tenant = rule.tenant.as_deref().map(Into::into);
        let (id, over) = (format!("certificate:{name}").into(), Some(arrival.peer.over.clone()));
        let standing = Standing { id, role: rule.role, tenant, proven: true, over };
        Some(Ok(Caller::new(standing)))
    }
}
