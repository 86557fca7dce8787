//! The floor: what an axum server costs that does nothing.
//!
//! It gets the very requests that the others get, cookie and browser headers included, reads none of it, and answers
//! bodies that were fixed at start: as long as Lastseen's, of the same content type. It sets no other header, writes no
//! log and counts nothing, and it runs as axum's own documentation shows it. So the difference to it is all that a
//! server of sessions adds: reading the request, judging it, rendering the answer, security headers, log and metrics.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::serve::ListenerExt as _;
use clap::Parser;
use tokio::net::TcpListener;

/// Answers fixed bodies.
#[derive(Parser)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// A file with the answer to `GET /api/v1/session`, and to a creation.
    #[arg(long)]
    session: PathBuf,
    /// A file with the answer to `GET /api/v1/sessions`.
    #[arg(long)]
    list: PathBuf,
}

fn fixed(body: &Bytes, status: StatusCode) -> impl IntoResponse + use<> {
    (status, [(CONTENT_TYPE, "application/json")], body.clone())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let session = read(&arguments.session)?;
    let created = session.clone();
    let list = read(&arguments.list)?;
    let router = Router::new()
        .route(
            "/api/v1/session",
            get(async move || fixed(&session, StatusCode::OK)),
        )
        .route(
            "/api/v1/sessions",
            get(async move || fixed(&list, StatusCode::OK)),
        )
        .route(
            "/api/v1/sessions/{id}",
            delete(async || StatusCode::NO_CONTENT),
        )
        .route(
            "/api/v1/accounts/{account}/sessions",
            post(async move || fixed(&created, StatusCode::CREATED)),
        );
    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // As every server that cares does it; without it answers could wait for more to fill a packet.
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    axum::serve(listener, router).await?;
    Ok(())
}

fn read(path: &Path) -> Result<Bytes> {
    let body = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
    Ok(Bytes::from(body))
}
