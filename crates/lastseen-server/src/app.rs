//! What a running server, or a command alone, works with.

use std::sync::Arc;

use lastseen::{Clock, Entropy, Sessions};
use lastseen_axum::{SystemClock, SystemEntropy};

use crate::accounts::{Accounts, Hashing, HashingSettings};
use crate::applications::Applications;
use crate::config::Effective;
use crate::failure::Failure;
use crate::sign_in::SignIn;
use crate::storage::Storage;

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
    pub storage: Storage,
    /// The one clock.
    pub clock: Arc<dyn Clock>,
    /// The one source of randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Services {
    /// Closes the database: what waits is written, and nothing is left open.
    pub async fn close(&self) {
        self.storage.close().await;
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

/// Sessions and accounts over an open database, by the system's clock.
pub(crate) async fn open(
    storage: Storage,
    effective: &Effective,
    limits: Limits,
) -> Result<Services, Failure> {
    open_by_clock(storage, effective, limits, Arc::new(SystemClock::new())).await
}

/// Sessions and accounts over an open database, by another clock.
pub(crate) async fn open_by_clock(
    storage: Storage,
    effective: &Effective,
    limits: Limits,
    clock: Arc<dyn Clock>,
) -> Result<Services, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let store = Arc::clone(&storage.sessions);
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
        Arc::clone(&storage.accounts),
        sessions.clone(),
        hashing.clone(),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let sign_in = SignIn::new(
        accounts.clone(),
        sessions.clone(),
        hashing,
        Arc::clone(&storage.sign_in),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let applications = Applications::open(
        Arc::clone(&storage.applications),
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
        storage,
        clock,
        entropy,
    })
}
