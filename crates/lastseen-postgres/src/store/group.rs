//! Sessions, put together by the partition that they are in.

use std::collections::BTreeMap;

use lastseen::SessionId;
use tokio_postgres::types::Type;

use super::rows::{Bytes16, Place};
use crate::database::Parameter;

/// Sessions of one partition's bits, by column.
#[derive(Debug, Default)]
pub(super) struct Group {
    bits: i32,
    sequences: Vec<i64>,
    ids: Vec<Bytes16>,
    /// The places that they had in what was grouped.
    origins: Vec<usize>,
}

impl Group {
    /// In the order of the bits, so that whoever locks several does it in one order.
    pub(super) fn of(ids: impl Iterator<Item = SessionId>) -> Vec<Self> {
        let mut groups: BTreeMap<i32, Self> = BTreeMap::new();
        for (origin, id) in ids.enumerate() {
            let Place { bits, sequence } = Place::of(id);
            let group = groups.entry(bits).or_default();
            group.bits = bits;
            group.sequences.push(sequence);
            group.ids.push(id.into());
            group.origins.push(origin);
        }
        groups.into_values().collect()
    }

    /// Bits, sequences and ids: the parameters that nearly every statement on several sessions begins with.
    pub(super) fn parameters(&self) -> [Parameter<'_>; 3] {
        [
            (&self.bits, Type::INT4),
            (&self.sequences, Type::INT8_ARRAY),
            (&self.ids, Type::UUID_ARRAY),
        ]
    }

    /// What belongs to the sessions of this group, out of what belongs to all of them.
    pub(super) fn pick<Value>(&self, of: impl Fn(usize) -> Value) -> Vec<Value> {
        self.origins.iter().map(|origin| of(*origin)).collect()
    }
}
