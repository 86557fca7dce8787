//! A service that has a sign-in already: every session ends when the password changes, a handler knows who is
//! asking, another serves everybody.
//!
//! `cargo run -p lastseen-axum --example existing-sign-in`, then speak JSON to the address that it prints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Router, routing::get, routing::post};
use http::StatusCode;
use lastseen::store::memory::MemoryStore;
use lastseen::{Account, AccountId, AccountSource, Clock as _, EndedBy, Sessions, Settings};
use lastseen_axum::{ApiJson, CurrentSession, Problem, PublicUrl, SessionsContext, SessionsLayer};
use lastseen_axum::{SystemClock, Visitor, api, problem};

/// The users that were there before: their passwords, in the clear only because this is an example.
#[derive(Clone, Default)]
struct Users(Arc<Mutex<HashMap<String, String>>>);

impl Users {
    fn with<Answer>(&self, act: impl FnOnce(&mut HashMap<String, String>) -> Answer) -> Answer {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(serde::Deserialize)]
struct SignIn {
    name: String,
    password: String,
}

#[derive(serde::Deserialize)]
struct NewPassword {
    password: String,
}

async fn sign_in(
    State(users): State<Users>,
    visitor: Visitor,
    ApiJson(SignIn { name, password }): ApiJson<SignIn>,
) -> Result<impl IntoResponse, Problem> {
    if users.with(|users| users.get(&name) != Some(&password)) {
        return Err(Problem::invalid_credentials());
    }
    let id = AccountId::new(&name).map_err(|_| Problem::invalid_credentials())?;
    let account = Arc::new(Account::new(AccountSource::BuiltIn, id, &name));
    let signed_in = visitor.sign_in(&account, false).await?;
    Ok((StatusCode::CREATED, signed_in, "welcome"))
}

/// Whoever knew the old password is out, on every device, before the answer goes out.
async fn change_password(
    State(users): State<Users>,
    current: CurrentSession,
    ApiJson(NewPassword { password }): ApiJson<NewPassword>,
) -> Result<StatusCode, Problem> {
    let (session, now) = (&current.session, current.now);
    users.with(|users| users.insert(session.account.key.id.to_string(), password));
    let by = EndedBy::Password(Some(session.id));
    let sessions = current.context().sessions();
    sessions
        .terminate_others(&session.account.key, Some(session.id), by, now)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A visitor without a session is welcome here, too.
async fn greet(current: Option<CurrentSession>) -> String {
    match current {
        Some(current) => format!("welcome back, {}", current.session.account.name),
        None => "welcome".to_owned(),
    }
}

async fn app(users: Users, url: &str) -> Result<Router, Box<dyn std::error::Error>> {
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::open(store, Settings::default(), SystemClock::new().now()).await?;
    let context = SessionsContext::new(sessions, PublicUrl::parse(url)?);
    Ok(Router::new()
        .route("/", get(greet))
        .route("/sign-in", post(sign_in))
        .route("/password", post(change_password))
        .with_state(users)
        .merge(api::router())
        .fallback(problem::not_found)
        .layer(SessionsLayer::new(context)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let users = Users::default();
    users.with(|users| users.insert("ada".to_owned(), "an old password".to_owned()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}");
    Ok(axum::serve(listener, app(users, &url).await?).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, header};
    use tower::ServiceExt as _;

    use super::*;

    fn json(path: &str, cookie: Option<&str>, body: &'static str) -> Request<Body> {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.body(Body::from(body)).unwrap()
    }

    async fn sign_in(app: &Router) -> String {
        let body = r#"{"name":"ada","password":"an old password"}"#;
        let answer = app
            .clone()
            .oneshot(json("/sign-in", None, body))
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_new_password_ends_the_other_devices_and_keeps_this_one() {
        let users = Users::default();
        users.with(|users| users.insert("ada".to_owned(), "an old password".to_owned()));
        let app = app(users, "http://127.0.0.1:3000").await.unwrap();
        let (laptop, phone) = (sign_in(&app).await, sign_in(&app).await);
        let body = r#"{"password":"another password"}"#;
        let changed = app
            .clone()
            .oneshot(json("/password", Some(&laptop), body))
            .await
            .unwrap();
        assert_eq!(changed.status(), StatusCode::NO_CONTENT);
        for (cookie, expected) in [(&laptop, 200), (&phone, 401)] {
            let request = Request::get("/api/v1/session").header(header::COOKIE, cookie);
            let answer = app
                .clone()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            assert_eq!(answer.status(), expected);
        }
    }

    #[tokio::test]
    async fn everybody_is_welcome_and_ada_by_name() {
        let users = Users::default();
        users.with(|users| users.insert("ada".to_owned(), "an old password".to_owned()));
        let app = app(users, "http://127.0.0.1:3000").await.unwrap();
        let cookie = sign_in(&app).await;
        for (cookie, expected) in [(None, "welcome"), (Some(cookie), "welcome back, ada")] {
            let mut request = Request::get("/");
            if let Some(cookie) = &cookie {
                request = request.header(header::COOKIE, cookie);
            }
            let answer = app
                .clone()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            let body = axum::body::to_bytes(answer.into_body(), 1_000)
                .await
                .unwrap();
            assert_eq!(body, expected);
        }
    }
}
