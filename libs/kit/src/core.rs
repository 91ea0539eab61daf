//! A service together with the rules of the host it runs on: what every call is measured against.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::call::Shared;
use crate::meter::Meter;
use crate::plan::{Confirm, Spent};
use crate::seal::{SealKey, SealKeyError, Sealer};
use crate::service::{Entry, Service};
use crate::wire_out;

/// What the operator allows and expects. Tools cannot read or change it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Only tools that change nothing are listed; the others are refused.
    pub read_only: bool,
    /// If not empty, only these tools are listed; the others are refused.
    pub allow_tools: Vec<String>,
    /// These tools are not listed and refused, whatever `allow_tools` says.
    pub deny_tools: Vec<String>,
    /// How planned acts are confirmed, unless `confirm_tools` says otherwise.
    pub confirm: Confirm,
    /// How the planned acts of one tool are confirmed.
    pub confirm_tools: BTreeMap<String, Confirm>,
    /// The namespace of callers that the gateway does not vouch for.
    pub namespace: String,
    /// Seconds that a call may take if its tool does not say.
    pub deadline_s: u64,
    /// Threads that may block at once.
    pub blocking: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            read_only: false,
            allow_tools: Vec::new(),
            deny_tools: Vec::new(),
            confirm: Confirm::default(),
            confirm_tools: BTreeMap::new(),
            namespace: "local".to_owned(),
            deadline_s: 120,
            blocking: 64,
        }
    }
}

impl Rules {
    fn shows(&self, entry: &Entry) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == entry.tool.name);
        (!self.read_only || entry.tool.annotations.read_only)
            && (self.allow_tools.is_empty() || named(&self.allow_tools))
            && !named(&self.deny_tools)
    }

    pub(crate) fn confirm(&self, tool: &str) -> Confirm {
        self.confirm_tools.get(tool).copied().unwrap_or(self.confirm)
    }

    pub(crate) fn deadline(&self, of_tool: Option<Duration>) -> Duration {
        of_tool.unwrap_or(Duration::from_secs(self.deadline_s))
    }
}

/// The service as it is served.
pub(crate) struct Core {
    pub(crate) service: Service,
    pub(crate) rules: Rules,
    pub(crate) shared: Arc<Shared>,
    pub(crate) spent: Spent,
    /// Rendered once: lists do not depend on the caller.
    pub(crate) listed: Vec<model::Tool>,
    pub(crate) meta: model::MetaObject,
    meters: Vec<Meter>,
    /// Fires when the service begins to stop: subscriptions end.
    pub(crate) drain: CancellationToken,
    /// Fires when the grace is over: calls end.
    pub(crate) halt: CancellationToken,
}

/// What a tool's name leads to.
pub(crate) enum Found<'c> {
    Tool(&'c Entry, &'c Meter),
    /// It exists but the host does not offer it.
    Withheld,
    Nothing,
}

impl Core {
    pub(crate) fn new(service: Service, rules: Rules, key: &SealKey) -> Result<Self, SealKeyError> {
        let name = service.manifest.name();
        let sealer = Sealer::new(key, name)?;
        let blocking = Arc::new(Semaphore::new(rules.blocking.clamp(1, 4_096)));
        Ok(Self {
            shared: Arc::new(Shared { sealer, blocking }),
            spent: Spent::default(),
            listed: service.tools.iter().filter(|entry| rules.shows(entry)).map(wire_out::tool).collect(),
            meta: wire_out::server_meta(name, service.version),
            meters: service.tools.iter().map(|entry| Meter::new(name, entry.tool.name)).collect(),
            drain: CancellationToken::new(),
            halt: CancellationToken::new(),
            service,
            rules,
        })
    }

    pub(crate) fn find(&self, name: &str) -> Found<'_> {
        let Some(index) = self.service.by_name.get(name) else { return Found::Nothing };
        let entry = &self.service.tools[*index];
        if self.rules.shows(entry) { Found::Tool(entry, &self.meters[*index]) } else { Found::Withheld }
    }
}
