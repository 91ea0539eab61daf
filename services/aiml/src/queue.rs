//! Places at one model: as many calls at once as it can work on, the others wait, and callers take turns.
//!
//! First come, first served would let one caller with a thousand calls keep everybody else out. Here each caller has a line of its
//! own and the lines are served in turn. A place is freed when its guard is dropped, whatever happened to the call.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Too many are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// Calls in the line.
    pub(crate) waiting: usize,
}

/// The line to one model.
#[derive(Debug)]
pub(crate) struct Queue {
    most: usize,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    free: usize,
    waiting: usize,
    /// Whose turn it is; every caller with a line once.
    turns: VecDeque<String>,
    by_caller: HashMap<String, VecDeque<oneshot::Sender<Place>>>,
}

/// The right to use the model.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Queue>>);

impl Queue {
    /// `places` calls at once, `most` waiting, half of them of one caller.
    pub(crate) fn new(places: usize, most: usize) -> Arc<Self> {
        let lines = Lines { free: places.max(1), ..Lines::default() };
        Arc::new(Self { most, lines: Mutex::new(lines) })
    }

    /// Calls that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lines().waiting
    }

    /// Waits for a place. Dropping the future leaves the line.
    pub(crate) async fn enter(self: &Arc<Self>, caller: &str) -> Result<Place, Full> {
        let served = match self.line_up(caller)? {
            Ok(place) => return Ok(place),
            Err(served) => served,
        };
        // The sender is dropped only with the queue, which this call holds.
        served.await.map_err(|_| Full { waiting: 0 })
    }

    fn line_up(self: &Arc<Self>, caller: &str) -> Result<Result<Place, oneshot::Receiver<Place>>, Full> {
        let mut lines = self.lines();
        if lines.free > 0 {
            lines.free -= 1;
            return Ok(Ok(Place(Some(Arc::clone(self)))));
        }
        lines.forget_those_who_left();
        let own = lines.by_caller.get(caller).map_or(0, VecDeque::len);
        if lines.waiting >= self.most || own >= self.most.div_ceil(2) {
            return Err(Full { waiting: lines.waiting });
        }
        let (serve, served) = oneshot::channel();
        if own == 0 {
            lines.turns.push_back(caller.to_owned());
        }
        lines.by_caller.entry(caller.to_owned()).or_default().push_back(serve);
        lines.waiting += 1;
        Ok(Err(served))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// The next in turn.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let caller = self.turns.pop_front()?;
        let line = self.by_caller.get_mut(&caller)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.by_caller.remove(&caller);
        } else {
            self.turns.push_back(caller);
        }
        self.waiting -= usize::from(next.is_some());
        next
    }

    fn forget_those_who_left(&mut self) {
        let Self { waiting, turns, by_caller, .. } = self;
        by_caller.retain(|_, line| {
            line.retain(|serve| !serve.is_closed());
            !line.is_empty()
        });
        turns.retain(|caller| by_caller.contains_key(caller));
        *waiting = by_caller.values().map(VecDeque::len).sum();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        loop {
            // In a statement of its own: sending may drop a place, which needs the lock.
            let next = {
                let mut lines = queue.lines();
                let next = lines.next();
                lines.free += usize::from(next.is_none());
                next
            };
            let Some(serve) = next else { return };
            match serve.send(Self(Some(Arc::clone(&queue)))) {
                Ok(()) => return,
                // Gone already: the next one gets it.
                Err(mut place) => drop(place.0.take()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn callers_take_turns_however_many_calls_one_of_them_has() {
        let queue = Queue::new(1, 100);
        let held = queue.enter("greedy").await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for caller in ["greedy", "greedy", "greedy", "modest", "third"] {
            let (queue, served) = (Arc::clone(&queue), Arc::clone(&served));
            tasks.push(tokio::spawn(async move {
                let _place = queue.enter(caller).await.unwrap();
                served.lock().unwrap().push(caller);
            }));
            tokio::task::yield_now().await;
        }
        assert_eq!(queue.waiting(), 5);
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*served.lock().unwrap(), ["greedy", "modest", "third", "greedy", "greedy"]);
    }

    #[tokio::test]
    async fn a_place_survives_all_who_left_the_line() {
        let queue = Queue::new(1, 100);
        let held = queue.enter("a").await.unwrap();
        for _ in 0..10 {
            let left = tokio::time::timeout(std::time::Duration::ZERO, queue.enter("b")).await;
            assert!(left.is_err());
        }
        drop(held);
        let again = queue.enter("c").await.unwrap();
        drop(again);
        assert_eq!(queue.lines().free, 1);
    }

    #[tokio::test]
    async fn a_full_line_is_refused_and_one_caller_fills_only_half_of_it() {
        let queue = Queue::new(1, 4);
        let _held = queue.enter("a").await.unwrap();
        let line = |caller: &'static str| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { queue.enter(caller).await.map(drop) })
        };
        let _waiting = [line("a"), line("a")];
        tokio::task::yield_now().await;
        assert_eq!(queue.enter("a").await.unwrap_err(), Full { waiting: 2 });
        let _more = [line("b"), line("b")];
        tokio::task::yield_now().await;
        assert_eq!(queue.enter("c").await.unwrap_err(), Full { waiting: 4 });
    }
}
