//! Calls a service's tools in this very process, without a transport: for the tests of services and for measuring them alone.
//!
//! Nothing is left out but the wire: rules, plans, budgets, deadlines and the envelope are the served ones.

use std::sync::Arc;

use rmcp::model::ContentBlock;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::caller::Caller;
use crate::core::{Core, Found, Rules};
use crate::error::ToolError;
use crate::offer::{Completing, Content, Resources};
use crate::perform::{self, Answer, Asking, Consent};
use crate::seal::{SealKey, SealKeyError};
use crate::service::Service;

/// A service to be called directly.
pub struct Direct {
    core: Arc<Core>,
    caller: Caller,
    token: CancellationToken,
}

/// What a direct call came to.
#[derive(Debug, Clone)]
pub struct Called {
    /// The tool failed.
    pub is_error: bool,
    /// The envelope, or `{"error": {code, message, hint, retryable}}`.
    pub structured: Value,
    /// The text block.
    pub text: String,
    /// Content blocks besides the text.
    pub blocks: usize,
}

impl Called {
    /// The tool's own data.
    pub fn data(&self) -> &Value {
        &self.structured["data"]
    }

    /// The code of a failure, `""` without one.
    pub fn code(&self) -> &str {
        self.structured["error"]["code"].as_str().unwrap_or_default()
    }
}

impl Direct {
    /// The service under `rules`, with a key of its own, called by the local caller.
    pub fn new(service: Service, rules: Rules) -> Result<Self, SealKeyError> {
        let caller = Caller::local(&rules.namespace);
        let core = Core::new(service, rules, &SealKey::random()?)?;
        Ok(Self { core: Arc::new(core), caller, token: CancellationToken::new() })
    }

    /// The same service, called by another caller.
    pub fn by(&self, caller: Caller) -> Self {
        Self { core: Arc::clone(&self.core), caller, token: CancellationToken::new() }
    }

    /// The same service and caller, with calls that `token` cancels.
    pub fn until(&self, token: CancellationToken) -> Self {
        Self { core: Arc::clone(&self.core), caller: self.caller.clone(), token }
    }

    /// Calls a tool. A tool that the service does not have fails with `not_found`, one that the rules withhold with `refused`.
    pub async fn call(&self, tool: &str, arguments: Value) -> Called {
        let found = match self.core.find(tool) {
            Found::Tool(entry, meter) => (entry, meter),
            Found::Withheld => return failed("refused"),
            Found::Nothing => return failed("not_found"),
        };
        match perform::tool(&self.core, found, arguments, self.asking(), Consent::default()).await {
            Answer::Result(result) => Called {
                is_error: result.is_error == Some(true),
                structured: result.structured_content.unwrap_or_default(),
                text: result
                    .content
                    .first()
                    .and_then(ContentBlock::as_text)
                    .map(|text| text.text.clone())
                    .unwrap_or_default(),
                blocks: result.content.len().saturating_sub(1),
            },
            Answer::Question { .. } => failed("question"),
        }
    }

    /// Lists resources, from `cursor` on.
    pub async fn resources(&self, cursor: Option<String>) -> Result<Resources, ToolError> {
        match &self.core.service.resources {
            Some(of) => {
                perform::other(&self.core, "resources/list", self.asking(), |call| (of.list)(call, cursor)).await
            }
            None => Ok(Resources::default()),
        }
    }

    /// Reads a resource.
    pub async fn read(&self, uri: &str) -> Result<Vec<Content>, ToolError> {
        let Some(of) = &self.core.service.resources else {
            return Err(ToolError::not_found("this service has no resources"));
        };
        let uri = uri.to_owned();
        perform::other(&self.core, "resources/read", self.asking(), |call| (of.read)(call, uri)).await
    }

    /// Completes an argument.
    pub async fn complete(&self, completing: Completing) -> Result<Vec<String>, ToolError> {
        let Some(handler) = &self.core.service.complete else { return Ok(Vec::new()) };
        perform::other(&self.core, "completion/complete", self.asking(), |call| handler(call, completing)).await
    }

    fn asking(&self) -> Asking {
        let (caller, token) = (self.caller.clone(), self.token.clone());
        Asking { caller, patience: None, token, cancel: None, says: None, voice: None }
    }
}

fn failed(code: &str) -> Called {
    let structured = serde_json::json!({"error": {"code": code}});
    Called { is_error: true, structured, text: code.to_owned(), blocks: 0 }
}
