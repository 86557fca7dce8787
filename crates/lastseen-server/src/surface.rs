//! The router, and in front of it the one request that comes more often than all others: the check of a session.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use lastseen_axum::api::CurrentJson;
use lastseen_axum::{Problem, SessionsContext, api};
use tokio::time::Instant;

use crate::faults::{or_fault, unless_fault};
use crate::listener::{Answer, AnswerBody, Answers, Either};
use crate::requests::{Noted, Numbers, Requests};
use crate::storage::one_request;

/// Everything that the server answers.
pub(crate) struct Surface {
    router: Router,
    check: Arc<Check>,
}

impl Surface {
    /// `check` answers its request, `router` all others.
    pub(crate) fn new(router: Router, check: Check) -> Self {
        Self {
            router,
            check: Arc::new(check),
        }
    }
}

impl Answers for Surface {
    fn for_connection(&self) -> Self {
        Self {
            router: self.router.clone(),
            check: Arc::new(self.check.for_connection()),
        }
    }

    fn answer(
        &mut self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Answer<impl Future<Output = Response<AnswerBody>> + Send + use<>> {
        if request.method() != Method::GET || request.uri().path() != ROUTE {
            return match self.router.answer(request, peer) {
                Either::A { answer } => Answer::in_the_making(Either::B { answer }),
                Either::B { answer } => Either::B { answer },
            };
        }
        let begun = Instant::now();
        if let Some(response) = self
            .check
            .answer_from_memory(request.headers(), peer, begun)
        {
            return Answer::at_once(response);
        }
        // Nothing else of it counts.
        let headers = request.into_parts().0.headers;
        // In a box, so that all other answers need not be as large as this one.
        let answer = Box::pin(Arc::clone(&self.check).answer(headers, peer, begun));
        Answer::in_the_making(Either::A { answer })
    }
}

/// The path of the check, which is its route too.
const ROUTE: &str = "/api/v1/session";

/// What answers `GET /api/v1/session`, by the function that the router leads to as well. To go through the router and its
/// layers costs as much as the check itself and serves nothing here: what a layer does for this request is done below.
pub(crate) struct Check {
    context: SessionsContext,
    requests: Requests,
    numbers: Numbers,
}

impl Check {
    /// The check among the sessions of `context`.
    pub(crate) fn new(context: SessionsContext, requests: Requests) -> Self {
        Self {
            context,
            requests,
            numbers: Numbers::default(),
        }
    }

    fn for_connection(&self) -> Self {
        Self::new(self.context.clone(), self.requests.clone())
    }

    /// The answer where memory alone accepts the token, as it almost always does: without a future, which would be moved
    /// from hand to hand. `None` leaves the answer to [`Check::answer`].
    fn answer_from_memory(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
        begun: Instant,
    ) -> Option<Response<AnswerBody>> {
        let current =
            unless_fault(|| api::current_from_memory(&self.context, headers, Some(peer.ip())));
        Some(self.finish(current.transpose()?, begun))
    }

    async fn answer(
        self: Arc<Self>,
        headers: HeaderMap,
        peer: SocketAddr,
        begun: Instant,
    ) -> Response<AnswerBody> {
        let current = api::current(&self.context, &headers, Some(peer.ip()));
        let checked = or_fault(one_request(current)).await;
        self.finish(checked, begun)
    }

    fn finish(
        &self,
        checked: Result<CurrentJson, Problem>,
        begun: Instant,
    ) -> Response<AnswerBody> {
        let mut noted = Noted {
            begun,
            method: &Method::GET,
            route: ROUTE,
            numbers: &self.numbers,
            session: None,
        };
        match checked {
            Ok(current) => {
                noted.session = Some(current.id);
                self.requests
                    .finish_with_json(&noted, current.at, current.json)
            }
            Err(problem) => {
                let mut response = problem.into_http();
                self.requests.finish(&noted, &mut response);
                response
            }
        }
    }
}
