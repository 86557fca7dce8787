//! Whoever answers the requests that come over connections, and the answers in the making.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, Poll};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::future::RouteFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service as _;

use super::body::{AnswerBody, TimelyBody};
use super::phase::Phase;

/// Whoever answers requests.
pub(crate) trait Answers: Send + Sync + 'static {
    /// One for a single connection: what all connections share counts its users, so that a copy for each request would
    /// cost the others time.
    fn for_connection(&self) -> Self;

    /// The answer to a request that `peer` has sent.
    fn answer(
        &mut self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Answer<impl Future<Output = Response<AnswerBody>> + Send + use<Self>>;
}

impl Answers for Router {
    fn for_connection(&self) -> Self {
        self.clone()
    }

    fn answer(
        &mut self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Answer<impl Future<Output = Response<AnswerBody>> + Send + use<>> {
        let mut request = request.map(TimelyBody::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        // A router is always ready; axum's documentation promises it.
        let answer = self.call(request);
        Answer::in_the_making(Routed { answer })
    }
}

pin_project! {
    /// An answer of a router in the making.
    struct Routed {
        #[pin]
        answer: RouteFuture<Infallible>,
    }
}

impl Future for Routed {
    type Output = Response<AnswerBody>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match task::ready!(self.project().answer.poll(context)) {
            Ok(response) => Poll::Ready(response.map(Into::into)),
            Err(never) => match never {},
        }
    }
}

// Futures of their own kind rather than blocks that await: such a block keeps what it awaits twice, before and while, and
// what a request leads to is moved as often as it is wrapped.
pin_project! {
    /// An answer in the making, of one of two kinds.
    #[project = EitherProjection]
    pub(crate) enum Either<A, B> {
        /// The first kind.
        A { #[pin] answer: A },
        /// The other.
        B { #[pin] answer: B },
    }
}

impl<A: Future, B: Future<Output = A::Output>> Future for Either<A, B> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            EitherProjection::A { answer } => answer.poll(context),
            EitherProjection::B { answer } => answer.poll(context),
        }
    }
}

/// An answer in the making, or one that is there.
pub(crate) type Answer<Making> = Either<Making, Ready<Response<AnswerBody>>>;

impl<Making> Answer<Making> {
    pub(crate) fn in_the_making(answer: Making) -> Self {
        Self::A { answer }
    }

    pub(crate) fn at_once(response: Response<AnswerBody>) -> Self {
        Self::B {
            answer: ready(response),
        }
    }
}

pin_project! {
    /// What a connection sends: an answer, and then its body.
    pub(super) struct Sent<Making> {
        #[pin]
        answer: Answer<Making>,
        phase: Option<Arc<Phase>>,
    }
}

impl<Making> Sent<Making> {
    pub(super) fn new(answer: Answer<Making>, phase: Arc<Phase>) -> Self {
        Self {
            answer,
            phase: Some(phase),
        }
    }
}

impl<Making: Future<Output = Response<AnswerBody>>> Future for Sent<Making> {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = task::ready!(this.answer.poll(context));
        match this.phase.take() {
            Some(phase) => Poll::Ready(Ok(response.map(|body| body.sent_in(phase)))),
            // Futures are not polled again once they are done; never to answer is within the rules.
            None => Poll::Pending,
        }
    }
}
