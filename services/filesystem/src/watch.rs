//! Tells clients of changed files: what somebody listens for is watched (inotify), and nothing else.
//!
//! The directory of a file is watched, not the file: editors replace files, and a watch on the old one would end there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Files, resources, root::Roots};

/// Files that are listened for: real path → the URIs under which they were asked for.
type Wanted = BTreeMap<PathBuf, Vec<String>>;

/// Watches until `stop`.
pub(crate) async fn run(files: Arc<Files>, stop: CancellationToken) {
    let (tell, mut told) = mpsc::channel::<Vec<PathBuf>>(256);
    let handler = move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && !event.kind.is_access()
        {
            // Full means that plenty of news is on its way already.
            let _ = tell.try_send(event.paths);
        }
    };
    let mut watcher = match notify::recommended_watcher(handler) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "files cannot be watched; subscriptions stay silent");
            return stop.cancelled().await;
        }
    };
    let mut interest = files.changes.interest();
    let mut watched: BTreeSet<PathBuf> = BTreeSet::new();
    let mut wanted = Wanted::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = interest.changed() => {
                if changed.is_err() {
                    return stop.cancelled().await;
                }
                let uris: Vec<String> = interest.borrow_and_update().keys().cloned().collect();
                let before = std::mem::replace(&mut wanted, resolve(&files.roots, &uris));
                follow(&mut watcher, &mut watched, &wanted);
                // Between the wish and the watch a file may have changed unseen.
                for (path, uris) in wanted.iter().filter(|(path, _)| !before.contains_key(*path) && is_fresh(path)) {
                    tracing::debug!(?path, "changed while its watch was set up");
                    uris.iter().for_each(|uri| files.changes.updated(uri));
                }
            }
            Some(paths) = told.recv() => {
                for uri in paths.iter().flat_map(|path| uris_of(&wanted, path)) {
                    files.changes.updated(uri);
                }
            }
        }
    }
}

/// True for what was changed within the time that setting up a watch may take.
fn is_fresh(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    modified.and_then(|at| at.elapsed().ok()).is_some_and(|age| age < Duration::from_secs(2))
}

/// URIs of a changed path: of the file itself, and of its directory, whose listing may have changed.
fn uris_of<'w>(wanted: &'w Wanted, path: &Path) -> impl Iterator<Item = &'w String> {
    let own = wanted.get(path).into_iter().flatten();
    let above = path.parent().and_then(|above| wanted.get(above)).into_iter().flatten();
    own.chain(above)
}

/// What may be watched: inside the roots, and not hidden. A file need not exist yet.
fn resolve(roots: &Roots, uris: &[String]) -> Wanted {
    let mut wanted = Wanted::new();
    for uri in uris {
        let Some(path) = resources::path(uri) else { continue };
        let Ok(place) = roots.place(&path) else { continue };
        // Opened once below its root: a path that leads out is not watched.
        let real = match place.open(rustix::fs::OFlags::PATH) {
            Ok((fd, _)) => place.root.real(&fd),
            Err(_) => None,
        };
        if let Some(below) = real.filter(|below| !roots.policy.hides(below)) {
            wanted.entry(PathBuf::from(Roots::show(place.root, &below))).or_default().push(uri.clone());
        }
    }
    wanted
}

fn follow(watcher: &mut notify::RecommendedWatcher, watched: &mut BTreeSet<PathBuf>, wanted: &Wanted) {
    let needed: BTreeSet<PathBuf> = wanted
        .keys()
        .filter_map(|path| if path.is_dir() { Some(path.clone()) } else { path.parent().map(Path::to_path_buf) })
        .collect();
    for gone in watched.difference(&needed) {
        // It may be gone from the disk too, and its watch with it.
        let _ = watcher.unwatch(gone);
    }
    for new in needed.difference(watched) {
        if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, "a directory cannot be watched");
        }
    }
    *watched = needed;
}
