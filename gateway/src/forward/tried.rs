//! One attempt as traces and metrics see it: a client's span of its own, so that retries and hedges lie side by side below
//! the call.

use std::{borrow::Cow, sync::Arc, time::Instant};

use weft_telemetry::{Span, names};

use super::ship::Shipment;
use crate::upstream::{Instance, exchange::Outgoing};

/// How an attempt came about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// 1 for the first.
    pub(super) number: usize,
    /// It runs beside another one.
    pub(super) hedge: bool,
}

/// An attempt under way; one that is dropped was overtaken or given up.
pub(super) struct Tried<'s> {
    shipment: &'s Shipment,
    span: Span,
    began: Instant,
    outcome: &'static str,
}

impl<'s> Tried<'s> {
    pub(super) fn begin(shipment: &'s Shipment, instance: &Instance, turn: Turn) -> Self {
        let target = shipment.label.as_deref().unwrap_or_default();
        let span = shipment.trace.attempt(shipment.method, target, instance);
        if span.is_recording() {
            span.set("weft.attempt", i64::try_from(turn.number).unwrap_or(i64::MAX));
            span.set("weft.hedge", turn.hedge);
        }
        Self { shipment, span, began: Instant::now(), outcome: "cancelled" }
    }

    /// What is sent.
    pub(super) fn outgoing(&self) -> Cow<'s, Outgoing> {
        self.shipment.trace.carried(&self.span, &self.shipment.outgoing)
    }

    /// Says how it went; `status` is that of the answer, if one came.
    pub(super) fn end(mut self, outcome: &'static str, status: Option<http::StatusCode>) {
        self.outcome = outcome;
        if let Some(status) = status {
            self.span.set("http.response.status_code", i64::from(status.as_u16()));
        }
    }
}

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        let error = if self.outcome == "ok" { "" } else { self.outcome };
        metrics::histogram!(
            names::MCP_CLIENT_OPERATION_DURATION.name,
            "service" => Arc::clone(&self.shipment.service.label), "mcp_method_name" => self.shipment.method,
            "gen_ai_tool_name" => self.shipment.label.clone().unwrap_or_default(), "error_type" => error
        )
        .record(self.began.elapsed().as_secs_f64());
        if !self.span.is_recording() {
            return;
        }
        self.span.set("weft.outcome", self.outcome);
        if !error.is_empty() {
            self.span.fail(error);
        }
        self.span.end();
    }
}
