//! The page behind a link, with its one button.
//!
//! Fetching the address changes nothing, whoever does it; the button is a `POST` from our own page. A link
//! that is used, too old, or whose session or application has gone is a page that says so, with status 404:
//! like an address that never was, since it does not matter to anybody which of these it is.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest as _, MatchedPath, Path, RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use lastseen_axum::pages::{Here, Html, Site, lead_to, page};
use lastseen_axum::{Problem, SessionsContext, problem};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::links::{LINK_PATH, LinkTarget};
use super::oauth::Parameters;
use super::service::Applications;
use crate::sign_in::{ReturnTarget, ReturnTargets};

/// The page behind a link. The layer of sessions belongs around it.
pub fn router<S: Clone + Send + Sync + 'static>(
    applications: Applications,
    site: Site,
    targets: ReturnTargets,
) -> Router<S> {
    Router::new()
        .route(&format!("{LINK_PATH}{{secret}}"), get(show).post(follow))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(Forms {
            applications,
            site: Arc::new(site),
            targets,
        })
}

/// What the page works with.
#[derive(Clone)]
struct Forms {
    applications: Applications,
    site: Arc<Site>,
    targets: ReturnTargets,
}

/// The page with the button. It names the application and the account, so that whoever was sent a link by
/// somebody else sees whose sessions these are before anything happens.
#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage<'a> {
    /// Where the button leads: the link's own path, secret included.
    path: &'a str,
    application: &'a str,
    account: &'a str,
    /// Where to go back to later, if that was said.
    return_to: Option<&'a str>,
}

/// `GET`: the button, and nothing else.
async fn show(
    State(forms): State<Forms>,
    secret: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let secret = secret_of(secret);
    let query = query.unwrap_or_default();
    let return_to = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "return_to");
    let way_back = return_to.and_then(|(_, address)| forms.targets.read(&address));
    match forms.applications.look_at_link(secret.as_bytes()).await {
        Ok(Some(target)) => {
            let html = link_page(&forms.site, &secret, &target, way_back.as_ref());
            page(StatusCode::OK, html)
        }
        Ok(None) => dead(&forms.site, way_back.as_ref()),
        Err(fault) => cannot_answer(&forms.site, fault.into()),
    }
}

/// `POST`: opens the pages to the session. The body may name a way back; nothing else in it means anything.
async fn follow(
    State(forms): State<Forms>,
    secret: Result<Path<String>, PathRejection>,
    context: SessionsContext,
    route: MatchedPath,
    request: Request,
) -> Result<Response, Problem> {
    let (method, extensions) = (request.method(), request.extensions());
    // The route and not the address, which holds the secret: a refusal is logged.
    context.check_origin(method, route.as_str(), request.headers(), extensions)?;
    let ip_address = context.client_ip(request.headers(), extensions);
    let ip_address = ip_address.map(tracing::field::display);
    let mut parameters = Parameters::from_request(request, &()).await?;
    let return_to = parameters.take("return_to")?;
    let way_back = return_to.and_then(|address| forms.targets.read(&address));
    let secret = secret_of(secret);
    let followed = forms
        .applications
        .follow_link(secret.as_bytes(), way_back.as_ref())
        .await;
    Ok(match followed {
        Ok(Some(followed)) => {
            tracing::info!(session = %followed.session.id, ip_address, "link into the pages followed");
            let mut response = lead_to(forms.site.sessions_path());
            let cookie = context.set_cookie(&followed.token, &followed.session, followed.now);
            response.headers_mut().append(SET_COOKIE, cookie);
            response
        }
        Ok(None) => {
            tracing::warn!(ip_address, "link into the pages refused");
            dead(&forms.site, way_back.as_ref())
        }
        Err(fault) => cannot_answer(&forms.site, fault.into()),
    })
}

fn secret_of(secret: Result<Path<String>, PathRejection>) -> Zeroizing<String> {
    // What cannot be read is no secret of ours.
    Zeroizing::new(secret.map_or_else(|_| String::new(), |Path(secret)| secret))
}

#[expect(clippy::expect_used, reason = "see below")]
fn link_page(
    site: &Site,
    secret: &str,
    target: &LinkTarget,
    way_back: Option<&ReturnTarget>,
) -> Html {
    let path = Zeroizing::new(format!("{LINK_PATH}{secret}"));
    let shown = LinkPage {
        path: &path,
        application: target.application.as_str(),
        account: &target.session.account.name,
        return_to: way_back.map(ReturnTarget::as_str),
    };
    // Rendering into a string fails only where a value's own formatting fails; none of ours does.
    let body = shown
        .render()
        .expect("every value of a page can be shown as text");
    site.frame("Your sessions", None, Here::Elsewhere, &body)
}

/// The page of a link that is not good any more, or never was.
fn dead(site: &Site, way_back: Option<&ReturnTarget>) -> Response {
    let text = "This link is not good any more. It works once, and for a minute. Go back to where it came \
                from and ask for another.";
    let on = match way_back {
        Some(way_back) => (way_back.as_str(), "Go back"),
        None => (site.sessions_path(), "See your sessions"),
    };
    refused(Problem::not_found(), site, text, on)
}

fn cannot_answer(site: &Site, problem: Problem) -> Response {
    let text = "The server cannot answer at the moment. Try again.";
    let on = (site.sessions_path(), "See your sessions");
    refused(problem, site, text, on)
}

/// A refusal as a page: status and headers of the problem, the words of the page.
fn refused(problem: Problem, site: &Site, text: &str, on: (&str, &str)) -> Response {
    let html = site.notice("Your sessions", None, text, on);
    let mut response = problem.into_response();
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    *response.body_mut() = Body::from(html);
    response
}
