//! The caller that proves nothing: whoever connects from the machine itself, where the settings ask for no more.
//!
//! Anyone else is refused, so that a gateway bound to a network address by mistake serves nobody.

use super::{Arrival, Caller, Denied, Kind, Standing};
use crate::authorize::Role;

/// What it is called.
pub(super) const LOCAL: &str = "local";

/// One caller for all of them.
#[derive(Debug)]
pub(super) struct Anonymous(Caller);

impl Default for Anonymous {
    fn default() -> Self {
        let id = LOCAL.into();
        Self(Caller::new(Standing { id, role: Role::Writer, tenant: None, proven: false, over: None }))
    }
}

impl Kind for Anonymous {
    fn label(&self) -> &'static str {
        "anonymous"
    }

    fn look(&self, arrival: &Arrival<'_>) -> Option<Result<Caller, Denied>> {
        arrival.peer.is_local().then(|| Ok(self.0.clone()))
    }
}
