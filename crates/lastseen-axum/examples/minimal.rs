//! A service with users of its own gets sessions, the sessions API and the sessions page.
//!
//! `cargo run -p lastseen-axum --example minimal`, then open the address that it prints. Its sessions are in an
//! SQLite file, so it may be stopped and started: whoever was signed in still is.

use std::sync::Arc;

use axum::response::{Html, IntoResponse, Redirect};
use axum::{Router, routing::get};
use lastseen::{Account, AccountId, AccountSource, Clock as _, Sessions, Settings};
use lastseen_axum::pages::{self, Site};
use lastseen_axum::{
    ApiForm, CurrentSession, Problem, PublicUrl, SecurityHeaders, SessionsContext,
};
use lastseen_axum::{SessionsLayer, SystemClock, Visitor, api};
use lastseen_sqlite::{Database, Options, SqliteStore};

type Failure = Box<dyn std::error::Error>;

/// All that a service adds, beside its own sign-in.
async fn app(file: &std::path::Path, url: &str) -> Result<Router, Failure> {
    let database = Database::open(file, &[SqliteStore::MIGRATIONS], Options::default())?;
    let store = Arc::new(SqliteStore::new(database));
    let sessions = Sessions::open(store, Settings::default(), SystemClock::new().now()).await?;
    let url = PublicUrl::parse(url)?;
    let headers = SecurityHeaders::new(&url);
    let layer = SessionsLayer::new(SessionsContext::new(sessions, url));
    Ok(Router::new()
        .route("/", get(home))
        .route("/sign-in", get(ask).post(sign_in))
        .merge(api::router())
        .merge(pages::router(Site::new("/account/sessions", "/sign-in")))
        .layer(layer)
        .layer(headers))
}

async fn home(current: CurrentSession) -> String {
    format!("hello {}", current.session.account.name)
}

async fn ask() -> Html<&'static str> {
    Html(
        r#"<!doctype html><title>Sign in</title><form method="post">
        <input name="name" placeholder="name"><input name="password" type="password"><button>Sign in</button></form>"#,
    )
}

#[derive(serde::Deserialize)]
struct SignIn {
    name: String,
    password: String,
}

async fn sign_in(
    visitor: Visitor,
    ApiForm(form): ApiForm<SignIn>,
) -> Result<impl IntoResponse, Problem> {
    // The service's own users: here one password opens them all.
    if form.password != "correct horse battery staple" {
        return Err(Problem::invalid_credentials());
    }
    let id = AccountId::new(&form.name).map_err(|_| Problem::invalid_credentials())?;
    let account = Arc::new(Account::new(AccountSource::BuiltIn, id, &form.name));
    Ok((
        visitor.sign_in(&account, true).await?,
        Redirect::to("/account/sessions"),
    ))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/sign-in");
    let app = app("minimal.db".as_ref(), &url).await?;
    Ok(axum::serve(listener, app).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode, header};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_person_signs_in_and_sees_the_page_under_account_sessions() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder.path().join("sessions.db"), "http://127.0.0.1:3000")
            .await
            .unwrap();
        let form = "name=ada&password=correct%20horse%20battery%20staple";
        let request = Request::post("/sign-in")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        let signed_in = app.clone().oneshot(request).await.unwrap();
        assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
        let cookie = signed_in.headers()[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        for (path, expected) in [("/", StatusCode::OK), ("/account/sessions", StatusCode::OK)] {
            let request = Request::get(path)
                .header(header::COOKIE, &cookie)
                .body(Body::empty())
                .unwrap();
            assert_eq!(
                app.clone().oneshot(request).await.unwrap().status(),
                expected,
                "{path}"
            );
        }
        let stranger = app
            .oneshot(Request::get("/").body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    }
}
