//! Looks at a connection → whether its database answers, remembered: for callers that choose one, and for the health of the instance.
//!
//! A look is a task's or a caller's; what is remembered answers health checks, which must not wait.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use weft_kit::Fitness;

use crate::{Databases, connections::Connection};

/// Between two looks of the task.
const EVERY: Duration = Duration::from_secs(10);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Looks without an answer after which a connection counts as lost for the whole instance: one may be a hiccup.
const LOST: u32 = 2;

/// What the last looks found.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Option<Beat>>);

#[derive(Debug, Clone)]
struct Beat {
    at: Instant,
    outcome: Result<Duration, String>,
    /// Looks in a row that found nothing.
    missed: u32,
}

/// Whether a database answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Standing {
    /// `up`, `down`, or `unknown` before the first look.
    state: &'static str,
    /// Milliseconds that the last answer took.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Seconds since the last look.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<u64>,
}

impl Pulse {
    fn last(&self) -> Option<Beat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, outcome: Result<Duration, String>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.as_ref().map_or(0, |beat| beat.missed);
        let missed = if outcome.is_ok() { 0 } else { before + 1 };
        *last = Some(Beat { at: Instant::now(), outcome, missed });
    }

    /// For callers.
    pub(crate) fn standing(&self) -> Standing {
        let Some(beat) = self.last() else {
            return Standing { state: "unknown", latency_ms: None, error: None, age_s: None };
        };
        let age_s = Some(beat.at.elapsed().as_secs());
        match beat.outcome {
            Ok(took) => {
                let latency_ms = Some((took.as_secs_f64() * 1e5).round() / 100.0);
                Standing { state: "up", latency_ms, error: None, age_s }
            }
            Err(why) => Standing { state: "down", latency_ms: None, error: Some(why), age_s },
        }
    }
}

async fn look(name: &str, connection: &Connection) {
    let began = Instant::now();
    let outcome = match tokio::time::timeout(PATIENCE, connection.engine.probe()).await {
        Ok(Ok(())) => Ok(began.elapsed()),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("it does not answer within {} s", PATIENCE.as_secs())),
    };
    let was_down = connection.pulse.last().is_some_and(|beat| beat.outcome.is_err());
    match &outcome {
        Err(why) if !was_down => tracing::warn!(connection = %name, why, "a database does not answer"),
        Ok(_) if was_down => tracing::info!(connection = %name, "a database answers again"),
        _ => {}
    }
    connection.pulse.note(outcome);
}

/// Looks at the connections that were not looked at of late.
pub(crate) async fn refresh<'a>(connections: impl Iterator<Item = (&'a str, &'a Connection)>) {
    let stale = connections.filter(|(_, own)| own.pulse.last().is_none_or(|beat| beat.at.elapsed() >= EVERY));
    join_all(stale.map(|(name, own)| look(name, own))).await;
}

impl Databases {
    /// Looks at all connections again and again.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        let looking = async {
            loop {
                join_all(self.all().map(|(name, own)| look(name, own))).await;
                tokio::time::sleep(EVERY).await;
            }
        };
        stop.run_until_cancelled(looking).await;
    }

    /// One database that is away must not take the others out of reach; without any of them the instance is of no use.
    pub(crate) fn fitness(&self) -> Fitness {
        let beats: Vec<Beat> = self.all().filter_map(|(_, own)| own.pulse.last()).collect();
        let lost = beats.iter().filter(|beat| beat.missed >= LOST).count();
        if lost > 0 && lost == self.all().count() {
            Fitness::Unfit
        } else if beats.iter().any(|beat| beat.missed > 0) {
            Fitness::Degraded
        } else {
            Fitness::Fit
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{RedisSettings, Settings};

    fn databases(embedded: bool, folder: &std::path::Path) -> Databases {
        // Nothing listens there.
        let redis = vec![RedisSettings::new("cache", "redis://127.0.0.1:9")];
        Databases::open(&Settings { embedded, redis, ..Settings::default() }, folder).unwrap()
    }

    async fn look_at_all(databases: &Databases) {
        join_all(databases.all().map(|(name, own)| look(name, own))).await;
    }

    #[tokio::test]
    async fn an_instance_is_of_use_while_one_of_its_databases_answers() {
        let folder = tempfile::tempdir().unwrap();
        let both = databases(true, folder.path());
        assert_eq!(both.fitness(), Fitness::Fit, "nothing is known yet");
        for _ in 0..3 {
            look_at_all(&both).await;
            assert_eq!(both.fitness(), Fitness::Degraded);
        }
        std::fs::remove_file(folder.path().join("main.db")).unwrap();
        look_at_all(&both).await;
        assert_eq!(both.fitness(), Fitness::Degraded, "one look may be a hiccup");
        look_at_all(&both).await;
        assert_eq!(both.fitness(), Fitness::Unfit);
    }

    #[tokio::test]
    async fn a_standing_tells_no_address() {
        let folder = tempfile::tempdir().unwrap();
        let both = databases(true, folder.path());
        refresh(both.all()).await;
        let told: Vec<_> = both.all().map(|(_, own)| json!(own.pulse.standing())).collect();
        assert_eq!((&told[0]["state"], &told[1]["state"]), (&json!("down"), &json!("up")));
        assert!(told[1]["latency_ms"].is_number() && told[0]["error"].is_string(), "{told:?}");
        assert!(!told[0].to_string().contains("127.0.0.1"), "{told:?}");
        let first = both.all().next().unwrap().1.pulse.last().unwrap().at;
        refresh(both.all()).await;
        let last = both.all().next().unwrap().1.pulse.last().unwrap().at;
        // Unless the machine paused for so long that it is old.
        assert!(last == first || first.elapsed() >= EVERY, "what was just looked at is not looked at");
    }
}
