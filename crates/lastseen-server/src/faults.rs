//! A fault in the program, a panic, costs the request in which it happened and no other: it is answered 503.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use lastseen_axum::Problem;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// A layer that answers where a handler panics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults;

impl<S> Layer<S> for Faults {
    type Service = FaultsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FaultsService { inner }
    }
}

/// The service that [`Faults`] makes.
#[derive(Clone, Debug)]
pub(crate) struct FaultsService<S> {
    inner: S,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for FaultsService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = FaultsFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        FaultsFuture {
            answer: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The answer of [`FaultsService`] in the making.
    pub(crate) struct FaultsFuture<F> {
        #[pin]
        answer: F,
    }
}

impl<F, ResponseBody, E> Future for FaultsFuture<F>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
    ResponseBody: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match poll_or_fault(self.project().answer, context) {
            Ok(poll) => poll,
            Err(problem) => Poll::Ready(Ok(problem.into_http())),
        }
    }
}

/// What `answer` comes to, or what a panic of it is answered: for what stands in no layer.
pub(crate) async fn or_fault<Answer>(
    answer: impl Future<Output = Result<Answer, Problem>>,
) -> Result<Answer, Problem> {
    let mut answer = pin!(answer);
    poll_fn(|context| match poll_or_fault(answer.as_mut(), context) {
        Ok(poll) => poll,
        Err(problem) => Poll::Ready(Err(problem)),
    })
    .await
}

fn poll_or_fault<F: Future>(
    answer: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Result<Poll<F::Output>, Problem> {
    unless_fault(|| answer.poll(context))
}

/// What `work` comes to, or what a panic in it is answered.
pub(crate) fn unless_fault<T>(work: impl FnOnce() -> T) -> Result<T, Problem> {
    // What it worked on is dropped with it and never looked at again; what it shares with others is behind locks that are
    // not poisoned, or in the store, whose transactions are undone.
    catch_unwind(AssertUnwindSafe(work))
        // The log has the fault already: see `logs.rs`.
        .map_err(|_| Problem::unavailable("a fault in the program"))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn what_panics_outside_of_a_layer_is_unavailable_too() {
        let fault = or_fault(async { Ok(Vec::<u8>::new().remove(std::hint::black_box(0))) }).await;
        assert_eq!(fault.unwrap_err().code().status(), 503);
        assert_eq!(or_fault(async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_503_and_the_next_request_as_ever() {
        let broken = get(|| async { Vec::<u8>::new().remove(std::hint::black_box(0)).to_string() });
        let mut router = Router::new()
            .route("/broken", broken)
            .route("/well", get(|| async { "well" }))
            .layer(Faults);
        for (path, status) in [("/broken", 503), ("/well", 200)] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            assert_eq!(router.call(request).await.unwrap().status(), status);
        }
    }
}
