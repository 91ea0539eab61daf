//! Step 7: what a caller may do. Every call passes here: a [`Permit`] is the only thing that the next step accepts, and only this
//! file makes one.
//!
//! A writer may do everything. A reader may do what changes nothing: of a service whose word is taken for it, the tools that say so
//! themselves, and the methods that only read. The lists of a reader are made by the same rule ([`reads`]), so that a name it may
//! not call is one that it never sees, and is answered like a name that nobody has.

use serde::{Deserialize, Serialize};

use crate::{
    authenticate::Caller,
    call::{Asked, Spot},
    catalogue::shelf::Hints,
    refusal::Refusal,
    route::{Route, Target},
    upstream::Service,
};

/// What a caller may do, from little to all.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See and call what changes nothing.
    #[default]
    Reader,
    /// Call everything.
    Writer,
    /// Also ask the administration address.
    Admin,
}

impl Role {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Admin => "admin",
        }
    }
}

/// Not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; use reader, writer or admin")]
pub struct InvalidRole(pub String);

impl std::str::FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let all = [Self::Reader, Self::Writer, Self::Admin];
        all.into_iter().find(|role| role.name() == text).ok_or_else(|| InvalidRole(text.to_owned()))
    }
}

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

/// Methods of a service that change nothing; a reader may use these, besides tools that say that they only read.
const READING: [&str; 10] = [
    "tools/list",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "completion/complete",
    "server/discover",
    "ping",
    "logging/setLevel",
];

/// What clients tell in every session; anything else a service may take for a wish.
const TELLING: [&str; 4] = [
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
];

/// Decides. A forbidden name is answered exactly like an unknown one.
pub(crate) fn permit(caller: &Caller, asked: &Asked, route: Route) -> Result<Permit, Refusal> {
    let may = match &route {
        _ if caller.role() > Role::Reader => true,
        // These are answered from what the caller's own view shows, or follow only what [`sees`] allows.
        Route::Local(_) | Route::Listen => true,
        Route::Subscribe(target, _) => sees(caller, &target.service),
        Route::Service(target) => sees(caller, &target.service) && may_ask(asked, target),
    };
    if may { Ok(Permit { route }) } else { Err(unknown(asked)) }
}

fn may_ask(asked: &Asked, target: &Target) -> bool {
    match asked.method.as_str() {
        "tools/call" => target.hints.is_some_and(reads),
        method => READING.contains(&method),
    }
}

/// True for a tool that changes nothing, as far as its word is taken.
pub(crate) const fn reads(hints: Hints) -> bool {
    hints.read_only && hints.vouched
}

/// Whether anything of a service may reach the caller. What a service says of itself counts only where the settings, or its
/// identity in the mesh, stand for it; one that nobody vouches for does not exist for a reader.
pub(crate) fn sees(caller: &Caller, service: &Service) -> bool {
    caller.role() > Role::Reader || service.is_vouched()
}

/// Whether a notification of the caller is passed on.
pub(crate) fn may_tell(caller: &Caller, method: &str) -> bool {
    caller.role() > Role::Reader || TELLING.contains(&method)
}

/// Whether the caller may ask the administration address.
pub(crate) fn may_administer(caller: &Caller) -> bool {
    caller.role() == Role::Admin
}

fn unknown(asked: &Asked) -> Refusal {
    let named = |what: &str, spot: &Option<Spot>| {
        let name = spot.as_ref().map_or("", |spot| spot.value.as_str());
        Refusal::Unknown(format!("unknown {what}: {name}").into())
    };
    let resource = |spot: &Spot| Refusal::UnknownResource(spot.value.clone());
    match (asked.method.as_str(), &asked.uri, &asked.resource_ref) {
        ("tools/call", ..) => named("tool", &asked.name),
        ("prompts/get", ..) => named("prompt", &asked.name),
        ("resources/read" | "resources/subscribe" | "resources/unsubscribe", Some(uri), _) => resource(uri),
        ("completion/complete", _, Some(uri)) => resource(uri),
        ("completion/complete", ..) => named("prompt", &asked.prompt_ref),
        _ => Refusal::UnknownMethod(asked.method.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_written_as_they_are_read_and_stand_in_order() {
        for role in [Role::Reader, Role::Writer, Role::Admin] {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("Admin".parse::<Role>().is_err());
        assert!(Role::Reader < Role::Writer && Role::Writer < Role::Admin);
        assert_eq!(Role::default(), Role::Reader, "what is not said must allow least");
    }

    #[test]
    fn a_tool_reads_only_when_it_says_so_and_somebody_stands_for_it() {
        let hints = |read_only, vouched| Hints { read_only, idempotent: true, vouched };
        assert!(reads(hints(true, true)));
        assert!(!reads(hints(true, false)) && !reads(hints(false, true)) && !reads(Hints::default()));
    }
}
