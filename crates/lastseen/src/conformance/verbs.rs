//! What the verbs make of a store.

mod expire;
mod list;
mod terminate;
mod tokens;
mod uses;

use std::sync::Arc;

pub use expire::*;
pub use list::*;
pub use terminate::*;
pub use tokens::*;
pub use uses::*;

use crate::account::{AccountSource, ApplicationId};
use crate::sessions::{Refusal, Verdict};
use crate::store::Store;

type AnyStore = Arc<dyn Store>;

fn refusal(verdict: &Verdict) -> Option<Refusal> {
    match verdict {
        Verdict::Active(_) => None,
        Verdict::Refused(refusal) => Some(*refusal),
    }
}

fn application(number: u32) -> AccountSource {
    AccountSource::Application(ApplicationId(number))
}
