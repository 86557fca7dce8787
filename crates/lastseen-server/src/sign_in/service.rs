//! The verbs of signing in. What they need of HTTP is a visitor's headers, to tell the device by.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use lastseen::{
    AccountId, Clock, EndedBy, Entropy, NewSession, Session, SessionToken, Sessions,
    TerminateError, Timestamp, Unavailable, Visit, to_the_end,
};
use lastseen_axum::caller::client_description;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::in_flight::{InFlight, Reservation};
use super::known_browser::{BrowserMark, new_mark};
use super::set_up::SetUp;
use super::statistics::{Counted, SignInStatistics};
use super::store::SignInStore;
use super::throttle::{Counter, Counters, Counts, NotNow, Tries, Wait};
use crate::accounts::hashing::Verdict;
use crate::accounts::{
    AccountName, Accounts, Busy, Hashing, NameKey, Password, PasswordHash, StoredAccount,
};

/// Tries that may wait at once for others to be judged; the next one is turned away. Each wakes up once a
/// password has been checked, so this also bounds the work that waiting makes.
const MOST_WAITING: usize = 128;

/// Who asks, and from where.
#[derive(Default)]
pub struct Visitor {
    /// The address, where it is known.
    pub ip_address: Option<IpAddr>,
    /// The headers of the request.
    pub headers: HeaderMap,
    /// The session token that the cookie brought along.
    pub token: Option<Zeroizing<Vec<u8>>>,
    /// The mark that the browser brought along.
    pub mark: Option<BrowserMark>,
}

impl Visitor {
    fn visit(&self) -> Visit<'_> {
        Visit {
            ip_address: self.ip_address,
            client: client_description(&self.headers),
        }
    }

    /// The address for a log line.
    pub(super) fn shown_address(&self) -> Option<tracing::field::DisplayValue<IpAddr>> {
        self.ip_address.map(tracing::field::display)
    }
}

/// A session that a sign-in, a change of the password or the set-up led to.
#[derive(Debug)]
pub struct SignedIn {
    /// What the device must keep.
    pub token: SessionToken,
    /// The session.
    pub session: Session,
    /// The browser's new mark, where one is to be kept.
    pub mark: Option<BrowserMark>,
    /// The instant at which it happened.
    pub now: Timestamp,
}

/// Why nobody is signed in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such account, it has another password, or it is disabled: never said which.
    #[error("user name and password do not match")]
    Credentials,
    /// Too many failures came before; nothing was looked at.
    #[error("too many failures came before")]
    TooMany(Wait),
    /// Too many passwords are being checked.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The store could not be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Signing in to the built-in accounts. A handle, cheap to clone.
#[derive(Clone)]
pub struct SignIn {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) accounts: Accounts,
    pub(super) sessions: Sessions,
    pub(super) hashing: Hashing,
    pub(super) store: Arc<dyn SignInStore>,
    in_flight: Arc<InFlight>,
    /// Places for tries that wait for others to be judged.
    waiting: Semaphore,
    clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) set_up: SetUp,
    pub(super) counted: Counted,
}

impl SignIn {
    /// Signing in to `accounts`; what has to be remembered is kept in `store`.
    pub fn new(
        accounts: Accounts,
        sessions: Sessions,
        hashing: Hashing,
        store: Arc<dyn SignInStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let (set_up, counted) = (SetUp::default(), Counted::default());
        let (in_flight, waiting) = (Arc::default(), Semaphore::new(MOST_WAITING));
        let inner = Inner {
            accounts,
            sessions,
            hashing,
            store,
            in_flight,
            waiting,
            clock,
            entropy,
            set_up,
            counted,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Signs in. The session whose token came along ends, whose ever it was.
    ///
    /// An unknown name, a wrong password and a disabled account take the same steps and the same time. It
    /// runs to its end even where the asker goes away, so nobody is spared a failure by hanging up.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn sign_in(
        &self,
        name: String,
        password: Password,
        remembered: bool,
        visitor: Visitor,
    ) -> Result<SignedIn, Refused> {
        let inner = Arc::clone(&self.inner);
        let attempt = async move {
            let outcome = inner.attempt(&name, password, remembered, &visitor).await;
            inner.count(outcome.as_ref().err());
            outcome
        };
        to_the_end(attempt).await
    }

    /// Forgets failures that do not count any more; a job does it now and then.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn tidy(&self) -> Result<u64, Unavailable> {
        self.inner.store.forget(self.inner.now()).await
    }

    /// What was counted since the start.
    pub fn statistics(&self) -> SignInStatistics {
        self.inner.counted.statistics()
    }

    /// The accounts that are signed in to.
    pub fn accounts(&self) -> &Accounts {
        &self.inner.accounts
    }
}

impl Inner {
    pub(super) fn now(&self) -> Timestamp {
        self.sessions.observe(self.clock.now())
    }

    pub(super) fn count(&self, refused: Option<&Refused>) {
        Counted::one_more(match refused {
            None => &self.counted.succeeded,
            Some(Refused::Credentials) => &self.counted.refused,
            Some(Refused::TooMany(_)) => &self.counted.throttled,
            Some(Refused::Busy(_) | Refused::Unavailable(_)) => &self.counted.unavailable,
        });
    }

    async fn attempt(
        &self,
        name: &str,
        password: Password,
        remembered: bool,
        visitor: &Visitor,
    ) -> Result<SignedIn, Refused> {
        let accounts = self.accounts.store();
        let name = Named::new(name);
        let account = accounts.find_by_name(&name.key).await?;
        let like = accounts.hash_for_show(&name.digest).await?;
        let known_visitor = self.known_visitor(account.as_ref(), visitor).await?;
        let counters = Counters {
            pair: Counter::of_pair(&name.key, visitor.ip_address),
            name: Counter::of_name(&name.key),
            known_visitor,
        };
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let (verdict, reservation) = self.verify(counters, password, hash, like, visitor).await?;
        let (account, reason) = match account {
            None => (None, "unknown name"),
            Some(account) if !verdict.matches => (Some(account), "wrong password"),
            Some(account) if account.disabled => (Some(account), "account disabled"),
            Some(account) => {
                return self
                    .open(account, verdict.stronger, reservation, remembered, visitor)
                    .await;
            }
        };
        // A name that has no account is not logged: people type passwords where names belong.
        tracing::warn!(
            reason,
            account = account.map(|account| tracing::field::display(account.id)),
            ip_address = visitor.shown_address(),
            "sign-in refused"
        );
        Err(self.failed(reservation, visitor).await)
    }

    /// The counter of a browser that has signed in to this account before.
    ///
    /// Where there is no such account it asks all the same, for the same time.
    async fn known_visitor(
        &self,
        account: Option<&StoredAccount>,
        visitor: &Visitor,
    ) -> Result<Option<Counter>, Unavailable> {
        let Some(mark) = &visitor.mark else {
            return Ok(None);
        };
        let nobody = AccountId::new("-").map_err(Unavailable::because)?;
        let id = account.map_or(&nobody, |account| &account.id);
        let known = self.store.knows_browser(id, mark).await?;
        Ok(known.then(|| Counter::of_known_visitor(&mark.name())))
    }

    /// Looks at the password, once it is clear that the try may come.
    ///
    /// The try is under way until the reservation is dropped; [`Self::failed`] counts it where it failed.
    pub(super) async fn verify(
        &self,
        counters: Counters,
        password: Password,
        hash: Option<PasswordHash>,
        like: Option<PasswordHash>,
        visitor: &Visitor,
    ) -> Result<(Verdict, Reservation), Refused> {
        let reservation = self.reserve(counters, visitor).await?;
        let verdict = self.hashing.verify(password, hash, like).await?;
        if self.store.is_shared() {
            // Tries that other processes let in at the same time took no room from this one. The limit is on what
            // anybody is told: whatever the verdict is, it is not told beyond it.
            let (now, failures) = (self.now(), self.store.failures(counters, self.now()).await?);
            self.still_fits(&failures, now, visitor)?;
        }
        Ok((verdict, reservation))
    }

    /// Whether the failures so far leave room for telling a verdict.
    fn still_fits(
        &self,
        failures: &Counts,
        now: Timestamp,
        visitor: &Visitor,
    ) -> Result<(), Refused> {
        match failures.admit(Tries::default(), now) {
            Err(NotNow::TooMany(wait)) if self.store.is_shared() => Err(too_many(wait, visitor)),
            _ => Ok(()),
        }
    }

    /// Lets a try in, once it is clear whether it may come.
    async fn reserve(&self, counters: Counters, visitor: &Visitor) -> Result<Reservation, Refused> {
        let mut place = None;
        loop {
            // From here on nothing that is judged is missed.
            let mut judged = Box::pin(self.in_flight.next_judged());
            judged.as_mut().enable();
            let store = self.store.as_ref();
            match self.in_flight.admit(counters, store, self.now()).await? {
                Ok(reservation) => return Ok(reservation),
                Err(NotNow::TooMany(wait)) => return Err(too_many(wait, visitor)),
                Err(NotNow::Undecided) if place.is_none() => {
                    place = Some(self.waiting.try_acquire().map_err(|_taken| Busy)?);
                    store.wait_behind(judged).await?;
                }
                Err(NotNow::Undecided) => store.wait_behind(judged).await?,
            }
        }
    }

    /// The password was right: begins the session.
    async fn open(
        &self,
        account: StoredAccount,
        stronger: Option<PasswordHash>,
        reservation: Reservation,
        remembered: bool,
        visitor: &Visitor,
    ) -> Result<SignedIn, Refused> {
        if let Some(stronger) = stronger {
            let store = self.accounts.store();
            if let Err(fault) = store
                .strengthen(&account.id, &account.password_hash, &stronger)
                .await
            {
                tracing::warn!(account = %account.id, %fault, "a password hash could not be strengthened");
            }
        }
        match self.begin_session(&account, remembered, visitor).await? {
            Some(signed_in) => Ok(signed_in),
            None => Err(self.failed(reservation, visitor).await),
        }
    }

    /// The try was a failure: counts it before anybody hears of it. Only then it is not under way any more.
    ///
    /// Where it cannot be counted, the answer says no more than a right password would get, whose session
    /// could not be written either.
    pub(super) async fn failed(&self, reservation: Reservation, visitor: &Visitor) -> Refused {
        let (counters, now) = (reservation.counters, self.now());
        match self.store.count_failure(counters, now).await {
            // Of those that several processes judged at once, no more are told than there was room for.
            Ok(before) => match self.still_fits(&before, now, visitor) {
                Ok(()) => Refused::Credentials,
                Err(refused) => refused,
            },
            Err(fault) => fault.into(),
        }
    }

    /// Begins a session of `account`, unless it was disabled, removed or given another password since it
    /// was read.
    pub(super) async fn begin_session(
        &self,
        account: &StoredAccount,
        remembered: bool,
        visitor: &Visitor,
    ) -> Result<Option<SignedIn>, Unavailable> {
        let now = self.now();
        let owner = account.as_account();
        let new = NewSession {
            account: &owner,
            remembered,
            visit: visitor.visit(),
            replaces: visitor.token.as_ref().map(|token| token.as_slice()),
        };
        let created = self
            .sessions
            .create(new, now, self.entropy.as_ref())
            .await?;
        // Whoever disables an account, or changes its password, does that first and ends the sessions then.
        // Either the new session was there to be ended, or what was done is seen here.
        let unchanged = self.accounts.store().find(&account.id).await.map(|found| {
            found.is_some_and(|found| found.version == account.version && !found.disabled)
        });
        if !matches!(unchanged, Ok(true)) {
            let (id, by, now) = (created.session.id, EndedBy::Command, self.now());
            tracing::warn!(account = %account.id, session = %id, "account changed during sign-in, or nobody knows");
            let sessions = self.sessions.clone();
            let ending = async move { sessions.terminate(&owner.key, &[id], by, now).await };
            if let Err(fault) = unchanged {
                // Its token is told to nobody. Whoever waits has waited for the store once, and that is enough.
                tokio::spawn(ending);
                return Err(fault);
            }
            return match ending.await {
                Ok(_) | Err(TerminateError::NotFound) => Ok(None),
                Err(TerminateError::Unavailable(fault)) => Err(fault),
            };
        }
        let mark = new_mark(self.entropy.as_ref());
        let kept = self
            .store
            .know_browser(&account.id, visitor.mark.as_ref(), &mark, now)
            .await;
        if let Err(fault) = &kept {
            tracing::warn!(%fault, "the browser could not be noted as known");
        }
        tracing::info!(
            account = %account.id,
            session = %created.session.id,
            remembered,
            ip_address = visitor.shown_address(),
            "signed in"
        );
        Ok(Some(SignedIn {
            token: created.token,
            session: created.session,
            mark: kept.is_ok().then_some(mark),
            now,
        }))
    }
}

/// Too many failures came before.
fn too_many(wait: Wait, visitor: &Visitor) -> Refused {
    tracing::warn!(
        retry_after_seconds = wait.as_seconds(),
        ip_address = visitor.shown_address(),
        "sign-in throttled"
    );
    Refused::TooMany(wait)
}

/// A name that somebody typed, whatever it is.
struct Named {
    key: NameKey,
    /// Tells which account's hash is imitated where the name has none.
    digest: [u8; 16],
}

impl Named {
    fn new(typed: &str) -> Self {
        let key = match AccountName::new(typed) {
            Ok(name) => name.key(),
            // No account can be called so. What is counted is short, however long the name.
            Err(_) => NameKey::of_no_account(typed),
        };
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(key.as_str())[..16]);
        Self { key, digest }
    }
}
