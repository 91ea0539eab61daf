//! The handler that the SDK calls for each request: it says what the server can do and passes everything on to the
//! module that does it.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
        GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Implementation, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec, ServerCapabilities, ServerConfig,
        SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
        UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
    task_manager::TaskManager,
    transport::streamable_http_server::session::local::LocalSessionManager,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{
    changes::{self, Change},
    prompts, resources,
    tools::{self, Call},
};

/// What all sessions and requests share.
pub(crate) struct Shared {
    pub(crate) jobs: TaskManager,
    /// Seals what clients carry from one round of a call to the next.
    pub(crate) seal: RequestStateCodec,
    pub(crate) changes: broadcast::Sender<Change>,
    pub(crate) sessions: Arc<LocalSessionManager>,
}

/// One session, or one request of the stateless era.
pub(crate) struct Server {
    shared: Arc<Shared>,
    /// The least severe log message that the session wants, as its wire name.
    level: Arc<Mutex<Option<Value>>>,
}

impl Server {
    pub(crate) fn new(sessions: Arc<LocalSessionManager>) -> anyhow::Result<Self> {
        let seal = RequestStateCodec::try_new(*b"no secret, tests must be the same")?;
        let shared = Shared { jobs: TaskManager::new(), seal, changes: broadcast::channel(64).0, sessions };
        Ok(Self { shared: Arc::new(shared), level: Arc::default() })
    }

    /// A server for another session.
    pub(crate) fn fresh(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), level: Arc::default() }
    }
}

/// A value of the SDK from the JSON that it stands for on the wire.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("not what the SDK expects: {error}"), None))
}

fn capabilities() -> ServerCapabilities {
    let all = json!({
        "completions": {}, "logging": {}, "prompts": { "listChanged": true },
        "resources": { "subscribe": true, "listChanged": true }, "tools": { "listChanged": true },
        "extensions": { "io.modelcontextprotocol/tasks": {} },
    });
    typed(all).unwrap_or_default()
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(capabilities())
            .with_server_info(Implementation::new("weft-conformance", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        typed(json!({ "resultType": "complete", "tools": tools::list(), "ttlMs": 60_000, "cacheScope": "public" }))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tool = tools::list().into_iter().find(|tool| tool["name"] == name)?;
        typed(tool).ok()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let level = self.level.lock().map_or(None, |level| level.clone());
        tools::call(Call { shared: Arc::clone(&self.shared), request, context, level }).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        typed(prompts::list())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if context.meta.protocol_version().is_none() {
            return prompts::get_in_session(request, &context).await;
        }
        prompts::get(&request)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        typed(prompts::complete(&request.argument.value))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        typed(resources::list())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        typed(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&request.uri)
    }

    async fn set_level(&self, request: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        if let Ok(mut level) = self.level.lock() {
            *level = serde_json::to_value(request.level).ok();
        }
        Ok(())
    }

    async fn subscribe(&self, request: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        resources::read(&request.uri).map(drop)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        resources::read(&request.uri).map(drop)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        // Ends with the session: telling a peer that is gone fails.
        tokio::spawn(changes::tell_session(context.peer, self.shared.changes.subscribe()));
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&capabilities()))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        changes::tell_stream(&context, self.shared.changes.subscribe()).await;
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.shared.jobs.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(&self, request: UpdateTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.shared.jobs.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.shared.jobs.cancel_task(&request.task_id)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [rmcp::model::ProtocolVersion]> {
        Cow::Borrowed(rmcp::model::ProtocolVersion::KNOWN_VERSIONS)
    }
}
