//! The work beside the calls: a service's own tasks and the kit's, ended and joined together.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::service::Task;

/// For tasks to end when they are told to.
const END: Duration = Duration::from_secs(5);

/// Running tasks. Dropping it tells them to end; [`end`](Self::end) also waits for it.
pub(crate) struct Beside {
    tasks: TaskTracker,
    end: DropGuard,
}

impl Beside {
    pub(crate) fn start(tasks: Vec<Task>) -> Self {
        let (tracker, end) = (TaskTracker::new(), CancellationToken::new());
        for task in tasks {
            tracker.spawn(task(end.child_token()));
        }
        Self { tasks: tracker, end: end.drop_guard() }
    }

    /// Adds a task that ends by itself.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub(crate) async fn end(self) {
        drop(self.end);
        self.tasks.close();
        if tokio::time::timeout(END, self.tasks.wait()).await.is_err() {
            tracing::warn!("a task of the service did not end when it was told to");
        }
    }
}
