//! Whether visitors shall be led here: `GET /readyz`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use lastseen::{Sessions, Unavailable};
use lastseen_axum::Problem;

use crate::app::Services;

/// Whether this server wants visitors. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Readiness {
    sessions: Sessions,
    is_leaving: Arc<AtomicBool>,
}

impl Readiness {
    /// The readiness of a server that works with `services`.
    pub(crate) fn new(services: &Services) -> Self {
        Self {
            sessions: services.sessions.clone(),
            is_leaving: Arc::default(),
        }
    }

    /// From now on visitors shall be led elsewhere. Those who come all the same are served.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    /// 200 where the store can be read and written at this moment and nobody has asked the server to stop.
    pub(crate) async fn answer(self) -> Response {
        let ready = if self.is_leaving.load(Ordering::Acquire) {
            Err(Unavailable::because("the server is about to stop"))
        } else {
            self.sessions.ready().await
        };
        match ready {
            Ok(()) => {
                let plain = HeaderValue::from_static("text/plain; charset=utf-8");
                ([(CONTENT_TYPE, plain)], "ok").into_response()
            }
            Err(error) => Problem::from(error).into_response(),
        }
    }
}
