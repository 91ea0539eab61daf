//! Step 6: where a call goes: to a service, to the catalogue, to a stream of changes, or to the gateway itself.
//!
//! On the aggregate endpoint names are looked up in the catalogue's present view; on a service's own endpoint everything
//! goes to that service as it came.

use std::{borrow::Cow, ops::Range, sync::Arc};

use weft_mesh::ServiceId;
use weft_wire::{
    headers::{self, ParamHeader},
    splice::quote,
    version::Era,
};

use crate::{
    Gateway,
    call::{Asked, Call, Spot},
    catalogue::{Kind, Tool, View, shelf::Hints},
    door::Surface,
    lean::Ask,
    refusal::{Broken, Refusal},
    upstream::Service,
    uri,
};

/// A destination.
pub(crate) enum Route {
    /// The gateway answers.
    Local(Local),
    /// `subscriptions/listen` over all services.
    Listen,
    /// `resources/subscribe` (true) or `resources/unsubscribe` (false) of a session, at one service.
    Subscribe(Box<Target>, bool),
    /// A service answers.
    Service(Box<Target>),
}

/// What the gateway answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    Discover,
    Initialize,
    Ping,
    List(Kind),
    SetLevel,
    /// A tool of a lean endpoint's own.
    Lean(Ask),
}

/// A service, and how the message must be changed on its way there.
pub(crate) struct Target {
    pub(crate) service: Arc<Service>,
    pub(crate) edits: Vec<(Range<usize>, Cow<'static, str>)>,
    /// `Mcp-Name` as a service of the stateless era must see it, encoded.
    pub(crate) name: Option<String>,
    /// The arguments that such a service wants mirrored in headers.
    pub(crate) mirrored: Arc<[ParamHeader]>,
    /// True when a lost answer may be asked for again.
    pub(crate) repeatable: bool,
    /// What a tool says of itself, when the call is of one that is known.
    pub(crate) hints: Option<Hints>,
    /// The tool or prompt, when it is known to exist.
    pub(crate) label: Option<Arc<str>>,
    /// Resource URIs of answers must be wrapped.
    pub(crate) wrap: bool,
}

/// Finds the route of a request.
pub(crate) fn find(gateway: &Gateway, call: &Call, asked: &Asked) -> Result<Route, Refusal> {
    match &call.surface {
        Surface::Service(service) => verbatim(gateway, call, asked, service),
        surface => {
            let view = gateway.catalogue.view_of(surface, call.caller.role()).ok_or(Refusal::NotFound)?;
            merged(gateway, &view, call, asked)
        }
    }
}

fn verbatim(gateway: &Gateway, call: &Call, asked: &Asked, id: &ServiceId) -> Result<Route, Refusal> {
    let service = gateway.upstreams.get(id).ok_or_else(|| absent(gateway, id))?;
    if gateway.catalogue.is_shaped(id, call.caller.role())
        && let Some(route) = shaped(gateway, call, asked, id)
    {
        return route;
    }
    if let Some(route) = across(call, asked, &service) {
        return route;
    }
    let known = asked
        .name
        .as_ref()
        .filter(|_| asked.method == "tools/call")
        .and_then(|name| gateway.catalogue.view().own_tool(id, &name.value));
    let repeatable = known.as_ref().is_some_and(|(_, hints, _)| hints.repeatable()) || reads(&asked.method);
    let target = Target {
        service,
        edits: Vec::new(),
        name: mirrored(asked).map(|spot| headers::encode(&spot.value).into_owned()),
        mirrored: known.as_ref().map(|(_, _, mirrored)| Arc::clone(mirrored)).unwrap_or_default(),
        repeatable,
        hints: known.as_ref().map(|(_, hints, _)| *hints),
        label: known.map(|(name, ..)| name),
        wrap: false,
    };
    let subscribes = call.era() == Era::Session;
    Ok(match asked.method.as_str() {
        "resources/subscribe" if subscribes => Route::Subscribe(Box::new(target), true),
        "resources/unsubscribe" if subscribes => Route::Subscribe(Box::new(target), false),
        _ => Route::Service(Box::new(target)),
    })
}

/// What the gateway answers for a service of the other era, which does not know these methods.
fn across(call: &Call, asked: &Asked, service: &Service) -> Option<Result<Route, Refusal>> {
    let method = asked.method.as_str();
    match (call.era(), service.era_for(call.era())?) {
        (Era::Stateless, Era::Session) => match method {
            "server/discover" => Some(Ok(Route::Local(Local::Discover))),
            "subscriptions/listen" => Some(Ok(Route::Listen)),
            _ => None,
        },
        (Era::Session, Era::Stateless) => match method {
            "ping" => Some(Ok(Route::Local(Local::Ping))),
            "logging/setLevel" => Some(Ok(Route::Local(Local::SetLevel))),
            "server/discover" | "subscriptions/listen" => Some(Err(Refusal::UnknownMethod(method.to_owned()))),
            _ if method.starts_with("tasks/") => Some(Err(Refusal::UnknownMethod(method.to_owned()))),
            _ => None,
        },
        _ => None,
    }
}

/// Tools of a service that are not shown as the service shows them: the list is ours, and calls go by it.
fn shaped(gateway: &Gateway, call: &Call, asked: &Asked, id: &ServiceId) -> Option<Result<Route, Refusal>> {
    let call_of = |view: &View| {
        let target = named(gateway, view, call, lookup(&view.tools, asked.name.as_ref(), "tool")?)?;
        Ok(Route::Service(Box::new(Target { wrap: false, ..target })))
    };
    let of = |view: Option<Arc<View>>| match view {
        // Without the service's list nobody knows what is hidden.
        None => Err(outage(id)),
        Some(view) if asked.method == "tools/call" => call_of(&view),
        Some(_) => own(&asked.method, call.era(), asked).map(Route::Local),
    };
    matches!(asked.method.as_str(), "tools/list" | "tools/call")
        .then(|| of(gateway.catalogue.view_of(&call.surface, call.caller.role())))
}

/// The aggregate, or the part of it that a virtual server shows.
fn merged(gateway: &Gateway, view: &View, call: &Call, asked: &Asked) -> Result<Route, Refusal> {
    let to = |found: (Tool, &Spot)| named(gateway, view, call, found).map(|target| Route::Service(Box::new(target)));
    let at = |spot: &Option<Spot>| {
        let spot = spot.as_ref().ok_or_else(|| missing("uri"))?;
        located(gateway, view, call, spot)
    };
    let own_tool = || view.lean.as_ref().and_then(|_| Ask::of(&asked.name.as_ref()?.value));
    match (asked.method.as_str(), call.era()) {
        ("tools/call", _) if let Some(ask) = own_tool() => Ok(Route::Local(Local::Lean(ask))),
        ("tools/call", _) => to(lookup(&view.tools, asked.name.as_ref(), "tool")?),
        ("prompts/get", _) => to(lookup(&view.prompts, asked.name.as_ref(), "prompt")?),
        ("resources/read", _) => at(&asked.uri).map(|target| Route::Service(Box::new(target))),
        ("completion/complete", _) => match (&asked.prompt_ref, &asked.resource_ref) {
            (Some(_), _) => to(lookup(&view.prompts, asked.prompt_ref.as_ref(), "prompt")?),
            (None, Some(_)) => at(&asked.resource_ref).map(|target| Route::Service(Box::new(target))),
            (None, None) => Err(missing("ref")),
        },
        ("subscriptions/listen", Era::Stateless) => Ok(Route::Listen),
        ("resources/subscribe", Era::Session) => at(&asked.uri).map(|target| Route::Subscribe(Box::new(target), true)),
        ("resources/unsubscribe", Era::Session) => {
            at(&asked.uri).map(|target| Route::Subscribe(Box::new(target), false))
        }
        (method, era) => own(method, era, asked).map(Route::Local),
    }
}

/// The methods that the gateway answers for all services.
fn own(method: &str, era: Era, asked: &Asked) -> Result<Local, Refusal> {
    if let Some(kind) = Kind::of(method) {
        // Everything is on the first page, so no cursor was ever given out.
        return match &asked.cursor {
            None => Ok(Local::List(kind)),
            Some(_) => Err(Refusal::Unknown("unknown cursor; ask for the list again without one".into())),
        };
    }
    match (method, era) {
        ("server/discover", Era::Stateless) => Ok(Local::Discover),
        ("initialize", Era::Session) => Ok(Local::Initialize),
        ("ping", Era::Session) => Ok(Local::Ping),
        ("logging/setLevel", Era::Session) => Ok(Local::SetLevel),
        _ => Err(Refusal::UnknownMethod(method.to_owned())),
    }
}

fn lookup<'s>(
    table: &std::collections::BTreeMap<String, Tool>,
    spot: Option<&'s Spot>,
    what: &str,
) -> Result<(Tool, &'s Spot), Refusal> {
    let spot = spot.ok_or_else(|| missing("name"))?;
    let tool =
        table.get(&spot.value).ok_or_else(|| Refusal::Unknown(format!("unknown {what}: {}", spot.value).into()))?;
    Ok((tool.clone(), spot))
}

/// A call of a named thing: the name is replaced by the service's own.
fn named(gateway: &Gateway, view: &View, call: &Call, (tool, spot): (Tool, &Spot)) -> Result<Target, Refusal> {
    let service = gateway.upstreams.get(&tool.service).ok_or_else(|| absent(gateway, &tool.service))?;
    Ok(Target {
        wrap: !owns_everything(view, &tool.service),
        edits: vec![(spot.span.clone(), quote(&tool.name).into())],
        name: Some(headers::encode(&tool.name).into_owned()),
        mirrored: tool.mirrored,
        hints: Some(tool.hints),
        repeatable: tool.hints.repeatable() || call.request().is_some_and(|asked| reads(&asked.method)),
        label: Some(tool.name),
        service,
    })
}

/// A call about a resource: its owner by scheme, or the service that its wrapping names.
fn located(gateway: &Gateway, view: &View, call: &Call, spot: &Spot) -> Result<Target, Refusal> {
    let unknown = || Refusal::UnknownResource(spot.value.clone());
    let owner = uri::scheme(&spot.value).and_then(|scheme| view.schemes.get(scheme));
    let (id, inner) = match (owner, uri::unwrap(&spot.value)) {
        (Some(owner), _) => (owner.clone(), None),
        (None, Some((service, inner))) => (service.parse::<ServiceId>().map_err(|_| unknown())?, Some(inner)),
        (None, None) => return Err(unknown()),
    };
    if !gateway.catalogue.knows(&id) || !view.shows_uri(&id, &spot.value) {
        return Err(unknown());
    }
    let service = gateway.upstreams.get(&id).ok_or_else(|| absent(gateway, &id))?;
    let own = inner.unwrap_or(&spot.value);
    let named = call.request().is_some_and(|asked| asked.method == "resources/read");
    Ok(Target {
        wrap: !owns_everything(view, &id),
        edits: inner.map(|inner| (spot.span.clone(), Cow::Owned(quote(inner)))).into_iter().collect(),
        name: named.then(|| headers::encode(own).into_owned()),
        mirrored: Arc::default(),
        repeatable: true,
        hints: None,
        label: None,
        service,
    })
}

/// A service that owns its schemes never needs its answers rewritten.
fn owns_everything(view: &View, id: &ServiceId) -> bool {
    view.schemes.values().any(|owner| owner == id)
}

/// The value that `Mcp-Name` mirrors for this method, in the stateless era.
fn mirrored(asked: &Asked) -> Option<&Spot> {
    match asked.method.as_str() {
        "tools/call" | "prompts/get" => asked.name.as_ref(),
        "resources/read" => asked.uri.as_ref(),
        "tasks/get" | "tasks/update" | "tasks/cancel" => asked.task_id.as_ref(),
        _ => None,
    }
}

/// Methods that change nothing.
fn reads(method: &str) -> bool {
    matches!(
        method,
        "server/discover" | "ping" | "prompts/get" | "resources/read" | "completion/complete" | "initialize"
    ) || Kind::of(method).is_some()
}

/// A service that is not registered now: an outage when it is one we know, otherwise nothing at all.
fn absent(gateway: &Gateway, id: &ServiceId) -> Refusal {
    if gateway.catalogue.knows(id) { outage(id) } else { Refusal::NotFound }
}

fn outage(id: &ServiceId) -> Refusal {
    let retry = std::time::Duration::from_secs(5);
    Refusal::Service { service: id.to_string(), broken: Broken::NoInstance, retry }
}

fn missing(member: &str) -> Refusal {
    Refusal::Unknown(format!("params.{member} is missing").into())
}
