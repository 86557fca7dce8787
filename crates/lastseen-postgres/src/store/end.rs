//! Ends: those that wait share a transaction, and with it the one notification that PostgreSQL sends at a time.

use std::collections::{HashMap, HashSet};

use lastseen::store::{End, Ended};
use lastseen::{AccountKey, SessionId};
use tokio::time::Instant;

use super::batch::{Job, Waiting};
use super::write;
use crate::database::{Database, Transaction};
use crate::error::Error;

/// One request to end sessions.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) account: Option<AccountKey>,
    pub(super) ends: Vec<End>,
}

impl Job for Ends {
    type Answer = Ended;

    /// Sessions in one transaction, so that nobody waits long behind others' large accounts.
    const MOST: usize = 1000;

    fn weight(&self) -> usize {
        self.ends.len()
    }

    async fn run(database: &Database, deadline: Instant, batch: Vec<Waiting<Self>>) {
        let asked: Vec<&Self> = batch.iter().map(|waiting| &waiting.job).collect();
        let done = together(database, deadline, &asked).await;
        let (answers, committed) = match done {
            Ok(done) => done,
            Err(error) if error.is_refusal() && batch.len() > 1 => {
                // One of them is at fault; the others are not to suffer for it.
                for waiting in batch {
                    let done = together(database, deadline, &[&waiting.job]).await;
                    match done {
                        Ok((answers, committed)) => {
                            let known = database.reach_nodes(committed).await;
                            let ended = answers.into_iter().next().unwrap_or(Ended::NotFound);
                            waiting.answer(known.map(|()| ended));
                        }
                        Err(error) => waiting.answer(Err(error)),
                    }
                }
                return;
            }
            Err(error) => {
                for waiting in batch {
                    waiting.answer(Err(error.clone()));
                }
                return;
            }
        };
        // The next ones need not wait for the nodes too.
        let database = database.clone();
        tokio::spawn(async move {
            let known = database.reach_nodes(committed).await;
            for (waiting, ended) in batch.into_iter().zip(answers) {
                waiting.answer(known.clone().map(|()| ended));
            }
        });
    }
}

type Done = (Vec<Ended>, Option<crate::confirm::Committed>);

/// Does what was asked in one transaction. One request that is not the account's undoes no other: it is looked at
/// before anything is changed.
async fn together(database: &Database, deadline: Instant, asked: &[&Ends]) -> Result<Done, Error> {
    database
        .commit_change(deadline, |transaction| async move {
            end_each(&transaction, asked).await
        })
        .await
}

async fn end_each(transaction: &Transaction, asked: &[&Ends]) -> Result<Vec<Ended>, Error> {
    let requests: Vec<_> = asked
        .iter()
        .map(|one| (one.account.as_ref(), &one.ends[..]))
        .collect();
    let own = write::are_own(transaction, &requests).await?;
    // Of two who end one session the first does.
    let mut first: HashMap<SessionId, usize> = HashMap::new();
    let mut ends: Vec<&End> = Vec::new();
    for (place, (one, own)) in asked.iter().zip(&own).enumerate() {
        for end in one.ends.iter().filter(|_| *own) {
            first.entry(end.id).or_insert_with(|| {
                ends.push(end);
                place
            });
        }
    }
    let ended = write::end_sessions(transaction, &ends).await?;
    let answers = asked
        .iter()
        .zip(own)
        .enumerate()
        .map(|(place, (one, own))| {
            if !own {
                return Ended::NotFound;
            }
            let mut told = HashSet::new();
            let by_this = one.ends.iter().map(|end| end.id).filter(|id| {
                ended.contains(id) && first.get(id) == Some(&place) && told.insert(*id)
            });
            Ended::Done(by_this.collect())
        });
    Ok(answers.collect())
}
