//! What went wrong, told in two voices: a problem document for the caller, a line in the log for the operator.
//!
//! The document is RFC 9457 (`application/problem+json`) with a stable `code` beside the standard members. This is the
//! only file that picks the status of a refusal; everybody else says what happened and lets [`Code`] decide.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// The stable name of a kind of failure: what programs branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The request cannot be understood, or asks for something outside the limits.
    InvalidRequest,
    /// Nobody is signed in: no session token, or one that is unknown, malformed, expired or terminated.
    NotSignedIn,
    /// A wrong name, a wrong password or a disabled account; never said which.
    InvalidCredentials,
    /// The request comes from another origin.
    Forbidden,
    /// There is no such thing, or it is somebody else's; never said which.
    NotFound,
    /// The address exists, but not for this method.
    MethodNotAllowed,
    /// The body is longer than 64 KiB.
    TooLarge,
    /// The body is of a type that the request does not take, or of none.
    UnsupportedMediaType,
    /// Too many tries; `Retry-After` says when to come back.
    TooManyRequests,
    /// What is needed to answer cannot be reached at the moment.
    Unavailable,
}

impl Code {
    /// The code as it stands in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::NotSignedIn => "not_signed_in",
            Self::InvalidCredentials => "invalid_credentials",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooManyRequests => "too_many_requests",
            Self::Unavailable => "unavailable",
        }
    }

    /// The status that answers it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::NotSignedIn | Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A refusal: what the caller is told, and what only the log is told.
///
/// ```
/// use axum::response::IntoResponse;
/// use lastseen_axum::Problem;
///
/// let response = Problem::not_found().into_response();
/// assert_eq!(response.status(), 404);
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    cause: Option<String>,
    retry_after_seconds: Option<u64>,
}

impl Problem {
    const fn new(code: Code, detail: &'static str) -> Self {
        Self {
            code,
            detail: Cow::Borrowed(detail),
            cause: None,
            retry_after_seconds: None,
        }
    }

    /// The request cannot be understood; `detail` tells the caller why, without repeating secrets that he sent.
    #[must_use]
    pub fn invalid_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::new(Code::InvalidRequest, "")
        }
    }

    /// Nobody is signed in. The same for an unknown, a malformed, an expired and a terminated session.
    #[must_use]
    pub const fn not_signed_in() -> Self {
        Self::new(Code::NotSignedIn, "Sign in first.")
    }

    /// Name and password do not open an account. The same for every reason there is.
    #[must_use]
    pub const fn invalid_credentials() -> Self {
        Self::new(
            Code::InvalidCredentials,
            "User name and password do not match.",
        )
    }

    /// The request comes from another origin.
    #[must_use]
    pub const fn forbidden() -> Self {
        Self::new(
            Code::Forbidden,
            "This request must come from the same origin.",
        )
    }

    /// No such thing, or not the caller's.
    #[must_use]
    pub const fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here by that name.")
    }

    /// The address does not take this method. The router adds `Allow`.
    #[must_use]
    pub const fn method_not_allowed() -> Self {
        Self::new(
            Code::MethodNotAllowed,
            "This address does not take that method; see Allow.",
        )
    }

    /// The body is over the limit.
    #[must_use]
    pub const fn too_large() -> Self {
        Self::new(Code::TooLarge, "The body may have 64 KiB at most.")
    }

    /// The body is not of the type that is taken; `detail` names it.
    #[must_use]
    pub const fn unsupported_media_type(detail: &'static str) -> Self {
        Self::new(Code::UnsupportedMediaType, detail)
    }

    /// Too many tries. `Retry-After` is rounded up to whole seconds, and is one at least.
    #[must_use]
    pub const fn too_many_requests(retry_after: Duration) -> Self {
        let mut seconds = retry_after.as_secs();
        if retry_after.subsec_nanos() > 0 || seconds == 0 {
            seconds = seconds.saturating_add(1);
        }
        let mut problem = Self::new(Code::TooManyRequests, "Too many tries. Come back later.");
        problem.retry_after_seconds = Some(seconds);
        problem
    }

    /// What is needed to answer cannot be reached. `cause` goes to the log alone.
    #[must_use]
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::new(Code::Unavailable, "This cannot be answered at the moment.").because(cause)
    }

    /// The same problem with another outward sentence.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same problem with what only the log is told. It must name no secret.
    #[must_use]
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The stable name of this kind of failure.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The sentence that the caller reads.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// In how many seconds to come back, where that is known.
    #[must_use]
    pub const fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }

    /// One structured line for whoever runs the server. `{:?}` encodes control characters of whatever came from outside.
    fn log(&self) {
        let code = self.code.as_str();
        if self.code == Code::Unavailable {
            tracing::error!(code, cause = ?self.cause, "cannot answer");
        } else {
            // Who was refused what is said where that is known.
            tracing::debug!(code, cause = ?self.cause, "refused");
        }
    }

    fn document(&self) -> Vec<u8> {
        // RFC 9457, 4.2.1: with the type "about:blank" the title is the status's own phrase.
        let title = self.code.status().canonical_reason().unwrap_or("Error");
        let status = self.code.status().as_u16();
        serde_json::to_vec(&Document {
            r#type: "about:blank",
            title,
            status,
            detail: &self.detail,
            code: self.code.as_str(),
        })
        // Strings and one number always become JSON; an empty body would still carry the status.
        .unwrap_or_default()
    }
}

#[derive(serde::Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<lastseen::Unavailable> for Problem {
    fn from(unavailable: lastseen::Unavailable) -> Self {
        Self::unavailable(unavailable)
    }
}

impl From<lastseen::TerminateError> for Problem {
    fn from(error: lastseen::TerminateError) -> Self {
        match error {
            lastseen::TerminateError::NotFound => Self::not_found(),
            lastseen::TerminateError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl Problem {
    /// The response with this problem's document, for services that are not axum's.
    #[must_use]
    pub fn into_http<ResponseBody: From<Bytes>>(self) -> http::Response<ResponseBody> {
        self.log();
        let mut response = http::Response::new(Bytes::from(self.document()).into());
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        // Refusals depend on the session as much as answers do.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110, 15.5.2 asks for a challenge. Without an error code (RFC 6750, 3.1), so that no reason shows.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // So that whoever logs or counts requests can say why.
        response.extensions_mut().insert(self.code);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_http::<Body>()
    }
}

/// The answer to an address that does not exist: give it to `Router::fallback`.
#[expect(clippy::unused_async, reason = "a handler is asynchronous")]
pub async fn not_found(uri: http::Uri) -> Problem {
    if crate::extract::is_soundly_encoded(uri.path()) {
        Problem::not_found()
    } else {
        Problem::invalid_request("The address is not soundly percent-encoded.")
    }
}

/// The answer to a method that an address does not take: give it to `Router::method_not_allowed_fallback`.
pub async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_status_that_the_contract_gives_it() {
        let table = [
            (Code::InvalidRequest, "invalid_request", 400),
            (Code::NotSignedIn, "not_signed_in", 401),
            (Code::InvalidCredentials, "invalid_credentials", 401),
            (Code::Forbidden, "forbidden", 403),
            (Code::NotFound, "not_found", 404),
            (Code::MethodNotAllowed, "method_not_allowed", 405),
            (Code::TooLarge, "too_large", 413),
            (Code::UnsupportedMediaType, "unsupported_media_type", 415),
            (Code::TooManyRequests, "too_many_requests", 429),
            (Code::Unavailable, "unavailable", 503),
        ];
        for (code, name, status) in table {
            assert_eq!(code.as_str(), name);
            assert_eq!(code.status().as_u16(), status);
        }
    }

    #[test]
    fn the_document_has_the_standard_members_and_the_code() {
        let document = Problem::not_found().document();
        assert_eq!(
            String::from_utf8(document).unwrap(),
            r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"There is nothing here by that name.","code":"not_found"}"#
        );
    }

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        for (wait, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            let problem = Problem::too_many_requests(Duration::from_millis(wait));
            assert_eq!(problem.retry_after_seconds(), Some(seconds));
        }
        let longest = Problem::too_many_requests(Duration::MAX);
        assert_eq!(longest.retry_after_seconds(), Some(u64::MAX));
    }

    #[test]
    fn the_cause_is_told_to_the_log_alone() {
        let problem = Problem::unavailable("the disk on /dev/sda is full");
        let document = String::from_utf8(problem.document()).unwrap();
        assert!(!document.contains("disk"), "{document}");
    }

    #[test]
    fn a_refusal_is_never_stored_and_a_401_carries_a_challenge() {
        let response = Problem::not_signed_in().into_response();
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
        let response = Problem::forbidden().into_response();
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    }
}
