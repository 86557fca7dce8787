//! Bodies with a bound: a request's must arrive in time, and an answer's end begins the wait for the next request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::limits::BODY_TIME;
use super::phase::Phase;

/// A request body that must arrive within [`BODY_TIME`], counted from the moment somebody waits for it.
pub(super) struct TimelyBody<B> {
    body: B,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// A request body that took too long.
#[derive(Debug, thiserror::Error)]
#[error("the body took longer than {} s", BODY_TIME.as_secs())]
pub(super) struct TooSlow;

impl<B> TimelyBody<B> {
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            deadline: None,
        }
    }
}

impl<B> Body for TimelyBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(BODY_TIME)));
        deadline
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body. Once it has been handed over, the connection waits for its next request.
pub(super) struct LastingBody<B> {
    body: B,
    phase: Arc<Phase>,
}

impl<B> LastingBody<B> {
    pub(super) fn new(body: B, phase: Arc<Phase>) -> Self {
        Self { body, phase }
    }
}

impl<B> Drop for LastingBody<B> {
    fn drop(&mut self) {
        self.phase.wait_for_request();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for LastingBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
