//! Which transactions are visible, as PostgreSQL writes it down.

use std::str::FromStr;

use crate::confirm::Xid;

/// A `pg_snapshot`: `xmin:xmax:xip,xip,…`. Kept in its own words, to be given back as it came.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Snapshot {
    text: String,
    /// All below have ended.
    xmin: u64,
    /// None from here on has.
    xmax: u64,
    /// Those in between that have not, in order.
    in_progress: Vec<u64>,
}

/// Text that is no snapshot.
#[derive(Debug, thiserror::Error)]
#[error("not a snapshot")]
pub(super) struct NoSnapshot;

impl FromStr for Snapshot {
    type Err = NoSnapshot;

    fn from_str(text: &str) -> Result<Self, NoSnapshot> {
        let number = |text: &str| text.parse().map_err(|_| NoSnapshot);
        let mut parts = text.split(':');
        let (Some(xmin), Some(xmax), Some(list), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoSnapshot);
        };
        let list = list.split(',').filter(|part| !part.is_empty());
        Ok(Self {
            text: text.to_owned(),
            xmin: number(xmin)?,
            xmax: number(xmax)?,
            in_progress: list.map(number).collect::<Result<_, _>>()?,
        })
    }
}

impl Snapshot {
    /// As PostgreSQL wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a transaction that was committed is visible.
    pub(super) fn shows(&self, xid: Xid) -> bool {
        xid.0 < self.xmin || (xid.0 < self.xmax && self.in_progress.binary_search(&xid.0).is_err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_had_ended_when_it_was_taken() {
        let snapshot: Snapshot = "10:14:11,13".parse().unwrap();
        let shown: Vec<u64> = (8..16).filter(|&xid| snapshot.shows(Xid(xid))).collect();
        assert_eq!(shown, [8, 9, 10, 12]);
        assert_eq!(snapshot.as_str(), "10:14:11,13");
        assert!(!"10:10:".parse::<Snapshot>().unwrap().shows(Xid(10)));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "1", "1:2", "1:2:3:4", "a:b:", "1:2:x"] {
            assert!(text.parse::<Snapshot>().is_err(), "{text}");
        }
    }
}
