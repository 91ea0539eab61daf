//! What runs beside the calls: one task for each thing that changes by itself, all of them joined at shutdown.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use weft_mesh::{Instance, Snapshot};
use weft_telemetry::Recorder;

use crate::{Gateway, admin, authenticate::Caller, catalogue, configured};

/// Starts all of them.
pub(crate) fn start(
    gateway: &Arc<Gateway>,
    (registry, embedded): (watch::Receiver<Arc<Snapshot>>, Vec<Instance>),
    recorder: Recorder,
    operators: TcpListener,
    stop: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let debounce = Duration::from_millis(gateway.settings.catalogue.debounce_millis);
    let follower = Arc::new(catalogue::follow::Follower {
        catalogue: Arc::clone(&gateway.catalogue),
        upstreams: Arc::clone(&gateway.upstreams),
        settings: gateway.settings.catalogue.clone(),
    });
    let (upstreams, catalogue) = (Arc::clone(&gateway.upstreams), Arc::clone(&gateway.catalogue));
    let sweeper = Arc::clone(&upstreams);
    let (following, sweeping, announcing, reaping) = (stop.clone(), stop.clone(), stop.clone(), stop.clone());
    let owner = Arc::clone(gateway);
    let (configured, looking) = configured::follow(&gateway.settings, embedded, stop.clone());
    vec![
        looking,
        tokio::spawn(async move { upstreams.follow(registry, configured, following).await }),
        tokio::spawn(async move { sweeper.sweep(sweeping).await }),
        tokio::spawn(catalogue::follow::all(follower, stop.clone())),
        tokio::spawn(async move { catalogue.announce(debounce, announcing).await }),
        tokio::spawn(async move { reap(owner, reaping).await }),
        tokio::spawn(follow_keys(Arc::clone(gateway), stop.clone())),
        tokio::spawn(follow_tls(Arc::clone(gateway), stop.clone())),
        tokio::spawn(admin::run(Arc::clone(gateway), recorder, operators, stop.clone())),
    ]
}

/// Ends sessions that nobody uses, at servers too.
async fn reap(gateway: Arc<Gateway>, stop: CancellationToken) {
    let pause = (Duration::from_secs(gateway.settings.timeouts.session_idle_seconds) / 4)
        .clamp(Duration::from_secs(1), Duration::from_secs(60));
    let mut reap = tokio::time::interval(pause);
    let mut expire = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = stop.cancelled() => return gateway.held.clear(),
            _ = expire.tick() => gateway.held.expire(),
            _ = reap.tick() => reap_once(&gateway),
        }
    }
}

fn reap_once(gateway: &Arc<Gateway>) {
    for session in gateway.sessions.reap() {
        gateway.tasks.spawn(async move { session.close().await });
    }
}

/// Follows the files of the listener: open connections hear of a revoked certificate though nobody new comes.
async fn follow_tls(gateway: Arc<Gateway>, stop: CancellationToken) {
    let Some(tls) = &gateway.tls else { return };
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let tls = tls.clone();
        // A list may be long, and calls must not wait while it is read.
        if let Err(error) = tokio::task::spawn_blocking(move || tls.look()).await {
            tracing::error!(%error, "the files of the listener could not be looked at");
        }
    }
}

/// Follows the file of keys; the sessions of a key that has ended end with it.
async fn follow_keys(gateway: Arc<Gateway>, stop: CancellationToken) {
    let Some(keys) = &gateway.keys else { return };
    let ended = |caller: &Caller| {
        let sessions = gateway.sessions.end_all_of(caller.id());
        tracing::info!(caller = caller.id(), sessions = sessions.len(), "a key has ended");
        for session in sessions {
            gateway.tasks.spawn(async move { session.close().await });
        }
    };
    keys.follow(stop, ended).await;
}
