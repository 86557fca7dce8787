//! What a running server, or a command alone, works with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lastseen::{Clock, Entropy, Sessions};
use lastseen_axum::{SystemClock, SystemEntropy};
use lastseen_sqlite::{Database, OpenError, Options, SqliteStore};
use tokio::time::{Instant, sleep};

use crate::accounts::{self, Accounts, Hashing, HashingSettings, SqliteAccountStore};
use crate::applications::{self, Applications, SqliteApplicationStore};
use crate::config::Effective;
use crate::failure::Failure;
use crate::sign_in::{SignIn, SqliteSignInStore};

/// How long a server waits for a database that another process holds: a command that is being carried out without a
/// server soon lets go of it. Another server does not.
const WAIT_FOR_DATABASE: Duration = Duration::from_secs(5);

/// How often it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Sessions and accounts over one database, with the clock and the entropy they go by. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The sessions.
    pub sessions: Sessions,
    /// The accounts.
    pub accounts: Accounts,
    /// Signing in to the accounts.
    pub sign_in: SignIn,
    /// The applications that bring accounts of their own.
    pub applications: Applications,
    /// The database that all of it is kept in.
    pub database: Database,
    /// The one clock.
    pub clock: Arc<dyn Clock>,
    /// The one source of randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Services {
    /// Closes the database: what waits is written, and one tidy file is left.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

/// Whose limits count for the sessions.
#[derive(Clone, Copy)]
pub(crate) enum Limits {
    /// Those of the settings: the server's.
    OfSettings,
    /// Those that are recorded in the database: a command's. It must not tighten the limits of sessions only because
    /// its settings are not the server's.
    OfDatabase,
}

/// Opens the database as the server does: waits for a command that holds it.
pub(crate) async fn open_database_in_turn(path: &Path) -> Result<Database, Failure> {
    let deadline = Instant::now() + WAIT_FOR_DATABASE;
    loop {
        match open_database(path).await {
            Ok(database) => return Ok(database),
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
            Err(error) => return Err(Failure::refused(error)),
        }
    }
}

/// Opens the file, makes it where there is none, and brings it up to date.
pub(crate) async fn open_database(path: &Path) -> Result<Database, OpenError> {
    let path = path.to_path_buf();
    let shown = path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        Database::open(
            path,
            &[
                SqliteStore::MIGRATIONS,
                accounts::MIGRATIONS,
                applications::MIGRATIONS,
            ],
            Options::default(),
        )
    });
    opened.await.unwrap_or_else(|fault| {
        Err(OpenError::Failed {
            path: shown,
            reason: fault.to_string().into(),
        })
    })
}

/// Sessions and accounts over an open database, by the system's clock.
pub(crate) async fn open(
    database: Database,
    effective: &Effective,
    limits: Limits,
) -> Result<Services, Failure> {
    open_by_clock(database, effective, limits, Arc::new(SystemClock::new())).await
}

/// Sessions and accounts over an open database, by another clock.
pub(crate) async fn open_by_clock(
    database: Database,
    effective: &Effective,
    limits: Limits,
    clock: Arc<dyn Clock>,
) -> Result<Services, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let store = Arc::new(SqliteStore::new(database.clone()));
    let sessions = match limits {
        Limits::OfSettings => Sessions::open(store, effective.sessions, clock.now()).await,
        Limits::OfDatabase => {
            Sessions::open_as_it_was(store, effective.sessions, clock.now()).await
        }
    }
    .map_err(Failure::refused)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let hashing = Hashing::new(
        HashingSettings::for_processors(processors),
        Arc::clone(&entropy),
    )
    .map_err(Failure::refused)?;
    let accounts = Accounts::new(
        Arc::new(SqliteAccountStore::new(database.clone())),
        sessions.clone(),
        hashing.clone(),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let sign_in = SignIn::new(
        accounts.clone(),
        sessions.clone(),
        hashing,
        Arc::new(SqliteSignInStore::new(database.clone())),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let applications = Applications::open(
        Arc::new(SqliteApplicationStore::new(database.clone())),
        sessions.clone(),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .await
    .map_err(Failure::refused)?;
    Ok(Services {
        sessions,
        accounts,
        sign_in,
        applications,
        database,
        clock,
        entropy,
    })
}
