//! A service of one's own that mounts the sessions page under `/account/sessions`.
//!
//! `cargo run -p lastseen-axum --example mounted_page [SESSIONS]` begins with a few sessions of various
//! devices, or with as many as are asked for. Open the address that it prints and press the button: this
//! service signs everybody in. A real one checks a password there.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::header::SET_COOKIE;
use http::{HeaderMap, Method};
use lastseen::store::memory::MemoryStore;
use lastseen::{
    Account, AccountId, AccountSource, ClientDescription, Clock, Entropy, NewSession, Sessions,
    Settings, Visit,
};
use lastseen_axum::pages::{self, Site};
use lastseen_axum::{
    CurrentSession, Problem, PublicUrl, SecurityHeaders, SessionsContext, SessionsLayer,
    SystemClock, SystemEntropy, api,
};

/// Devices to begin with: user agent, address, days since the sign-in, whether it was to be remembered.
const DEVICES: [(&str, &str, u64, bool); 9] = [
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
        "203.0.113.7",
        40,
        true,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
        "198.51.100.23",
        32,
        true,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        "2001:db8:85a3:8d3:1319:8a2e:370:7348",
        12,
        true,
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
        "198.51.100.99",
        4,
        true,
    ),
    ("curl/8.9.1", "192.0.2.44", 0, false),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "203.0.113.7",
        1,
        true,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "203.0.113.8",
        2,
        true,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36",
        "203.0.113.9",
        3,
        true,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
        "203.0.113.12",
        13,
        true,
    ),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://localhost:{}", listener.local_addr()?.port());
    let public_url = PublicUrl::parse(&address)?;

    let clock = SystemClock::new();
    let now = clock.now();
    // Nothing was seen before the earliest device.
    let earliest = now.saturating_sub(Duration::from_secs(100 * 24 * 60 * 60));
    let sessions =
        Sessions::open(Arc::new(MemoryStore::new()), Settings::default(), earliest).await?;
    begin(&sessions, now).await?;
    let context = SessionsContext::new(sessions, public_url.clone()).with_clock(Arc::new(clock));

    let site = Site::new("/account/sessions", "/login")
        .product_name("Example")
        .sign_out_path("/logout");
    let app = Router::new()
        .route("/login", get(ask).post(sign_in))
        .route("/logout", post(sign_out))
        .merge(pages::router(site))
        .merge(api::router())
        .layer(SessionsLayer::new(context))
        .layer(SecurityHeaders::new(&public_url));
    println!("listening on {address}/account/sessions");
    axum::serve(listener, app).await?;
    Ok(())
}

fn account() -> Result<Arc<Account>, Box<dyn Error>> {
    Ok(Arc::new(Account::new(
        AccountSource::BuiltIn,
        AccountId::new("ada")?,
        "ada",
    )))
}

async fn begin(sessions: &Sessions, now: lastseen::Timestamp) -> Result<(), Box<dyn Error>> {
    let wanted = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => DEVICES.len(),
    };
    let mut devices: Vec<_> = DEVICES.iter().cycle().take(wanted).collect();
    devices.sort_by_key(|(_, _, days, _)| std::cmp::Reverse(*days));
    for (user_agent, address, days, remembered) in devices {
        let visit = Visit {
            ip_address: Some(address.parse::<IpAddr>()?),
            client: ClientDescription::of_user_agent(user_agent.as_bytes()),
        };
        let new = NewSession {
            account: &account()?,
            remembered: *remembered,
            visit,
            replaces: None,
        };
        // Nineteen minutes less than a whole day, so that one of them is about to expire.
        let at = now.saturating_sub(Duration::from_secs(days * 24 * 60 * 60 + 19 * 60));
        sessions
            .create(new, at, &SystemEntropy as &dyn Entropy)
            .await?;
    }
    Ok(())
}

async fn ask() -> Html<&'static str> {
    Html(
        r#"<!DOCTYPE html><html lang="en"><title>Sign in</title><main><h1>Example</h1><form method="post"><button>Sign in</button></form></main>"#,
    )
}

async fn sign_in(
    context: SessionsContext,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    context.check_origin(&method, "/login", &headers, &http::Extensions::new())?;
    let account = account().map_err(Problem::unavailable)?;
    let mut visit = context.visit(&headers, &http::Extensions::new());
    visit.ip_address = Some(IpAddr::from([203, 0, 113, 7]));
    let new = NewSession {
        account: &account,
        remembered: true,
        visit,
        replaces: None,
    };
    let now = context.now();
    let created = context
        .sessions()
        .create(new, now, context.entropy())
        .await?;
    let mut response = pages::lead_to("/account/sessions").into_response();
    response.headers_mut().append(
        SET_COOKIE,
        context.set_cookie(&created.token, &created.session, now),
    );
    Ok(response)
}

async fn sign_out(current: CurrentSession) -> Result<Response, Problem> {
    let session = &current.session;
    let by = lastseen::EndedBy::Session(session.id);
    current
        .context()
        .sessions()
        .terminate(&session.account.key, &[session.id], by, current.now)
        .await?;
    let mut response = pages::lead_to("/login");
    current.sign_out(response.headers_mut());
    Ok(response)
}
