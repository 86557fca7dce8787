//! People sign in at the same time, while somebody lists their accounts and terminates what is seen there.

use super::*;
use crate::account::AccountKey;

/// Draws bytes that begin with one number, for ids that differ.
struct Number(u8);

impl Entropy for Number {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// An account without a session, whose store is a list.
struct Hall {
    cache: Cache<Mutex<Partition>>,
    account: Arc<Account>,
    stored: Mutex<Vec<Record>>,
}

impl Hall {
    fn new() -> Arc<Self> {
        Self::with_room_for(16)
    }

    /// One whose cache holds so many sessions.
    fn with_room_for(limit: usize) -> Arc<Self> {
        let room = Arc::into_inner(Room::new()).expect("nobody else has it");
        let record = (room.stored.into_inner().unwrap()).expect("a room has a session");
        Arc::new(Self {
            cache: Cache {
                limit,
                ..room.cache
            },
            account: record.account,
            stored: Mutex::default(),
        })
    }

    fn key(&self) -> &AccountKey {
        &self.account.key
    }

    /// What `Sessions::create` does with the cache and the store.
    fn sign_in(&self, number: u8) -> SessionId {
        let record = record(&self.account, number);
        let fill = self.cache.begin_fill(self.key().partition());
        let first = self.store(&record);
        self.cache.created(&fill, &record, first);
        record.id
    }

    /// Whether it is the first on record.
    fn store(&self, record: &Record) -> bool {
        let mut stored = self.stored.lock().unwrap();
        stored.push(record.clone());
        // Nothing is purged: what has ended stays on record.
        stored.len() == 1
    }

    fn terminate(&self, id: SessionId) {
        let under_way = self.cache.begin_ending(vec![id]);
        for record in self.stored.lock().unwrap().iter_mut() {
            if record.id == id {
                record.expired = true;
            }
        }
        self.cache.ended(id);
        drop(under_way);
    }

    /// Those on record that have not ended.
    fn live(&self) -> Vec<Record> {
        let stored = self.stored.lock().unwrap();
        stored.iter().filter(|it| !it.expired).cloned().collect()
    }

    fn list(&self) -> Vec<SessionId> {
        let ids = |sessions: &mut dyn Iterator<Item = crate::Session>| {
            sessions.map(|session| session.id).collect()
        };
        if let Some(listed) = self.cache.read_account(self.key(), None, ids) {
            return listed;
        }
        let fill = self.cache.begin_fill(self.key().partition());
        let records = self.live();
        self.cache.finish_account_fill(&fill, self.key(), &records);
        records.iter().map(|record| record.id).collect()
    }
}

/// A session of an account, that begins now.
fn record(account: &Arc<Account>, number: u8) -> Record {
    let template = Room::new().find().expect("a room has a session");
    Record {
        id: SessionId::generate(&account.key, BEGIN, &Number(number)),
        account: Arc::clone(account),
        ..template
    }
}

fn people_who_sign_in(hall: &Arc<Hall>) -> Vec<thread::JoinHandle<SessionId>> {
    let sign_in = |number| {
        let hall = Arc::clone(hall);
        thread::spawn(move || hall.sign_in(number))
    };
    (1..4).map(sign_in).collect()
}

fn sorted(mut ids: Vec<SessionId>) -> Vec<SessionId> {
    ids.sort_unstable();
    ids
}

#[test]
fn all_who_sign_in_at_the_same_time_are_in_memory_and_listed() {
    check(|| {
        let hall = Hall::new();
        let people = people_who_sign_in(&hall);
        let ids = sorted(people.into_iter().map(|one| one.join().unwrap()).collect());
        assert!(ids.iter().all(|id| hall.cache.peek(*id).is_some()));
        assert_eq!(sorted(hall.list()), ids);
    });
}

#[test]
fn whoever_has_signed_in_is_listed_whatever_is_written_about_others() {
    check(|| {
        let hall = Hall::new();
        let people = people_who_sign_in(&hall);
        // Somebody else's session, of the same partition.
        hall.cache.ended(SessionId::from_bytes([9; 16]));
        let ids = people.into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(sorted(hall.list()), sorted(ids));
    });
}

#[test]
fn what_is_terminated_while_others_sign_in_stays_terminated() {
    check(|| {
        let hall = Hall::new();
        let people = people_who_sign_in(&hall);
        let seen = hall.list().first().copied();
        if let Some(id) = seen {
            hall.terminate(id);
            assert!(hall.cache.peek(id).is_none());
            assert!(!hall.list().contains(&id));
        }
        let ids = people.into_iter().map(|one| one.join().unwrap());
        let live = ids.filter(|id| Some(*id) != seen).collect();
        assert!(seen.is_none_or(|id| hall.cache.peek(id).is_none()));
        assert_eq!(sorted(hall.list()), sorted(live));
    });
}

#[test]
fn whoever_has_signed_in_is_listed_where_memory_had_no_room() {
    check(|| {
        let hall = Hall::with_room_for(1);
        let first = record(&hall.account, 1);
        let fill = hall.cache.begin_fill(hall.key().partition());
        assert!(hall.store(&first));
        let second = hall.sign_in(2);
        let id = AccountId::new("bob").unwrap();
        let bob = Arc::new(Account::new(AccountSource::BuiltIn, id, "bob"));
        let of_bob = record(&bob, 3);
        let fill_of_bob = hall.cache.begin_fill(hall.key().partition());
        hall.cache.created(&fill_of_bob, &of_bob, true);
        assert!(hall.cache.peek(second).is_none(), "bob's takes its place");
        // Only now does the first hear that it is there.
        hall.cache.created(&fill, &first, true);
        assert_eq!(sorted(hall.list()), sorted(vec![first.id, second]));
    });
}

#[test]
fn whoever_has_signed_in_is_listed_where_the_next_one_took_their_room() {
    check(|| {
        let hall = Hall::with_room_for(1);
        let first = record(&hall.account, 1);
        let fill = hall.cache.begin_fill(hall.key().partition());
        assert!(hall.store(&first));
        let second = hall.sign_in(2);
        hall.cache.created(&fill, &first, true);
        assert!(hall.cache.peek(second).is_none(), "the first took its room");
        assert_eq!(sorted(hall.list()), sorted(vec![first.id, second]));
    });
}
