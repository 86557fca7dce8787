//! What every response says, whoever made it: pages, API, errors and redirects alike.
//!
//! A layer around the whole service, so that no handler can forget it. A response that says otherwise itself is left
//! alone: an asset that may be cached sets its own `Cache-Control`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::public_url::PublicUrl;

/// For documents: nothing but what this server itself serves, no inline code, no frames, and HTML only through the page's
/// own Trusted Types policy.
const DOCUMENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types lastseen";

/// The directive of [`DOCUMENT_POLICY`] that says where forms may lead.
const FORMS_STAY_HERE: &str = "form-action 'self'";

/// For everything else, which is never shown as a page: nothing at all.
const OTHER_POLICY: &str = "default-src 'none'; form-action 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

/// The client hints that tell Windows 11 from Windows 10, and a browser from the one it is built on. The other hints that
/// count are sent unasked.
const ASKED_HINTS: &str = "Sec-CH-UA-Platform-Version, Sec-CH-UA-Full-Version-List";

/// Two years: ASVS asks for one at least.
const TRANSPORT_SECURITY: &str = "max-age=63072000";

/// A layer that adds the security headers to every response.
///
/// ```
/// use axum::{Router, routing::get};
/// use lastseen_axum::{PublicUrl, SecurityHeaders};
///
/// let public_url = PublicUrl::parse("https://account.example")?;
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(SecurityHeaders::new(&public_url));
/// # let _ = app;
/// # Ok::<(), lastseen_axum::PublicUrlError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What an HTML page says.
    document: HeaderMap,
    /// What everything else says: the shorter, the less each answer of the API carries.
    other: HeaderMap,
    /// The same, for an answer that says of itself that it is JSON, and has that among it already.
    json: HeaderMap,
}

/// What a response may say that these headers say of themselves.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl SecurityHeaders {
    /// The headers for a service under this public URL. Over https they promise to stay there.
    #[must_use]
    pub fn new(public_url: &PublicUrl) -> Self {
        let named = HeaderName::from_static;
        let value = HeaderValue::from_static;
        // Room for what a response says itself.
        let mut other = HeaderMap::with_capacity(16);
        other.insert(CONTENT_SECURITY_POLICY, value(OTHER_POLICY));
        other.insert(X_CONTENT_TYPE_OPTIONS, value("nosniff"));
        // Not `no-referrer`: under it browsers send `Origin: null` from our own forms, and the origin check needs the origin.
        other.insert(REFERRER_POLICY, value("same-origin"));
        other.insert(named("cross-origin-opener-policy"), value("same-origin"));
        other.insert(named("cross-origin-resource-policy"), value("same-origin"));
        // Whatever does not say that it may be kept, may not.
        other.insert(CACHE_CONTROL, NOT_KEPT);
        if public_url.is_https() {
            other.insert(STRICT_TRANSPORT_SECURITY, value(TRANSPORT_SECURITY));
        }
        let mut document = other.clone();
        document.insert(CONTENT_SECURITY_POLICY, value(DOCUMENT_POLICY));
        // Browsers hear it from pages only.
        document.insert(named("accept-ch"), value(ASKED_HINTS));
        document.insert(
            named("permissions-policy"),
            value("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        );
        let mut json = other.clone();
        json.insert(CONTENT_TYPE, JSON);
        Self {
            shared: Arc::new(Shared {
                document,
                other,
                json,
            }),
        }
    }

    /// The policy for a page whose form may lead on to other origins, written `https://host:port`.
    ///
    /// Browsers hold a redirect that answers a form to the policy of the form's page. The page sets this as its own
    /// `Content-Security-Policy`, and everything else in it stays as it is for all pages. `None` where an origin cannot
    /// stand in a header.
    #[must_use]
    pub fn with_forms_leading_to<'a>(
        origins: impl IntoIterator<Item = &'a str>,
    ) -> Option<HeaderValue> {
        let mut forms = String::from(FORMS_STAY_HERE);
        for origin in origins {
            // A separator would begin a source or a directive of its own.
            if origin.contains([';', ',', ' ']) {
                return None;
            }
            forms.push(' ');
            forms.push_str(origin);
        }
        HeaderValue::try_from(DOCUMENT_POLICY.replace(FORMS_STAY_HERE, &forms)).ok()
    }

    /// Adds the headers to those of a response, which keeps its own where both have one.
    pub fn apply(&self, response_headers: &mut HeaderMap) {
        let content_type = response_headers.get(CONTENT_TYPE);
        let is_json = content_type.is_some_and(|value| *value == JSON);
        let is_document =
            content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
        let headers = match (is_document, is_json) {
            (true, _) => &self.shared.document,
            (false, true) => &self.shared.json,
            (false, false) => &self.shared.other,
        };
        // Copying the finished map and adding a response's own few headers to it hashes far fewer names than the other
        // way round; and those that stand in it already, as they do in most answers, need no hash at all.
        let own = std::mem::replace(response_headers, headers.clone());
        let mut last_name = None;
        for (name, value) in own {
            if let Some(name) = name {
                let is_said = name == CACHE_CONTROL && value == NOT_KEPT
                    || is_json && name == CONTENT_TYPE && value == JSON;
                if !is_said {
                    response_headers.insert(&name, value);
                }
                last_name = Some(name);
            } else if let Some(name) = &last_name {
                // A header map names each header once, before its first value.
                response_headers.append(name, value);
            }
        }
    }
}

impl<S> Layer<S> for SecurityHeaders {
    type Service = SecurityHeadersService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SecurityHeadersService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that [`SecurityHeaders`] makes.
#[derive(Clone, Debug)]
pub struct SecurityHeadersService<S> {
    inner: S,
    layer: SecurityHeaders,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SecurityHeadersService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = SecurityHeadersFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        SecurityHeadersFuture {
            inner: self.inner.call(request),
            layer: self.layer.clone(),
        }
    }
}

pin_project! {
    /// The answer of [`SecurityHeadersService`] in the making.
    pub struct SecurityHeadersFuture<F> {
        #[pin]
        inner: F,
        layer: SecurityHeaders,
    }
}

impl<F, ResponseBody, E> Future for SecurityHeadersFuture<F>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context)?);
        this.layer.apply(response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use http::header::SET_COOKIE;

    use super::*;

    fn applied(public_url: &str, own: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in own {
            headers.append(name, HeaderValue::from_static(value));
        }
        SecurityHeaders::new(&PublicUrl::parse(public_url).unwrap()).apply(&mut headers);
        headers
    }

    #[test]
    fn the_policy_allows_nothing_inline_and_closes_objects_base_and_frames() {
        let page = [(CONTENT_TYPE, "text/html; charset=utf-8")];
        for own in [&page as &[_], &[(CONTENT_TYPE, "application/json")], &[]] {
            let headers = applied("https://account.example", own);
            let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(!policy.contains("unsafe"));
            for directive in [
                "default-src 'none'",
                "object-src 'none'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            ] {
                assert!(
                    policy.split("; ").any(|part| part == directive),
                    "{directive}"
                );
            }
        }
    }

    #[test]
    fn a_page_loads_what_is_its_own_and_makes_html_through_its_own_policy_alone() {
        let headers = applied("https://account.example", &[(CONTENT_TYPE, "text/html")]);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        for directive in [
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
            "trusted-types lastseen",
        ] {
            assert!(
                policy.split("; ").any(|part| part == directive),
                "{directive}"
            );
        }
    }

    #[test]
    fn a_page_whose_form_leads_elsewhere_names_those_origins_and_changes_nothing_else() {
        let origins = ["https://wiki.example.org", "https://files.example.org:8443"];
        let policy = SecurityHeaders::with_forms_leading_to(origins).unwrap();
        let policy = policy.to_str().unwrap();
        let own = applied("https://account.example", &[(CONTENT_TYPE, "text/html")]);
        let own = own[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let differing: Vec<(&str, &str)> = policy
            .split("; ")
            .zip(own.split("; "))
            .filter(|(one, other)| one != other)
            .collect();
        assert_eq!(
            differing,
            [(
                "form-action 'self' https://wiki.example.org https://files.example.org:8443",
                "form-action 'self'"
            )]
        );
        for origin in [
            "https://a b",
            "https://a; script-src *",
            "https://a,b",
            "https://a\n",
        ] {
            assert!(SecurityHeaders::with_forms_leading_to([origin]).is_none());
        }
    }

    #[test]
    fn a_page_asks_for_the_client_hints_that_count() {
        let headers = applied("https://account.example", &[(CONTENT_TYPE, "text/html")]);
        assert_eq!(
            headers["accept-ch"],
            "Sec-CH-UA-Platform-Version, Sec-CH-UA-Full-Version-List"
        );
    }

    #[test]
    fn nosniff_referrer_opener_and_resource_policy_stand_on_every_response() {
        let headers = applied("http://127.0.0.1:8080", &[]);
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[REFERRER_POLICY], "same-origin");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert!(!headers.contains_key("access-control-allow-origin"));
    }

    #[test]
    fn transport_security_of_more_than_a_year_is_promised_over_https_alone() {
        let headers = applied("https://account.example", &[]);
        let value = headers[STRICT_TRANSPORT_SECURITY].to_str().unwrap();
        let seconds: u64 = value.strip_prefix("max-age=").unwrap().parse().unwrap();
        assert!(seconds >= 31_536_000);
        let headers = applied("http://127.0.0.1:8080", &[]);
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
    }

    #[test]
    fn an_answer_of_the_api_says_everything_once() {
        for own in [
            &[
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
            ] as &[_],
            &[(CONTENT_TYPE, "application/json")],
        ] {
            let headers = applied("https://account.example", own);
            assert_eq!(headers[CONTENT_TYPE], "application/json");
            assert_eq!(headers[CACHE_CONTROL], "no-store");
            assert_eq!(headers.len(), headers.keys_len());
        }
    }

    #[test]
    fn of_a_header_that_a_response_has_twice_both_stay() {
        let own = [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "no-store"),
            (CACHE_CONTROL, "private"),
        ];
        let headers = applied("https://account.example", &own);
        let values: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(values, ["no-store", "private"]);
        let own = [(CONTENT_TYPE, "application/problem+json")];
        let headers = applied("https://account.example", &own);
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(headers.get_all(CONTENT_TYPE).iter().count(), 1);
    }

    #[test]
    fn a_response_keeps_what_it_says_itself() {
        let headers = applied(
            "https://account.example",
            &[
                (CACHE_CONTROL, "public, max-age=60"),
                (SET_COOKIE, "a=1"),
                (SET_COOKIE, "b=2"),
            ],
        );
        assert_eq!(headers[CACHE_CONTROL], "public, max-age=60");
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(headers.get_all(CACHE_CONTROL).iter().count(), 1);
    }
}
