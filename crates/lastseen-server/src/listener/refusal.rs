//! What is answered to a request whose head cannot be read: it never becomes a request, so no handler answers it.
//!
//! hyper answers such a head itself, with a bare status and no more. Every answer of this server carries the security
//! headers, and every failure is a problem document; so its answer is recognised on the way to the socket and another
//! is sent in its place.

use http::{HeaderMap, StatusCode};
use lastseen_axum::SecurityHeaders;

/// The header that every answer of the router carries, and hyper's own never does.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The finished answers.
#[derive(Debug)]
pub(super) struct Refusals {
    malformed: String,
    slow: String,
    address_too_long: String,
    head_too_large: String,
}

impl Refusals {
    pub(super) fn new(headers: &SecurityHeaders) -> Self {
        let answer = |status, code, detail| answer(headers, status, code, detail);
        Self {
            malformed: answer(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "This is no HTTP request.",
            ),
            slow: answer(
                StatusCode::REQUEST_TIMEOUT,
                "invalid_request",
                "The head of the request took too long.",
            ),
            address_too_long: answer(
                StatusCode::URI_TOO_LONG,
                "too_large",
                "The address of the request is too long.",
            ),
            head_too_large: answer(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "too_large",
                "The head of the request is too large.",
            ),
        }
    }

    /// The answer to a head that has not arrived in time.
    pub(super) fn slow(&self) -> &str {
        &self.slow
    }

    /// What to send instead of these bytes, where they are an answer that hyper has made by itself.
    pub(super) fn in_place_of(&self, bytes: &[u8]) -> Option<&str> {
        let status = bytes
            .strip_prefix(b"HTTP/1.1 4")
            .or_else(|| bytes.strip_prefix(b"HTTP/1.0 4"))?;
        let better = match status.get(..2)? {
            b"00" => &self.malformed,
            b"14" => &self.address_too_long,
            b"31" => &self.head_too_large,
            _ => return None,
        };
        // An answer of the router's is longer than the longest that hyper makes (its own has three short headers).
        let is_bare = bytes.len() < 256 && bytes.ends_with(b"\r\n\r\n");
        let name = REQUEST_ID.as_bytes();
        (is_bare && !bytes.windows(name.len()).any(|window| window == name))
            .then_some(better.as_str())
    }
}

fn answer(headers: &SecurityHeaders, status: StatusCode, code: &str, detail: &str) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({
        "type": "about:blank",
        "title": reason,
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    })
    .to_string();
    let mut added = HeaderMap::new();
    headers.apply(&mut added);
    let mut text = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n",
        status.as_u16(),
        body.len()
    );
    for (name, value) in &added {
        // The security headers are text of our own.
        if let Ok(value) = value.to_str() {
            text.extend([name.as_str(), ": ", value, "\r\n"]);
        }
    }
    text + "\r\n" + &body
}

#[cfg(test)]
mod tests {
    use lastseen_axum::PublicUrl;

    use super::*;

    fn refusals() -> Refusals {
        Refusals::new(&SecurityHeaders::new(
            &PublicUrl::parse("https://sessions.example").unwrap(),
        ))
    }

    #[test]
    fn a_bare_answer_of_the_http_library_becomes_a_problem_document() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Tue, 24 Nov 2026 09:00:00 GMT\r\n\r\n";
        let refusals = refusals();
        let better = refusals.in_place_of(bare).unwrap();
        assert!(
            better.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            "{better}"
        );
        for header in [
            "content-security-policy: ",
            "x-content-type-options: nosniff",
            "strict-transport-security: ",
        ] {
            assert!(better.contains(header), "{better}");
        }
        assert!(better.contains("\"code\":\"too_large\""), "{better}");
    }

    #[test]
    fn answers_of_the_router_stay_as_they_are() {
        let refusals = refusals();
        let ours = b"HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(refusals.in_place_of(ours), None);
        assert_eq!(
            refusals.in_place_of(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
            None
        );
        assert_eq!(refusals.in_place_of(b"HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(refusals.in_place_of(b"HTTP/1.1 4"), None);
    }
}
