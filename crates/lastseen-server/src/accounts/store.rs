//! What a store of accounts must do.

use async_trait::async_trait;
use lastseen::{AccountId, Timestamp, Unavailable};

use super::hashing::PasswordHash;
use super::name::{AccountName, NameKey};

/// A built-in account as a store keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredAccount {
    /// Its identity: random and opaque. It stays when everything else changes.
    pub id: AccountId,
    /// What it is called, as it was typed.
    pub name: AccountName,
    /// What is kept of its password.
    pub password_hash: PasswordHash,
    /// Whether nobody may sign in to it.
    pub disabled: bool,
    /// Grows by one when the password changes or the account is disabled or enabled. Who decides by a
    /// version and acts by it notices when something came in between.
    pub version: i64,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Whether an account was added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Added {
    /// It is there, durably.
    Done,
    /// Another account has that name.
    NameTaken,
    /// It was to be the first, and is not.
    NotTheFirst,
}

/// A change to an account that counts as a new version.
#[derive(Clone, Debug)]
pub enum Change {
    /// Another password.
    Password(PasswordHash),
    /// Nobody may sign in any more, or somebody may again.
    Disabled(bool),
}

/// Keeps accounts and judges nothing. What it answers is durable.
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Adds an account; with `only_as_first` only while there is none. In one step.
    async fn add(&self, account: StoredAccount, only_as_first: bool) -> Result<Added, Unavailable>;

    /// Every account, by name.
    async fn list(&self) -> Result<Vec<StoredAccount>, Unavailable>;

    /// The account whose name has this key.
    async fn find_by_name(&self, key: &NameKey) -> Result<Option<StoredAccount>, Unavailable>;

    /// The account with this id.
    async fn find(&self, id: &AccountId) -> Result<Option<StoredAccount>, Unavailable>;

    /// The hash of some account, always the same one for the same `key` as long as accounts stay the same:
    /// what it costs to check is imitated for a name that has no account.
    async fn hash_for_show(&self, key: &[u8; 16]) -> Result<Option<PasswordHash>, Unavailable>;

    /// Changes the account, if it still has this version. Says whether it had.
    async fn change(
        &self,
        id: &AccountId,
        version: i64,
        change: Change,
    ) -> Result<bool, Unavailable>;

    /// Puts another hash of the same password in the place of `old`, if that is still there.
    async fn strengthen(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), Unavailable>;

    /// Removes the account with all that belongs to it. Says whether it was there.
    async fn remove(&self, id: &AccountId) -> Result<bool, Unavailable>;

    /// How many accounts there are.
    async fn count(&self) -> Result<u64, Unavailable>;
}
