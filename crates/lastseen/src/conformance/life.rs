//! A life of sessions, told twice: to the verbs, and to a model so simple that it must be right.
//!
//! The model keeps every session ever made in a plain list and works out each answer afresh. Where the
//! two disagree, one of them is wrong.

mod session;

use std::sync::Arc;
use std::time::Duration;

use session::ModelSession;

use super::nodes::two_nodes;
use super::people::{DAY, Dice, HOUR, House, MORNING, address, person, policy, settings};
use crate::device::ClientDescription;
use crate::policy::{Policy, Settings};
use crate::session::{EndedBy, Status, Visit};
use crate::sessions::{TerminateError, Verdict};
use crate::store::{Authority, Store};
use crate::time::Timestamp;
use crate::token::SessionToken;

/// One thing that happens. Numbers choose among what there is at that moment.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Somebody signs in.
    SignIn {
        /// Who.
        person: usize,
        /// Whether the device is remembered.
        remembered: bool,
    },
    /// A token that was given at any time is shown.
    Show {
        /// Which.
        token: usize,
        /// From where.
        address: u8,
    },
    /// Somebody ends some session, perhaps not a session of theirs.
    Terminate {
        /// Who.
        person: usize,
        /// Which.
        session: usize,
    },
    /// Somebody ends all sessions but one.
    TerminateOthers {
        /// Who.
        person: usize,
        /// Which one stays.
        session: usize,
    },
    /// A session gets another token.
    Renew {
        /// Which.
        session: usize,
    },
    /// Somebody looks at the list.
    List {
        /// Who.
        person: usize,
    },
    /// What is only in memory is written.
    Flush,
    /// Records are tidied.
    Tidy,
    /// Time passes.
    Wait {
        /// So many seconds.
        seconds: u64,
    },
    /// The clock on the wall is set back.
    SetBack {
        /// By so many seconds.
        seconds: u64,
    },
    /// A clean stop, and a start with an idle timeout of so many minutes.
    Restart {
        /// Minutes.
        idle_minutes: u64,
    },
}

const PEOPLE: [&str; 3] = ["ada", "bob", "eve"];

/// So many steps that follow from a seed.
pub fn random(steps: usize, seed: u64) -> Vec<Step> {
    let dice = Dice::default();
    for _ in 0..seed {
        dice.roll();
    }
    (0..steps)
        .map(|_| {
            let (person, any) = (dice.below(PEOPLE.len()), dice.below(1_000));
            match dice.below(40) {
                0..8 => Step::SignIn {
                    person,
                    remembered: any % 3 == 0,
                },
                8..20 => Step::Show {
                    token: any,
                    address: u8::try_from(any % 250).unwrap_or(0),
                },
                20..23 => Step::Terminate {
                    person,
                    session: any,
                },
                23 => Step::TerminateOthers {
                    person,
                    session: any,
                },
                24..26 => Step::Renew { session: any },
                26..31 => Step::List { person },
                31 => Step::Flush,
                32 => Step::Tidy,
                33..38 => Step::Wait {
                    seconds: (dice.roll() % (2 * HOUR)).max(1),
                },
                38 => Step::SetBack {
                    seconds: dice.roll() % DAY,
                },
                _ => Step::Restart {
                    idle_minutes: 1 + dice.roll() % 180,
                },
            }
        })
        .collect()
}

struct Model {
    sessions: Vec<ModelSession>,
    /// Every token ever given: its text, the place of its session, whether it still counts.
    tokens: Vec<(String, usize, bool)>,
    policy: Policy,
    /// What the clock on the wall says.
    wall: Timestamp,
    /// The latest that it ever said, as far as that is remembered.
    latest: Timestamp,
    /// Others may write the store too.
    leased: bool,
}

/// Lives through `steps` over `store`, and panics where the verbs and the model disagree.
pub async fn live(store: Arc<dyn Store>, steps: &[Step]) {
    let mut model = Model::new(&*store);
    let mut house = House::open(store).await;
    for (number, step) in steps.iter().enumerate() {
        if let Some(settings) = model.take(&house, *step, number).await {
            flush(&house, model.wall).await;
            house = house.restarted_with(settings, model.wall).await;
        }
    }
}

/// The same on two nodes over `store`, of which now one and now the other is asked, and both lose their
/// leases and get others as they like.
///
/// Both write their uses before time passes, as servers do, and before anything is compared that memory
/// does not share. Their clocks go alike, and never back: of that, others tell.
pub async fn live_on_two_nodes(store: Arc<dyn Store>, steps: &[Step], dice: &Dice) {
    let (first, second) = two_nodes(store).await;
    let mut nodes = [first, second];
    let mut model = Model::new(&*nodes[0].house.store);
    for (number, step) in steps.iter().enumerate() {
        let lease = dice.below(12);
        match nodes.get(lease / 2) {
            Some(node) if lease.is_multiple_of(2) => node.lose_lease(),
            Some(node) => node.begin_term().await,
            None => {}
        }
        // No two uses in one millisecond: which of them counts is known to the later writer only.
        model.wall = model.wall.saturating_add(Duration::from_millis(1));
        let alone = matches!(
            step,
            Step::Show { .. } | Step::SignIn { .. } | Step::Renew { .. }
        );
        if !alone {
            for node in &nodes {
                flush(&node.house, model.wall).await;
            }
        }
        if let Step::SetBack { .. } = step {
            continue;
        }
        let node = &nodes[dice.below(2)];
        if let Some(settings) = model.take(&node.house, *step, number).await {
            for node in &mut nodes {
                node.restart(settings, model.wall).await;
            }
        }
    }
}

async fn flush(house: &House, now: Timestamp) {
    let flushed = house.sessions.flush(now).await;
    flushed.expect("the store is in order");
}

impl Model {
    fn new(store: &dyn Store) -> Self {
        Self {
            leased: matches!(store.authority(), Authority::Leased(_)),
            sessions: Vec::new(),
            tokens: Vec::new(),
            policy: policy(),
            wall: MORNING,
            latest: MORNING,
        }
    }

    fn session(&self, number: usize) -> Option<usize> {
        (!self.sessions.is_empty()).then(|| number % self.sessions.len())
    }

    /// Takes a step in the house and in the model; where that is a restart, the settings for it.
    async fn take(&mut self, house: &House, step: Step, number: usize) -> Option<Settings> {
        // A time that no verb was told of is not known to anybody.
        let told = match step {
            Step::Wait { .. } | Step::SetBack { .. } | Step::Renew { .. } => false,
            Step::Show { .. } | Step::Terminate { .. } | Step::TerminateOthers { .. } => {
                !self.sessions.is_empty()
            }
            _ => true,
        };
        if told {
            self.latest = self.latest.max(self.wall);
        }
        match step {
            Step::SignIn {
                person: who,
                remembered,
            } => self.sign_in(house, who, remembered).await,
            Step::Show { token, address } if !self.tokens.is_empty() => {
                let token = token % self.tokens.len();
                self.show(house, token, address, number).await;
            }
            Step::Terminate {
                person: who,
                session,
            } => {
                if let Some(session) = self.session(session) {
                    self.terminate(house, who, session, number).await;
                }
            }
            Step::TerminateOthers {
                person: who,
                session,
            } => {
                if let Some(session) = self.session(session) {
                    self.terminate_others(house, who, session, number).await;
                }
            }
            Step::Renew { session } => {
                if let Some(session) = self.session(session) {
                    self.renew(house, session, number).await;
                }
            }
            Step::List { person: who } => self.list(house, who, number).await,
            Step::Show { .. } => {}
            Step::Flush => flush(house, self.wall).await,
            Step::Tidy => self.tidy(house, number).await,
            Step::Wait { seconds } => {
                self.wall = self.wall.saturating_add(Duration::from_secs(seconds));
            }
            Step::SetBack { seconds } => {
                self.wall = self.wall.saturating_sub(Duration::from_secs(seconds));
            }
            Step::Restart { idle_minutes } => return Some(self.restart(idle_minutes)),
        }
        None
    }

    async fn sign_in(&mut self, house: &House, who: usize, remembered: bool) {
        let account = person(PEOPLE[who]);
        let visit = Visit {
            ip_address: Some(address(7)),
            client: ClientDescription::default(),
        };
        let new = crate::NewSession {
            account: &account,
            remembered,
            visit,
            replaces: None,
        };
        let created = house
            .sessions
            .create(new, self.wall, &house.dice)
            .await
            .expect("the store is in order");
        self.tokens
            .push((created.token.reveal(), self.sessions.len(), true));
        self.sessions.push(ModelSession {
            id: created.session.id,
            account,
            remembered,
            created_at: self.latest,
            last_used_at: self.latest,
            last_address: 7,
            policies: vec![self.policy],
            refused: false,
            ended: false,
            left_list_at: self.latest,
            purged: false,
        });
    }

    async fn show(&mut self, house: &House, token: usize, from: u8, number: usize) {
        let (text, place, counts) = &self.tokens[token];
        let visit = Visit {
            ip_address: Some(address(from)),
            client: ClientDescription::default(),
        };
        let verdict = house
            .sessions
            .validate(text.as_bytes(), &visit, self.wall)
            .await;
        let verdict = verdict.expect("the store is in order");
        let session = &mut self.sessions[*place];
        let authentic = *counts && !session.ended;
        let accepted = authentic && session.status(self.latest) == Status::Active;
        session.refused |= authentic && !accepted;
        assert_eq!(
            matches!(verdict, Verdict::Active(_)),
            accepted,
            "step {number}: {verdict:?}"
        );
        if let Verdict::Active(seen) = verdict {
            if session.last_used_at <= self.latest {
                (session.last_used_at, session.last_address) = (self.latest, from);
            }
            assert_eq!(seen.last_used_at, session.last_used_at, "step {number}");
            assert_eq!(seen.expires_at, session.expires_at(), "step {number}");
        }
    }

    async fn terminate(&mut self, house: &House, who: usize, session: usize, number: usize) {
        let account = person(PEOPLE[who]);
        let now = self.latest;
        let target = &mut self.sessions[session];
        let ended = house
            .sessions
            .terminate(&account.key, &[target.id], EndedBy::Command, self.wall)
            .await;
        match ended {
            Ok(count) => {
                assert_eq!(target.account.key, account.key, "step {number}");
                assert_eq!(count, u64::from(target.listed(now)), "step {number}");
                if !target.ended {
                    target.end(now);
                }
            }
            Err(TerminateError::NotFound) => {
                assert!(
                    target.purged || target.account.key != account.key,
                    "step {number}"
                );
            }
            Err(TerminateError::Unavailable(error)) => panic!("step {number}: {error}"),
        }
    }

    async fn terminate_others(&mut self, house: &House, who: usize, session: usize, number: usize) {
        let account = person(PEOPLE[who]);
        let (keep, now) = (self.sessions[session].id, self.latest);
        let own =
            self.sessions[session].account.key == account.key && self.sessions[session].listed(now);
        let ended = house
            .sessions
            .terminate_others(&account.key, Some(keep), EndedBy::Command, self.wall)
            .await;
        if !own {
            assert!(
                matches!(ended, Err(TerminateError::NotFound)),
                "step {number}"
            );
            return;
        }
        let mut expected = 0;
        for other in &mut self.sessions {
            if other.id != keep && other.account.key == account.key && other.listed(now) {
                other.end(now);
                expected += 1;
            }
        }
        assert_eq!(
            ended.expect("the session to keep is listed"),
            expected,
            "step {number}"
        );
    }

    async fn renew(&mut self, house: &House, session: usize, number: usize) {
        let renewed = house
            .sessions
            .renew_token(self.sessions[session].id, &house.dice)
            .await;
        let renewed: Option<SessionToken> = renewed.expect("the store is in order");
        // An expired session may get another token: it is as expired as before.
        if !self.sessions[session].ended && self.sessions[session].listed(self.latest) {
            assert!(renewed.is_some(), "step {number}");
        }
        if let Some(token) = renewed {
            for (_, place, counts) in &mut self.tokens {
                *counts &= *place != session;
            }
            self.tokens.push((token.reveal(), session, true));
        }
    }

    async fn list(&mut self, house: &House, who: usize, number: usize) {
        let account = person(PEOPLE[who]);
        let page = house
            .sessions
            .list(&account.key, None, 10_000, None, self.wall)
            .await;
        let seen: Vec<_> = page
            .expect("the store is in order")
            .sessions
            .iter()
            .map(|session| {
                (
                    session.id,
                    session.last_used_at,
                    session.ip_address,
                    session.status(self.latest),
                )
            })
            .collect();
        let mut expected: Vec<_> = self
            .sessions
            .iter()
            .filter(|session| session.account.key == account.key && session.listed(self.latest))
            .map(|session| {
                (
                    session.id,
                    session.last_used_at,
                    Some(address(session.last_address)),
                    session.status(self.latest),
                )
            })
            .collect();
        expected.sort_by_key(|(id, last_used_at, ..)| std::cmp::Reverse((*last_used_at, *id)));
        assert_eq!(seen, expected, "step {number}");
        for session in &mut self.sessions {
            session.refused |= seen
                .iter()
                .any(|(id, _, _, status)| *id == session.id && *status == Status::Expired);
        }
    }

    async fn tidy(&mut self, house: &House, number: usize) {
        let tidied = house
            .sessions
            .tidy(self.wall)
            .await
            .expect("the store is in order");
        let now = self.latest;
        for session in &mut self.sessions {
            let kept_until = session.left_list_at.saturating_add(settings().keep_ended);
            if session.ended {
                session.purged |= kept_until <= now;
            } else if !session.listed(now) {
                session.end(now);
            }
        }
        let listed = self.sessions.iter().filter(|session| session.listed(now));
        let (active, expired): (Vec<_>, Vec<_>) =
            listed.partition(|session| session.status(now) == Status::Active);
        assert_eq!(
            (tidied.active, tidied.expired),
            (active.len() as u64, expired.len() as u64),
            "step {number}"
        );
    }

    /// A clean stop, and another idle timeout: what a crash may lose is not the model's matter.
    ///
    /// Where others write the store too, the time that was known is forgotten: it may have been wrong.
    fn restart(&mut self, idle_minutes: u64) -> Settings {
        if self.leased {
            self.latest = self.wall;
        }
        self.policy = Policy {
            idle_timeout: Duration::from_secs(60 * idle_minutes),
            ..policy()
        };
        for session in &mut self.sessions {
            session.policies.push(self.policy);
        }
        Settings {
            policy: self.policy,
            ..settings()
        }
    }
}
