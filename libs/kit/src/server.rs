//! The SDK's requests → calls on the service. One cheap clone of [`Server`] answers each request, so nothing can leak from one
//! caller to the next.

use std::sync::Arc;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, CompletionInfo,
    GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation, InitializeRequestParams,
    InitializeResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Reference,
    ServerCapabilities, ServerConfig, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use crate::call::Call;
use crate::caller::{Arrived, Caller};
use crate::core::{Core, Found};
use crate::erase::Outcome;
use crate::error::ToolError;
use crate::listen::{self, Local};
use crate::offer::{Completing, CompletionOf};
use crate::perform::{self, Answer, Asking, Consent};
use crate::question;
use crate::voice::Voice;
use crate::wire_out;

/// Lists that never change while the process lives.
const STATIC_TTL_MS: u64 = 300_000;
/// Lists that follow a backend.
const LIVE_TTL_MS: u64 = 5_000;
/// Answers requests for one service.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) core: Arc<Core>,
    /// Present on a connection of its own (stdio), where the session era can be notified.
    pub(crate) local: Option<Arc<Local>>,
}

impl Server {
    fn asking(&self, context: &RequestContext<RoleServer>) -> Asking {
        let parts = context.extensions.get::<http::request::Parts>();
        let arrived = parts.and_then(|parts| parts.extensions.get::<Arrived>()).cloned();
        let arrived = arrived.unwrap_or_else(|| Arrived {
            caller: Caller::local(&self.core.rules.namespace),
            patience: None,
            cancel: None,
        });
        let (says, voice) = Voice::new(context);
        let Arrived { caller, patience, cancel } = arrived;
        Asking { caller, patience, token: context.ct.clone(), cancel, says, voice }
    }

    async fn other<T>(
        &self,
        what: &str,
        context: &RequestContext<RoleServer>,
        work: impl FnOnce(Call) -> Outcome<T>,
    ) -> Result<T, ErrorData> {
        let done = perform::other(&self.core, what, self.asking(context), work).await;
        done.map_err(|error| wire_out::protocol_error(&error))
    }

    fn capabilities(&self) -> ServerCapabilities {
        let service = &self.core.service;
        let mut capabilities = ServerCapabilities::default();
        capabilities.tools = Some(rmcp::model::ToolsCapability::default());
        let live = service.changes.is_some().then_some(true);
        if !service.prompts.is_empty() {
            let mut prompts = rmcp::model::PromptsCapability::default();
            prompts.list_changed = live;
            capabilities.prompts = Some(prompts);
        }
        if service.resources.is_some() || !service.templates.is_empty() {
            let mut resources = rmcp::model::ResourcesCapability::default();
            resources.subscribe = live;
            resources.list_changed = live;
            capabilities.resources = Some(resources);
        }
        if service.complete.is_some() {
            capabilities.completions = Some(serde_json::Map::new());
        }
        capabilities
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let manifest = &self.core.service.manifest;
        let mut server = Implementation::new(manifest.name(), self.core.service.version);
        server.title = Some(manifest.title.clone());
        server.description = Some(manifest.description.clone());
        let config = ServerConfig::new(self.capabilities()).with_server_info(server);
        match &manifest.instructions {
            Some(instructions) => config.with_instructions(instructions.clone()),
            None => config,
        }
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        if self.local.is_none() {
            listen::forget_notifications(&mut result.capabilities);
        }
        Ok(result)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if let (Some(local), Some(changes)) = (&self.local, &self.core.service.changes) {
            local.start(changes, context.peer);
        }
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list = ListToolsResult::with_all_items(self.core.listed.clone());
        (list.ttl_ms, list.cache_scope) = (Some(STATIC_TTL_MS), Some(CacheScope::Public));
        list.meta = Some(self.core.meta.clone());
        Ok(list)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let found = match self.core.find(&request.name) {
            Found::Tool(entry, meter) => (entry, meter),
            Found::Withheld => {
                let refused = ToolError::refused("this tool is not offered by this configuration of the service");
                return Ok(wire_out::failure(&refused).into());
            }
            Found::Nothing => return Err(unknown("tool", &request.name)),
        };
        let consent = if found.0.is_planned() {
            question::consent(&context, request.input_responses.as_ref(), request.request_state)
        } else {
            Consent::default()
        };
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        match perform::tool(&self.core, found, arguments, self.asking(&context), consent).await {
            Answer::Result(mut result) => {
                result.meta = Some(self.core.meta.clone());
                Ok(result.into())
            }
            Answer::Question { summary, state } => question::ask(&summary, state),
        }
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = self.core.service.prompts.iter().map(|(prompt, _)| wire_out::prompt(prompt)).collect();
        let mut list = ListPromptsResult::with_all_items(prompts);
        (list.ttl_ms, list.cache_scope) = (Some(STATIC_TTL_MS), Some(CacheScope::Public));
        list.meta = Some(self.core.meta.clone());
        Ok(list)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompts = &self.core.service.prompts;
        let Some((prompt, handler)) = prompts.iter().find(|(prompt, _)| prompt.name == request.name) else {
            return Err(unknown("prompt", &request.name));
        };
        let arguments = prompt
            .accept(request.arguments.unwrap_or_default())
            .map_err(|fault| ErrorData::invalid_params(fault, None))?;
        let messages = self.other(prompt.name, &context, |call| handler(call, arguments)).await?;
        let mut result = GetPromptResult::new(messages.into_iter().map(wire_out::message).collect());
        result.description = Some(prompt.description.to_owned());
        result.meta = Some(self.core.meta.clone());
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = page.and_then(|page| page.cursor);
        let page = match &self.core.service.resources {
            Some(resources) => self.other("resources/list", &context, |call| (resources.list)(call, cursor)).await?,
            None => crate::offer::Resources::default(),
        };
        let mut list = ListResourcesResult::with_all_items(page.items.into_iter().map(wire_out::resource).collect());
        list.next_cursor = page.cursor;
        (list.ttl_ms, list.cache_scope) = (Some(LIVE_TTL_MS), Some(CacheScope::Private));
        list.meta = Some(self.core.meta.clone());
        Ok(list)
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = self.core.service.templates.iter().map(wire_out::template).collect();
        let mut list = ListResourceTemplatesResult::with_all_items(templates);
        (list.ttl_ms, list.cache_scope) = (Some(STATIC_TTL_MS), Some(CacheScope::Public));
        list.meta = Some(self.core.meta.clone());
        Ok(list)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let Some(resources) = &self.core.service.resources else {
            return Err(ErrorData::resource_not_found("this service has no resources", None));
        };
        let read = self.other("resources/read", &context, |call| (resources.read)(call, request.uri)).await?;
        let mut result = ReadResourceResult::new(read.into_iter().map(wire_out::content).collect());
        (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Private));
        result.meta = Some(self.core.meta.clone());
        Ok(result.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let Some(handler) = &self.core.service.complete else { return Ok(CompleteResult::default()) };
        let of = match request.r#ref {
            Reference::Prompt(prompt) => CompletionOf::Prompt(prompt.name),
            Reference::Resource(template) => CompletionOf::Template(template.uri),
            _ => return Err(ErrorData::invalid_params("ref must be a prompt or a resource template", None)),
        };
        let settled = request.context.and_then(|context| context.arguments).unwrap_or_default();
        let settled = settled.into_iter().collect();
        let completing = Completing { of, argument: request.argument.name, value: request.argument.value, settled };
        let mut values = self.other("completion/complete", &context, |call| handler(call, completing)).await?;
        let total = u32::try_from(values.len()).ok();
        let has_more = values.len() > CompletionInfo::MAX_VALUES;
        values.truncate(CompletionInfo::MAX_VALUES);
        let info = CompletionInfo::with_pagination(values, total, has_more);
        Ok(CompleteResult::new(info.map_err(|error| ErrorData::internal_error(error, None))?))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.core.service.changes.as_ref().map(|_| listen::accepted(&self.core.service, requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        listen::serve(&self.core, &context).await;
        Ok(())
    }

    async fn subscribe(
        &self,
        request: rmcp::model::SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let local = self.local.as_ref().zip(self.core.service.changes.as_ref());
        let (local, changes) = local.ok_or_else(ErrorData::method_not_found::<rmcp::model::SubscribeRequestMethod>)?;
        local.subscribe(changes, request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: rmcp::model::UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let local = self.local.as_ref();
        let local = local.ok_or_else(ErrorData::method_not_found::<rmcp::model::UnsubscribeRequestMethod>)?;
        local.unsubscribe(&request.uri);
        Ok(())
    }
}

fn unknown(kind: &str, name: &str) -> ErrorData {
    ErrorData::invalid_params(format!("no such {kind}: {name}"), None)
}
