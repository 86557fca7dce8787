//! Whose sessions they are.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The longest account id, in bytes: the contract's limit, room for a mail address or two UUIDs.
pub const LONGEST_ACCOUNT_ID: usize = 128;

/// The id of an account within its source: opaque, 1 to 128 bytes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId(Arc<str>);

/// An account id that is empty or longer than [`LONGEST_ACCOUNT_ID`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an account id has 1 to {LONGEST_ACCOUNT_ID} bytes")]
pub struct AccountIdLength;

impl AccountId {
    /// The id `id`, unchanged.
    ///
    /// # Errors
    /// [`AccountIdLength`] where it is empty or too long.
    pub fn new(id: &str) -> Result<Self, AccountIdLength> {
        if id.is_empty() || id.len() > LONGEST_ACCOUNT_ID {
            return Err(AccountIdLength);
        }
        Ok(Self(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The number of an application that brings accounts of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ApplicationId(pub u32);

/// Where an account is defined. Equal ids of different sources are different accounts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AccountSource {
    /// The accounts that Lastseen itself keeps.
    BuiltIn,
    /// The accounts that an application has named.
    Application(ApplicationId),
}

impl AccountSource {
    /// The source as one number, for stores: 0 is built-in, others are the application's.
    pub fn number(self) -> u32 {
        match self {
            Self::BuiltIn => 0,
            Self::Application(ApplicationId(number)) => number,
        }
    }

    /// The source that [`AccountSource::number`] wrote as `number`.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::BuiltIn,
            number => Self::Application(ApplicationId(number)),
        }
    }
}

/// The identity of an account: its source and its id there.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountKey {
    /// Where the account is defined.
    pub source: AccountSource,
    /// Its id there.
    pub id: AccountId,
}

impl AccountKey {
    /// 16 bits that every session id of this account begins with.
    ///
    /// They let every statement about sessions, by token, by id or by account, go to one partition.
    pub fn partition(&self) -> u16 {
        let digest = Sha256::new()
            .chain_update(self.source.number().to_be_bytes())
            .chain_update(self.id.as_str())
            .finalize();
        u16::from_be_bytes([digest[0], digest[1]])
    }
}

/// An account: its identity and the name that people know it by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Its identity.
    pub key: AccountKey,
    /// What it is called. For showing only.
    pub name: Arc<str>,
}

impl Account {
    /// The account `id` of `source`, called `name`.
    pub fn new(source: AccountSource, id: AccountId, name: &str) -> Self {
        Self {
            key: AccountKey { source, id },
            name: name.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_has_one_to_128_bytes() {
        assert_eq!(AccountId::new(""), Err(AccountIdLength));
        assert!(AccountId::new(&"a".repeat(128)).is_ok());
        assert_eq!(AccountId::new(&"a".repeat(129)), Err(AccountIdLength));
    }

    #[test]
    fn the_same_id_at_another_source_is_another_account() {
        let id = AccountId::new("ada").unwrap();
        let own = AccountKey {
            source: AccountSource::BuiltIn,
            id: id.clone(),
        };
        let foreign = AccountKey {
            source: AccountSource::Application(ApplicationId(1)),
            id,
        };
        assert_ne!(own, foreign);
        assert_ne!(own.partition(), foreign.partition());
    }

    #[test]
    fn a_source_survives_its_number() {
        for source in [
            AccountSource::BuiltIn,
            AccountSource::Application(ApplicationId(7)),
        ] {
            assert_eq!(AccountSource::from_number(source.number()), source);
        }
    }
}
