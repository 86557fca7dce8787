//! The layer that stands around a service with sessions.
//!
//! It does two things. It hands [`SessionsContext`] to the handlers, which read no header and open no token until they
//! ask for a session. And it refuses an unsafe request that carries our cookie and comes from another origin, so that no
//! handler has to think of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::MatchedPath;
use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::context::SessionsContext;
use crate::cookie::Carried;
use crate::origin;
use crate::problem::Problem;

/// A layer that makes [`CurrentSession`](crate::CurrentSession) work in the handlers inside it.
///
/// ```
/// # use std::sync::Arc;
/// # use lastseen::{Clock, Sessions, Settings, store::memory::MemoryStore};
/// use axum::{Router, routing::get};
/// use lastseen_axum::{CurrentSession, PublicUrl, SessionsContext, SessionsLayer};
///
/// # async fn build() -> Result<Router, Box<dyn std::error::Error>> {
/// # let clock = lastseen_axum::SystemClock::new();
/// # let store = Arc::new(MemoryStore::new());
/// let sessions = Sessions::open(store, Settings::default(), clock.now()).await?;
/// let context = SessionsContext::new(sessions, PublicUrl::parse("https://account.example")?);
/// let app = Router::new()
///     .route("/members", get(|current: CurrentSession| async move { current.session.id.to_string() }))
///     .merge(lastseen_axum::api::router())
///     .layer(SessionsLayer::new(context));
/// # Ok(app)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SessionsLayer {
    context: SessionsContext,
}

impl SessionsLayer {
    /// A layer over what a service knows.
    #[must_use]
    pub fn new(context: SessionsContext) -> Self {
        Self { context }
    }
}

impl<S> Layer<S> for SessionsLayer {
    type Service = SessionsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionsService {
            inner,
            context: self.context.clone(),
        }
    }
}

/// The service that [`SessionsLayer`] makes.
#[derive(Clone, Debug)]
pub struct SessionsService<S> {
    inner: S,
    context: SessionsContext,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionsService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = SessionsFuture<S::Future, ResponseBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        if let Err(problem) = self.check_origin(&request) {
            let response = Some(problem.into_http());
            return SessionsFuture {
                answer: Answer::Refused { response },
            };
        }
        request.extensions_mut().insert(self.context.clone());
        let future = self.inner.call(request);
        SessionsFuture {
            answer: Answer::FromInside { future },
        }
    }
}

impl<S> SessionsService<S> {
    fn check_origin<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        if origin::is_safe(request.method()) {
            return Ok(());
        }
        if self.context.cookie().find(request.headers()) == Carried::Nothing {
            return Ok(());
        }
        // The route, where it is known, and never the address as it was sent: one that signs somebody in holds a secret.
        let extensions = request.extensions();
        let route = extensions
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        self.context
            .check_origin(request.method(), route, request.headers(), extensions)?;
        Ok(())
    }
}

pin_project! {
    /// The answer of [`SessionsService`] in the making.
    pub struct SessionsFuture<F, ResponseBody> {
        #[pin]
        answer: Answer<F, ResponseBody>,
    }
}

pin_project! {
    #[project = AnswerProjection]
    enum Answer<F, ResponseBody> {
        // The service inside answers.
        FromInside {
            #[pin]
            future: F,
        },
        // The layer has answered, and this is it until it was given.
        Refused {
            response: Option<Response<ResponseBody>>,
        },
    }
}

impl<F, ResponseBody, E> Future for SessionsFuture<F, ResponseBody>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().answer.project() {
            AnswerProjection::FromInside { future } => future.poll(context),
            AnswerProjection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Futures are not polled again once they are done; never to answer is within the rules.
                None => Poll::Pending,
            },
        }
    }
}
