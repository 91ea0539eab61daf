//! Typed handlers → boxed functions over JSON, so that nothing behind them is generic.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::Call;
use crate::error::ToolError;
use crate::plan::{Approval, Plan, Versions};
use crate::reply::{About, Reply};

/// A handler of anything but tools.
pub(crate) type Handler<A, T> = Arc<dyn Fn(Call, A) -> Outcome<T> + Send + Sync>;
/// What a handler promises.
pub(crate) type Outcome<T> = BoxFuture<'static, Result<T, ToolError>>;

/// How a tool acts.
pub(crate) enum Act {
    /// At once.
    Plain(Box<dyn Fn(Call) -> Outcome<Produced> + Send + Sync>),
    /// On a plan.
    Planned {
        plan: Box<dyn Fn(Call) -> Outcome<Draft> + Send + Sync>,
        apply: Box<dyn Fn(Call, Approval) -> Outcome<Produced> + Send + Sync>,
    },
}

/// A tool's reply without its type.
pub(crate) struct Produced {
    pub(crate) data: Value,
    pub(crate) about: About,
}

/// A plan without its type.
pub(crate) struct Draft {
    pub(crate) effects: Value,
    pub(crate) summary: String,
    pub(crate) versions: Versions,
    pub(crate) low_risk: bool,
}

pub(crate) fn handler<S, A, T, F, R>(state: Arc<S>, handler: F) -> Handler<A, T>
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Call, A) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, ToolError>> + Send + 'static,
{
    Arc::new(move |call, args| Box::pin(handler(Arc::clone(&state), call, args)))
}

pub(crate) fn plain<S, A, T, F, R>(state: Arc<S>, handler: F) -> Act
where
    S: Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    T: Serialize + 'static,
    F: Fn(Arc<S>, Call, A) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply<T>, ToolError>> + Send + 'static,
{
    Act::Plain(Box::new(move |call| match arguments::<A>(&call) {
        Ok(args) => Box::pin(produce(handler(Arc::clone(&state), call, args))),
        Err(error) => Box::pin(std::future::ready(Err(error))),
    }))
}

pub(crate) fn planned<S, A, P, T, F, G, R, Q>(state: &Arc<S>, plan: F, apply: G) -> Act
where
    S: Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    P: Serialize + 'static,
    T: Serialize + 'static,
    F: Fn(Arc<S>, Call, A) -> R + Send + Sync + 'static,
    G: Fn(Arc<S>, Call, A, Approval) -> Q + Send + Sync + 'static,
    R: Future<Output = Result<Plan<P>, ToolError>> + Send + 'static,
    Q: Future<Output = Result<Reply<T>, ToolError>> + Send + 'static,
{
    let (for_plan, for_apply) = (Arc::clone(state), Arc::clone(state));
    Act::Planned {
        plan: Box::new(move |call| match arguments::<A>(&call) {
            Ok(args) => Box::pin(draft(plan(Arc::clone(&for_plan), call, args))),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }),
        apply: Box::new(move |call, approval| match arguments::<A>(&call) {
            Ok(args) => Box::pin(produce(apply(Arc::clone(&for_apply), call, args, approval))),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }),
    }
}

async fn produce<T: Serialize>(
    reply: impl Future<Output = Result<Reply<T>, ToolError>>,
) -> Result<Produced, ToolError> {
    let Reply { data, about } = reply.await?;
    Ok(Produced { data: to_json(&data)?, about })
}

async fn draft<P: Serialize>(plan: impl Future<Output = Result<Plan<P>, ToolError>>) -> Result<Draft, ToolError> {
    let Plan { effects, summary, versions, low_risk } = plan.await?;
    Ok(Draft { effects: to_json(&effects)?, summary, versions, low_risk })
}

fn to_json<T: Serialize>(value: &T) -> Result<Value, ToolError> {
    serde_json::to_value(value).map_err(|error| ToolError::internal(&error))
}

/// The typed arguments, or which of them is wrong. `plan_id` is the kit's, not the tool's: it was taken out before.
fn arguments<A: DeserializeOwned>(call: &Call) -> Result<A, ToolError> {
    typed(call.arguments())
}

/// How deep the place of an error is looked for: it takes more of the stack than reading does.
const DEEP: usize = 64;

fn typed<A: DeserializeOwned>(arguments: &Value) -> Result<A, ToolError> {
    A::deserialize(arguments).map_err(|error| {
        let why = error.to_string();
        let told = match place::<A>(arguments) {
            // An unknown argument is named by the reason itself.
            Some(place) if !why.starts_with("unknown field") => format!("`{place}`: {why}"),
            _ => why,
        };
        ToolError::invalid(told).hint("compare the arguments with the tool's input schema")
    })
}

/// Where the arguments do not fit, if it is below the top.
fn place<A: DeserializeOwned>(arguments: &Value) -> Option<String> {
    if is_deeper(arguments, DEEP) {
        return None;
    }
    let error = serde_path_to_error::deserialize::<_, A>(arguments).err()?;
    let place = error.path().to_string();
    (place != ".").then_some(place)
}

fn is_deeper(value: &Value, than: usize) -> bool {
    let deeper = |value: &Value| than == 0 || is_deeper(value, than - 1);
    match value {
        Value::Array(items) => items.iter().any(deeper),
        Value::Object(fields) => fields.values().any(deeper),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Edits {
        #[expect(dead_code, reason = "read from arguments alone")]
        edits: Vec<Edit>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Edit {
        #[expect(dead_code, reason = "read from arguments alone")]
        old: String,
    }

    #[test]
    fn the_argument_that_is_wrong_is_named_with_its_place() {
        let told = |json: &Value| super::typed::<Edits>(json).unwrap_err().message().to_owned();
        for (json, expected) in [
            (json!({}), "missing field `edits`"),
            (json!({"edit": []}), "unknown field `edit`, expected `edits`"),
            (json!({"edits": "a"}), "`edits`: invalid type: string \"a\", expected a sequence"),
            (
                json!({"edits": [{"old": "a"}, {"old": 1}]}),
                "`edits[1].old`: invalid type: integer `1`, expected a string",
            ),
            (json!({"edits": [{"old": "a"}, {}]}), "`edits[1]`: missing field `old`"),
            (json!({"edits": [{"old": "a", "new": 1}]}), "unknown field `new`, expected `old`"),
        ] {
            assert_eq!(told(&json), expected);
        }
    }

    #[test]
    fn arguments_of_any_depth_are_refused_without_their_place() {
        let mut deep = json!(1);
        for _ in 0..1_000 {
            deep = json!([deep]);
        }
        let error = super::typed::<Edits>(&json!({ "edits": [{ "old": deep }] })).unwrap_err();
        assert!(error.message().starts_with("invalid type: sequence"), "{}", error.message());
    }
}
