//! Step 7: may this caller take this route. Every call passes here; the answer today is always yes.
//!
//! The step exists from the first day so that no path around it can grow: a [`Permit`] is the only thing
//! that the next step accepts, and only this file makes one.

use crate::{authenticate::Caller, refusal::Refusal, route::Route};

/// An authorised call.
pub(crate) struct Permit {
    route: Route,
}

impl Permit {
    /// What was permitted.
    pub(crate) fn into_route(self) -> Route {
        self.route
    }
}

/// Decides. A forbidden name will answer exactly like an unknown one.
#[expect(clippy::unnecessary_wraps, reason = "the policy that can refuse is the next thing to stand here")]
pub(crate) fn permit(_caller: &Caller, route: Route) -> Result<Permit, Refusal> {
    Ok(Permit { route })
}
