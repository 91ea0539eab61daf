//! What is told of how an answer came about, to the caller and to the metrics alike.

use std::{borrow::Cow, time::Duration};

use metrics::{counter, histogram};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{model::Usage, route::Candidate};

/// How an answer came about. Its schema is told in short, because every tool's list entry holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    /// `provider/model`.
    pub(crate) model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    pub(crate) usage: Usage,
    /// In the unit of the operator's prices.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) cost: f64,
    /// It was kept from an earlier call: nothing was used now.
    pub(crate) cached: bool,
    /// Models that were passed over, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) passed: Vec<String>,
    pub(crate) queue_ms: u64,
    pub(crate) model_ms: u64,
}

impl JsonSchema for Told {
    fn schema_name() -> Cow<'static, str> {
        "Told".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "properties": {"model": {"type": "string"}, "usage": {"type": "object"}}})
    }
}

impl Told {
    /// Together with what was told of the parts before.
    pub(crate) fn after(mut self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        self.usage = self.usage.and(before.usage);
        self.cost += before.cost;
        self.cached &= before.cached;
        self.queue_ms += before.queue_ms;
        self.model_ms += before.model_ms;
        self.passed.splice(0..0, before.passed);
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(cost: &f64) -> bool {
    *cost <= 0.0
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Counts what a model did.
pub(crate) fn count(by: &Candidate, usage: Usage, first: Option<Duration>) {
    let labels =
        |kind: &str| [("provider", by.source.name.clone()), ("model", by.model.id.clone()), ("kind", kind.to_owned())];
    counter!(weft_kit::names::AIML_TOKENS.name, &labels("prompt")).increment(usage.prompt_tokens);
    counter!(weft_kit::names::AIML_TOKENS.name, &labels("completion")).increment(usage.completion_tokens);
    if let Some(first) = first {
        let labels = [("provider", by.source.name.clone()), ("model", by.model.id.clone())];
        histogram!(weft_kit::names::AIML_FIRST_TOKEN.name, &labels).record(first.as_secs_f64());
    }
}
