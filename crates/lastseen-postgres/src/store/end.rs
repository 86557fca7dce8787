//! Ends: those that wait share a transaction, its flush to the disk, and the notification behind it.

use std::collections::{HashMap, HashSet};

use futures_util::future::join;
use lastseen::store::{End, Ended};
use lastseen::{AccountKey, SessionId};
use tokio::time::Instant;

use super::batch::{Job, Waiting};
use super::write::{self, EndOf};
use crate::database::{Database, Known, Transaction};
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
        match together(database, deadline, &asked).await {
            Ok(done) => answer(database, deadline, batch, done),
            Err(error) if error.is_refusal() && batch.len() > 1 => {
                // One of them is at fault; the others are not to suffer for it.
                for waiting in batch {
                    match together(database, deadline, &[&waiting.job]).await {
                        Ok(done) => answer(database, deadline, vec![waiting], done),
                        Err(error) => waiting.answer(Err(error)),
                    }
                }
            }
            Err(error) => {
                for waiting in batch {
                    waiting.answer(Err(error.clone()));
                }
            }
        }
    }
}

/// Answers what was committed when the nodes know of it. The next ones need not wait for the nodes too.
fn answer(database: &Database, deadline: Instant, batch: Vec<Waiting<Ends>>, done: Done) {
    let (answers, known) = done;
    for waiting in &batch {
        waiting.is_committed();
    }
    let database = database.clone();
    tokio::spawn(async move {
        let reached = database.reach_nodes(known, deadline).await;
        for (waiting, ended) in batch.into_iter().zip(answers) {
            waiting.answer(reached.clone().map(|()| ended));
        }
    });
}

type Done = (Vec<Ended>, Option<Known>);

/// Does what was asked in one transaction. One request that is not the account's undoes no other.
async fn together(database: &Database, deadline: Instant, asked: &[&Ends]) -> Result<Done, Error> {
    database
        .commit_known(deadline, |transaction| async move {
            end_each(&transaction, asked).await
        })
        .await
}

/// Where a request stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Own {
    /// All of its sessions are the account's, or nobody asked.
    Yes,
    No,
    /// It names one session, which is ended only if it is the account's: nobody has to look before.
    Seen,
}

/// Ends what was asked for; answers each, and says what the nodes are to be told of.
async fn end_each(
    transaction: &Transaction,
    asked: &[&Ends],
) -> Result<(Vec<Ended>, Option<Known>), Error> {
    let mut own = look(transaction, asked).await?;
    // Of two who end one session the first does.
    let mut first: HashMap<SessionId, usize> = HashMap::new();
    let mut ends: Vec<EndOf<'_>> = Vec::new();
    for (place, (one, own)) in asked.iter().zip(&own).enumerate() {
        let account = one.account.as_ref().filter(|_| *own == Own::Seen);
        for end in one.ends.iter().filter(|_| *own != Own::No) {
            first.entry(end.id).or_insert_with(|| {
                ends.push((account, end));
                place
            });
        }
    }
    if ends.is_empty() {
        let answers = own.iter().map(|own| match own {
            Own::No => Ended::NotFound,
            Own::Yes | Own::Seen => Ended::Done(Vec::new()),
        });
        return Ok((answers.collect(), None));
    }
    let (ended, xid) = join(
        write::end_sessions(transaction, &ends),
        // Asked for in the same breath: nearly always nothing else comes before the commit.
        transaction.noted(),
    )
    .await;
    let (ended, mut xid) = (ended?, xid?);
    let mut sessions: Vec<SessionId> = ended.iter().copied().collect();
    if ended.len() < ends.len() {
        let left = |one: &Ends| one.ends.iter().any(|end| !ended.contains(&end.id));
        let unsure: Vec<usize> = (0..asked.len())
            .filter(|&place| own[place] == Own::Seen && left(asked[place]))
            .collect();
        let requests: Vec<_> = unsure.iter().map(|&place| request(asked[place])).collect();
        let found = write::are_own(transaction, &requests).await?;
        for (place, found) in unsure.into_iter().zip(found) {
            own[place] = if found { Own::Yes } else { Own::No };
        }
        let others: HashSet<SessionId> = asked
            .iter()
            .zip(&own)
            .filter(|(_, own)| **own != Own::No)
            .flat_map(|(one, _)| one.ends.iter().map(|end| end.id))
            .filter(|id| !ended.contains(id))
            .collect();
        let again = write::tell_again(transaction, others.into_iter()).await?;
        if !again.is_empty() {
            xid = transaction.noted().await?;
            sessions.extend(again);
        }
    }
    let answers = asked
        .iter()
        .zip(own)
        .enumerate()
        .map(|(place, (one, own))| {
            if own == Own::No {
                return Ended::NotFound;
            }
            let mut told = HashSet::new();
            let by_this = one.ends.iter().map(|end| end.id).filter(|id| {
                ended.contains(id) && first.get(id) == Some(&place) && told.insert(*id)
            });
            Ended::Done(by_this.collect())
        });
    let known = xid.map(|xid| Known { xid, sessions });
    Ok((answers.collect(), known))
}

fn request(one: &Ends) -> (Option<&AccountKey>, &[End]) {
    (one.account.as_ref(), &one.ends)
}

/// Of each request whether its sessions are its account's, as far as that has to be known before any ends: where
/// there are several, of which all end or none, and where another request names the same one.
async fn look(transaction: &Transaction, asked: &[&Ends]) -> Result<Vec<Own>, Error> {
    let mut named: HashMap<SessionId, usize> = HashMap::new();
    for one in asked {
        for end in &one.ends {
            *named.entry(end.id).or_default() += 1;
        }
    }
    let by_itself = |one: &Ends| match one.ends.as_slice() {
        [end] => named.get(&end.id) == Some(&1),
        _ => false,
    };
    let mut own: Vec<Own> = asked
        .iter()
        .map(|one| match &one.account {
            None => Own::Yes,
            Some(_) => Own::Seen,
        })
        .collect();
    let before: Vec<usize> = (0..asked.len())
        .filter(|&place| own[place] == Own::Seen && !by_itself(asked[place]))
        .collect();
    let requests: Vec<_> = before.iter().map(|&place| request(asked[place])).collect();
    let found = write::are_own(transaction, &requests).await?;
    for (place, found) in before.into_iter().zip(found) {
        own[place] = if found { Own::Yes } else { Own::No };
    }
    Ok(own)
}
