//! Built-in accounts: who may sign in.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`name`] | the name, and when two spellings are one name |
//! | [`password`] | the password, and which ones may become one |
//! | [`hashing`] | Argon2id, bounded in number and memory |
//! | [`store`], [`sqlite`], [`postgres`] | what a store of accounts must do, and the two that there are |
//! | [`service`] | the verbs: add, list, password, disable, enable, remove |

pub mod hashing;
pub mod name;
pub mod password;
pub mod postgres;
pub mod service;
pub mod sqlite;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lastseen::{Account, AccountSource};

pub use hashing::{Asker, Busy, Hashing, HashingSettings, PasswordHash};
pub use name::{AccountName, NameKey, NotAName};
pub use password::{Password, PasswordRefusal, judge_new_password};
pub use postgres::{POSTGRES_MIGRATIONS, PostgresAccountStore};
pub use service::{AccountError, AccountSummary, Accounts};
pub use sqlite::{MIGRATIONS, SqliteAccountStore};
pub use store::{AccountStore, Added, Change, StoredAccount};

impl StoredAccount {
    /// The account as sessions know it.
    pub fn as_account(&self) -> Arc<Account> {
        Arc::new(Account::new(
            AccountSource::BuiltIn,
            self.id.clone(),
            self.name.as_str(),
        ))
    }
}

/// The text of an account's id: 32 hexadecimal digits, random and opaque.
fn id_text(bytes: &[u8; 16]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
