//! Listening to channels for a while: messages that come while the call waits, and no longer. Nothing is kept between calls,
//! because a protocol without sessions has nobody to keep it for.

use std::time::Duration;

use futures_util::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Budget, Call, Reply, ToolError, Truncated};

use super::{
    Redis, Scope, fault,
    fault::Effect,
    glob,
    value::{Bytes, Shown},
};

/// The longest that a call may wait.
const LONGEST: u64 = 30_000;
/// Channels of one call.
const CHANNELS: usize = 16;

/// What to listen to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisSubscribeWait {
    pub(crate) connection: String,
    /// Channels, or patterns that are allowed as they are.
    pub(crate) channels: Vec<Bytes>,
    /// Milliseconds, at most 30,000; 5,000 if not said.
    #[serde(default)]
    pub(crate) for_ms: Option<u64>,
    /// Messages after which it is enough; 100 if not said.
    #[serde(default)]
    pub(crate) max: Option<usize>,
}

/// What was heard.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Heard {
    messages: Vec<Message>,
}

/// One message.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Message {
    channel: Shown,
    message: Shown,
}

/// Listens until the time is over or there are enough messages.
pub(crate) async fn wait(redis: &Redis, call: &Call, args: &RedisSubscribeWait) -> Result<Reply<Heard>, ToolError> {
    let scope = redis.scope(call);
    let (wait, most) = (args.for_ms.unwrap_or(5_000), args.max.unwrap_or(100));
    if !(1..=LONGEST).contains(&wait) || !(1..=redis.settings.max_items).contains(&most) {
        let items = redis.settings.max_items;
        return Err(ToolError::invalid(format!("for_ms is from 1 to {LONGEST}, max from 1 to {items}")));
    }
    if !(1..=CHANNELS).contains(&args.channels.len()) {
        return Err(ToolError::invalid(format!("channels has from 1 to {CHANNELS}")));
    }
    let channels = args.channels.iter().map(|channel| allowed(&scope, channel)).collect::<Result<Vec<_>, _>>()?;
    let _place = scope.place().await?;
    let mut ear = call.run(open(&scope, &channels)).await?.map_err(|error| told(redis, &error))?;
    let until = tokio::time::Instant::now() + Duration::from_millis(wait);
    let mut budget = Budget::new(redis.settings.max_bytes);
    let mut messages = Vec::new();
    let mut coming = ear.on_message();
    while messages.len() < most {
        let Ok(next) = call.run(tokio::time::timeout_at(until, coming.next())).await? else { break };
        let Some(message) = next else {
            if messages.is_empty() {
                return Err(ToolError::unavailable("the server closed the connection while it was listened to"));
            }
            break;
        };
        let shown = Message {
            channel: Shown::of(message.get_channel_name().as_bytes(), 1_024),
            message: Shown::of(message.get_payload_bytes(), redis.settings.max_bytes / 8),
        };
        messages.extend(budget.fill([shown]));
        if budget.is_full() {
            break;
        }
    }
    let full = budget.is_full().then(|| Truncated::new("value_bytes", redis.settings.max_bytes as u64));
    let text = format!("{} messages", messages.len());
    Ok(Reply::new(Heard { messages }).text(text).truncated(full))
}

async fn open(scope: &Scope<'_>, channels: &[Ear]) -> redis::RedisResult<redis::aio::PubSub> {
    let view = scope.redis.wire.view().await?;
    // Every node of a cluster hears every channel.
    let mut last = None;
    for node in &view.masters {
        let opened = async {
            let mut ear = node.ear().await?;
            for channel in channels {
                match channel {
                    Ear::Channel(name) => ear.subscribe(name.as_slice()).await?,
                    Ear::Pattern(pattern) => ear.psubscribe(pattern.as_slice()).await?,
                }
            }
            Ok(ear)
        };
        match opened.await {
            Ok(ear) => return Ok(ear),
            Err(error) => last = Some(error),
        }
    }
    if let Some(error) = &last {
        scope.redis.wire.lost(error);
    }
    Err(last.unwrap_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected).into()))
}

fn told(redis: &Redis, error: &redis::RedisError) -> ToolError {
    fault::told(redis.name(), error, Effect::None)
}

/// What may be listened to.
enum Ear {
    Channel(Vec<u8>),
    Pattern(Vec<u8>),
}

/// A channel that an allowed pattern matches, or an allowed pattern itself.
fn allowed(scope: &Scope<'_>, channel: &Bytes) -> Result<Ear, ToolError> {
    let wanted = channel.get()?;
    let rules = scope.redis.channels.iter().map(|rule| rule.of(scope.call.namespace()).into_bytes());
    for rule in rules {
        if rule == wanted && glob::is_pattern(&wanted) {
            return Ok(Ear::Pattern(wanted));
        }
        if !glob::is_pattern(&wanted) && glob::matches(&rule, &wanted) {
            return Ok(Ear::Channel(wanted));
        }
    }
    Err(ToolError::refused("this channel may not be listened to"))
}
