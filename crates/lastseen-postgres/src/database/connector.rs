//! How the connections of the pool are made.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Options;

/// Makes connections that the server bounds too, where it lets us say so.
pub(super) struct Connector {
    tls: MakeRustlsConnect,
    /// Settings for the connection's life.
    settings: String,
    /// PgBouncer refuses settings in the first message. It did once, so they are left out.
    bare: Arc<AtomicBool>,
}

impl Connector {
    pub(super) fn new(options: &Options) -> Self {
        let bound = options.patience.as_millis();
        let own = options.address.config().get_options().unwrap_or_default();
        Self {
            tls: options.address.tls().clone(),
            // A statement that nobody waits for any more does not go on holding locks.
            settings: format!(
                "{own} -c statement_timeout={bound} -c idle_in_transaction_session_timeout={bound}"
            ),
            bare: Arc::new(AtomicBool::new(false)),
        }
    }
}

type Connected = Result<(Client, JoinHandle<()>), tokio_postgres::Error>;

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        let bare = config.clone();
        let mut full = config.clone();
        full.options(&self.settings);
        Box::pin(async move {
            if !self.bare.load(Ordering::Relaxed) {
                match open(&full, &self.tls).await {
                    Err(error) if refuses_settings(&error) => {
                        self.bare.store(true, Ordering::Relaxed);
                    }
                    other => return other,
                }
            }
            open(&bare, &self.tls).await
        })
    }
}

/// Whether it is PgBouncer that says so: `unsupported startup parameter: options`.
fn refuses_settings(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|refusal| {
        *refusal.code() == SqlState::PROTOCOL_VIOLATION
            && refusal.message().contains("startup parameter")
    })
}

async fn open(config: &Config, tls: &MakeRustlsConnect) -> Connected {
    let (client, connection) = config.connect(tls.clone()).await?;
    let task = tokio::spawn(async move {
        // Whoever waits for an answer gets the error; who waits for none need not hear of it.
        let _ = connection.await;
    });
    Ok((client, task))
}
