//! Work that is done to its end, whoever goes away meanwhile.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use crate::store::Unavailable;

/// Runs `work` to its end, also where the one that waits for it goes away. A panic in it is an [`Unavailable`].
///
/// A request may be broken off between the store's answer and the cache's hearing of it; then a terminated session
/// would stay cached. So where the one that waits is gone, a task takes over. Only there: a task for every write, and
/// the two ways between threads that it takes, cost more than all else that memory does for it.
///
/// Runs on tokio. Work that nobody has begun to wait for is none yet.
///
/// # Errors
/// What `work` returned.
pub async fn to_the_end<Answer, Fault>(
    work: impl Future<Output = Result<Answer, Fault>> + Send + 'static,
) -> Result<Answer, Fault>
where
    Answer: Send + 'static,
    Fault: From<Unavailable> + Send + 'static,
{
    let work = ToTheEnd {
        work: Some(Box::pin(work)),
        runtime: Handle::current(),
    };
    work.await.unwrap_or_else(|panicked| Err(panicked.into()))
}

/// Work that somebody waits for. Dropped before its end, it becomes a task.
struct ToTheEnd<Work>
where
    Work: Future<Output: Send> + Send + 'static,
{
    /// `None` once it has ended.
    work: Option<Pin<Box<Work>>>,
    runtime: Handle,
}

impl<Work> Future for ToTheEnd<Work>
where
    Work: Future<Output: Send> + Send + 'static,
{
    type Output = Result<Work::Output, Unavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(Err(Unavailable::because("the work has ended before")));
        };
        // As in a task: what panicked is not touched again.
        let outcome = match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(_) => Err(Unavailable::because("a write panicked")),
        };
        self.work = None;
        Poll::Ready(outcome)
    }
}

impl<Work> Drop for ToTheEnd<Work>
where
    Work: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::sync::oneshot;

    use super::*;

    type Outcome = Result<u8, Unavailable>;

    #[tokio::test]
    async fn work_that_is_waited_for_answers() {
        let (say, hear) = oneshot::channel();
        let waiting = tokio::spawn(to_the_end::<u8, Unavailable>(async move {
            hear.await.map_err(Unavailable::because)
        }));
        say.send(7).unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), 7);
    }

    #[tokio::test]
    async fn work_goes_on_where_whoever_waits_goes_away() {
        let (begun, has_begun) = oneshot::channel();
        let (say, hear) = oneshot::channel::<()>();
        let (end, has_ended) = oneshot::channel();
        let waiting = tokio::spawn(to_the_end(async move {
            begun.send(()).unwrap();
            hear.await.unwrap();
            end.send(()).unwrap();
            Outcome::Ok(7)
        }));
        has_begun.await.unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        say.send(()).unwrap();
        has_ended.await.unwrap();
    }

    #[tokio::test]
    async fn work_goes_on_where_it_is_let_go_outside_the_runtime() {
        let (say, hear) = oneshot::channel::<()>();
        let (end, has_ended) = oneshot::channel();
        let mut waiting = Box::pin(to_the_end(async move {
            hear.await.unwrap();
            end.send(()).unwrap();
            Outcome::Ok(7)
        }));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        std::thread::spawn(move || drop(waiting)).join().unwrap();
        say.send(()).unwrap();
        has_ended.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_said_and_reaches_nobody_else() {
        let outcome: Outcome = to_the_end(async { panic!("a test panics") }).await;
        assert!(outcome.is_err());
    }
}
