//! Every request of the SDK → its span and its place in the metrics, around the [`Server`] that answers it.
//!
//! One place for all methods and both transports, so that none is forgotten. The context in `_meta` wins over that of the HTTP
//! headers: behind a gateway both say the same, and without one the client itself wrote the first.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, DiscoverResult,
    GetPromptRequestParams, GetPromptResponse, InitializeRequestParams, InitializeResult, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, RequestId, ServerConfig, SubscribeRequestParams,
    SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use weft_telemetry::{Remote, Span, names};

use crate::core::{Core, Found};
use crate::server::Server;

/// A server whose requests are seen.
#[derive(Clone)]
pub(crate) struct Traced(pub(crate) Server);

/// What is known of a request before it is answered. Labels are bounded: the name is that of a tool or prompt which exists.
struct Asked {
    method: &'static str,
    target: &'static str,
    version: &'static str,
}

impl Traced {
    /// Has `work` answer a request inside of its span, and counts it; `judge` says whether the answer tells of a failure.
    async fn see<T, F: Future<Output = Result<T, ErrorData>>>(
        &self,
        asked: (&'static str, &'static str),
        context: RequestContext<RoleServer>,
        judge: fn(&T) -> bool,
        work: impl FnOnce(RequestContext<RoleServer>) -> F,
    ) -> Result<T, ErrorData> {
        let core = &self.0.core;
        let asked = Asked::of(asked, &context);
        let span = asked.begin(core, &context);
        let began = Instant::now();
        let answer = span.within(work(context)).await;
        let failed = match &answer {
            Ok(answer) if judge(answer) => "tool_error",
            Ok(_) => "",
            Err(_) => "rpc_error",
        };
        asked.count(core, failed, began.elapsed());
        if !failed.is_empty() {
            span.fail(failed);
        }
        if let (true, Err(error)) = (span.is_recording(), &answer) {
            span.set("rpc.response.status_code", error.code.0.to_string());
        }
        span.end();
        answer
    }

    /// The name of a tool that exists; a label must not be what a caller made up.
    fn tool(&self, name: &str) -> &'static str {
        match self.0.core.find(name) {
            Found::Tool(entry, _) => entry.tool.name,
            _ => "",
        }
    }

    fn prompt(&self, name: &str) -> &'static str {
        let known = self.0.core.service.prompts.iter().find(|(prompt, _)| prompt.name == name);
        known.map_or("", |(prompt, _)| prompt.name)
    }
}

/// Most answers are no failures.
fn fine<T>(_: &T) -> bool {
    false
}

fn is_error(response: &CallToolResponse) -> bool {
    matches!(response, CallToolResponse::Complete(result) if result.is_error == Some(true))
}

/// The methods that are seen and passed on as they are.
macro_rules! pass {
    ($($name:ident($request:ty) -> $answer:ty, $method:literal;)*) => {
        $(async fn $name(
            &self,
            request: $request,
            context: RequestContext<RoleServer>,
        ) -> Result<$answer, ErrorData> {
            self.see(($method, ""), context, fine, |context| self.0.$name(request, context)).await
        })*
    };
}

impl ServerHandler for Traced {
    pass! {
        initialize(InitializeRequestParams) -> InitializeResult, "initialize";
        list_tools(Option<PaginatedRequestParams>) -> ListToolsResult, "tools/list";
        list_prompts(Option<PaginatedRequestParams>) -> ListPromptsResult, "prompts/list";
        list_resources(Option<PaginatedRequestParams>) -> ListResourcesResult, "resources/list";
        list_resource_templates(Option<PaginatedRequestParams>) -> ListResourceTemplatesResult, "resources/templates/list";
        read_resource(ReadResourceRequestParams) -> ReadResourceResponse, "resources/read";
        complete(CompleteRequestParams) -> CompleteResult, "completion/complete";
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let asked = ("tools/call", self.tool(&request.name));
        self.see(asked, context, is_error, |context| self.0.call_tool(request, context)).await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let asked = ("prompts/get", self.prompt(&request.name));
        self.see(asked, context, fine, |context| self.0.get_prompt(request, context)).await
    }

    async fn discover(&self, context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        self.see(("server/discover", ""), context, fine, |context| self.0.discover(context)).await
    }

    #[expect(deprecated, reason = "the session era still asks in this way")]
    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.see(("resources/subscribe", ""), context, fine, |context| self.0.subscribe(request, context)).await
    }

    #[expect(deprecated, reason = "the session era still asks in this way")]
    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.see(("resources/unsubscribe", ""), context, fine, |context| self.0.unsubscribe(request, context)).await
    }

    fn get_info(&self) -> ServerConfig {
        self.0.get_info()
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.0.on_initialized(context).await;
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.0.accepted_subscription_filter(requested)
    }

    /// Lasts as long as its listener, which is no latency.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.0.listen(context).await
    }
}

impl Asked {
    fn of((method, target): (&'static str, &'static str), context: &RequestContext<RoleServer>) -> Self {
        let said = context.protocol_version();
        Self { method, target, version: said.as_ref().and_then(known).unwrap_or_default() }
    }

    fn begin(&self, core: &Core, context: &RequestContext<RoleServer>) -> Span {
        let parts = context.extensions.get::<http::request::Parts>();
        let header = |name: &str| parts.and_then(|parts| parts.headers.get(name)?.to_str().ok());
        let meta = |name: &str| context.meta.get(name).and_then(|value| value.as_str());
        let remotes = [
            Remote { traceparent: meta("traceparent"), tracestate: meta("tracestate") },
            Remote { traceparent: header("traceparent"), tracestate: header("tracestate") },
        ];
        let name = match self.target {
            "" => Cow::Borrowed(self.method),
            target => Cow::Owned(format!("{} {target}", self.method)),
        };
        let span = Span::server(name, SystemTime::now(), &remotes);
        if span.is_recording() {
            self.describe(&span, core, &context.id);
            let http = parts.is_some();
            span.set("network.transport", if http { "tcp" } else { "pipe" });
            if http {
                span.set("network.protocol.name", "http");
            }
        }
        span
    }

    fn describe(&self, span: &Span, core: &Core, id: &RequestId) {
        span.set("mcp.method.name", self.method);
        span.set("weft.service", core.service.manifest.name().to_owned());
        span.set("jsonrpc.request.id", id.to_string());
        if !self.version.is_empty() {
            span.set("mcp.protocol.version", self.version);
        }
        match (self.method, self.target) {
            ("tools/call", target) => {
                span.set("gen_ai.operation.name", "execute_tool");
                if !target.is_empty() {
                    span.set("gen_ai.tool.name", target);
                }
            }
            ("prompts/get", target) if !target.is_empty() => span.set("gen_ai.prompt.name", target),
            _ => {}
        }
    }

    fn count(&self, core: &Core, failed: &'static str, took: Duration) {
        metrics::histogram!(
            names::MCP_OPERATION_DURATION.name,
            "at" => "service", "service" => core.service.manifest.name().to_owned(), "mcp_method_name" => self.method,
            "gen_ai_tool_name" => self.target, "error_type" => failed, "mcp_protocol_version" => self.version
        )
        .record(took.as_secs_f64());
    }
}

/// A version that exists: clients may write anything.
fn known(version: &ProtocolVersion) -> Option<&'static str> {
    ProtocolVersion::KNOWN_VERSIONS.iter().find(|known| *known == version).map(ProtocolVersion::as_str)
}
