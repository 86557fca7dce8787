//! What is noted of every request: an id, a line in the log, a count; and what every answer says.
//!
//! The line names the route that matched, never the address as it was sent: an address may hold a link's secret. It
//! holds no header and no body, hence no token, password, cookie or hash.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::MatchedPath;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use lastseen::{Clock, Entropy, SessionId, Timestamp};
use lastseen_axum::{Code, SecurityHeaders, SeenSession};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::listener::refusal::REQUEST_ID;
use crate::logs::{RequestLine, RequestLog};
use crate::metrics::Metrics;

const ID_NAME: HeaderName = HeaderName::from_static(REQUEST_ID);
const NO_ID: HeaderValue = HeaderValue::from_static("none");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A layer that gives every request an id, logs it and counts it, and its answer the security headers. It stands around
/// everything else. One layer, because each has a share of what a request costs.
#[derive(Clone)]
pub(crate) struct Requests {
    shared: Arc<Shared>,
}

struct Shared {
    /// Tells the ids of one run of the server from those of another.
    run: u32,
    /// Numbers that have been given to somebody to number requests with.
    given: AtomicU64,
    /// The numbers of requests that come out of a router.
    numbers: Numbers,
    metrics: Arc<Metrics>,
    log: RequestLog,
    headers: SecurityHeaders,
    /// All headers of an answer that is JSON and says nothing else of itself, with room for its id.
    json: HeaderMap,
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
        let mut json = HeaderMap::from_iter([(CONTENT_TYPE, JSON), (ID_NAME, NO_ID)]);
        headers.apply(&mut json);
        let shared = Shared {
            run: u32::from_ne_bytes(run),
            given: AtomicU64::new(0),
            numbers: Numbers::default(),
            metrics,
            log,
            headers,
            json,
            clock,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Notes that a request was answered, and has the answer say what every answer says.
    pub(crate) fn finish<B>(&self, noted: &Noted<'_>, response: &mut Response<B>) {
        let shared = &*self.shared;
        let status = response.status().as_u16();
        let code = response.extensions().get().copied();
        let id = shared.note(noted, status, code, |_| shared.clock.now());
        shared.headers.apply(response.headers_mut());
        response.headers_mut().insert(ID_NAME, id);
    }

    /// Answers a request that began at the instant `began_at` with JSON: as [`Requests::finish`] does it, at a part of the
    /// cost.
    pub(crate) fn finish_with_json<B: From<Bytes>>(
        &self,
        noted: &Noted<'_>,
        began_at: Timestamp,
        json: Vec<u8>,
    ) -> Response<B> {
        let at = |duration| began_at.saturating_add(duration);
        let id = self.shared.note(noted, StatusCode::OK.as_u16(), None, at);
        let mut response = Response::new(Bytes::from(json).into());
        let headers = response.headers_mut();
        headers.clone_from(&self.shared.json);
        headers.insert(ID_NAME, id);
        response
    }
}

impl Shared {
    /// Counts a request and adds its line to the log, which says that it was answered `at` an instant, as that follows
    /// from how long it took; answers with its id.
    fn note(
        &self,
        noted: &Noted<'_>,
        status: u16,
        code: Option<Code>,
        at: impl FnOnce(Duration) -> Timestamp,
    ) -> HeaderValue {
        let number = noted.numbers.next(&self.given);
        let id = Id::new(self.run, number);
        let duration = noted.begun.elapsed();
        self.metrics
            .count_request(noted.method, noted.route, status, duration);
        self.log.add(&RequestLine {
            at: at(duration),
            id: id.text(),
            method: known(noted.method),
            route: noted.route,
            status,
            code: code.map(Code::as_str),
            session: noted.session,
            microseconds: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        });
        // Digits and a dash are a header value.
        HeaderValue::from_bytes(id.text()).unwrap_or(NO_ID)
    }
}

/// What is known of a request when it is answered.
pub(crate) struct Noted<'a> {
    pub(crate) begun: Instant,
    pub(crate) method: &'a Method,
    /// The route that matched.
    pub(crate) route: &'a str,
    /// Whence its number comes.
    pub(crate) numbers: &'a Numbers,
    pub(crate) session: Option<SessionId>,
}

/// Numbers for requests, taken from those of all in rows: one counter for every request would be passed around among the
/// processors.
#[derive(Default)]
pub(crate) struct Numbers {
    left: Mutex<Range<u64>>,
}

impl Numbers {
    /// Numbers in a row.
    const ROW: u64 = 64;

    fn next(&self, given: &AtomicU64) -> u64 {
        let mut left = self.left.lock();
        if let Some(number) = left.next() {
            return number;
        }
        // Relaxed: the numbers have to differ, no more.
        let first = given.fetch_add(Self::ROW, Ordering::Relaxed);
        *left = first + 1..first + Self::ROW;
        first
    }
}

impl<S> Layer<S> for Requests {
    type Service = RequestsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestsService {
            inner,
            requests: self.clone(),
        }
    }
}

/// The service that [`Requests`] makes.
#[derive(Clone)]
pub(crate) struct RequestsService<S> {
    inner: S,
    requests: Requests,
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
        let begun = Begun {
            at: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            session,
            requests: self.requests.clone(),
        };
        RequestsFuture {
            answer: self.inner.call(request),
            begun,
        }
    }
}

/// A request that is being answered.
struct Begun {
    at: Instant,
    method: Method,
    route: Option<MatchedPath>,
    session: SeenSession,
    requests: Requests,
}

pin_project! {
    /// The answer of [`RequestsService`] in the making.
    pub(crate) struct RequestsFuture<F> {
        #[pin]
        answer: F,
        begun: Begun,
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
            let begun = this.begun;
            let noted = Noted {
                begun: begun.at,
                method: &begun.method,
                route: begun.route.as_ref().map_or("none", MatchedPath::as_str),
                numbers: &begun.requests.shared.numbers,
                session: begun.session.id(),
            };
            begun.requests.finish(&noted, response);
        }
        Poll::Ready(answer)
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

    /// Digits and a dash.
    fn text(&self) -> &[u8] {
        &self.text[..self.length]
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn connections_that_take_turns_number_no_two_requests_alike() {
        let (given, connections) = (AtomicU64::new(0), [(); 3].map(|()| Numbers::default()));
        let numbers: HashSet<u64> = (0..1000)
            .map(|turn| connections[turn % 3].next(&given))
            .collect();
        assert_eq!(numbers.len(), 1000);
    }

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
                Id::new(run, number).text(),
                format!("{run:08x}-{number:x}").as_bytes()
            );
        }
    }
}
