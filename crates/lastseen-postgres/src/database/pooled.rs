//! What becomes of the connections of the pool when they were used.

use deadpool_postgres::Object;

use crate::error::Error;

/// Throws away the connections that nobody uses at the moment. Where one stayed without an answer, a link may
/// have been cut that all of them went over, and each would keep somebody waiting to find out.
pub(super) fn forget_idle(client: &Object) {
    if let Some(pool) = Object::pool(client) {
        pool.retain(|_, _| false);
    }
}

/// A connection that was asked something. Dropped before the answer, also because nobody waits for it any more, it is
/// thrown away: whoever came next would wait for that answer too.
pub(super) struct Unanswered(Option<Object>);

impl Unanswered {
    pub(super) fn new(client: Object) -> Self {
        Self(Some(client))
    }

    pub(super) fn get(&self) -> Result<&Object, Error> {
        self.0.as_ref().ok_or(Error::Closed)
    }

    /// The connection goes back to the others.
    pub(super) fn was_answered(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            discard(client);
        }
    }
}

/// Throws a connection away, whatever it is in the middle of.
pub(super) fn discard(client: Object) {
    drop(Object::take(client));
}
