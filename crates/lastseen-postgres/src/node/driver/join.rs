//! Connections, registration, and the proof that the two belong together.

use std::sync::atomic::Ordering;

use lastseen::Policy;
use lastseen::store::Change;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::{Driver, Event, FIRST_PAUSE};
use crate::error::Error;
use crate::node::clock;
use crate::node::message::{Acknowledgement, acknowledgements_of};
use crate::node::notification::{Ear, Heard, Line, bounded, connect};
use crate::node::protocol::{Epoch, Moment};
use crate::node::snapshot::Snapshot;
use crate::node::{Shared, statements};
use crate::store::{self, Bytes16};

/// What a process needs to be a node.
pub(super) struct Joined {
    line: Line,
    ear: Option<Ear>,
    /// What of a node it has; a command has none of it.
    registered: Option<Registered>,
}

struct Registered {
    epoch: Epoch,
    /// What was visible before anything was remembered.
    snapshot: Snapshot,
    policies: Vec<Policy>,
}

impl Driver {
    pub(super) fn wants_to_join(&self) -> bool {
        // A server changes the policy before anybody follows changes, and waits for the other nodes then too.
        let is_needed = !self.registers || self.shared.is_followed() || !self.waiting.is_empty();
        self.line.is_none() && is_needed
    }

    pub(super) fn wants_to_hear(&self) -> bool {
        self.line.is_some() && self.ear.is_none() && self.shared.notification.hears()
    }

    pub(super) fn connect_where_due(&mut self, now: Moment) {
        if now < self.retry_at {
            return;
        }
        let shared = std::sync::Arc::clone(&self.shared);
        if self.wants_to_join() && !self.joining {
            self.joining = true;
            self.joined_for = self.shared.followers.load(Ordering::Acquire);
            let registers = self.registers && self.shared.is_followed();
            let epoch = registers.then(|| self.node.next_epoch());
            self.fly(async move { Event::Joined(join(&shared, epoch).await) });
        } else if self.wants_to_hear() && !self.opening {
            self.opening = true;
            let changes = self.registers;
            self.fly(async move {
                let opened = shared.notification.open(changes, &shared.origin).await;
                Event::Opened(opened)
            });
        }
    }

    pub(super) fn joined(&mut self, joined: Result<Joined, Error>) {
        self.joining = false;
        let joined = match joined {
            Ok(joined) => joined,
            Err(error) => {
                tracing::warn!(%error, "the database cannot be joined as a node; it is tried again");
                self.pause_before_retry();
                return;
            }
        };
        self.pause = FIRST_PAUSE;
        self.line = Some(joined.line);
        self.ear = joined.ear;
        self.shared.connected.send_replace(true);
        self.read_at = Moment::default();
        if let Some(registered) = joined.registered {
            self.node.registered(registered.epoch, registered.snapshot);
            self.node.heard_itself();
            self.shared.follow(&Change::Policies(registered.policies));
            self.shared.forget_everything();
            self.renew_at = clock::now();
        }
    }

    pub(super) fn opened(&mut self, opened: Result<Option<Ear>, Error>) {
        self.opening = false;
        match opened {
            Ok(ear) => {
                self.pause = FIRST_PAUSE;
                self.ear = ear;
                // What was said meanwhile is in the log.
                self.renew_at = clock::now();
                self.read_at = Moment::default();
                self.unheard.clear();
            }
            Err(error) => {
                tracing::debug!(%error, "no notifications can be heard");
                self.pause_before_retry();
            }
        }
    }

    /// The ear hears nothing any more. The lease stays: a renewal brings every change, whether it was heard or not.
    pub(super) fn deafened(&mut self, why: impl std::fmt::Display) {
        if self.ear.take().is_some() {
            tracing::warn!(reason = %why, "the connection for notifications is lost; changes are asked for until there is another");
            self.unheard.clear();
            self.heard.clear();
            self.sending = false;
            self.reading = false;
            self.retry_at = clock::now().after(self.shared.draw(FIRST_PAUSE));
            self.renew_at = clock::now();
            self.read_at = Moment::default();
        }
    }
}

/// Opens the connections; registers, where the process is to be a node.
async fn join(shared: &Shared, epoch: Option<Epoch>) -> Result<Joined, Error> {
    let line = connect(shared.notification.address(), |_, _| ()).await?;
    // As durable as can be: after a crash everybody has to know who may hold a lease.
    let begin = "SET application_name TO 'lastseen lease'; SET synchronous_commit TO on";
    bounded(line.client.batch_execute(begin)).await?;
    let mut ear = shared
        .notification
        .open(epoch.is_some(), &shared.origin)
        .await?;
    let registered = match epoch {
        Some(epoch) => Some(register(shared, epoch, &line.client, ear.as_mut()).await?),
        None => None,
    };
    Ok(Joined {
        line,
        ear,
        registered,
    })
}

async fn register(
    shared: &Shared,
    epoch: Epoch,
    client: &Client,
    ear: Option<&mut Ear>,
) -> Result<Registered, Error> {
    let id = Bytes16(shared.id.0.to_be_bytes());
    let number = epoch.0.cast_signed();
    let lease = i64::try_from(shared.length.duration().as_millis()).unwrap_or(i64::MAX);
    // It fails on a standby, which can neither be written nor say its timeline.
    let parameters: [crate::Parameter<'_>; 5] = [
        (&id, Type::UUID),
        (&number, Type::INT8),
        (&lease, Type::INT8),
        (&shared.name, Type::TEXT),
        (&shared.version, Type::TEXT),
    ];
    let rows = bounded(client.query_typed(statements::REGISTER, &parameters)).await?;
    let snapshot = rows
        .first()
        .and_then(|row| row.try_get::<_, &str>(0).ok()?.parse().ok())
        .ok_or_else(|| Error::Corrupt("a registration answers no snapshot".into()))?;
    if let Some(ear) = ear {
        prove(shared, epoch, client, ear).await?;
    }
    let policies = store::policies(client).await?;
    Ok(Registered {
        epoch,
        snapshot,
        policies,
    })
}

/// Sends a notification on one connection and waits for it on the other: both lead to the same server, and it is heard.
async fn prove(shared: &Shared, epoch: Epoch, client: &Client, ear: &mut Ear) -> Result<(), Error> {
    let word = Acknowledgement {
        id: shared.id,
        epoch,
        xids: Vec::new(),
    };
    let channels = vec![acknowledgements_of(&shared.origin)];
    let messages = vec![word.to_text()];
    let parameters: [crate::Parameter<'_>; 2] =
        [(&channels, Type::TEXT_ARRAY), (&messages, Type::TEXT_ARRAY)];
    match bounded(client.query_typed(statements::NOTIFY, &parameters)).await {
        // The queue is full: nobody hears anything for now, and nothing rests on it.
        Err(error) if error.is_untold() => return Ok(()),
        sent => sent?,
    };
    let heard = timeout(shared.length.duration(), async {
        loop {
            match ear.heard.recv().await {
                Some(Heard::Acknowledged(said)) if said == word => return Ok(()),
                // Of changes: memory is empty, and what it will read is newer.
                Some(_) => {}
                None => return Err(Error::Unreachable("nothing can be heard".into())),
            }
        }
    });
    heard.await.map_err(|_| {
        Error::Unreachable("a notification to itself was not heard; does the direct address lead past PgBouncer to the primary?".into())
    })?
}
