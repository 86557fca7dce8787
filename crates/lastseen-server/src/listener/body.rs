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

/// An answer's body.
pub(crate) struct AnswerBody {
    content: Content,
    /// What ends with it.
    _serving: Option<Serving>,
}

enum Content {
    /// All of it is there.
    Whole(Full<Bytes>),
    /// It comes out of a router, which boxes every body.
    Routed(axum::body::Body),
}

/// The time in which a request is served. Once the body of its answer has been handed over, and dropped with this, the
/// connection waits for its next request.
struct Serving(Arc<Phase>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.wait_for_request();
    }
}

impl AnswerBody {
    fn of(content: Content) -> Self {
        Self {
            content,
            _serving: None,
        }
    }

    /// The same, on its way over the connection of this phase.
    pub(super) fn sent_in(self, phase: Arc<Phase>) -> Self {
        Self {
            _serving: Some(Serving(phase)),
            ..self
        }
    }
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::of(Content::Whole(Full::new(bytes)))
    }
}

impl From<axum::body::Body> for AnswerBody {
    fn from(body: axum::body::Body) -> Self {
        Self::of(Content::Routed(body))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.get_mut().content {
            Content::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Content::Routed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(body) => body.is_end_stream(),
            Content::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(body) => body.size_hint(),
            Content::Routed(body) => body.size_hint(),
        }
    }
}
