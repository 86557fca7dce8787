//! Renewals, and what others have changed.

use lastseen::Policy;
use lastseen::store::Change;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Driver, Event, RENEWALS_IN_A_LEASE, RENEWALS_IN_A_LEASE_WHEN_DEAF, Why};
use crate::confirm::Xid;
use crate::error::Error;
use crate::node::clock;
use crate::node::figures::add;
use crate::node::message::{ACKNOWLEDGED_AT_ONCE, Acknowledgement, Noted, acknowledgements_of};
use crate::node::notification::Heard;
use crate::node::protocol::Moment;
use crate::node::snapshot::Snapshot;
use crate::node::statements;
use crate::store::{self, Bytes16};

/// What a renewal was answered with.
struct Answer {
    seen: Snapshot,
    registered: bool,
    changes: Vec<Noted>,
}

impl Driver {
    pub(super) fn renew_where_due(&mut self, now: Moment) {
        if let Some(asked) = self.renewing {
            // The lease that it was to renew is over.
            if now >= asked.after(self.shared.length.duration()) {
                self.fall("a renewal was not answered in time");
            }
            return;
        }
        if self.applying || now < self.renew_at {
            return;
        }
        let Some(line) = &self.line else { return };
        let client = std::sync::Arc::clone(&line.client);
        // Read again, and before anything is sent: `now` may be from before much other work, which is no harm.
        let Some(renewal) = self.node.renew(now) else {
            return;
        };
        self.renewing = Some(now);
        let id = Bytes16(self.shared.id.0.to_be_bytes());
        let epoch = renewal.epoch.0.cast_signed();
        let acknowledged = std::mem::take(&mut self.acknowledged);
        self.fly(async move {
            let applied = renewal.applied.as_str();
            let parameters: [crate::Parameter<'_>; 4] = [
                (&id, Type::UUID),
                (&epoch, Type::INT8),
                (&applied, Type::TEXT),
                (&acknowledged, Type::BOOL),
            ];
            let rows = client.query_typed(statements::RENEW, &parameters).await;
            Event::Renewed(rows.map_err(Error::from))
        });
    }

    pub(super) fn renewed(&mut self, rows: Result<Vec<Row>, Error>) {
        let Some(asked) = self.renewing.take() else {
            return;
        };
        let answer = match rows.and_then(|rows| read(&rows)) {
            Ok(answer) => answer,
            Err(error) => return self.fall(error),
        };
        if !answer.registered {
            return self.fall(
                "another node has waited for this one in vain, or another primary took over",
            );
        }
        add(&self.shared.counters.renewals, 1);
        let seen = answer.seen;
        let Some(brought) = self.node.renewed(seen.clone()) else {
            return;
        };
        let deaf = self.ear.is_none();
        let parts = if deaf {
            RENEWALS_IN_A_LEASE_WHEN_DEAF
        } else {
            RENEWALS_IN_A_LEASE
        };
        self.renew_at = asked.after(self.shared.length.duration() / parts);
        if deaf && !answer.changes.is_empty() {
            // The next one tells those who wait that these are applied.
            self.renew_at = clock::now();
        }
        self.compare_with_heard(&answer.changes);
        self.heard.retain(|&xid| !seen.shows(Xid(xid)));
        self.own.retain(|&xid| !seen.shows(Xid(xid)));
        // One that needs the policies is applied once they are read.
        let (later, at_once) = answer
            .changes
            .into_iter()
            .partition::<Vec<_>, _>(|noted| noted.policies);
        for noted in &at_once {
            self.apply(noted);
        }
        if later.is_empty() {
            self.all_applied(brought);
        } else {
            self.applying = true;
            self.read_policies(Why::Brought(brought, later));
        }
    }

    /// Everything that a renewal brought is applied.
    fn all_applied(&mut self, brought: crate::node::protocol::Brought<Snapshot>) {
        let first = self.node.lease().is_none();
        if !self.node.applied(brought, clock::now()) {
            return self.fall("a renewal was answered after the lease had run out");
        }
        self.shared.lease.show(self.node.lease());
        if first {
            self.shared.count_term();
            tracing::info!(node = %self.shared.origin, "a lease runs; sessions are answered from memory");
        }
    }

    /// Finds out whether what is noted is also heard. What a renewal brought should have been heard by the next one.
    fn compare_with_heard(&mut self, brought: &[Noted]) {
        if self.ear.is_none() {
            return;
        }
        let deaf = !self.unheard.is_empty();
        for noted in brought {
            if !self.heard.remove(&noted.xid) {
                self.unheard.insert(noted.xid);
            }
        }
        if deaf {
            self.deafened("changes were found that nobody was told of");
        }
    }

    pub(super) fn heard(&mut self, heard: Option<Heard>) {
        match heard {
            None => self.deafened("it was closed"),
            Some(Heard::Unreadable) => self.shared.forget_everything(),
            Some(Heard::Acknowledged(said)) => self.acknowledged(&said),
            Some(Heard::Noted(noted)) => {
                if self.node.epoch().is_none() {
                    return;
                }
                if !self.unheard.remove(&noted.xid) {
                    self.heard.insert(noted.xid);
                }
                if self.own.remove(&noted.xid) {
                    // Applied, and acknowledged to itself.
                } else if noted.policies {
                    self.read_policies(Why::Noted(noted));
                } else {
                    self.apply(&noted);
                }
            }
        }
    }

    fn read_policies(&self, why: Why) {
        // On the renewals' connection: readings come back in the order in which they were asked for.
        let Some(line) = &self.line else { return };
        let client = std::sync::Arc::clone(&line.client);
        let patience = self.patience();
        self.fly(async move {
            let read = timeout(patience, store::policies(&client)).await;
            Event::Policies(why, read.unwrap_or(Err(Error::TimedOut)))
        });
    }

    pub(super) fn policies_read(&mut self, why: Why, policies: Result<Vec<Policy>, Error>) {
        let policies = match policies {
            Ok(policies) => policies,
            Err(error) => return self.fall(error),
        };
        self.shared.follow(&Change::Policies(policies));
        match why {
            Why::Brought(brought, noted) => {
                self.applying = false;
                for noted in &noted {
                    self.apply(noted);
                }
                self.all_applied(brought);
            }
            Why::Noted(noted) => self.apply(&noted),
        }
    }

    /// Applies a change, whose policies memory has by now, and owes whoever made it the word that it is applied.
    pub(super) fn apply(&mut self, noted: &Noted) {
        for change in &noted.changes {
            self.shared.follow(change);
        }
        for other in &noted.others {
            self.shared.tell_others(other);
        }
        add(&self.shared.counters.changes_followed, 1);
        let (Some(origin), Some(epoch)) = (&noted.origin, self.node.epoch()) else {
            return;
        };
        let xid = Xid(noted.xid);
        if **origin == *self.shared.origin {
            self.acknowledged(&Acknowledgement {
                id: self.shared.id,
                epoch,
                xids: vec![xid],
            });
        } else {
            self.owed.entry(origin.clone()).or_default().push(xid);
        }
    }

    pub(super) fn acknowledge_where_due(&mut self) {
        if self.sending || self.owed.is_empty() {
            return;
        }
        if !self.shared.notification.hears() {
            // Nobody could hear it: they read the rows.
            self.owed.clear();
            return;
        }
        let (Some((client, by_ear)), Some(epoch)) = (self.speaker(), self.node.epoch()) else {
            return;
        };
        let (mut channels, mut messages) = (Vec::new(), Vec::new());
        let mut count = 0;
        for (origin, xids) in std::mem::take(&mut self.owed) {
            for xids in xids.chunks(ACKNOWLEDGED_AT_ONCE) {
                let said = Acknowledgement {
                    id: self.shared.id,
                    epoch,
                    xids: xids.to_vec(),
                };
                count += xids.len() as u64;
                channels.push(acknowledgements_of(&origin));
                messages.push(said.to_text());
            }
        }
        self.sending = true;
        self.acknowledged = true;
        add(&self.shared.counters.acknowledgements_sent, count);
        let patience = self.patience();
        self.fly(async move {
            let parameters: [crate::Parameter<'_>; 2] =
                [(&channels, Type::TEXT_ARRAY), (&messages, Type::TEXT_ARRAY)];
            let notify = client.query_typed(statements::NOTIFY, &parameters);
            let sent = match timeout(patience, notify).await {
                Ok(sent) => sent.map(|_| ()).map_err(Error::from),
                Err(_) => Err(Error::TimedOut),
            };
            Event::Acknowledged { by_ear, sent }
        });
    }
}

/// Reads what a renewal was answered with.
fn read(rows: &[Row]) -> Result<Answer, Error> {
    let damage = |_| Error::Corrupt("a renewal is answered with what it cannot be".into());
    let first = rows
        .first()
        .ok_or_else(|| Error::Corrupt("a renewal is answered with nothing".into()))?;
    let seen: &str = first.try_get(0).map_err(damage)?;
    let mut answer = Answer {
        seen: seen
            .parse()
            .map_err(|_| Error::Corrupt("a renewal shows no snapshot".into()))?,
        registered: first.try_get(1).map_err(damage)?,
        changes: Vec::new(),
    };
    for row in rows {
        let Some(xid) = row.try_get::<_, Option<&str>>(2).map_err(damage)? else {
            continue;
        };
        let xid = xid
            .parse()
            .map_err(|_| Error::Corrupt("a change has no number".into()))?;
        let kind: &str = row.try_get(3).map_err(damage)?;
        let sessions: Option<Vec<Bytes16>> = row.try_get(4).map_err(damage)?;
        let bits: Option<Vec<i32>> = row.try_get(5).map_err(damage)?;
        let sessions = sessions.into_iter().flatten().map(Into::into).collect();
        let bits = bits.into_iter().flatten();
        let bits = bits.filter_map(|bits| u16::try_from(bits).ok()).collect();
        if answer.changes.last().is_none_or(|last| last.xid != xid) {
            answer.changes.push(Noted {
                xid,
                origin: row.try_get(6).map_err(damage)?,
                ..Noted::default()
            });
        }
        if let Some(noted) = answer.changes.last_mut() {
            noted.add(kind, sessions, bits);
        }
    }
    Ok(answer)
}
