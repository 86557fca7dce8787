//! How long one request may wait for the database, in all.
//!
//! [`Options::patience`](crate::Options::patience) bounds each question. A request asks several, and waits behind others
//! who ask; where one of these waits ends without an answer and the request goes on all the same, or where each is
//! answered late, they add up. So they share one patience: see `docs/decisions/patience-of-a-request.md`.

use std::cell::OnceCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tokio::time::Instant;

use crate::error::Error;

/// A wait that takes less than this part of the patience is none: a database that answers so is not out of reach, and
/// what asks it a hundred times is not to be broken off.
const PROMPT_PART: u32 = 8;

tokio::task_local! {
    static OF_REQUEST: OfRequest;
}

/// What is left of a request's patience. Made by its first wait: most requests have none.
#[derive(Debug, Default)]
struct OfRequest(OnceCell<Arc<Mutex<Left>>>);

#[derive(Debug)]
struct Left {
    /// What it may still wait.
    patience: Duration,
    /// Waits under way; those that are at once count once.
    under_way: u32,
    /// When the first of them began.
    since: Instant,
}

pin_project! {
    /// See [`one_request`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct OneRequest<Work> {
        #[pin]
        work: TaskLocalFuture<OfRequest, Work>,
    }
}

/// Has all that `work` waits for in a [`Database`](crate::Database) count as the waiting of one request: it is
/// [`Error::TimedOut`] once the waits have taken [`Options::patience`](crate::Options::patience) together, those left
/// out that took less than an eighth of it.
///
/// What `work` spawns waits on its own account. A request that does not wait costs no look at the clock.
pub fn one_request<Work: Future>(work: Work) -> OneRequest<Work> {
    OneRequest {
        work: OF_REQUEST.scope(OfRequest::default(), work),
    }
}

impl<Work: Future> Future for OneRequest<Work> {
    type Output = Work::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Work::Output> {
        self.project().work.poll(context)
    }
}

/// A wait for the database, or for somebody who waits for it: ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Wait {
    until: Instant,
    prompt: Duration,
    /// `None` where nobody said that it is a request's.
    request: Option<Arc<Mutex<Left>>>,
}

impl Wait {
    /// Begins to wait, for as long as `patience` allows, or what is left of it to the request.
    ///
    /// # Errors
    /// [`Error::TimedOut`] where too little is left for anything to be answered.
    pub(crate) fn begin(patience: Duration) -> Result<Self, Error> {
        let now = Instant::now();
        let prompt = patience / PROMPT_PART;
        let request = OF_REQUEST.try_with(|request| {
            let left = request.0.get_or_init(|| {
                Arc::new(Mutex::new(Left {
                    patience,
                    under_way: 0,
                    since: now,
                }))
            });
            Arc::clone(left)
        });
        let Ok(request) = request else {
            return Ok(Self {
                until: now + patience,
                prompt,
                request: None,
            });
        };
        let until = {
            let mut left = request.lock();
            if left.under_way == 0 {
                // Whoever gives up sooner than a prompt answer comes would throw connections away that are well.
                if left.patience < prompt {
                    return Err(Error::TimedOut);
                }
                left.since = now;
            }
            left.under_way += 1;
            left.since + left.patience
        };
        Ok(Self {
            until,
            prompt,
            request: Some(request),
        })
    }

    /// When it has to be over.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// It was for nothing: whatever the request asks next is not waited for.
    pub(crate) fn was_in_vain(self) {
        if let Some(request) = &self.request {
            request.lock().patience = Duration::ZERO;
        }
    }

    /// It ended before, at `instant`: what came after was no wait for the database.
    pub(crate) fn ended_at(mut self, instant: Instant) {
        self.end(instant);
    }

    fn end(&mut self, now: Instant) {
        let Some(request) = self.request.take() else {
            return;
        };
        let mut left = request.lock();
        left.under_way -= 1;
        let took = now.saturating_duration_since(left.since);
        if left.under_way == 0 && took >= self.prompt {
            left.patience = left.patience.saturating_sub(took);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.request.is_some() {
            self.end(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(4);

    /// How long may be waited at this moment, in seconds.
    fn left() -> Option<f32> {
        let wait = Wait::begin(PATIENCE).ok()?;
        Some(
            wait.until()
                .saturating_duration_since(Instant::now())
                .as_secs_f32(),
        )
    }

    async fn wait_for(seconds: f32) {
        let _wait = Wait::begin(PATIENCE);
        sleep(Duration::from_secs_f32(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_request_waits_adds_up_until_nothing_is_left() {
        one_request(async {
            assert_eq!(left(), Some(4.0));
            wait_for(1.5).await;
            assert_eq!(left(), Some(2.5));
            wait_for(1.0).await;
            assert_eq!(left(), Some(1.5));
            wait_for(1.25).await;
            // Too little for an answer that comes in good time.
            assert_eq!(left(), None);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_promptly_and_what_is_no_wait_cost_nothing() {
        one_request(async {
            for _ in 0..100 {
                wait_for(0.4).await;
                sleep(Duration::from_secs(1)).await;
            }
            assert_eq!(left(), Some(4.0));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn waits_that_are_under_way_at_once_count_once() {
        one_request(async {
            let _outer = Wait::begin(PATIENCE).unwrap();
            wait_for(2.0).await;
            // Those within have what those around them have.
            assert_eq!(left(), Some(2.0));
            tokio::join!(wait_for(1.0), wait_for(1.0));
            assert_eq!(left(), Some(1.0));
        })
        .await;
        one_request(async {
            tokio::join!(wait_for(2.0), wait_for(2.5));
            assert_eq!(left(), Some(1.5));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_counts_up_to_the_instant_at_which_it_ended() {
        one_request(async {
            let wait = Wait::begin(PATIENCE).unwrap();
            sleep(Duration::from_secs(1)).await;
            let committed = Instant::now();
            sleep(Duration::from_secs(5)).await;
            wait.ended_at(committed);
            assert_eq!(left(), Some(3.0));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_one_that_was_in_vain_nothing_is_waited_for() {
        one_request(async {
            Wait::begin(PATIENCE).unwrap().was_in_vain();
            assert_eq!(left(), None);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_has_its_own_and_so_has_what_is_none() {
        one_request(async {
            wait_for(4.0).await;
            assert_eq!(left(), None);
            assert_eq!(tokio::spawn(async { left() }).await.unwrap(), Some(4.0));
        })
        .await;
        one_request(async { assert_eq!(left(), Some(4.0)) }).await;
        for _ in 0..2 {
            wait_for(4.0).await;
            assert_eq!(left(), Some(4.0));
        }
    }
}
