//! Bodies with a bound: a request's must arrive in time, and an answer's end begins the wait for the next request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
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

/// An answer's body, as a handler has made it.
pub(crate) enum AnswerBody {
    /// All of it is there.
    Whole(Full<Bytes>),
    /// It comes out of a router, which boxes every body.
    Routed(axum::body::Body),
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Routed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Routed(body) => body.size_hint(),
        }
    }
}

/// An answer's body on its way. Once it has been handed over, the connection waits for its next request.
pub(super) struct LastingBody {
    body: AnswerBody,
    phase: Arc<Phase>,
}

impl LastingBody {
    pub(super) fn new(body: AnswerBody, phase: Arc<Phase>) -> Self {
        Self { body, phase }
    }
}

impl Drop for LastingBody {
    fn drop(&mut self) {
        self.phase.wait_for_request();
    }
}

impl Body for LastingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
