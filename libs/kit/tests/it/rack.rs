//! A service to test the kit with: a rack of notes, and tools that misbehave.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use weft_kit::{
    Annotations, Approval, Block, Body, Call, Changes, Completing, Content, Level, Message, Page, Plan, Prompt,
    PromptArguments, Reply, Resources, Service, Template, Tool, ToolError,
};

const MANIFEST: &str =
    "name = 'rack'\ntitle = 'Rack'\ndescription = 'Notes.'\nport = 7801\npolicy = 'round_robin'\nschemes = ['note']\n";

/// What the tests look at from outside.
#[derive(Clone)]
pub(crate) struct Rack {
    /// Name → text and version.
    pub(crate) notes: Arc<Mutex<BTreeMap<String, (String, u64)>>>,
    pub(crate) changes: Changes,
    /// How a `wait` ended: `""` while it runs.
    pub(crate) waited: watch::Sender<&'static str>,
    /// Ends every `wait`.
    pub(crate) let_go: watch::Sender<bool>,
    pub(crate) waiting: watch::Sender<usize>,
    pub(crate) tasks_ended: Arc<AtomicUsize>,
}

impl Rack {
    pub(crate) fn new() -> Self {
        let notes = ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), (format!("text of {name}"), 1)));
        Self {
            notes: Arc::new(Mutex::new(notes.into())),
            changes: Changes::new(),
            waited: watch::Sender::new(""),
            let_go: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            tasks_ended: Arc::default(),
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.notes.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn service(&self) -> Service {
        Service::build(MANIFEST, "1.2.3", self.clone())
            .tool(Tool::new("list", Annotations::READ, "Lists notes, two a page."), list)
            .tool(Tool::new("count", Annotations::READ, "Counts notes, two a page."), list)
            .tool(Tool::new("write", Annotations::OVERWRITE, "Writes a note."), write)
            .planned(Tool::new("delete", Annotations::DELETE, "Deletes a note."), plan_delete, delete)
            .tool(Tool::new("whoami", Annotations::READ, "Says who calls."), whoami)
            .tool(Tool::new("wait", Annotations::READ, "Waits until it is told to stop."), wait)
            .tool(Tool::new("stubborn", Annotations::READ, "Never notices anything."), stubborn)
            .tool(Tool::new("grind", Annotations::READ, "Blocks a thread until it is told to stop."), grind)
            .tool(Tool::new("steps", Annotations::READ, "Reports three steps."), steps)
            .tool(Tool::new("text", Annotations::READ, "Returns text and blocks."), text)
            .tool(Tool::new("panic", Annotations::READ, "Has a bug."), panic)
            .prompt(Prompt::new("review", "Reviews.").required("what", "What.").optional("how", "How."), review)
            .resources(resources, read)
            .template(Template {
                uri: "note:{name}".into(),
                name: "note".into(),
                description: "A note.".into(),
                mime: None,
            })
            .complete(complete)
            .changes(&self.changes)
            .task(|rack, stop| async move {
                stop.cancelled().await;
                rack.tasks_ended.fetch_add(1, Ordering::SeqCst);
            })
            .finish()
            .unwrap()
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    prefix: Option<String>,
    cursor: Option<String>,
}

async fn list(rack: Arc<Rack>, call: Call, args: List) -> Result<Reply<Vec<String>>, ToolError> {
    let prefix = args.prefix.unwrap_or_default();
    let names: Vec<String> = rack.names().into_iter().filter(|name| name.starts_with(&prefix)).collect();
    let snapshot = names.len().to_string();
    let start: usize = match call.resume(args.cursor.as_deref())? {
        Some(at) => at.fresh(&snapshot)?,
        None => 0,
    };
    let page: Vec<String> = names.iter().skip(start).take(2).cloned().collect();
    let next = start + page.len();
    let cursor = if next < names.len() { Some(call.cursor(&snapshot, &next)?) } else { None };
    let returned = page.len();
    Ok(Reply::new(page).page(Page::new(returned, cursor).total(names.len() as u64)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    name: String,
    text: String,
}

async fn write(rack: Arc<Rack>, _: Call, args: Write) -> Result<Reply<u64>, ToolError> {
    let mut notes = rack.notes.lock().unwrap();
    let note = notes.entry(args.name.clone()).or_default();
    *note = (args.text, note.1 + 1);
    rack.changes.updated(&format!("note:{}", args.name));
    Ok(Reply::new(note.1))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

async fn plan_delete(rack: Arc<Rack>, _: Call, args: Named) -> Result<Plan<Vec<String>>, ToolError> {
    let notes = rack.notes.lock().unwrap();
    let (_, version) = notes.get(&args.name).ok_or_else(|| ToolError::not_found("no such note"))?;
    let plan = Plan::new(format!("Delete the note {}", args.name), vec![args.name.clone()]);
    let plan = plan.observed(&args.name, version.to_string());
    Ok(if args.name == "e" { plan.low_risk() } else { plan })
}

async fn delete(rack: Arc<Rack>, _: Call, args: Named, approval: Approval) -> Result<Reply<bool>, ToolError> {
    let approved = approval.version(&args.name).map(str::to_owned);
    let mut notes = rack.notes.lock().unwrap();
    let present = notes.get(&args.name).map(|(_, version)| version.to_string());
    if present != approved {
        return Err(ToolError::conflict("the note moved"));
    }
    Ok(Reply::new(notes.remove(&args.name).is_some()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Serialize, JsonSchema)]
struct Who {
    caller: String,
    namespace: String,
    roles: Vec<String>,
}

async fn whoami(_: Arc<Rack>, call: Call, _: Nothing) -> Result<Reply<Who>, ToolError> {
    let caller = call.caller().clone();
    Ok(Reply::new(Who { caller: caller.id, namespace: caller.namespace, roles: caller.roles }))
}

async fn wait(rack: Arc<Rack>, call: Call, _: Nothing) -> Result<Reply<bool>, ToolError> {
    rack.waiting.send_modify(|waiting| *waiting += 1);
    let mut let_go = rack.let_go.subscribe();
    let waited = call.run(async { drop(let_go.wait_for(|let_go| *let_go).await) }).await;
    rack.waited.send_replace(if waited.is_err() { "stopped" } else { "let go" });
    waited.map(|()| Reply::new(true))
}

async fn stubborn(rack: Arc<Rack>, _: Call, _: Nothing) -> Result<Reply<bool>, ToolError> {
    rack.waiting.send_modify(|waiting| *waiting += 1);
    std::future::pending().await
}

async fn grind(rack: Arc<Rack>, call: Call, _: Nothing) -> Result<Reply<bool>, ToolError> {
    let ground = call.blocking(move |call| {
        rack.waiting.send_modify(|waiting| *waiting += 1);
        loop {
            if let Err(error) = call.check() {
                rack.waited.send_replace("stopped");
                return Err(error);
            }
            std::thread::yield_now();
        }
    });
    ground.await.map(Reply::new)
}

async fn steps(_: Arc<Rack>, call: Call, _: Nothing) -> Result<Reply<u32>, ToolError> {
    for step in 1..=3 {
        call.progress(f64::from(step), Some(3.0), format!("step {step}"));
        call.progress(0.5, Some(3.0), None);
        call.run(tokio::time::sleep(Duration::from_millis(1))).await?;
    }
    call.log(Level::Info, "all steps done");
    Ok(Reply::new(3))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Amount {
    bytes: usize,
    data: Option<usize>,
    blocks: Option<usize>,
}

async fn text(_: Arc<Rack>, _: Call, args: Amount) -> Result<Reply<String>, ToolError> {
    let reply = Reply::new("d".repeat(args.data.unwrap_or(0))).text("ß".repeat(args.bytes / 2));
    Ok((0..args.blocks.unwrap_or(0)).fold(reply, |reply, _| reply.block(Block::Text("b".into()))))
}

async fn panic(_: Arc<Rack>, _: Call, _: Nothing) -> Result<Reply<bool>, ToolError> {
    panic!("reading /srv/secret/path")
}

async fn review(_: Arc<Rack>, _: Call, arguments: PromptArguments) -> Result<Vec<Message>, ToolError> {
    Ok(vec![Message::User(format!("Review {}", arguments["what"]))])
}

async fn resources(rack: Arc<Rack>, _: Call, _: Option<String>) -> Result<Resources, ToolError> {
    let link = |name: String| weft_kit::Link { uri: format!("note:{name}"), name, ..weft_kit::Link::default() };
    Ok(Resources { items: rack.names().into_iter().map(link).collect(), cursor: None })
}

async fn read(rack: Arc<Rack>, _: Call, uri: String) -> Result<Vec<Content>, ToolError> {
    let notes = rack.notes.lock().unwrap();
    let name = uri.strip_prefix("note:").unwrap_or_default();
    let (text, _) = notes.get(name).ok_or_else(|| ToolError::not_found("no such note"))?;
    Ok(vec![Content { uri, mime: None, body: Body::Text(text.clone()) }])
}

async fn complete(rack: Arc<Rack>, _: Call, completing: Completing) -> Result<Vec<String>, ToolError> {
    Ok(rack.names().into_iter().filter(|name| name.starts_with(&completing.value)).collect())
}
