//! The same over a store that another node writes too: a lease is lost and won while tokens are judged and
//! while the other node ends, renews, expires and tightens.
//!
//! What is scripted is the store's side of the agreement: the other node writes, then looks who has a
//! lease, and is done when that one was told or has none any more.

use shuttle::rand::{Rng, thread_rng};

use super::*;
use crate::store::{Change, Lease, Term};

/// Schedules tried for each test: more threads than next door, and each takes longer. Every rule taken out
/// was found by a fifth of them.
const SCHEDULES: usize = 2_000;

fn check(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, SCHEDULES);
}

/// What the store knows of the node, and the node of its term.
#[derive(Debug, Default)]
struct Standing {
    last: u64,
    registered: Option<u64>,
    term: Option<u64>,
}

#[derive(Debug, Default)]
struct HandLease(Mutex<Standing>);

impl Lease for HandLease {
    fn term(&self) -> Option<Term> {
        self.0.lock().unwrap().term.map(Term)
    }
}

/// A room whose store has another door.
struct Shared {
    room: Arc<Room>,
    lease: Arc<HandLease>,
    policies: Mutex<Vec<Policy>>,
}

fn policy(idle: u64) -> Policy {
    Policy {
        idle_timeout: Duration::from_millis(idle),
        remembered_idle_timeout: Duration::from_millis(idle),
        absolute_lifetime: Duration::from_millis(1_000),
    }
}

impl Shared {
    /// A node with a lease, which has judged a token before.
    fn new() -> Arc<Self> {
        let lease = Arc::new(HandLease::default());
        let room = Room::over(Authority::Leased(Arc::clone(&lease) as Arc<dyn Lease>));
        let shared = Arc::new(Self {
            room,
            lease,
            policies: Mutex::new(vec![policy(100)]),
        });
        shared.begin_term();
        assert!(shared.validate(&shared.room.token_hash(), at(1)));
        shared
    }

    /// What `Sessions::validate` does over such a store.
    fn validate(&self, hash: &SecretHash, now: Timestamp) -> bool {
        let (room, cache) = (&self.room, &self.room.cache);
        let brought = Brought {
            at: now,
            ip_address: None,
            device_fingerprint: 0,
            device: None,
            haste: Haste::NONE,
            can_wait: true,
        };
        let shown = Shown {
            id: room.id,
            hash: *hash,
            source: None,
        };
        let mut known = cache.use_session(room.id, || (&shown, &brought), |_| ());
        for reads in 0..10 {
            match known {
                Known::Active(()) => return true,
                Known::WrongSecret => return false,
                Known::Expired(passed) if reads > 0 => {
                    if self.expire(passed.last_used_at) {
                        cache.ended(room.id);
                        return false;
                    }
                }
                Known::Expired(_) | Known::Nothing => {}
                other => unreachable!("{other:?}"),
            }
            let fill = cache.begin_fill(room.id.partition());
            let found = room.find();
            if cache.basis().answers().is_none() {
                let policies = self.policies.lock().unwrap().clone();
                cache.follow(&Change::Policies(policies));
            }
            let Some(record) = found.filter(|record| !record.expired) else {
                return false;
            };
            let alone = reads >= 4;
            let judged = cache.use_read(&fill, &record, &shown, &brought, alone, |_| ());
            known = judged.unwrap_or(Known::Nothing);
        }
        unreachable!("reads count from the fifth on");
    }

    /// What the store makes of a passed deadline.
    fn expire(&self, last_used_at: Timestamp) -> bool {
        match self.room.stored.lock().unwrap().as_mut() {
            Some(record) if record.expired || record.last_used_at <= last_used_at => {
                record.expired = true;
                true
            }
            _ => false,
        }
    }

    /// The node takes note that its lease is over.
    fn lose_lease(&self) {
        self.lease.0.lock().unwrap().term = None;
    }

    /// It registers, follows everything, and has a lease unless it was struck off meanwhile.
    fn begin_term(&self) {
        let number = {
            let mut standing = self.lease.0.lock().unwrap();
            standing.last += 1;
            standing.registered = Some(standing.last);
            standing.last
        };
        let policies = self.policies.lock().unwrap().clone();
        self.room.cache.follow(&Change::Policies(policies));
        self.room.cache.follow(&Change::Everything);
        let mut standing = self.lease.0.lock().unwrap();
        if standing.registered == Some(number) {
            standing.term = Some(number);
        }
    }

    /// The other node has written, and answers when this one was told, or has no lease any more.
    fn written_elsewhere(&self, change: &Change) {
        let registered = self.lease.0.lock().unwrap().registered;
        if registered.is_none() {
            return;
        }
        if thread_rng().gen_bool(0.5) {
            self.room.cache.follow(change);
            return;
        }
        let mut standing = self.lease.0.lock().unwrap();
        if standing.registered == registered {
            standing.registered = None;
            if standing.term == registered {
                standing.term = None;
            }
        }
    }

    fn ids(&self) -> Change {
        Change::Sessions(vec![self.room.id])
    }
}

/// Runs `elsewhere` while tokens are judged at `times`, the lease goes and comes, and uses are written;
/// then asks whether the token is accepted at `then`: at once, later, and in another term.
fn check_elsewhere(
    elsewhere: impl Fn(&Shared) + Send + Sync + 'static,
    then: Timestamp,
    accepted: bool,
) {
    check(move || {
        let shared = Shared::new();
        let others: Vec<_> = (0..4)
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || match number {
                    0 | 1 => _ = shared.validate(&shared.room.token_hash(), at(number + 2)),
                    2 => {
                        shared.lose_lease();
                        shared.begin_term();
                    }
                    _ => _ = shared.room.flush(),
                })
            })
            .collect();
        elsewhere(&shared);
        // The other node has answered.
        let ask = || shared.validate(&shared.room.token_hash(), then);
        assert_eq!(ask(), accepted);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(ask(), accepted);
        shared.begin_term();
        assert_eq!(ask(), accepted);
    });
}

#[test]
fn terminated_elsewhere_stays_terminated_whatever_becomes_of_the_lease() {
    let terminate = |shared: &Shared| {
        *shared.room.stored.lock().unwrap() = None;
        shared.written_elsewhere(&shared.ids());
    };
    check_elsewhere(terminate, at(5), false);
}

#[test]
fn a_whole_account_terminated_elsewhere_stays_terminated() {
    let terminate = |shared: &Shared| {
        *shared.room.stored.lock().unwrap() = None;
        let bits = shared.room.id.partition();
        shared.written_elsewhere(&Change::Partitions(vec![bits]));
    };
    check_elsewhere(terminate, at(5), false);
}

#[test]
fn a_token_renewed_elsewhere_leaves_the_old_one_refused() {
    let renew = |shared: &Shared| {
        if let Some(record) = shared.room.stored.lock().unwrap().as_mut() {
            record.token_hash = SecretHash::from_bytes([9; 32]);
            record.token_generation = 1;
        }
        shared.written_elsewhere(&shared.ids());
        assert!(shared.validate(&SecretHash::from_bytes([9; 32]), at(5)));
    };
    check_elsewhere(renew, at(5), false);
}

#[test]
fn expired_elsewhere_is_final_although_it_is_early_by_the_clock_of_this_node() {
    let expire = |shared: &Shared| {
        if let Some(record) = shared.room.stored.lock().unwrap().as_mut() {
            record.expired = true;
        }
        shared.written_elsewhere(&shared.ids());
    };
    check_elsewhere(expire, at(5), false);
}

#[test]
fn a_policy_tightened_elsewhere_counts_at_once() {
    let tighten = |shared: &Shared| {
        let policies = vec![policy(100), policy(10)];
        *shared.policies.lock().unwrap() = policies.clone();
        shared.written_elsewhere(&Change::Policies(policies));
    };
    check_elsewhere(tighten, at(50), false);
}

#[test]
fn a_session_used_elsewhere_is_not_expired_by_what_this_node_remembers() {
    let use_it = |shared: &Shared| {
        if let Some(record) = shared.room.stored.lock().unwrap().as_mut() {
            record.last_used_at = at(90);
        }
    };
    check_elsewhere(use_it, at(150), true);
}

#[test]
fn no_use_is_lost_between_lost_leases_and_flushes() {
    check(|| {
        let shared = Shared::new();
        let users: Vec<_> = (1..4)
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.validate(&shared.room.token_hash(), at(number * 10)))
            })
            .collect();
        let others: Vec<_> = (0..2)
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    if number == 0 {
                        shared.lose_lease();
                        shared.begin_term();
                    } else {
                        shared.room.flush();
                    }
                })
            })
            .collect();
        for user in users {
            assert!(user.join().unwrap());
        }
        for other in others {
            other.join().unwrap();
        }
        shared.room.flush();
        assert_eq!(shared.room.find().unwrap().last_used_at, at(30));
        assert!(shared.room.flush().is_empty(), "everything was written");
    });
}
