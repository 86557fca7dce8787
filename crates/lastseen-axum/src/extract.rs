//! What handlers read from a request: strict in what they take, and a problem document where they do not.
//!
//! JSON routes take JSON only and form routes forms only, so that no page elsewhere can send one as the other. A body has
//! 64 KiB at most. Unknown fields are refused where the type says `deny_unknown_fields`; every type of this crate does, so
//! that a misspelt field is an error rather than a wish that goes unheard.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The longest body that is read, in bytes.
pub const LONGEST_BODY: u64 = 64 * 1024;

/// How much of a body that is too long is read and dropped, in bytes. A client that is still sending when the connection
/// closes never sees the answer; this lets the usual one finish.
const LONGEST_DROPPED: u64 = 1024 * 1024;

/// A JSON body (`application/json`) that reads as `T`.
///
/// ```
/// use axum::{Router, routing::post};
/// use lastseen_axum::ApiJson;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Greeting {
///     name: String,
/// }
///
/// async fn greet(ApiJson(greeting): ApiJson<Greeting>) -> String {
///     format!("hello {}", greeting.name)
/// }
///
/// let app: Router = Router::new().route("/greet", post(greet));
/// # let _ = app;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ApiJson<T>(
    /// What was read.
    pub T,
);

impl<T, S> FromRequest<S> for ApiJson<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        if !has_content_type(request.headers(), "application/json") {
            return Err(Problem::unsupported_media_type(
                "The body must be application/json.",
            ));
        }
        let body = read_body(request).await?;
        match serde_json::from_slice(&body) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(json_problem(&error)),
        }
    }
}

/// Says where it went wrong, and no more: the parser's own words may repeat what was sent, a password for instance.
fn json_problem(error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;

    let (line, column) = (error.line(), error.column());
    Problem::invalid_request(match error.classify() {
        Category::Data => format!(
            "The body does not have the fields and types that this request takes (line {line}, column {column})."
        ),
        Category::Syntax | Category::Eof | Category::Io => {
            format!("The body is not JSON (line {line}, column {column}).")
        }
    })
}

/// A form body (`application/x-www-form-urlencoded`) that reads as `T`. A repeated name reads as a list.
#[derive(Clone, Copy, Debug)]
pub struct ApiForm<T>(
    /// What was read.
    pub T,
);

impl<T, S> FromRequest<S> for ApiForm<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        if !has_content_type(request.headers(), "application/x-www-form-urlencoded") {
            return Err(Problem::unsupported_media_type(
                "The body must be application/x-www-form-urlencoded.",
            ));
        }
        let body = read_body(request).await?;
        let is_sound = std::str::from_utf8(&body).is_ok_and(is_soundly_encoded);
        match serde_html_form::from_bytes(&body) {
            Ok(value) if is_sound => Ok(Self(value)),
            _ => Err(Problem::invalid_request(
                "The form does not have the fields that this request takes.",
            )),
        }
    }
}

/// A body that means nothing: whatever is sent is dropped, but no more than any other body may have.
#[derive(Clone, Copy, Debug)]
pub struct IgnoredBody;

impl<S: Send + Sync> FromRequest<S> for IgnoredBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        read_body(request).await?;
        Ok(Self)
    }
}

/// Whether there is one `Content-Type`, and it is this one; parameters do not matter.
fn has_content_type(headers: &HeaderMap, expected: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let essence = value
        .as_bytes()
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    essence
        .trim_ascii()
        .eq_ignore_ascii_case(expected.as_bytes())
}

async fn read_body(request: Request) -> Result<Bytes, Problem> {
    let awaits_continue = request.headers().contains_key(EXPECT);
    let mut body = request.into_body();
    let announced = http_body::Body::size_hint(&body).lower();
    if announced > LONGEST_BODY {
        if announced <= LONGEST_DROPPED && !awaits_continue {
            drop_rest(body).await;
        }
        return Err(Problem::too_large());
    }
    let mut first = Bytes::new();
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::invalid_request("The body broke off."));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if length(&first) + length(&collected) + length(&data) > LONGEST_BODY {
            drop_rest(body).await;
            return Err(Problem::too_large());
        }
        // Almost every body comes in one piece, which need not be copied.
        if first.is_empty() && collected.is_empty() {
            first = data;
        } else {
            collected.extend_from_slice(&std::mem::take(&mut first));
            collected.extend_from_slice(&data);
        }
    }
    Ok(if collected.is_empty() {
        first
    } else {
        collected.freeze()
    })
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

async fn drop_rest(mut body: Body) {
    let mut dropped = 0;
    while dropped <= LONGEST_DROPPED {
        match body.frame().await {
            Some(Ok(frame)) => dropped += frame.data_ref().map_or(0, |data| length(data)),
            Some(Err(_)) | None => return,
        }
    }
}

/// Whether every `%` begins two hexadecimal digits, and the whole decodes to UTF-8.
#[must_use]
pub fn is_soundly_encoded(text: &str) -> bool {
    if !text.contains('%') {
        return true;
    }
    let is_whole = text.split('%').skip(1).all(|after| {
        matches!(after.as_bytes(), [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    });
    is_whole
        && percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        name: String,
        #[serde(default)]
        ids: Vec<String>,
    }

    fn request(content_type: &[&str], body: impl Into<Body>) -> Request {
        let mut request = Request::new(body.into());
        for value in content_type {
            request
                .headers_mut()
                .append(CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    async fn json(content_type: &[&str], body: impl Into<Body>) -> Result<Fields, u16> {
        match ApiJson::from_request(request(content_type, body), &()).await {
            Ok(ApiJson(fields)) => Ok(fields),
            Err(problem) => Err(problem.code().status().as_u16()),
        }
    }

    async fn form(body: &'static str) -> Result<Fields, u16> {
        let request = request(&["application/x-www-form-urlencoded"], body);
        match ApiForm::from_request(request, &()).await {
            Ok(ApiForm(fields)) => Ok(fields),
            Err(problem) => Err(problem.code().status().as_u16()),
        }
    }

    #[tokio::test]
    async fn a_json_route_takes_json_only() {
        let body = r#"{"name":"ada"}"#;
        for accepted in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
        ] {
            assert_eq!(json(&[accepted], body).await.unwrap().name, "ada");
        }
        for refused in [
            &[] as &[&str],
            &["text/plain"],
            &["application/x-www-form-urlencoded"],
            &["multipart/form-data"],
            &["application/jsonp"],
            &["application/json", "text/plain"],
            &["text/plain; application/json"],
            &[""],
        ] {
            assert_eq!(json(refused, body).await, Err(415), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn a_form_route_takes_forms_only() {
        assert_eq!(form("name=ada&ids=1&ids=2").await.unwrap().ids, ["1", "2"]);
        let request = request(&["application/json"], r#"{"name":"ada"}"#);
        let problem = ApiForm::<Fields>::from_request(request, &())
            .await
            .unwrap_err();
        assert_eq!(problem.code().status(), 415);
    }

    #[tokio::test]
    async fn bad_percent_encoding_in_a_form_is_an_invalid_request() {
        for body in ["name=%", "name=%4", "name=%zz", "name=%ff"] {
            assert_eq!(form(body).await, Err(400), "{body}");
        }
        assert_eq!(form("name=a%20b+c").await.unwrap().name, "a b c");
    }

    #[tokio::test]
    async fn what_does_not_read_as_the_type_is_an_invalid_request() {
        for body in [
            "",
            "{",
            "[]",
            "null",
            r#"{"name":1}"#,
            r#"{"name":"a"} x"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","unknown":1}"#,
            "{\"name\":\"\u{0}\"}",
        ] {
            assert_eq!(json(&["application/json"], body).await, Err(400), "{body}");
        }
        let not_utf8 = b"{\"name\":\"\xff\"}".as_slice();
        assert_eq!(json(&["application/json"], not_utf8).await, Err(400));
        let deep = "[".repeat(60_000);
        assert_eq!(json(&["application/json"], deep).await, Err(400));
    }

    #[tokio::test]
    async fn a_refusal_does_not_repeat_what_was_sent() {
        let request = request(&["application/json"], r#"{"name":["hunter2"]}"#);
        let problem = ApiJson::<Fields>::from_request(request, &())
            .await
            .unwrap_err();
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }

    #[tokio::test]
    async fn a_body_of_64_kib_is_read_and_a_longer_one_is_too_large() {
        let longest = usize::try_from(LONGEST_BODY).unwrap();
        let filled = |length: usize| {
            let frame = r#"{"name":""}"#;
            format!(r#"{{"name":"{}"}}"#, "a".repeat(length - frame.len()))
        };
        assert!(json(&["application/json"], filled(longest)).await.is_ok());
        assert_eq!(
            json(&["application/json"], filled(longest + 1)).await,
            Err(413)
        );
        assert_eq!(
            json(&["application/json"], filled(longest * 100)).await,
            Err(413)
        );
    }

    #[tokio::test]
    async fn a_body_without_an_announced_length_is_measured_as_it_comes() {
        use http_body_util::StreamBody;

        let chunks = |count: usize| {
            let frames = (0..count).map(|_| {
                let data = Bytes::from_static(&[b' '; 1024]);
                Ok::<_, std::io::Error>(http_body::Frame::data(data))
            });
            Body::new(StreamBody::new(tokio_stream::iter(frames)))
        };
        let read = read_body(Request::new(chunks(64))).await.unwrap();
        assert_eq!(length(&read), LONGEST_BODY);
        let problem = read_body(Request::new(chunks(65))).await.unwrap_err();
        assert_eq!(problem.code().status(), 413);
        let problem = read_body(Request::new(chunks(100_000))).await.unwrap_err();
        assert_eq!(problem.code().status(), 413);
    }

    proptest! {
        #[test]
        fn what_was_percent_encoded_is_sound_and_what_has_a_stray_sign_is_not(text in ".{0,40}") {
            let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
            prop_assert!(is_soundly_encoded(&encoded));
            let stray = format!("{encoded}%g");
            prop_assert!(!is_soundly_encoded(&stray));
        }
    }
}
