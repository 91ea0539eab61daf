//! A [`Call`]: one JSON-RPC message with everything the later steps need, owned, its payload still the bytes that came.

use std::{borrow::Cow, ops::Range, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use weft_wire::{
    envelope::{Id, Notification, Request, Text},
    version::{Era, Version},
};

use crate::{authenticate::Caller, door::Surface, session::Session, trace::Trace};

/// One message of a caller.
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) surface: Surface,
    pub(crate) version: Version,
    /// Present in the session era, except for `initialize`.
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) headers: Arc<HeaderMap>,
    /// The message, alone; spans are offsets into it.
    pub(crate) body: Bytes,
    pub(crate) what: What,
    /// Of a request; nothing for other messages.
    pub(crate) trace: Trace,
}

impl Call {
    pub(crate) fn era(&self) -> Era {
        self.version.era()
    }

    /// True on a service's own endpoint.
    pub(crate) fn is_verbatim(&self) -> bool {
        matches!(self.surface, Surface::Service(_))
    }

    /// The request, when it is one.
    pub(crate) fn request(&self) -> Option<&Asked> {
        match &self.what {
            What::Request(asked) => Some(asked),
            _ => None,
        }
    }
}

/// The kind of message.
pub(crate) enum What {
    /// It wants an answer.
    Request(Box<Asked>),
    /// It wants none.
    Notification { method: String, request_id: Option<Id<'static>> },
    /// It answers a question that a server asked.
    Response { id: Id<'static>, span: Range<usize> },
}

impl What {
    pub(crate) fn notification(notification: &Notification<'_>) -> Self {
        Self::Notification {
            method: notification.method.to_string(),
            request_id: notification.params.request_id.clone().map(Id::into_owned),
        }
    }
}

/// A string of the body with its place, quotes included.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) value: String,
    pub(crate) span: Range<usize>,
}

impl Spot {
    fn of(text: &Text<'_>) -> Self {
        Self { value: text.value.to_string(), span: text.span.clone() }
    }
}

/// A request, as far as routing looks into it.
pub(crate) struct Asked {
    pub(crate) id: Id<'static>,
    pub(crate) method: String,
    pub(crate) name: Option<Spot>,
    pub(crate) uri: Option<Spot>,
    pub(crate) task_id: Option<Spot>,
    pub(crate) cursor: Option<String>,
    /// `params.ref` of a completion: a prompt's name or a resource's URI.
    pub(crate) prompt_ref: Option<Spot>,
    pub(crate) resource_ref: Option<Spot>,
    pub(crate) level: Option<String>,
    /// What an earlier answer to the same call asked to be sent with it again.
    pub(crate) request_state: Option<String>,
    /// Raw JSON: answers to what that one asked for.
    pub(crate) input_responses: Option<String>,
    /// Raw JSON.
    pub(crate) notifications: Option<String>,
    /// Raw JSON, of `initialize`.
    pub(crate) capabilities: Option<String>,
    /// Raw JSON, of `initialize`.
    pub(crate) client_info: Option<String>,
}

impl Asked {
    pub(crate) fn of(request: &Request<'_>) -> Box<Self> {
        let params = &request.params;
        let reference = params.reference.as_ref();
        Box::new(Self {
            id: request.id.clone().into_owned(),
            method: request.method.to_string(),
            name: params.name.as_ref().map(Spot::of),
            uri: params.uri.as_ref().map(Spot::of),
            task_id: params.task_id.as_ref().map(Spot::of),
            cursor: params.cursor.as_ref().map(|cursor| cursor.value.to_string()),
            prompt_ref: reference.filter(|it| it.kind == "ref/prompt").and_then(|it| it.name.as_ref()).map(Spot::of),
            resource_ref: reference.filter(|it| it.kind == "ref/resource").and_then(|it| it.uri.as_ref()).map(Spot::of),
            level: params.level.as_ref().map(|level| level.value.to_string()),
            request_state: params.request_state.as_ref().map(|state| state.value.to_string()),
            input_responses: params.input_responses.map(str::to_owned),
            notifications: params.notifications.map(str::to_owned),
            capabilities: params.capabilities.map(str::to_owned),
            client_info: params.client_info.map(str::to_owned),
        })
    }
}

/// The message with `edits` applied; without any it is passed on as it is. Edits are sorted and do not overlap.
pub(crate) fn edited(body: &Bytes, edits: &[(Range<usize>, Cow<'_, str>)]) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    let edits: Vec<(Range<usize>, &str)> = edits.iter().map(|(range, text)| (range.clone(), text.as_ref())).collect();
    Bytes::from(weft_wire::splice::splice(body, &edits))
}
