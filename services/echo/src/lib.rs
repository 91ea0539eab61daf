//! The smallest complete service: what goes in comes out, slowly, wrongly or in bulk on request. For tests and benchmarks only.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{
    Annotations, Body, Call, Content, Link, Message, Prompt, PromptArguments, Reply, Resources, Service, ServiceFault,
    Tool, ToolError,
};

/// The text of `service.toml`.
pub const MANIFEST: &str = include_str!("../service.toml");

const GREETING: &str = "echo://greeting";

/// The echo service.
pub fn service() -> Result<Service, ServiceFault> {
    Service::build(MANIFEST, env!("CARGO_PKG_VERSION"), ())
        .tool(Tool::new("echo", Annotations::READ, "Returns the text that it is given."), echo)
        .tool(Tool::new("add", Annotations::READ, "Adds two integers."), add)
        .tool(Tool::new("sleep", Annotations::READ, "Waits, reporting progress; stops when cancelled."), sleep)
        .tool(Tool::new("fail", Annotations::READ, "Always fails with the message that it is given."), fail)
        .tool(Tool::new("big", Annotations::READ, "Returns that many bytes of text.").text_limit(1024 * 1024), big)
        .prompt(Prompt::new("say", "Asks the model to say something.").required("text", "What to say."), say)
        .resources(list, read)
        .finish()
}

/// Some text.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The text.
    pub text: String,
}

/// Two integers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// One.
    pub a: i64,
    /// The other.
    pub b: i64,
}

/// Their sum.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sum {
    /// The sum.
    pub sum: i64,
}

/// How long to wait.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// Milliseconds.
    pub ms: u64,
}

/// How much to return.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Big {
    /// Bytes of text.
    pub bytes: usize,
}

async fn echo(_: Arc<()>, _: Call, args: Text) -> Result<Reply<Text>, ToolError> {
    let text = args.text.clone();
    Ok(Reply::new(args).text(text))
}

async fn add(_: Arc<()>, _: Call, args: Add) -> Result<Reply<Sum>, ToolError> {
    let sum = args.a.checked_add(args.b).ok_or_else(|| ToolError::invalid("the sum does not fit 64 bits"))?;
    Ok(Reply::new(Sum { sum }).text(sum.to_string()))
}

async fn sleep(_: Arc<()>, call: Call, args: Sleep) -> Result<Reply<Sleep>, ToolError> {
    const STEP: u64 = 100;
    let mut slept = 0;
    while slept < args.ms {
        let step = STEP.min(args.ms - slept);
        call.run(tokio::time::sleep(Duration::from_millis(step))).await?;
        slept += step;
        let share = f64::from(u32::try_from(slept * 100 / args.ms).unwrap_or(100));
        call.progress(share, Some(100.0), format!("{slept} ms"));
    }
    Ok(Reply::new(args))
}

async fn fail(_: Arc<()>, _: Call, args: Text) -> Result<Reply<Text>, ToolError> {
    Err(ToolError::new("failed", args.text).hint("it always does"))
}

async fn big(_: Arc<()>, call: Call, args: Big) -> Result<Reply<Text>, ToolError> {
    let mut budget = call.budget();
    let text = "x".repeat(args.bytes.min(1024 * 1024));
    let text = budget.clip(&text).to_owned();
    Ok(Reply::new(Text { text }).text("x").truncated(budget.truncated()))
}

async fn say(_: Arc<()>, _: Call, arguments: PromptArguments) -> Result<Vec<Message>, ToolError> {
    Ok(vec![Message::User(format!("Say this: {}", arguments["text"]))])
}

async fn list(_: Arc<()>, _: Call, _: Option<String>) -> Result<Resources, ToolError> {
    let item = Link { uri: GREETING.to_owned(), name: "greeting".to_owned(), ..Link::default() };
    Ok(Resources { items: vec![item], cursor: None })
}

async fn read(_: Arc<()>, _: Call, uri: String) -> Result<Vec<Content>, ToolError> {
    if uri != GREETING {
        return Err(ToolError::not_found("no such resource").hint("the only one is echo://greeting"));
    }
    let (mime, body) = (Some("text/plain".to_owned()), Body::Text("Hello.".to_owned()));
    Ok(vec![Content { uri, mime, body }])
}
