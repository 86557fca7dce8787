//! The whole URL surface on one screen.

use std::sync::Arc;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use lastseen_axum::pages as sessions_page;
use lastseen_axum::{PublicUrl, SessionsContext, SessionsLayer, TrustedProxies, api, problem};
use tower::ServiceBuilder;

use crate::app::Services;
use crate::applications::{self, ApplicationHomes};
use crate::config::Effective;
use crate::faults::Faults;
use crate::pages;
use crate::proxies;
use crate::readiness::Readiness;
use crate::requests::Requests;
use crate::sign_in::{self, ReturnTargets};
use crate::storage::Patience;
use crate::surface::{Check, Surface};

/// Everything that the server answers.
pub(crate) fn surface(
    services: &Services,
    effective: &Effective,
    public_url: &PublicUrl,
    requests: Requests,
    readiness: &Readiness,
) -> Surface {
    let trusted_proxies: TrustedProxies = effective.trusted_proxies.iter().copied().collect();
    let context = SessionsContext::new(services.sessions.clone(), public_url.clone())
        .with_trusted_proxies(trusted_proxies)
        .with_clock(Arc::clone(&services.clock))
        .with_entropy(Arc::clone(&services.entropy));

    let context = match &effective.cookie_domain {
        Some(domain) => context.with_cookie_domain(domain),
        None => context,
    };
    let return_hosts = effective.return_hosts.iter().cloned();
    let return_targets = ReturnTargets::new(public_url.clone(), return_hosts);
    let homes = ApplicationHomes::new(services.applications.clone(), return_targets.clone());
    let description = description(&context);

    let readiness = readiness.clone();
    let check = Check::new(context.clone(), requests.clone());
    // Each part brings what it works with: a state of the whole would be copied for every request.
    let router = Router::new()
        // The caller's own sessions: /api/v1/session, /api/v1/sessions…, /api/v1/sign-out.
        .merge(api::router())
        // Becoming a caller: /api/v1/sign-in, /api/v1/password.
        .merge(sign_in::api::router(services.sign_in.clone()))
        // Other programs' accounts: /api/v1/accounts/…, /api/v1/introspect, /api/v1/revoke.
        .merge(applications::api::router(services.applications.clone()))
        .merge(applications::oauth::router(services.applications.clone()))
        .route("/api/v1/openapi.json", get(move || async move { description }))
        // The pages around them: /sign-in, /sign-out, /password, /set-up/….
        .merge(sign_in::forms::router(services.sign_in.clone(), pages::site(), return_targets.clone()))
        // The page behind a link that an application gives out: /link/….
        .merge(applications::forms::router(services.applications.clone(), pages::site(), return_targets.clone()))
        // The sessions page: /sessions, /sessions/terminate, /sessions/assets/….
        .merge(sessions_page::router(pages::site().homes(Arc::new(homes))))
        // Checks for proxies in front of other services: /auth-request, /forward-auth.
        .merge(proxies::router(return_targets))
        .route("/", get(|| async { Redirect::to("/sessions") }))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(move || readiness.clone().answer()))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        // From the outside in: what is noted of every request and what every answer says, what a fault is answered, how long
        // it may wait, who is asking.
        // In one piece: each call of `layer` boxes every route once more. The check in `surface.rs` is outside of all of it.
        .layer(
            ServiceBuilder::new()
                .layer(requests)
                .layer(Faults)
                .layer(Patience)
                .layer(SessionsLayer::new(context)),
        )
        // Without it each request would make its route anew, to give it the state that none has.
        .with_state(());
    Surface::new(router, check)
}

/// The description of the whole HTTP interface (OpenAPI): the sessions' own part and the server's.
fn description(context: &SessionsContext) -> ([(HeaderName, HeaderValue); 1], Bytes) {
    let mut described = api::openapi::openapi(context.cookie());
    described.merge(sign_in::api::openapi());
    described.merge(applications::api::openapi());
    described.merge(applications::oauth::openapi());
    described.merge(proxies::openapi());
    env!("CARGO_PKG_VERSION").clone_into(&mut described.info.version);
    api::openapi::describe_refusals(&mut described);
    // A description always becomes JSON: it is made of strings and lists.
    let json = described.to_json().unwrap_or_default();
    (
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        Bytes::from(json),
    )
}
