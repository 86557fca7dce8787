//! What a request waits for the database is bounded in all, and not only question by question.

use std::task::{Context, Poll};

use http::Request;
use lastseen_postgres::OneRequest;
pub(crate) use lastseen_postgres::one_request;
use tower_layer::Layer;
use tower_service::Service;

/// A layer within which all that one request waits for counts together. Over a database whose answers always come
/// nothing is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience;

impl<S> Layer<S> for Patience {
    type Service = PatienceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PatienceService { inner }
    }
}

/// The service that [`Patience`] makes.
#[derive(Clone, Debug)]
pub(crate) struct PatienceService<S> {
    inner: S,
}

impl<S, Body> Service<Request<Body>> for PatienceService<S>
where
    S: Service<Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = OneRequest<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        one_request(self.inner.call(request))
    }
}
