//! What is noted of every request: an id, a line in the log, a count; and what every answer says.
//!
//! The line names the route that matched, never the address as it was sent: an address may hold a link's secret. It
//! holds no header and no body, hence no token, password, cookie or hash.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::MatchedPath;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use lastseen::{Clock, Entropy};
use lastseen_axum::{Code, SecurityHeaders, SeenSession};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::listener::refusal::REQUEST_ID;
use crate::logs::{RequestLine, RequestLog};
use crate::metrics::Metrics;

const ID_NAME: HeaderName = HeaderName::from_static(REQUEST_ID);

/// A layer that gives every request an id, logs it and counts it, and its answer the security headers. It stands around
/// everything else. One layer, because each has a share of what a request costs.
#[derive(Clone)]
pub(crate) struct Requests {
    shared: Arc<Shared>,
}

struct Shared {
    /// Tells the ids of one run of the server from those of another.
    run: u32,
    number: AtomicU64,
    metrics: Arc<Metrics>,
    log: RequestLog,
    headers: SecurityHeaders,
    clock: Arc<dyn Clock>,
}

impl Requests {
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        log: RequestLog,
        headers: SecurityHeaders,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Self {
        let mut run = [0; 4];
        entropy.fill(&mut run);
        let shared = Shared {
            run: u32::from_ne_bytes(run),
            number: AtomicU64::new(0),
            metrics,
            log,
            headers,
            clock,
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
        let id = Id::new(self.shared.run, number);
        let duration = self.begun.elapsed();
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let status = response.status().as_u16();
        let shared = &*self.shared;
        shared
            .metrics
            .count_request(&self.method, route, status, duration);
        shared.log.add(&RequestLine {
            at: shared.clock.now(),
            id: id.as_str(),
            method: known(&self.method),
            route,
            status,
            code: response
                .extensions()
                .get::<Code>()
                .map(|code| code.as_str()),
            session: self.session.id(),
            microseconds: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        });
        shared.headers.apply(response.headers_mut());
        // Digits and a dash are a header value.
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(ID_NAME, id);
        }
    }
}

/// `0a1b2c3d-7`: the run and the number, in hexadecimal digits.
struct Id {
    text: [u8; 25],
    length: usize,
}

impl Id {
    fn new(run: u32, number: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";

        let mut text = [b'-'; 25];
        for (place, byte) in run.to_be_bytes().into_iter().enumerate() {
            text[2 * place] = DIGITS[usize::from(byte >> 4)];
            text[2 * place + 1] = DIGITS[usize::from(byte & 15)];
        }
        // As many as the number has, one at least.
        let places = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
        let mut length = 9;
        for place in (0..places).rev() {
            let [nibble, ..] = (number >> (4 * place)).to_le_bytes();
            text[length] = DIGITS[usize::from(nibble & 15)];
            length += 1;
        }
        Self { text, length }
    }

    fn as_str(&self) -> &str {
        // Digits and a dash are UTF-8.
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_run_and_the_number_in_hexadecimal_digits() {
        for (run, number) in [
            (0, 0),
            (0x0a1b_2c3d, 7),
            (u32::MAX, 0x10),
            (1, u64::MAX),
            (5, 0xabc),
        ] {
            assert_eq!(
                Id::new(run, number).as_str(),
                format!("{run:08x}-{number:x}")
            );
        }
    }
}
