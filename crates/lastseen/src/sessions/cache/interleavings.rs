//! Every order in which threads can meet in the cache, as far as a checker finds them.
//!
//! The store is one lock here; what is checked is the cache between two reads and writes of it. The
//! schedules are shuttle's: at each lock another thread may go on.

mod leased;
mod sign_ins;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use shuttle::sync::Mutex;
use shuttle::thread;

use super::{Basis, Brought, Cache, Haste, Known, Lock, Partition, Shown, unknown_device};
use crate::account::{Account, AccountId, AccountSource};
use crate::policy::{Policy, PolicyHistory, PolicyNumber};
use crate::session::SessionId;
use crate::store::{Authority, Origin, Record, Use};
use crate::time::{Entropy, Timestamp};
use crate::token::{SecretHash, SessionToken};

/// Schedules tried for each test; thousands find every bug that was ever put in on purpose.
const SCHEDULES: usize = 5_000;

impl Lock for Mutex<Partition> {
    fn new(partition: Partition) -> Self {
        Self::new(partition)
    }

    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer {
        act(&mut self.lock().expect("no test panics under the lock"))
    }
}

struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

const BEGIN: Timestamp = Timestamp::from_millisecond(1_000_000);

fn at(millisecond: u64) -> Timestamp {
    BEGIN.saturating_add(Duration::from_millis(millisecond))
}

/// One session, its store, and the cache between: small enough for many schedules.
struct Room {
    cache: Cache<Mutex<Partition>>,
    stored: Mutex<Option<Record>>,
    id: SessionId,
}

impl Room {
    fn new() -> Arc<Self> {
        Self::over(Authority::Sole)
    }

    fn over(authority: Authority) -> Arc<Self> {
        let account = Arc::new(Account::new(
            AccountSource::BuiltIn,
            AccountId::new("ada").unwrap(),
            "ada",
        ));
        let id = SessionId::generate(&account.key, BEGIN, &Sevens);
        let origin = Origin {
            ip_address: None,
            device: unknown_device(),
        };
        let record = Record {
            id,
            account,
            token_hash: SessionToken::generate(*id.as_bytes(), &Sevens).hash(),
            token_generation: 0,
            page_token_hash: None,
            policy: PolicyNumber(0),
            remembered: false,
            created_at: BEGIN,
            first: origin.clone(),
            last_used_at: BEGIN,
            last: origin,
            expired: false,
            ended: None,
        };
        let policy = Policy {
            idle_timeout: Duration::from_millis(100),
            remembered_idle_timeout: Duration::from_millis(100),
            absolute_lifetime: Duration::from_millis(1_000),
        };
        Arc::new(Self {
            // One partition would do; the checker takes each lock for a place to switch.
            cache: Cache {
                partitions: [Lock::new(Partition::default())].into(),
                limit: 16,
                basis: Basis::new(authority, PolicyHistory::new(&[policy]).unwrap()),
            },
            stored: Mutex::new(Some(record)),
            id,
        })
    }

    fn token_hash(&self) -> SecretHash {
        SessionToken::generate(*self.id.as_bytes(), &Sevens).hash()
    }

    fn find(&self) -> Option<Record> {
        self.stored.lock().unwrap().clone()
    }

    /// What `Sessions::validate` does with the cache and the store.
    fn validate(&self, hash: &SecretHash, now: Timestamp, last: u8) -> bool {
        let brought = Brought {
            at: now,
            ip_address: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, last))),
            device_fingerprint: 0,
            device: None,
            haste: Haste::NONE,
            can_wait: true,
        };
        let shown = Shown {
            id: self.id,
            hash: *hash,
            source: None,
        };
        let mut known = (self.cache).use_session(self.id, || (&shown, &brought), |_| ());
        for _ in 0..10 {
            match known {
                Known::Active(()) => return true,
                Known::Expired(_) | Known::WrongSecret => return false,
                Known::DeviceWanted => unreachable!("the client says nothing of itself"),
                Known::OtherSource => unreachable!("nobody asks for one source"),
                Known::ActiveOnceWritten(()) => unreachable!("nobody is in haste"),
                Known::Nothing => {}
            }
            let fill = self.cache.begin_fill(self.id.partition());
            let Some(record) = self.find() else {
                return false;
            };
            let judged = self
                .cache
                .use_read(&fill, &record, &shown, &brought, false, |_| ());
            known = judged.unwrap_or(Known::Nothing);
        }
        false
    }

    /// What `Sessions::list` does where the account is not cached.
    fn list(&self) -> usize {
        let key = crate::account::AccountKey {
            source: AccountSource::BuiltIn,
            id: AccountId::new("ada").unwrap(),
        };
        let count = |sessions: &mut dyn Iterator<Item = crate::Session>| sessions.count();
        if let Some(count) = self.cache.read_account(&key, None, count) {
            return count;
        }
        let fill = self.cache.begin_fill(self.id.partition());
        let records: Vec<Record> = self.find().into_iter().collect();
        self.cache.finish_account_fill(&fill, &key, &records);
        records.len()
    }

    /// The store first, then memory.
    fn terminate(&self) {
        let under_way = self.cache.begin_ending(vec![self.id]);
        *self.stored.lock().unwrap() = None;
        self.cache.ended(self.id);
        drop(under_way);
    }

    fn flush(&self) -> Vec<Use> {
        let mut written = Vec::new();
        let mut unwritten = self.cache.unwritten();
        while unwritten.gather() {}
        loop {
            let uses = unwritten.next(1);
            if uses.is_empty() {
                return written;
            }
            if let Some(record) = self.stored.lock().unwrap().as_mut() {
                for used in &uses {
                    if record.last_used_at <= used.at {
                        record.last_used_at = used.at;
                        record.last = used.origin.clone();
                    }
                }
            }
            self.cache.recorded(&uses);
            written.extend(uses);
        }
    }
}

fn check(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, SCHEDULES);
}

#[test]
fn terminated_stays_terminated_whatever_a_validation_a_list_and_a_flush_do_meanwhile() {
    check(|| {
        let room = Room::new();
        let others: Vec<_> = (0..4)
            .map(|number| {
                let room = Arc::clone(&room);
                thread::spawn(move || match number {
                    0 | 1 => {
                        room.validate(&room.token_hash(), at(number + 1), 1);
                    }
                    2 => {
                        room.list();
                    }
                    _ => {
                        room.flush();
                    }
                })
            })
            .collect();
        room.terminate();
        // The termination is answered here: from now on nobody may be let in.
        assert!(!room.validate(&room.token_hash(), at(5), 1));
        assert_eq!(room.list(), 0);
        for other in others {
            other.join().unwrap();
        }
        assert!(!room.validate(&room.token_hash(), at(5), 1));
        assert_eq!(room.list(), 0);
        assert_eq!(room.cache.len(), 0);
    });
}

#[test]
fn what_is_not_in_the_store_any_more_is_refused_before_whoever_ended_it_is_answered() {
    check(|| {
        let room = Room::new();
        let others: Vec<_> = (0..3)
            .map(|number| {
                let room = Arc::clone(&room);
                thread::spawn(move || match number {
                    0 => room.terminate(),
                    1 => _ = room.validate(&room.token_hash(), at(1), 1),
                    _ => _ = room.list(),
                })
            })
            .collect();
        room.validate(&room.token_hash(), at(2), 1);
        if room.find().is_none() {
            // Somebody else has found nothing left to end, and was answered.
            assert!(!room.validate(&room.token_hash(), at(3), 1));
        }
        for other in others {
            other.join().unwrap();
        }
        assert!(!room.validate(&room.token_hash(), at(4), 1));
        assert_eq!(room.list(), 0);
    });
}

#[test]
fn a_session_that_somebody_terminates_before_its_creator_hears_that_it_is_there_stays_terminated() {
    check(|| {
        let room = Room::new();
        let record = room.stored.lock().unwrap().take().unwrap();
        let creator = {
            let room = Arc::clone(&room);
            thread::spawn(move || {
                let fill = room.cache.begin_fill(room.id.partition());
                *room.stored.lock().unwrap() = Some(record.clone());
                room.cache.created(&fill, &record, true);
            })
        };
        // Whoever lists the account sees it as soon as the store has it.
        let is_seen = room.list() == 1;
        if is_seen {
            room.terminate();
            assert!(!room.validate(&room.token_hash(), at(1), 1));
        }
        creator.join().unwrap();
        assert_eq!(room.validate(&room.token_hash(), at(1), 1), !is_seen);
        assert_eq!(room.list() == 0, is_seen);
    });
}

#[test]
fn an_old_token_stays_refused_whatever_fill_was_under_way_at_its_renewal() {
    check(|| {
        let room = Room::new();
        let others: Vec<_> = (0..3)
            .map(|number| {
                let room = Arc::clone(&room);
                thread::spawn(move || match number {
                    0 | 1 => {
                        room.validate(&room.token_hash(), at(1), 1);
                    }
                    _ => {
                        room.list();
                    }
                })
            })
            .collect();
        let renewed = SecretHash::from_bytes([9; 32]);
        if let Some(record) = room.stored.lock().unwrap().as_mut() {
            (record.token_hash, record.token_generation) = (renewed, 1);
        }
        room.cache.renewed(room.id, renewed, 1);
        assert!(!room.validate(&room.token_hash(), at(2), 1));
        for other in others {
            other.join().unwrap();
        }
        assert!(!room.validate(&room.token_hash(), at(2), 1));
        assert!(room.validate(&renewed, at(2), 1));
    });
}

#[test]
fn last_use_never_goes_backwards_and_none_is_lost_between_uses_and_flushes() {
    check(|| {
        let room = Room::new();
        let users: Vec<_> = (1..4)
            .map(|number| {
                let room = Arc::clone(&room);
                thread::spawn(move || room.validate(&room.token_hash(), at(number * 10), 1))
            })
            .collect();
        let flusher = {
            let room = Arc::clone(&room);
            thread::spawn(move || room.flush())
        };
        for user in users {
            assert!(user.join().unwrap());
        }
        flusher.join().unwrap();
        room.flush();
        assert_eq!(room.find().unwrap().last_used_at, at(30));
        assert!(room.flush().is_empty(), "everything was written");
    });
}

#[test]
fn an_expired_session_is_not_revived_by_a_use_at_the_same_time() {
    check(|| {
        let room = Room::new();
        let early = {
            let room = Arc::clone(&room);
            thread::spawn(move || room.validate(&room.token_hash(), at(99), 1))
        };
        let late = {
            let room = Arc::clone(&room);
            thread::spawn(move || room.validate(&room.token_hash(), at(1_000), 1))
        };
        assert!(early.join().unwrap());
        assert!(!late.join().unwrap());
        assert!(!room.validate(&room.token_hash(), at(1_000), 1));
    });
}

#[test]
fn what_a_failed_write_left_in_doubt_is_read_again() {
    check(|| {
        let room = Room::new();
        let other = {
            let room = Arc::clone(&room);
            thread::spawn(move || room.validate(&room.token_hash(), at(1), 1))
        };
        // The store has done it, and the answer was lost.
        *room.stored.lock().unwrap() = None;
        room.cache.doubt(room.id);
        assert!(!room.validate(&room.token_hash(), at(2), 1));
        other.join().unwrap();
        assert!(!room.validate(&room.token_hash(), at(2), 1));
    });
}
