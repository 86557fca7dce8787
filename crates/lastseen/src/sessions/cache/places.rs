//! Values at numbered places that never move.

use std::ops::{Index, IndexMut};

/// Values in a piece: 64 kilobytes of sessions, so that what leads to the pieces of many sessions is a few lines of the
/// processor's cache. What of a piece was never used takes address space, and no memory.
const PIECE: usize = 512;

/// No place: the end of a chain.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Values, each at a place that stays the same until the value is removed; a vacant place is given away again.
///
/// They lie in pieces that are never moved: one more value costs at most one piece, however many there are, and
/// nobody waits for a copy of them all.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Places<Value> {
    /// All full but the last, and each with room for [`PIECE`] values.
    pieces: Vec<Vec<Place<Value>>>,
    taken: usize,
    /// The vacant place that is given away next.
    vacant: u32,
}

#[derive(Debug)]
enum Place<Value> {
    Taken(Value),
    /// With the vacant place that comes after it.
    Vacant(u32),
}

impl<Value> Default for Places<Value> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            vacant: NOWHERE,
            taken: 0,
        }
    }
}

impl<Value> Places<Value> {
    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Puts a value into a place; which one is the answer.
    pub(super) fn insert(&mut self, value: Value) -> u32 {
        self.taken += 1;
        let at = self.vacant;
        if let Some(place) = self.place_mut(at)
            && let Place::Vacant(next) = *place
        {
            *place = Place::Taken(value);
            self.vacant = next;
            return at;
        }
        self.append(Place::Taken(value))
    }

    fn append(&mut self, place: Place<Value>) -> u32 {
        if self.pieces.last().is_none_or(|last| last.len() == PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        let first = (self.pieces.len() - 1) * PIECE;
        let piece = &mut self.pieces[first / PIECE];
        let at = first + piece.len();
        piece.push(place);
        u32::try_from(at)
            .expect("a process has no memory for four thousand million sessions in one partition")
    }

    /// Removes the value at a place, where there is one.
    pub(super) fn remove(&mut self, at: u32) -> Option<Value> {
        let vacant = self.vacant;
        let place = self.place_mut(at)?;
        match std::mem::replace(place, Place::Vacant(vacant)) {
            Place::Taken(value) => {
                self.vacant = at;
                self.taken -= 1;
                Some(value)
            }
            was_vacant @ Place::Vacant(_) => {
                *place = was_vacant;
                None
            }
        }
    }

    /// The value at a place, where there is one.
    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&Value> {
        let at = at as usize;
        match self.pieces.get(at / PIECE)?.get(at % PIECE)? {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    #[inline]
    fn place_mut(&mut self, at: u32) -> Option<&mut Place<Value>> {
        let at = at as usize;
        self.pieces.get_mut(at / PIECE)?.get_mut(at % PIECE)
    }

    /// Every value, with its place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Value)> {
        (0..NOWHERE)
            .zip(self.pieces.iter().flat_map(|piece| piece.iter()))
            .filter_map(|(at, place)| match place {
                Place::Taken(value) => Some((at, value)),
                Place::Vacant(_) => None,
            })
    }
}

/// For places that are known to be taken: they stand in an index or a chain, from which they are taken before the
/// value is removed.
impl<Value> Index<u32> for Places<Value> {
    type Output = Value;

    #[inline]
    fn index(&self, at: u32) -> &Value {
        self.get(at).expect("what an index leads to is there")
    }
}

impl<Value> IndexMut<u32> for Places<Value> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut Value {
        match self.place_mut(at) {
            Some(Place::Taken(value)) => value,
            Some(Place::Vacant(_)) | None => panic!("what an index leads to is there"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_where_it_is_while_others_come_and_go() {
        let mut places = Places::default();
        let at: Vec<u32> = (0..100_usize).map(|value| places.insert(value)).collect();
        for &gone in &at[..50] {
            assert!(places.remove(gone).is_some());
            assert_eq!(places.remove(gone), None);
        }
        assert_eq!(places.len(), 50);
        assert!((50..100).all(|value| places[at[value]] == value));
        assert!(at[..50].iter().all(|&gone| places.get(gone).is_none()));
    }

    #[test]
    fn a_place_that_was_left_is_given_away_again() {
        let mut places = Places::default();
        let at: Vec<u32> = (0..64).map(|value| places.insert(value)).collect();
        places.remove(at[7]);
        places.remove(at[40]);
        let mut again = [places.insert(1007), places.insert(1040)];
        again.sort_unstable();
        assert_eq!(again, [at[7], at[40]]);
        assert_eq!(places.len(), 64);
        let mut seen: Vec<u32> = places.iter().map(|(at, _)| at).collect();
        seen.dedup();
        assert_eq!(seen, (0..64).collect::<Vec<u32>>());
    }

    #[test]
    fn nothing_is_at_a_place_that_was_never_given_away() {
        let mut places = Places::default();
        assert!(places.get(0).is_none());
        places.insert(());
        assert!(places.get(1).is_none());
        assert!(places.get(NOWHERE).is_none());
        assert_eq!(places.remove(NOWHERE), None);
    }
}
