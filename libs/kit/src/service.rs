//! The parts that an author names → one [`Service`]: checked, complete, and free of the author's types.
//!
//! Handlers are plain async functions over the service's state. Their types are erased here, once, so that everything behind
//! (protocol, budgets, plans, metrics) is compiled a single time for all services. What a service declares wrongly is found
//! when it is built, all at once, before anything listens.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::changes::Changes;
use crate::check;
use crate::engine::Engine;
use crate::erase::{self, Act, Handler};
use crate::error::ToolError;
use crate::fitness::{Feel, Fitness};
use crate::manifest::{Manifest, ManifestError};
use crate::offer::{Completing, Content, Message, Prompt, PromptArguments, Resources, Template};
use crate::plan::{Approval, Plan, Planned};
use crate::reply::Reply;
use crate::schema::{self, Object};
use crate::tool::Tool;

/// A complete service, ready to be served.
pub struct Service {
    pub(crate) manifest: Manifest,
    pub(crate) version: &'static str,
    pub(crate) tools: Vec<Entry>,
    pub(crate) by_name: HashMap<&'static str, usize>,
    pub(crate) prompts: Vec<(Prompt, Handler<PromptArguments, Vec<Message>>)>,
    pub(crate) resources: Option<ResourceHandlers>,
    pub(crate) templates: Vec<Template>,
    pub(crate) complete: Option<Handler<Completing, Vec<String>>>,
    pub(crate) changes: Option<Changes>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) fitness: Option<Feel>,
    /// What answers instead of tools.
    pub(crate) engine: Option<Arc<dyn Engine>>,
}

/// One tool, erased.
pub(crate) struct Entry {
    pub(crate) tool: Tool,
    pub(crate) input: Arc<Object>,
    pub(crate) output: Arc<Object>,
    pub(crate) act: Act,
}

impl Entry {
    pub(crate) fn is_planned(&self) -> bool {
        matches!(self.act, Act::Planned { .. })
    }
}

pub(crate) struct ResourceHandlers {
    pub(crate) list: Handler<Option<String>, Resources>,
    pub(crate) read: Handler<String, Vec<Content>>,
}

/// Work beside the calls: runs while the service is served, ends when its token fires, and is joined.
pub(crate) type Task = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>;

/// Why a service cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServiceFault {
    /// The `service.toml` is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Declarations are wrong; one line for each.
    #[error("the service declares what it may not:\n  {}", .0.join("\n  "))]
    Declarations(Vec<String>),
}

impl Service {
    /// A service that is an engine of its own; it ends with the service.
    pub fn of_engine(
        manifest: &str,
        version: &'static str,
        engine: impl FnOnce() -> Arc<dyn Engine>,
    ) -> Result<Self, ServiceFault> {
        let engine = engine();
        let ends = Arc::clone(&engine);
        let service = Self::build(manifest, version, ())
            .task(move |_, stop| async move {
                stop.cancelled().await;
                ends.end().await;
            })
            .finish()?;
        Ok(Self { engine: Some(engine), ..service })
    }

    /// What it offers, by the names of MCP's capabilities.
    pub(crate) fn capabilities(&self) -> Vec<&'static str> {
        let resources = self.resources.is_some() || !self.templates.is_empty();
        let offered = [
            ("tools", true),
            ("prompts", !self.prompts.is_empty()),
            ("resources", resources),
            ("completions", self.complete.is_some()),
        ];
        offered.into_iter().filter(|(_, offered)| *offered).map(|(name, _)| name).collect()
    }

    /// Starts a service: the text of its `service.toml`, its version (`env!("CARGO_PKG_VERSION")`), and the state that every
    /// handler gets.
    pub fn build<S: Send + Sync + 'static>(manifest: &str, version: &'static str, state: S) -> Builder<S> {
        weft_identity::settle_provider();
        Builder {
            manifest: Manifest::parse(manifest),
            version,
            state: Arc::new(state),
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: None,
            templates: Vec::new(),
            complete: None,
            changes: None,
            tasks: Vec::new(),
            fitness: None,
        }
    }

    /// The checked `service.toml`.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Names of the tools, in the order of the list.
    pub fn tool_names(&self) -> impl Iterator<Item = &'static str> {
        self.tools.iter().map(|entry| entry.tool.name)
    }
}

/// Collects what a service offers; see [`Service::build`].
#[must_use = "a service is made by `finish`"]
pub struct Builder<S> {
    manifest: Result<Manifest, ManifestError>,
    version: &'static str,
    state: Arc<S>,
    tools: Vec<Entry>,
    prompts: Vec<(Prompt, Handler<PromptArguments, Vec<Message>>)>,
    resources: Option<ResourceHandlers>,
    templates: Vec<Template>,
    complete: Option<Handler<Completing, Vec<String>>>,
    changes: Option<Changes>,
    tasks: Vec<Task>,
    fitness: Option<Feel>,
}

impl<S: Send + Sync + 'static> Builder<S> {
    /// A tool: `async fn name(state: Arc<S>, call: Call, args: A) -> Result<Reply<T>, ToolError>`.
    /// `A` must carry `#[serde(deny_unknown_fields)]`, and so must every struct in it.
    pub fn tool<A, T, F, R>(mut self, tool: Tool, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        T: Serialize + JsonSchema + 'static,
        F: Fn(Arc<S>, Call, A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply<T>, ToolError>> + Send + 'static,
    {
        let act = erase::plain(Arc::clone(&self.state), handler);
        self.tools.push(Entry { tool, input: schema::input::<A>().into(), output: schema::output::<T>().into(), act });
        self
    }

    /// A tool that acts only on a plan: `plan` finds out what would happen, `apply` makes it happen. The kit adds the argument
    /// `plan_id`, mints, checks and spends plans, and asks the user where policy says so.
    pub fn planned<A, P, T, F, G, R, Q>(mut self, tool: Tool, plan: F, apply: G) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        P: Serialize + JsonSchema + 'static,
        T: Serialize + JsonSchema + 'static,
        F: Fn(Arc<S>, Call, A) -> R + Send + Sync + 'static,
        G: Fn(Arc<S>, Call, A, Approval) -> Q + Send + Sync + 'static,
        R: Future<Output = Result<Plan<P>, ToolError>> + Send + 'static,
        Q: Future<Output = Result<Reply<T>, ToolError>> + Send + 'static,
    {
        let act = erase::planned(&self.state, plan, apply);
        let mut input = schema::input::<A>();
        schema::add_text_argument(
            &mut input,
            "plan_id",
            "From a first call without it; applies what that call showed.",
        );
        let output = schema::output::<Planned<P, T>>();
        self.tools.push(Entry { tool, input: input.into(), output: output.into(), act });
        self
    }

    /// A prompt: `async fn name(state, call, arguments) -> Result<Vec<Message>, ToolError>`.
    pub fn prompt<F, R>(mut self, prompt: Prompt, handler: F) -> Self
    where
        F: Fn(Arc<S>, Call, PromptArguments) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Message>, ToolError>> + Send + 'static,
    {
        self.prompts.push((prompt, erase::handler(Arc::clone(&self.state), handler)));
        self
    }

    /// Resources: `list` gets the cursor of the page, `read` the URI.
    pub fn resources<F, G, R, Q>(mut self, list: F, read: G) -> Self
    where
        F: Fn(Arc<S>, Call, Option<String>) -> R + Send + Sync + 'static,
        G: Fn(Arc<S>, Call, String) -> Q + Send + Sync + 'static,
        R: Future<Output = Result<Resources, ToolError>> + Send + 'static,
        Q: Future<Output = Result<Vec<Content>, ToolError>> + Send + 'static,
    {
        let list = erase::handler(Arc::clone(&self.state), list);
        let read = erase::handler(Arc::clone(&self.state), read);
        self.resources = Some(ResourceHandlers { list, read });
        self
    }

    /// A family of resources that `resources` can read.
    pub fn template(mut self, template: Template) -> Self {
        self.templates.push(template);
        self
    }

    /// Completion of arguments: up to 100 values, best first.
    pub fn complete<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(Arc<S>, Call, Completing) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<String>, ToolError>> + Send + 'static,
    {
        self.complete = Some(erase::handler(Arc::clone(&self.state), handler));
        self
    }

    /// Lets clients listen for what the service publishes through `changes`.
    pub fn changes(mut self, changes: &Changes) -> Self {
        self.changes = Some(changes.clone());
        self
    }

    /// Work beside the calls (a watcher, a sweeper): started when the service is served, told to end by the token, and joined
    /// before the service stops.
    pub fn task<F, R>(mut self, work: F) -> Self
    where
        F: FnOnce(Arc<S>, CancellationToken) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let state = Arc::clone(&self.state);
        self.tasks.push(Box::new(move |token| Box::pin(work(state, token))));
        self
    }

    /// How the service fares with what is behind it, for its health checks. It is asked often, so it must not wait for anything: a
    /// task finds out, this tells.
    pub fn fitness(mut self, feel: impl Fn(&S) -> Fitness + Send + Sync + 'static) -> Self {
        let state = Arc::clone(&self.state);
        self.fitness = Some(Box::new(move || feel(&state)));
        self
    }

    /// The service, or everything that is wrong with it.
    pub fn finish(self) -> Result<Service, ServiceFault> {
        let manifest = self.manifest?;
        let faults = check::declarations(&self.tools, self.prompts.iter().map(|(prompt, _)| prompt));
        if !faults.is_empty() {
            return Err(ServiceFault::Declarations(faults));
        }
        let by_name = self.tools.iter().enumerate().map(|(index, entry)| (entry.tool.name, index)).collect();
        Ok(Service {
            manifest,
            version: self.version,
            tools: self.tools,
            by_name,
            prompts: self.prompts,
            resources: self.resources,
            templates: self.templates,
            complete: self.complete,
            changes: self.changes,
            tasks: self.tasks,
            fitness: self.fitness,
            engine: None,
        })
    }
}
