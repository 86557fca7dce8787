//! The nodes of a database, for people.

use std::time::Duration;

use tokio_postgres::Row;

use super::statements;
use crate::database::Database;
use crate::error::Error;

/// A node, as its row and the database's clock tell of it.
///
/// Nothing is decided by these: they are for whoever wonders which node holds terminations up.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Its name among nodes: another one at each start.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Of which version it is.
    pub version: String,
    /// How long its leases are.
    pub lease: Duration,
    /// How often it has registered: more than once says that it had lost its lease.
    pub registrations: u64,
    /// How long ago it started.
    pub running_for: Duration,
    /// How long ago it asked for its present lease.
    pub renewed_before: Duration,
    /// How long ago it told another process, by its latest renewal, that it has applied a change; `None` if it never did.
    pub acknowledged_before: Option<Duration>,
    /// How often somebody has waited for it until its lease had run out, although it lived.
    pub waited_out: u64,
    /// Whether it registered with the present primary.
    pub current: bool,
    /// Changes in the log that it had not applied when it was renewed.
    pub behind: u64,
}

impl Facts {
    /// What is left of its lease at this moment; nothing once it must have run out.
    pub fn lease_left(&self) -> Duration {
        self.lease.saturating_sub(self.renewed_before)
    }

    /// Whether terminations wait for it: there are changes that it should have applied, and it is late in saying so.
    pub fn holds_up(&self) -> bool {
        self.behind > 0 && self.renewed_before > self.lease / 2
    }
}

impl Database {
    /// The nodes of this database, those that have gone silent too, oldest first.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn nodes(&self) -> Result<Vec<Facts>, Error> {
        let rows = self.query(statements::FACTS, &[]).await?;
        rows.iter().map(facts).collect()
    }
}

fn facts(row: &Row) -> Result<Facts, Error> {
    let damage = |_| Error::Corrupt("a node cannot be read".into());
    let number = |column| -> Result<u64, Error> {
        let number: i64 = row.try_get(column).map_err(damage)?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let seconds = |column| -> Result<Option<Duration>, Error> {
        let seconds: Option<f64> = row.try_get(column).map_err(damage)?;
        // The database's clock may have been set back.
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    };
    Ok(Facts {
        id: row.try_get::<_, &str>(0).map_err(damage)?.replace('-', ""),
        name: row.try_get(1).map_err(damage)?,
        version: row.try_get(2).map_err(damage)?,
        lease: Duration::from_millis(number(3)?),
        registrations: number(4)?,
        running_for: seconds(5)?.unwrap_or_default(),
        renewed_before: seconds(6)?.unwrap_or_default(),
        acknowledged_before: seconds(7)?,
        waited_out: number(8)?,
        current: row.try_get(9).map_err(damage)?,
        behind: number(10)?,
    })
}
