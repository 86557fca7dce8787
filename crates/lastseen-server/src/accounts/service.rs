//! What an operator does with accounts.

use std::sync::Arc;

use lastseen::{
    AccountId, AccountKey, AccountSource, Clock, EndedBy, Entropy, Sessions, Timestamp, Unavailable,
};

use super::hashing::{Asker, Busy, Hashing, PasswordHash};
use super::id_text;
use super::name::{AccountName, NameKey, NotAName};
use super::password::{Password, PasswordRefusal};
use super::store::{AccountStore, Added, Change, StoredAccount};

/// How often a change is tried again because another came in between. Each try reads anew, and changes to
/// one account are made by people: so many in a row are a fault.
const TRIES: usize = 16;

/// What is told of an account: nothing that is secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountSummary {
    /// Its identity.
    pub id: AccountId,
    /// What it is called.
    pub name: AccountName,
    /// Whether nobody may sign in to it.
    pub disabled: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Why nothing was done. The text is one line for whoever asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccountError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] NotAName),
    /// The password may not be one.
    #[error(transparent)]
    Password(#[from] PasswordRefusal),
    /// There is an account of that name, perhaps in another spelling.
    #[error("there is an account of that name already")]
    NameTaken,
    /// There is no account of that name.
    #[error("there is no account of that name")]
    Unknown,
    /// It was to be the first account, and there is one.
    #[error("there is an account already")]
    NotTheFirst,
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The store could not be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The accounts of this server, and what may be done with them. A handle, cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn AccountStore>,
    sessions: Sessions,
    hashing: Hashing,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Accounts {
    /// The accounts in `store`, whose sessions are in `sessions`.
    pub fn new(
        store: Arc<dyn AccountStore>,
        sessions: Sessions,
        hashing: Hashing,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            sessions,
            hashing,
            clock,
            entropy,
        }
    }

    /// Adds an account.
    ///
    /// # Errors
    /// [`AccountError`]; then there is none, or nobody knows.
    pub async fn add(
        &self,
        name: &str,
        password: &Password,
    ) -> Result<AccountSummary, AccountError> {
        let account = self.insert(name, password, Asker::Operator, false).await?;
        tracing::info!(account = %account.id, name = ?account.name.as_str(), "account added");
        Ok(account.into())
    }

    /// Adds the first account, while there is none: in one step, so of many at once one succeeds.
    pub(crate) async fn add_first(
        &self,
        name: &str,
        password: &Password,
    ) -> Result<StoredAccount, AccountError> {
        self.insert(name, password, Asker::Visitor, true).await
    }

    async fn insert(
        &self,
        name: &str,
        password: &Password,
        asker: Asker,
        only_as_first: bool,
    ) -> Result<StoredAccount, AccountError> {
        let name = AccountName::new(name)?;
        let password_hash = self.hash(asker, password, &name).await?;
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        let account = StoredAccount {
            id: account_id(&id),
            name,
            password_hash,
            disabled: false,
            version: 1,
            created_at: self.now(),
        };
        match self.store.add(account.clone(), only_as_first).await? {
            Added::Done => Ok(account),
            Added::NameTaken => Err(AccountError::NameTaken),
            Added::NotTheFirst => Err(AccountError::NotTheFirst),
        }
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// [`AccountError::Unavailable`].
    pub async fn list(&self) -> Result<Vec<AccountSummary>, AccountError> {
        Ok(self
            .store
            .list()
            .await?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// The account called `name`.
    ///
    /// # Errors
    /// [`AccountError::Unknown`] or [`AccountError::Unavailable`].
    pub async fn find(&self, name: &str) -> Result<AccountSummary, AccountError> {
        Ok(self.find_stored(name).await?.into())
    }

    /// How many accounts there are.
    ///
    /// # Errors
    /// [`AccountError::Unavailable`].
    pub async fn count(&self) -> Result<u64, AccountError> {
        Ok(self.store.count().await?)
    }

    /// Gives the account another password and ends its sessions. Says how many ended.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_password(&self, name: &str, password: &Password) -> Result<u64, AccountError> {
        let account = self.find_stored(name).await?;
        let hash = self.hash(Asker::Operator, password, &account.name).await?;
        self.change(&account.id, |_| Some(Change::Password(hash.clone())))
            .await?;
        let ended = self
            .end_sessions(&account.id, EndedBy::Password(None))
            .await?;
        tracing::info!(account = %account.id, ended, by = "command", "password changed");
        Ok(ended)
    }

    /// Sees to it that nobody can sign in to the account, and ends its sessions. Says how many ended.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn disable(&self, name: &str) -> Result<u64, AccountError> {
        let account = self.find_stored(name).await?;
        self.mark_disabled(&account.id, true).await?;
        // Also where it was disabled before: whoever repeats the command may have seen it break off.
        let ended = self.end_sessions(&account.id, EndedBy::Command).await?;
        tracing::info!(account = %account.id, ended, "account disabled");
        Ok(ended)
    }

    /// Lets people sign in to the account again. Sessions that ended stay ended.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn enable(&self, name: &str) -> Result<(), AccountError> {
        let account = self.find_stored(name).await?;
        self.mark_disabled(&account.id, false).await?;
        tracing::info!(account = %account.id, "account enabled");
        Ok(())
    }

    /// Removes the account and ends its sessions. Says how many ended.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn remove(&self, name: &str) -> Result<u64, AccountError> {
        let account = self.find_stored(name).await?;
        // A sign-in that is under way finds it disabled, or gone, and takes its session back.
        self.mark_disabled(&account.id, true).await?;
        let before = self.end_sessions(&account.id, EndedBy::Command).await?;
        self.store.remove(&account.id).await?;
        let after = self.end_sessions(&account.id, EndedBy::Command).await?;
        let ended = before + after;
        tracing::info!(account = %account.id, ended, "account removed");
        Ok(ended)
    }

    /// The store, for sign-in.
    pub(crate) fn store(&self) -> &dyn AccountStore {
        self.store.as_ref()
    }

    async fn find_stored(&self, name: &str) -> Result<StoredAccount, AccountError> {
        let name = AccountName::new(name)?;
        self.store
            .find_by_name(&NameKey::of(name.as_str()))
            .await?
            .ok_or(AccountError::Unknown)
    }

    async fn hash(
        &self,
        asker: Asker,
        password: &Password,
        name: &AccountName,
    ) -> Result<PasswordHash, AccountError> {
        Ok(self
            .hashing
            .hash_new(asker, password.clone(), name.as_str())
            .await??)
    }

    async fn mark_disabled(&self, id: &AccountId, disabled: bool) -> Result<(), AccountError> {
        self.change(id, |account| {
            (account.disabled != disabled).then_some(Change::Disabled(disabled))
        })
        .await
    }

    /// Makes the change that `choose` finds necessary, if any.
    async fn change(
        &self,
        id: &AccountId,
        choose: impl Fn(&StoredAccount) -> Option<Change> + Send + Sync,
    ) -> Result<(), AccountError> {
        for _ in 0..TRIES {
            let account = self.store.find(id).await?.ok_or(AccountError::Unknown)?;
            let Some(change) = choose(&account) else {
                return Ok(());
            };
            if self.store.change(id, account.version, change).await? {
                return Ok(());
            }
        }
        Err(Unavailable::because("the account was changed too often to be changed").into())
    }

    async fn end_sessions(&self, id: &AccountId, by: EndedBy) -> Result<u64, Unavailable> {
        let key = AccountKey {
            source: AccountSource::BuiltIn,
            id: id.clone(),
        };
        self.sessions.terminate_account(&key, by, self.now()).await
    }

    fn now(&self) -> Timestamp {
        self.sessions.observe(self.clock.now())
    }
}

impl From<StoredAccount> for AccountSummary {
    fn from(account: StoredAccount) -> Self {
        let StoredAccount {
            id,
            name,
            disabled,
            created_at,
            password_hash: _,
            version: _,
        } = account;
        Self {
            id,
            name,
            disabled,
            created_at,
        }
    }
}

/// The id that these random bytes are.
#[expect(clippy::expect_used, reason = "see below")]
fn account_id(bytes: &[u8; 16]) -> AccountId {
    // The text always has 32 digits.
    AccountId::new(&id_text(bytes)).expect("32 digits are neither none nor more than 128")
}
