//! What a session's token says.

use serde::{Deserialize, Serialize};
use weft_wire::version::Version;

use crate::{
    authenticate::{Caller, Standing},
    authorize::Role,
    door::Surface,
    seal::Seal,
};

/// The purpose under which session tokens are sealed.
const PURPOSE: &str = "weft session 1";

/// What the surface of a virtual server begins with; no service's name has a slash.
const VIRTUAL: &str = "v/";

/// What the token says. Member names are short because clients send them with every request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// A random id.
    #[serde(rename = "n")]
    pub(crate) id: String,
    #[serde(rename = "v")]
    version: String,
    /// Raw JSON of the client's capabilities.
    #[serde(rename = "c")]
    pub(crate) capabilities: String,
    /// Raw JSON of the client's name and version.
    #[serde(rename = "i")]
    pub(crate) client_info: String,
    /// The service of a verbatim session, or `v/` and the name of a virtual server; empty for the aggregate.
    #[serde(rename = "s")]
    surface: String,
    /// The caller whom the token belongs to.
    #[serde(rename = "u")]
    caller: String,
    /// What it may do, where it has proved who it is.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// Whose data it works on.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
}

impl Claims {
    pub(super) fn new(
        (caller, surface): (&Caller, &Surface),
        version: Version,
        (capabilities, client_info): (&str, &str),
    ) -> Self {
        Self {
            id: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            version: version.as_str().to_owned(),
            capabilities: capabilities.to_owned(),
            client_info: client_info.to_owned(),
            surface: surface_text(surface),
            caller: caller.id().to_owned(),
            role: caller.is_proven().then(|| caller.role()),
            tenant: caller.tenant().map(str::to_owned),
        }
    }

    /// The token that says this; none where it cannot be sealed.
    pub(super) fn sealed(&self, seal: &Seal) -> Option<String> {
        seal.seal(PURPOSE, &serde_json::to_vec(self).ok()?)
    }

    /// What a token says, and the version spoken; none where it is no token of this mesh.
    pub(super) fn read(seal: &Seal, token: &str) -> Option<(Self, Version)> {
        let claims: Self = serde_json::from_slice(&seal.open(PURPOSE, token)?).ok()?;
        let version = Version::parse(&claims.version)?;
        Some((claims, version))
    }

    /// Whether the session is the caller's, as it stands now, and this surface's.
    pub(super) fn are_of(&self, caller: &Caller, surface: &Surface) -> bool {
        let role = caller.is_proven().then(|| caller.role());
        let of_caller = self.is_callers(caller.id()) && self.role == role && self.tenant.as_deref() == caller.tenant();
        of_caller && self.surface == surface_text(surface)
    }

    /// Whether a caller of this id began the session.
    pub(super) fn is_callers(&self, id: &str) -> bool {
        self.caller == id
    }

    /// Who calls, as far as the token tells.
    pub(super) fn caller(&self) -> Caller {
        let tenant = self.tenant.as_deref().map(Into::into);
        let (proven, role) = (self.role.is_some(), self.role.unwrap_or_default());
        Caller::new(Standing { id: self.caller.as_str().into(), role, tenant, proven, over: None })
    }

    pub(super) fn is_virtual(&self) -> bool {
        self.surface.starts_with(VIRTUAL)
    }

    pub(super) fn is_verbatim(&self) -> bool {
        !self.surface.is_empty() && !self.is_virtual()
    }
}

fn surface_text(surface: &Surface) -> String {
    match surface {
        Surface::Aggregate => String::new(),
        Surface::Service(service) => service.to_string(),
        Surface::Virtual(name) => format!("{VIRTUAL}{name}"),
    }
}
