//! Lastseen as a library in somebody's axum service: the layer, the sessions API, and a request that begins a session.
//!
//! It measures what creation costs over HTTP without the server's applications, passwords, logs and metrics around it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use clap::Parser;
use lastseen::{Account, AccountId, AccountSource, Clock as _, NewSession, Sessions, Settings};
use lastseen_axum::{PublicUrl, SessionsContext, SessionsLayer, SystemClock, api};
use lastseen_sqlite::{Database, Options, SqliteStore};
use tokio::net::TcpListener;

/// Serves sessions from a database file.
#[derive(Parser)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The database file.
    #[arg(long)]
    database: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let database = Database::open(
        &arguments.database,
        &[SqliteStore::MIGRATIONS],
        Options::default(),
    )?;
    let store = Arc::new(SqliteStore::new(database));
    let sessions = Sessions::open(store, Settings::default(), SystemClock::new().now()).await?;
    let listener = TcpListener::bind(&arguments.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let context = SessionsContext::new(sessions, PublicUrl::parse(&url)?);
    let router = Router::new()
        .route("/api/v1/accounts/{account}/sessions", post(create))
        .merge(api::router())
        .layer(SessionsLayer::new(context));
    println!("listening on {url}");
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    axum::serve(listener, router).await?;
    Ok(())
}

async fn create(
    context: SessionsContext,
    Path(account): Path<String>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, StatusCode> {
    let id = AccountId::new(&account).map_err(|_| StatusCode::BAD_REQUEST)?;
    let account = Arc::new(Account::new(AccountSource::BuiltIn, id, &account));
    let new = NewSession {
        account: &account,
        remembered: true,
        visit: context.visit(&headers, &axum::http::Extensions::new()),
        replaces: None,
    };
    let created = context
        .sessions()
        .create(new, context.now(), context.entropy())
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok((StatusCode::CREATED, created.token.reveal()))
}
