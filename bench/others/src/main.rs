//! A service with tower-sessions, over the store that is named: what a Rust service would use instead of Lastseen.
//!
//! It does as little as such a service can: the session holds the account, and the answer to a check is that account, 64
//! bytes of JSON. It knows no devices, no addresses, no last use, no list and no way to end another session. Where there
//! was a choice, the faster one was taken: no use is written, no log is kept, SQLite commits without an fsync
//! (`synchronous=NORMAL`, as most do).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::str::FromStr as _;

use anyhow::Result;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use clap::{Parser, ValueEnum};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use tokio::net::TcpListener;
use tower_sessions::cookie::SameSite;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::SessionStore;
use tower_sessions::{CachingSessionStore, Expiry, MemoryStore, Session, SessionManagerLayer};
use tower_sessions_moka_store::MokaStore;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};
use tower_sessions_sqlx_store::sqlx::postgres::PgPoolOptions;
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use tower_sessions_sqlx_store::{PostgresStore, SqliteStore};

/// Connections to a database: for SQLite and PostgreSQL on two processors more gained nothing.
const CONNECTIONS: u32 = 16;
/// Connections to Redis, as in the store's documentation.
const REDIS_CONNECTIONS: usize = 6;

/// Serves tower-sessions.
#[derive(Parser)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Where the sessions are kept.
    #[arg(long, value_enum)]
    store: Kind,
    /// The database: a file for SQLite, a URL for Redis and PostgreSQL.
    #[arg(long, default_value = "")]
    url: String,
    /// How many sessions to begin with, beside those that are there.
    #[arg(long, default_value_t = 0)]
    sessions: u64,
    /// Where to write a sample of their cookies, a line each.
    #[arg(long)]
    sample: Option<PathBuf>,
    /// Only begins the sessions, and serves nobody.
    #[arg(long)]
    only_seed: bool,
    /// How many cookies the sample has at most.
    #[arg(long, default_value_t = 200_000)]
    sample_size: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// In this process.
    Memory,
    /// In SQLite.
    Sqlite,
    /// In SQLite, with a cache in this process before it.
    Moka,
    /// In Redis.
    Redis,
    /// In PostgreSQL.
    Postgres,
}

/// What a service remembers of who is signed in.
#[derive(Deserialize, Serialize)]
struct Account {
    id: String,
    name: String,
}

impl Account {
    fn new(number: u64) -> Self {
        Self {
            id: format!("account-{number:0>12}"),
            name: format!("Ada Augusta King {number:0>8}"),
        }
    }
}

const KEY: &str = "account";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.store {
        Kind::Memory => serve(&arguments, MemoryStore::default()).await,
        Kind::Sqlite => serve(&arguments, sqlite(&arguments.url).await?).await,
        Kind::Moka => {
            let cache = MokaStore::new(Some(2_000_000));
            let store = CachingSessionStore::new(cache, sqlite(&arguments.url).await?);
            serve(&arguments, store).await
        }
        Kind::Redis => {
            let pool = Pool::new(
                Config::from_url(&arguments.url)?,
                None,
                None,
                None,
                REDIS_CONNECTIONS,
            )?;
            let _connection = pool.connect();
            pool.wait_for_connect().await?;
            serve(&arguments, RedisStore::new(pool)).await
        }
        Kind::Postgres => {
            let pool = PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .connect(&arguments.url)
                .await?;
            let store = PostgresStore::new(pool);
            store.migrate().await?;
            serve(&arguments, store).await
        }
    }
}

async fn sqlite(path: &str) -> Result<SqliteStore> {
    let options = SqliteConnectOptions::from_str(path)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(std::time::Duration::from_secs(10));
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_with(options)
        .await?;
    let store = SqliteStore::new(pool);
    store.migrate().await?;
    Ok(store)
}

async fn serve<S: SessionStore + Clone>(arguments: &Arguments, store: S) -> Result<()> {
    seed(arguments, &store).await?;
    if arguments.only_seed {
        return Ok(());
    }
    let layer = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnInactivity(Duration::days(14)));
    let router = Router::new()
        .route("/api/v1/session", get(check))
        .route("/api/v1/accounts/{account}/sessions", post(create))
        .route("/api/v1/sessions/{id}", delete(end))
        .layer(layer);
    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    axum::serve(listener, router).await?;
    Ok(())
}

/// Begins the sessions of the bench.
async fn seed<S: SessionStore>(arguments: &Arguments, store: &S) -> Result<()> {
    let expiry_date = OffsetDateTime::now_utc() + Duration::days(14);
    let ids: Vec<Id> = stream::iter(0..arguments.sessions)
        .map(|number| async move {
            let mut record = Record {
                id: Id::default(),
                data: [(
                    KEY.to_owned(),
                    serde_json::to_value(Account::new(number / 10))?,
                )]
                .into(),
                expiry_date,
            };
            store.create(&mut record).await?;
            anyhow::Ok(record.id)
        })
        .buffer_unordered(64)
        .try_collect()
        .await?;
    let Some(sample) = &arguments.sample else {
        return Ok(());
    };
    let mut sample = BufWriter::new(File::create(sample)?);
    let each = (arguments.sessions / arguments.sample_size.max(1)).max(1);
    for (number, id) in (0..).zip(&ids) {
        if number % each == 0 {
            writeln!(sample, "id={id}")?;
        }
    }
    sample.flush()?;
    Ok(())
}

async fn check(session: Session) -> Response {
    match session.get::<Account>(KEY).await {
        Ok(Some(account)) => Json(account).into_response(),
        Ok(None) => StatusCode::UNAUTHORIZED.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn create(session: Session) -> Response {
    match session.insert(KEY, Account::new(0)).await {
        Ok(()) => (StatusCode::CREATED, Json(Account::new(0))).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn end(session: Session) -> Response {
    match session.flush().await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
