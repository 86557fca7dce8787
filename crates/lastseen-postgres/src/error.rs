//! What can go wrong, in words for the operator.

use std::path::PathBuf;
use std::sync::Arc;

use lastseen::Unavailable;
use tokio_postgres::error::SqlState;

/// A statement that was not done, or of which nobody knows whether it was.
///
/// One error answers everybody whose statements shared a transaction, so it can be cloned. None of them
/// says a password or what was in a row.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The database could not be reached, or the connection broke.
    #[error("the database cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// It took longer than [`Options::patience`](crate::Options::patience). What was asked may have happened.
    #[error("the database did not answer in time")]
    TimedOut,
    /// More waits than is sensible, here or at the server: refused at once, not done later.
    #[error("too much is waiting for the database")]
    Overloaded,
    /// The database takes no writes: a standby, or told to be read-only.
    #[error("the database is read-only")]
    ReadOnly,
    /// The server says that it has no room.
    #[error("the database server is out of room: {0}")]
    NoRoom(Arc<str>),
    /// What is in a row cannot have been written by Lastseen.
    #[error("the database holds what Lastseen cannot have written: {0}")]
    Corrupt(Arc<str>),
    /// The database was closed, before or while this waited.
    #[error("the database is closed")]
    Closed,
    /// The server refused: a constraint, a missing right, a deadlock. Nothing was kept.
    #[error("the database refused: {message} (SQLSTATE {code})")]
    Refused {
        /// The five characters that PostgreSQL's documents list.
        code: Arc<str>,
        /// In the server's words.
        message: Arc<str>,
        /// The constraint, where it was one.
        constraint: Option<Arc<str>>,
    },
}

impl From<lastseen::store::devices::NotADevice> for Error {
    fn from(damage: lastseen::store::devices::NotADevice) -> Self {
        Self::Corrupt(damage.to_string().into())
    }
}

impl Error {
    /// Whether the server refused with this state.
    pub fn is(&self, state: &SqlState) -> bool {
        matches!(self, Self::Refused { code, .. } if **code == *state.code())
    }

    /// Whether a row of the same key was there.
    pub fn is_taken(&self) -> bool {
        self.is(&SqlState::UNIQUE_VIOLATION)
    }

    /// Whether the fault may be with what was sent rather than with the database.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether the same transaction may well succeed when it is run again: others were in its way.
    pub(crate) fn passes(&self) -> bool {
        self.is(&SqlState::T_R_DEADLOCK_DETECTED) || self.is(&SqlState::T_R_SERIALIZATION_FAILURE)
    }

    /// Whether a commit failed for the notification alone: PostgreSQL's queue of them is full.
    pub(crate) fn is_untold(&self) -> bool {
        self.is(&SqlState::PROGRAM_LIMIT_EXCEEDED)
    }

    /// Whether the cause is the server and its surroundings rather than this one statement: then the database
    /// counts as unavailable until a write has succeeded again.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(self, Self::ReadOnly | Self::NoRoom(_))
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return Self::Unreachable(with_causes(&error).into());
        };
        let (state, message) = (refusal.code(), Arc::from(refusal.message()));
        match state.code().get(..2) {
            // The server goes down, comes up, or has no connection left; PgBouncer's own words are 08.
            Some("08" | "57") if *state != SqlState::QUERY_CANCELED => Self::Unreachable(message),
            _ if *state == SqlState::QUERY_CANCELED
                || *state == SqlState::LOCK_NOT_AVAILABLE
                || *state == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT =>
            {
                Self::TimedOut
            }
            _ if *state == SqlState::TOO_MANY_CONNECTIONS => Self::Overloaded,
            _ if *state == SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly,
            // Disk full, out of memory, and what the file system says.
            Some("53" | "58") => Self::NoRoom(message),
            Some("XX") => Self::Corrupt(message),
            _ => Self::Refused {
                code: state.code().into(),
                message,
                constraint: refusal.constraint().map(Arc::from),
            },
        }
    }
}

impl From<Error> for Unavailable {
    fn from(error: Error) -> Self {
        Self::because(error)
    }
}

/// The library's errors say where they arose, and their causes what it was.
fn with_causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

/// An address that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// It is of another kind.
    #[error("begins with postgres:// or postgresql://")]
    Scheme,
    /// It says no user: the name of whoever started the program is no good guess.
    #[error("names no user: postgres://USER@HOST/DATABASE")]
    NoUser,
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// `sslmode` is none that is offered.
    #[error("sslmode is disable, prefer, require, verify-ca or verify-full, not {0}")]
    Mode(Arc<str>),
    /// A file that it names cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Arc<str>,
    },
    /// There is nobody whose signature counts.
    #[error("no certificate authority to verify the server with: name one with sslrootcert")]
    NoRoots,
    /// A certificate and its key do not go together, or are of a kind that is not supported.
    #[error("TLS cannot be set up: {0}")]
    Tls(Arc<str>),
}

/// A database that was not opened. Nothing was changed, or whole migrations.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached, or refused.
    #[error("{address}: {reason}")]
    Failed {
        /// Which database, without its password.
        address: Arc<str>,
        /// What went wrong.
        reason: Error,
    },
    /// A newer version of the program has changed it in a way that this one cannot work with.
    #[error(
        "{address}: was changed by a newer version: its {set} are at migration {found}, this program knows up to {known}"
    )]
    Newer {
        /// Which database.
        address: Arc<str>,
        /// The set of migrations that is ahead.
        set: String,
        /// The newest migration that the database has.
        found: u32,
        /// The newest migration that this program knows; 0 where it does not know the set.
        known: u32,
    },
    /// A migration that the database has is not the one that this program knows by the number.
    #[error("{address}: migration {number} of its {set} is not the one that this program knows")]
    OtherMigration {
        /// Which database.
        address: Arc<str>,
        /// The set of migrations.
        set: String,
        /// Which one differs.
        number: u32,
    },
    /// It is older than PostgreSQL 13, whose transaction numbers can be compared.
    #[error("{address}: is PostgreSQL {found}; 13 or newer is needed")]
    TooOld {
        /// Which database.
        address: Arc<str>,
        /// What it calls itself.
        found: Arc<str>,
    },
}
