//! Tools that may run as tasks of the tasks extension: the caller gets a handle and asks for the state.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult, InputRequest, InputRequiredResult,
    },
    task_manager::{TaskContext, TaskExit, TaskOptions},
};
use serde_json::{Value, json};

use super::{Call, Outcome, ask::form, failure, plain, rounds::accepted, with_arguments};
use crate::server::typed;

const POLL_MS: u64 = 100;
const WORK: Duration = Duration::from_millis(500);

/// What a job does when it runs.
enum Job {
    Sleep { seconds: f64, label: String },
    Fail,
    Break,
    Confirm { filename: String },
    TwoQuestions,
    Greet { name: String },
}

pub(super) fn tools() -> Vec<Value> {
    let seconds =
        json!({ "type": "object", "properties": { "seconds": { "type": "number" }, "label": { "type": "string" } } });
    let filename = json!({ "type": "object", "properties": { "filename": { "type": "string" } } });
    vec![
        with_arguments("slow_compute", "Takes its time; a task for those who know tasks.", &seconds),
        plain("failing_job", "Always a task: fails as a tool."),
        plain("protocol_error_job", "Always a task: fails as a request."),
        with_arguments("confirm_delete", "A task that asks before it goes on.", &filename),
        plain("multi_input", "A task that asks two things at once."),
        plain("test_tool_with_task", "Asks first, then goes on as a task."),
    ]
}

pub(super) async fn call(call: Call) -> Outcome {
    let job = match call.name() {
        "slow_compute" => Job::Sleep {
            seconds: call.value("seconds").and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 600.0),
            label: call.argument("label").to_owned(),
        },
        "failing_job" => Job::Fail,
        "protocol_error_job" => Job::Break,
        "confirm_delete" => Job::Confirm { filename: call.argument("filename").to_owned() },
        "multi_input" => Job::TwoQuestions,
        "test_tool_with_task" => match accepted(call.request.input_responses.as_ref(), "user_name", "name") {
            Some(name) => Job::Greet { name },
            None => return Some(if call.client().supports_tasks() { ask_name() } else { Err(needs_tasks()) }),
        },
        _ => return None,
    };
    if !call.client().supports_tasks() {
        return Some(without_tasks(job).await);
    }
    let options = TaskOptions::new().with_poll_interval_ms(POLL_MS);
    let task = call.shared.jobs.spawn(options, move |context| Box::pin(run(job, context)));
    Some(Ok(CreateTaskResult::new(task).into()))
}

/// What clients get that know no tasks: the work at once where that is possible.
async fn without_tasks(job: Job) -> Result<CallToolResponse, ErrorData> {
    match job {
        Job::Sleep { seconds, label } => {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            Ok(computed(&label).into())
        }
        Job::Confirm { .. } | Job::TwoQuestions => {
            Ok(failure("Only a task can ask, and the client knows no tasks.").into())
        }
        Job::Fail | Job::Break | Job::Greet { .. } => Err(needs_tasks()),
    }
}

fn needs_tasks() -> ErrorData {
    ErrorData::missing_required_client_capability(ClientCapabilities::builder().enable_tasks().build())
}

fn ask_name() -> Result<CallToolResponse, ErrorData> {
    let question = form("What is your name?", &json!({ "name": { "type": "string" } }), &["name"]);
    Ok(InputRequiredResult::from_input_requests(typed(json!({ "user_name": question }))?).into())
}

fn said(text: String) -> CallToolResult {
    CallToolResult::success(vec![rmcp::model::ContentBlock::text(text)])
}

fn computed(label: &str) -> CallToolResult {
    said(format!("Computed {label}."))
}

async fn run(job: Job, context: TaskContext) -> Result<CallToolResult, TaskExit> {
    match job {
        Job::Sleep { seconds, label } => {
            sleep(&context, Duration::from_secs_f64(seconds)).await?;
            Ok(computed(&label))
        }
        Job::Fail => {
            sleep(&context, WORK).await?;
            Ok(failure("The job failed."))
        }
        Job::Break => {
            sleep(&context, WORK).await?;
            Err(TaskExit::Error(ErrorData::internal_error("the job broke", None)))
        }
        Job::Confirm { filename } => {
            let question = question("Delete the file?", "confirm")?;
            let answer = context.request_input("confirm", question).await?;
            Ok(said(format!("Deletion of {filename}: {}", answer["action"].as_str().unwrap_or_default())))
        }
        Job::TwoQuestions => {
            let (first, second) = (question("The first?", "first")?, question("The second?", "second")?);
            let (first, second) =
                tokio::join!(context.request_input("first", first), context.request_input("second", second));
            Ok(said(format!("Answers: {} {}", first?, second?)))
        }
        Job::Greet { name } => {
            sleep(&context, WORK).await?;
            Ok(said(format!("Hello, {name}!")))
        }
    }
}

fn question(message: &str, field: &str) -> Result<InputRequest, ErrorData> {
    typed(form(message, &json!({ field: { "type": "boolean" } }), &[field]))
}

async fn sleep(context: &TaskContext, time: Duration) -> Result<(), TaskExit> {
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        () = context.cancelled() => Err(TaskExit::Cancelled),
    }
}
