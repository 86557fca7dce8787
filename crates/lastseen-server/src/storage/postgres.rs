//! Everything in one PostgreSQL database, which any number of nodes share.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use lastseen::Unavailable;
use lastseen_axum::SystemEntropy;
use lastseen_postgres::{
    Database, Error, Facts, Figures, Migration, MigrationSet, NodeOptions, Nodes, Notify, Options,
    PostgresStore,
};

use super::{NotOpened, Role, Storage, Whole};
use crate::accounts::{self, PostgresAccountStore};
use crate::applications::{self, PostgresApplicationStore};
use crate::config::{NodeSettings, PostgresUrl};
use crate::failure::{Failure, plain};
use crate::sign_in::PostgresSignInStore;

/// All tables.
const MIGRATIONS: [MigrationSet; 4] = [
    PostgresStore::MIGRATIONS,
    accounts::POSTGRES_MIGRATIONS,
    applications::POSTGRES_MIGRATIONS,
    MigrationSet {
        name: "copies",
        migrations: &[Migration {
            name: "copy",
            sql: include_str!("migrations/postgres_0001_copy.sql"),
            only_adds: true,
        }],
    },
];

/// Makes the database as if it were new.
const EMPTY: [&str; 4] = [
    "TRUNCATE session, last_use, account, policy, built_in_account, known_browser, sign_in_failure,
        sign_in_pressure, set_up_link, application, application_link, application_way_back",
    "UPDATE latest_time SET at = 0",
    "UPDATE application_number SET last = 0",
    "INSERT INTO copy_under_way (row) VALUES (1) ON CONFLICT DO NOTHING",
];

/// Opens the database, makes its tables where there are none, and brings them up to date.
pub(super) async fn open(
    url: &PostgresUrl,
    settings: &NodeSettings,
    role: Role,
) -> Result<Storage, NotOpened> {
    let failed = |failure| NotOpened::Failed(failure);
    let address = |url: &PostgresUrl| {
        let read = url.address();
        read.map_err(|error| failed(Failure::refused(format_args!("{url}: {error}"))))
    };
    let options = Options {
        direct: settings.direct.as_ref().map(address).transpose()?,
        connections: usize::try_from(settings.connections).unwrap_or(Options::CONNECTIONS),
        ..Options::new(address(url)?)
    };
    let database = Database::open(options, &MIGRATIONS)
        .await
        .map_err(|error| failed(Failure::refused(error)))?;
    let nodes = Nodes::start(&database, this_node(settings, role)).map_err(|error| {
        let reason = plain(&error);
        failed(Failure::refused(format_args!(
            "no thread can be started: {reason}"
        )))
    })?;
    if role == Role::Command {
        // It is heard then whether the nodes have followed what it does, and need not be waited for.
        nodes.ready().await;
    }
    let sessions = PostgresStore::of_node(database.clone(), Arc::clone(&nodes));
    let applications = PostgresApplicationStore::new(database.clone(), Arc::clone(&nodes));
    Ok(Storage {
        sessions: Arc::new(sessions),
        accounts: Arc::new(PostgresAccountStore::new(database.clone())),
        sign_in: Arc::new(PostgresSignInStore::new(database.clone())),
        applications: Arc::new(applications),
        whole: Arc::new(Shared { database, nodes }),
    })
}

/// What this process is beside others.
fn this_node(settings: &NodeSettings, role: Role) -> NodeOptions {
    NodeOptions {
        name: settings.name.clone().unwrap_or_else(host_name),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        lease: settings.lease,
        registers: role == Role::Node,
        notify: Notify::Listen,
        entropy: Arc::new(SystemEntropy),
    }
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

struct Shared {
    database: Database,
    nodes: Arc<Nodes>,
}

impl Shared {
    /// What one statement says of the whole.
    async fn is(&self, statement: &str) -> Result<bool, Unavailable> {
        let rows = self.database.query(statement, &[]).await?;
        let is = rows.first().map(|row| row.try_get(0)).transpose();
        Ok(is.map_err(Error::from)?.unwrap_or(false))
    }

    /// Carries statements out, all or none.
    async fn write(&self, statements: &[&str]) -> Result<(), Unavailable> {
        let written = self.database.change(|transaction| async move {
            for statement in statements {
                transaction.execute(statement, &[]).await?;
            }
            Ok(())
        });
        Ok(written.await?)
    }
}

#[async_trait]
impl Whole for Shared {
    fn owned_file(&self) -> Option<&Path> {
        None
    }

    async fn back_up(&self, _destination: &Path) -> Result<(), Failure> {
        Err(Failure::refused(
            "the database is PostgreSQL's: make the copy with pg_dump, while the nodes go on",
        ))
    }

    async fn user(&self) -> Result<Option<String>, Unavailable> {
        let nodes = self.database.nodes().await?;
        let mut working = nodes.iter().filter(|node| !node.lease_left().is_zero());
        Ok(working
            .next()
            .map(|node| format!("the node {} works with it", node.name)))
    }

    async fn nodes(&self) -> Result<Vec<Facts>, Failure> {
        self.database.nodes().await.map_err(Failure::refused)
    }

    fn figures(&self) -> Option<Figures> {
        Some(self.nodes.figures())
    }

    async fn is_empty(&self) -> Result<bool, Unavailable> {
        self.is(
            "SELECT NOT EXISTS (SELECT FROM session) AND NOT EXISTS (SELECT FROM built_in_account)
                AND NOT EXISTS (SELECT FROM application)",
        )
        .await
    }

    async fn is_half_copied(&self) -> Result<bool, Unavailable> {
        self.is("SELECT EXISTS (SELECT FROM copy_under_way)").await
    }

    async fn begin_copy(&self) -> Result<(), Unavailable> {
        self.write(&EMPTY).await
    }

    async fn end_copy(&self) -> Result<(), Unavailable> {
        self.write(&["DELETE FROM copy_under_way"]).await
    }

    async fn close(&self) {
        // First, so that nobody waits for this one any more.
        self.nodes.leave().await;
        self.database.close().await;
    }
}
