//! Where sessions are, by their ids: one line of the processor's cache says it.

use crate::session::SessionId;

/// What fits into a line of 64 bytes.
const SLOTS: usize = 8;

/// Places to a line, on average, that there may be: of three lines one is crowded then, and of fifty places one has gone
/// on to the next line.
const CROWDED: usize = 6;

/// What an index finds a place by: 32 bits of a hash. Two ids that share them are told apart by whoever asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tag(u32);

impl Tag {
    /// What stands where no place is.
    const NONE: u32 = 0;

    /// The tag of an id: its own random bytes. Only ids that we drew are ever inserted.
    #[inline]
    pub(super) fn of(id: SessionId) -> Self {
        let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
        let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let mixed = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self::from_bits((mixed >> 32) as u32)
    }

    fn from_bits(bits: u32) -> Self {
        Self(bits.max(Tag::NONE + 1))
    }
}

/// Eight places and their tags, in one line of the processor's cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line {
    tags: [u32; SLOTS],
    places: [u32; SLOTS],
}

const _: () = assert!(size_of::<Line>() == 64);

impl Line {
    const VACANT: Self = Self {
        tags: [Tag::NONE; SLOTS],
        places: [0; SLOTS],
    };

    /// The place with this tag. Something else where there is none, or more than one.
    ///
    /// All eight are looked at, and at once: to leave off at the right one is a branch that the processor cannot foresee.
    #[inline]
    fn place_of(&self, tag: u32) -> u32 {
        let slots = self.tags.iter().zip(&self.places);
        slots.fold(0, |found, (&other, &place)| {
            found | if other == tag { place } else { 0 }
        })
    }

    fn vacant(&self) -> Option<usize> {
        self.tags.iter().position(|&tag| tag == Tag::NONE)
    }

    fn set(&mut self, slot: usize, (tag, place): (u32, u32)) {
        self.tags[slot] = tag;
        self.places[slot] = place;
    }
}

/// Places by tags.
///
/// A tag says at which line its place stands; where that is full, it stands in the first one after it that had room. So
/// almost every look-up reads one line, and no other memory before the session itself: that is why this is not a map of
/// somebody else's, which keeps tags and places apart. It grows by half, without a look at the sessions.
#[derive(Debug, Default)]
pub(super) struct PlaceIndex {
    lines: Box<[Line]>,
    len: usize,
}

impl PlaceIndex {
    /// Where a tag belongs.
    #[inline]
    fn home_of(&self, tag: u32) -> usize {
        // The product is less than the number of lines, which is a `usize`.
        ((u64::from(tag) * self.lines.len() as u64) >> 32) as usize
    }

    fn after(&self, line: usize) -> usize {
        if line + 1 < self.lines.len() {
            line + 1
        } else {
            0
        }
    }

    /// The place with this tag that is the right one. Whoever says whether it is may be asked for any number, and says no
    /// to one where nothing is.
    #[inline]
    pub(super) fn find(&self, Tag(tag): Tag, is_right: impl Fn(u32) -> bool) -> Option<u32> {
        let home = self.home_of(tag);
        // None where there are no lines at all.
        let place = self.lines.get(home)?.place_of(tag);
        if is_right(place) {
            return Some(place);
        }
        self.search(tag, home, is_right)
    }

    /// Looks at one after the other: for what has gone on from its line, for tags that are there twice, and for what is
    /// not there.
    #[cold]
    fn search(&self, tag: u32, home: usize, is_right: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = home;
        loop {
            let line = &self.lines[at];
            let mut slots = line.tags.iter().zip(&line.places);
            if let Some((_, &place)) =
                slots.find(|&(&other, &place)| other == tag && is_right(place))
            {
                return Some(place);
            }
            // There always is a line with a vacant slot.
            if line.vacant().is_some() {
                return None;
            }
            at = self.after(at);
        }
    }

    /// Puts in a place that is not there yet.
    pub(super) fn insert(&mut self, Tag(tag): Tag, place: u32) {
        if self.len >= self.lines.len() * CROWDED {
            self.grow();
        }
        self.put(tag, place);
        self.len += 1;
    }

    fn put(&mut self, tag: u32, place: u32) {
        let mut at = self.home_of(tag);
        loop {
            if let Some(slot) = self.lines[at].vacant() {
                return self.lines[at].set(slot, (tag, place));
            }
            at = self.after(at);
        }
    }

    fn grow(&mut self) {
        let lines = self.lines.len() + self.lines.len() / 2 + 1;
        let before = std::mem::replace(&mut self.lines, vec![Line::VACANT; lines].into());
        for line in before {
            for (tag, place) in line.tags.into_iter().zip(line.places) {
                if tag != Tag::NONE {
                    self.put(tag, place);
                }
            }
        }
    }

    /// Takes a place out, where it is.
    pub(super) fn remove(&mut self, Tag(tag): Tag, place: u32) {
        let mut at = self.home_of(tag);
        let slot = loop {
            let Some(line) = self.lines.get(at) else {
                return;
            };
            let mut slots = line.tags.iter().zip(&line.places);
            if let Some(slot) = slots.position(|slot| slot == (&tag, &place)) {
                break slot;
            }
            if line.vacant().is_some() {
                return;
            }
            at = self.after(at);
        };
        self.len -= 1;
        self.vacate(at, slot);
    }

    /// Makes a slot vacant. Whatever has gone on because its line was full comes back: a look-up ends at a line with a
    /// vacant slot.
    fn vacate(&mut self, mut hole: usize, mut slot: usize) {
        let mut was_full = self.lines[hole].vacant().is_none();
        self.lines[hole].set(slot, (Tag::NONE, 0));
        let mut at = hole;
        while was_full {
            at = self.after(at);
            was_full = self.lines[at].vacant().is_none();
            let has_passed = |&tag: &u32| {
                tag != Tag::NONE && self.steps(self.home_of(tag), at) >= self.steps(hole, at)
            };
            if let Some(passed) = self.lines[at].tags.iter().position(has_passed) {
                let line = &mut self.lines[at];
                let moved = (line.tags[passed], line.places[passed]);
                line.set(passed, (Tag::NONE, 0));
                self.lines[hole].set(slot, moved);
                (hole, slot) = (at, passed);
            }
        }
    }

    /// Lines from one to another, in the direction in which places go on.
    fn steps(&self, from: usize, to: usize) -> usize {
        if from <= to {
            to - from
        } else {
            to + self.lines.len() - from
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Come(u32),
        Go(u32),
    }

    fn any_step(places: u32) -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..places).prop_map(Step::Come),
            2 => (0..places).prop_map(Step::Go),
        ]
    }

    /// Does the steps, with the tag that each place has, to an index and to a map.
    fn agrees_with_a_map(steps: &[Step], tag_of: impl Fn(u32) -> Tag) {
        let mut index = PlaceIndex::default();
        let mut map: HashMap<u32, Tag> = HashMap::new();
        for &step in steps {
            match step {
                Step::Come(place) if !map.contains_key(&place) => {
                    index.insert(tag_of(place), place);
                    map.insert(place, tag_of(place));
                }
                Step::Come(_) => {}
                Step::Go(place) => {
                    index.remove(tag_of(place), place);
                    map.remove(&place);
                }
            }
            assert_eq!(index.len, map.len());
            assert!(index.len <= index.lines.len() * CROWDED);
        }
        for place in 0..400 {
            let is_right = |other| other == place && map.contains_key(&other);
            let found = index.find(tag_of(place), is_right);
            assert_eq!(found, map.contains_key(&place).then_some(place));
        }
        let taken = index.lines.iter().flat_map(|line| line.tags);
        assert_eq!(taken.filter(|&tag| tag != Tag::NONE).count(), map.len());
    }

    proptest! {
        #[test]
        fn a_place_is_found_from_when_it_comes_until_it_goes(
            steps in proptest::collection::vec(any_step(400), 0..1_500),
            seed in any::<u64>(),
        ) {
            agrees_with_a_map(&steps, |place| {
                let mixed = (u64::from(place) ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                Tag::from_bits((mixed >> 32) as u32)
            });
        }

        #[test]
        fn places_that_crowd_around_one_line_are_found_as_well(
            steps in proptest::collection::vec(any_step(200), 0..600),
            corner in any::<u32>(),
            kinds in 1_u32..40,
        ) {
            agrees_with_a_map(&steps, |place| Tag::from_bits(corner.wrapping_add(place % kinds)));
        }
    }

    #[test]
    fn an_index_of_nothing_finds_nothing() {
        let mut index = PlaceIndex::default();
        assert_eq!(index.find(Tag::from_bits(7), |_| true), None);
        index.remove(Tag::from_bits(7), 7);
        assert_eq!(index.len, 0);
    }

    #[test]
    fn a_place_takes_no_more_than_seventeen_bytes_of_a_large_index() {
        let mut index = PlaceIndex::default();
        for place in 0..100_000 {
            let mixed = u64::from(place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            index.insert(Tag::from_bits((mixed >> 32) as u32), place);
            let bytes = index.lines.len() * size_of::<Line>();
            assert!(place < 1_000 || bytes <= 17 * (place as usize + 1));
        }
    }
}
