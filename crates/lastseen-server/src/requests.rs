//! What is noted of every request: an id, a line in the log, a count.
//!
//! The line names the route that matched, never the address as it was sent: an address may hold a link's secret. It
//! holds no header and no body, hence no token, password, cookie or hash.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::MatchedPath;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use lastseen::Entropy;
use lastseen_axum::{Code, SeenSession};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::listener::refusal::REQUEST_ID;
use crate::metrics::Metrics;

/// A layer that gives every request an id, logs it and counts it. It stands around everything else.
#[derive(Clone)]
pub(crate) struct Requests {
    shared: Arc<Shared>,
}

struct Shared {
    /// Tells the ids of one run of the server from those of another.
    run: u32,
    number: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Requests {
    pub(crate) fn new(metrics: Arc<Metrics>, entropy: &dyn Entropy) -> Self {
        let mut run = [0; 4];
        entropy.fill(&mut run);
        let shared = Shared {
            run: u32::from_ne_bytes(run),
            number: AtomicU64::new(0),
            metrics,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl<S> Layer<S> for Requests {
    type Service = RequestsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestsService {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The service that [`Requests`] makes.
#[derive(Clone)]
pub(crate) struct RequestsService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for RequestsService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RequestsFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let session = SeenSession::default();
        request.extensions_mut().insert(session.clone());
        let noted = Noted {
            begun: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            session,
            shared: Arc::clone(&self.shared),
        };
        RequestsFuture {
            answer: self.inner.call(request),
            noted,
        }
    }
}

struct Noted {
    begun: Instant,
    method: Method,
    route: Option<MatchedPath>,
    session: SeenSession,
    shared: Arc<Shared>,
}

pin_project! {
    /// The answer of [`RequestsService`] in the making.
    pub(crate) struct RequestsFuture<F> {
        #[pin]
        answer: F,
        noted: Noted,
    }
}

impl<F, ResponseBody, E> Future for RequestsFuture<F>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.answer.poll(context));
        if let Ok(response) = &mut answer {
            this.noted.finish(response);
        }
        Poll::Ready(answer)
    }
}

impl Noted {
    fn finish<B>(&self, response: &mut Response<B>) {
        // Relaxed: the ids have to differ, no more.
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:08x}-{number:x}", self.shared.run);
        let duration = self.begun.elapsed();
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let status = response.status().as_u16();
        self.shared
            .metrics
            .count_request(&self.method, route, status, duration);
        tracing::info!(
            target: "lastseen::request",
            id,
            method = known(&self.method),
            route,
            status,
            code = response.extensions().get::<Code>().map(|code| code.as_str()),
            session = self.session.id().map(tracing::field::display),
            microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            "request"
        );
        // Digits and a dash are a header value.
        if let Ok(id) = HeaderValue::from_maybe_shared(bytes::Bytes::from(id)) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(REQUEST_ID), id);
        }
    }
}

/// The name of a method, where it is one of those that HTTP defines: a made-up one must not become a label.
pub(crate) fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}
