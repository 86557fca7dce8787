//! A grown installation moves to another database: everything is copied, and tokens stay valid.
//!
//! It goes through the stores, whatever their kinds, page by page. It is not one transaction: a database that is being
//! filled says so itself from the first row to the last, nobody else opens it meanwhile, and a copy that broke off is
//! begun anew by asking for it again.
//!
//! The set-up link is left behind: without an account there is nothing that is worth moving, and each start prints
//! another link.

use std::time::Duration;

use lastseen::policy::PolicyHistory;
use lastseen::store::{Inserted, Record};
use lastseen::{Authority, Timestamp, Unavailable};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Storage;
use crate::accounts::Added;
use crate::failure::Failure;

/// Records that are read in one step, and held in memory meanwhile. The stores write what comes at once in few
/// transactions.
const STEP: u32 = 1_000;

/// How often it is said how far the copy has come.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// What was copied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Copied {
    /// Built-in accounts.
    pub(crate) accounts: u64,
    /// Browsers that accounts know.
    pub(crate) browsers: u64,
    /// Applications.
    pub(crate) applications: u64,
    /// Sessions, ended ones too.
    pub(crate) sessions: u64,
}

/// Why nothing was copied, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCopied {
    /// A database could not be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Something is in the database that was to be filled.
    #[error("there are accounts, applications or sessions in it already; nothing was copied")]
    NotEmpty,
    /// Nodes work with a database.
    #[error("{0}; stop the nodes first; nothing was copied")]
    InUse(String),
    /// What was read contradicts itself, or somebody writes to one of the databases meanwhile.
    #[error("{0}; the copy is not complete")]
    Disturbed(String),
}

impl From<NotCopied> for Failure {
    fn from(not_copied: NotCopied) -> Self {
        Self::refused(not_copied)
    }
}

/// Copies everything from one database into another, which is empty, and tells `say` now and then how far it is.
pub(crate) async fn copy(
    from: &Storage,
    to: &Storage,
    mut say: impl FnMut(&Copied),
) -> Result<Copied, NotCopied> {
    for storage in [from, to] {
        if let Some(user) = storage.whole.user().await? {
            return Err(NotCopied::InUse(user));
        }
    }
    if !to.whole.is_half_copied().await? && !to.whole.is_empty().await? {
        return Err(NotCopied::NotEmpty);
    }
    to.whole.begin_copy().await?;
    let mut copied = Copied::default();
    let limits = copy_policies(from, to).await?;
    copied.accounts = copy_accounts(from, to).await?;
    copied.browsers = copy_browsers(from, to).await?;
    copy_counts(from, to).await?;
    copied.applications = copy_applications(from, to).await?;
    copy_links(from, to).await?;
    say(&copied);
    let mut said = Instant::now();
    let mut last = None;
    loop {
        let records = from.sessions.walk(last, in_memory(STEP)).await?;
        let Some(record) = records.last() else {
            break;
        };
        last = Some(record.id);
        copied.sessions += copy_sessions(to, records, limits.as_ref()).await?;
        if said.elapsed() >= SAY_EVERY {
            say(&copied);
            said = Instant::now();
        }
    }
    to.whole.end_copy().await?;
    Ok(copied)
}

fn in_memory(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What says whether a session has expired in the database that is copied.
struct Limits {
    history: PolicyHistory,
    /// A deadline that lies before it has passed, also for a clock that was set back. Nothing has by this where
    /// several nodes write: there what was refused is marked.
    latest: Timestamp,
}

impl Limits {
    /// The deadline of a session, where it has passed or somebody was refused because of it.
    fn passed(&self, record: &Record) -> Option<Timestamp> {
        let deadlines = self.history.deadlines(
            record.policy,
            record.remembered,
            record.created_at,
            record.last_used_at,
        );
        let deadline = deadlines.expires_at();
        (record.ended.is_none() && (record.expired || deadline <= self.latest)).then_some(deadline)
    }
}

/// Every policy that was ever in force, and the latest time: deadlines stay what they were.
async fn copy_policies(from: &Storage, to: &Storage) -> Result<Option<Limits>, NotCopied> {
    let opened = from.sessions.open(None, Timestamp::EPOCH).await?;
    for policy in &opened.policies {
        to.sessions.open(Some(policy), opened.latest).await?;
    }
    let arrived = to.sessions.open(None, opened.latest).await?.policies;
    if arrived != opened.policies {
        return Err(NotCopied::Disturbed(
            "the policies are others than those that were written".to_owned(),
        ));
    }
    let latest = match from.sessions.authority() {
        Authority::Sole => opened.latest,
        Authority::Leased(_) => Timestamp::EPOCH,
    };
    let history = PolicyHistory::new(&opened.policies);
    Ok(history.map(|history| Limits { history, latest }))
}

async fn copy_accounts(from: &Storage, to: &Storage) -> Result<u64, NotCopied> {
    let mut copied = 0;
    for account in from.accounts.list().await? {
        let name = account.name.clone();
        if to.accounts.add(account, false).await? != Added::Done {
            return Err(NotCopied::Disturbed(format!(
                "somebody added an account {name} meanwhile"
            )));
        }
        copied += 1;
    }
    Ok(copied)
}

async fn copy_browsers(from: &Storage, to: &Storage) -> Result<u64, NotCopied> {
    let (mut copied, mut last) = (0, None);
    loop {
        let browsers = from.sign_in.known_browsers(last.as_ref(), STEP).await?;
        let number = browsers.len();
        copied += u64::try_from(number).unwrap_or(u64::MAX);
        last = browsers.last().cloned();
        if number > 0 {
            to.sign_in.restore_browsers(browsers).await?;
        }
        if number < in_memory(STEP) {
            return Ok(copied);
        }
    }
}

/// Failures to sign in: whoever was to wait has to wait where it moves to, and nobody gets new tries by it.
async fn copy_counts(from: &Storage, to: &Storage) -> Result<(), NotCopied> {
    let mut last = None;
    loop {
        let counted = from.sign_in.counted(last, STEP).await?;
        let number = counted.len();
        last = counted.last().map(|(counter, _)| *counter);
        if number > 0 {
            to.sign_in.restore_counted(counted).await?;
        }
        if number < in_memory(STEP) {
            return Ok(());
        }
    }
}

/// Links into the pages that nobody has followed.
async fn copy_links(from: &Storage, to: &Storage) -> Result<(), NotCopied> {
    let mut last = None;
    loop {
        let links = from.applications.links(last, STEP).await?;
        let number = links.len();
        last = links.last().map(|link| link.id);
        for link in links {
            // One of an application that is being removed has gone with the removal.
            to.applications.add_link(link, Timestamp::EPOCH).await?;
        }
        if number < in_memory(STEP) {
            return Ok(());
        }
    }
}

/// Applications with their numbers, which sessions name, and the ways back to them.
async fn copy_applications(from: &Storage, to: &Storage) -> Result<u64, NotCopied> {
    let last_number = from.applications.last_number().await?;
    let applications = from.applications.list().await?;
    let copied = u64::try_from(applications.len()).unwrap_or(u64::MAX);
    to.applications.restore(applications, last_number).await?;
    let mut last = None;
    loop {
        let ways_back = from.applications.ways_back(last, STEP).await?;
        let number = ways_back.len();
        last = ways_back.last().map(|way_back| way_back.session);
        for way_back in ways_back {
            to.applications
                .set_way_back(way_back, Timestamp::EPOCH)
                .await?;
        }
        if number < in_memory(STEP) {
            return Ok(copied);
        }
    }
}

/// All at once: the stores write those that wait together.
async fn copy_sessions(
    to: &Storage,
    records: Vec<Record>,
    limits: Option<&Limits>,
) -> Result<u64, NotCopied> {
    let number = u64::try_from(records.len()).unwrap_or(u64::MAX);
    let mut inserting = JoinSet::new();
    for record in records {
        let sessions = std::sync::Arc::clone(&to.sessions);
        // What was refused once because of a deadline stays refused: a store that marks nothing is told of a time by
        // which the deadline has passed.
        let refused_at = limits.and_then(|limits| limits.passed(&record));
        inserting.spawn(async move {
            let (id, last_used_at) = (record.id, record.last_used_at);
            let inserted = sessions.insert(record, None).await?;
            if let Some(at) = refused_at {
                sessions.expire(vec![(id, last_used_at)], at).await?;
            }
            Ok::<_, Unavailable>((id, inserted))
        });
    }
    while let Some(inserted) = inserting.join_next().await {
        match inserted.unwrap_or_else(|lost| Err(Unavailable::because(lost)))? {
            (_, Inserted::Done | Inserted::First) => {}
            (id, Inserted::IdTaken) => {
                return Err(NotCopied::Disturbed(format!(
                    "somebody began the session {id} meanwhile"
                )));
            }
        }
    }
    Ok(number)
}

#[cfg(test)]
mod tests;
