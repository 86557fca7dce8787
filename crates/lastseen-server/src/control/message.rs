//! What is asked of the owner of a database, and what it answers.

use std::fmt;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Adds a built-in account.
    AddAccount {
        /// Its name.
        name: String,
        /// Its password.
        password: Password,
    },
    /// Lists the built-in accounts.
    ListAccounts,
    /// Gives an account a new password and ends its sessions.
    SetPassword {
        /// The account's name.
        name: String,
        /// The new password.
        password: Password,
    },
    /// Refuses an account from now on and ends its sessions.
    DisableAccount {
        /// The account's name.
        name: String,
    },
    /// Lets a disabled account sign in again.
    EnableAccount {
        /// The account's name.
        name: String,
    },
    /// Removes an account and ends its sessions.
    RemoveAccount {
        /// The account's name.
        name: String,
    },
    /// Lists sessions of all accounts.
    ListSessions {
        /// Only those of this account.
        account: Option<String>,
        /// Only those last used from this network.
        network: Option<IpNet>,
    },
    /// Ends sessions by their ids, all or none.
    TerminateSessions {
        /// The ids.
        ids: Vec<String>,
    },
    /// Ends every session of an account.
    TerminateAccount {
        /// The account's name.
        name: String,
    },
    /// Ends every session of every account.
    TerminateEverything,
    /// Adds an application; the answer has its key.
    AddApplication {
        /// Its name.
        name: String,
    },
    /// Lists the applications.
    ListApplications,
    /// Refuses an application's key from now on, ends the sessions of its accounts and removes it.
    RemoveApplication {
        /// Its name.
        name: String,
    },
    /// Copies the database into a new file.
    Backup {
        /// The file; its path is absolute.
        file: PathBuf,
    },
}

/// A line of an answer. Any number of rows, then one of [`Response::Done`] and [`Response::Refused`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// An account.
    Account {
        /// Its name.
        name: String,
        /// Whether it may not sign in.
        disabled: bool,
        /// When it was added, in RFC 3339.
        created_at: String,
    },
    /// A session in the form that the HTTP interface has for it.
    Session {
        /// The JSON object.
        session: Box<RawValue>,
    },
    /// The key of a new application: the only time that it is told.
    ApplicationKey {
        /// The key.
        key: Key,
    },
    /// An application.
    Application {
        /// Its name.
        name: String,
        /// Whether its removal broke off and must be asked for again.
        is_leaving: bool,
        /// When it was added, in RFC 3339.
        added_at: String,
    },
    /// The owner is still at work. Says nothing about the request.
    Working,
    /// It was done.
    Done {
        /// What to say about it, if there is anything to say.
        line: Option<String>,
    },
    /// It was refused, or it failed.
    Refused {
        /// Why, in one line.
        line: String,
    },
}

impl Response {
    /// It was refused, or it failed.
    pub(crate) fn refused(line: impl fmt::Display) -> Self {
        Self::Refused {
            line: line.to_string(),
        }
    }
}

/// A password on its way to be hashed. It cannot be printed, and leaves the memory when it is dropped.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// A password that a person typed.
    pub fn new(password: &str) -> Self {
        Self(password.to_owned())
    }

    /// The password in the clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// An application's key on its way to whoever asked for it. It cannot be printed by accident, and leaves the memory when
/// it is dropped.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The key that this text is.
    pub fn new(key: String) -> Self {
        Self(key)
    }

    /// The key in the clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(..)")
    }
}

/// What the owner says first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Greeting {
    /// The version of the program, for people.
    pub(super) lastseen: String,
    /// The version of what is said on the socket.
    pub(super) protocol: u32,
}
