//! Where an account is at home, on pages that show sessions of other programs' accounts.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use lastseen::Session;

/// The application that an account belongs to, as its people know it.
#[derive(Clone, Debug)]
pub struct Home {
    /// What it is called.
    pub name: Arc<str>,
    /// Where its people go back to, if that is known: an address that may be linked to as it is.
    pub way_back: Option<Box<str>>,
}

/// Knows where accounts are at home that are not the service's own.
///
/// Given to [`Site::homes`](super::Site::homes), it is asked for each page that somebody signed in sees. Who has a home
/// elsewhere reads its name beside his own, is offered the way back, and is not offered to change a password here.
pub trait Homes: fmt::Debug + Send + Sync + 'static {
    /// The home of a session's account; `None` where it is the service's own.
    ///
    /// It cannot fail: whatever cannot be found out is left out of the page, which is about something else.
    fn home_of<'a>(
        &'a self,
        session: &'a Session,
    ) -> Pin<Box<dyn Future<Output = Option<Home>> + Send + 'a>>;
}

/// Who sees a page.
pub(super) struct Person<'a> {
    pub(super) account: &'a str,
    pub(super) home: Option<Home>,
}
