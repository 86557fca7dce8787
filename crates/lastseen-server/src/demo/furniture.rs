//! The demo's account and its sessions.
//!
//! They are made by the same verbs as everybody's, in the order of their times: each signs in once and is used once
//! more, at times that lie in the past.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use lastseen::{Account, AccountSource, Clock, Entropy, NewSession, Timestamp, Unavailable, Visit};
use lastseen_axum::SystemClock;

use crate::accounts::Password;
use crate::app::{self, Limits, Services};
use crate::config::Effective;
use crate::demo::pieces::PIECES;
use crate::failure::Failure;
use crate::storage::Storage;

/// How long before its first session the account was added.
const BEFORE_ALL: Duration = Duration::from_hours(1);

/// The demo's account.
const NAME: &str = "ada";

/// Adds the account and its sessions; answers with the lines to print.
pub(crate) async fn furnish(
    storage: &Storage,
    effective: &Effective,
) -> Result<Vec<String>, Failure> {
    let now = SystemClock::new().now();
    let idle_timeout = effective.sessions.policy.idle_timeout;
    let first = PIECES
        .iter()
        .map(|piece| piece.began(idle_timeout))
        .max()
        .unwrap_or_default();
    // Time goes one way in the sessions' memory: they are opened in the past, and what happened is told in its order.
    let clock = Arc::new(SetClock::at(now.saturating_sub(first + BEFORE_ALL)));
    let by_clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let services =
        app::open_by_clock(storage.clone(), effective, Limits::OfSettings, by_clock).await?;

    let password = password(services.entropy.as_ref());
    let added = services.accounts.add(NAME, &Password::new(&password)).await;
    let account = added.map_err(Failure::refused)?;
    let account = Arc::new(Account::new(AccountSource::BuiltIn, account.id, NAME));
    place(&services, &clock, &account, now)
        .await
        .map_err(Failure::refused)?;
    Ok(vec![
        format!("name: {NAME}"),
        format!("password: {password}"),
    ])
}

/// Makes the sessions, as if they had been begun and used at their times.
async fn place(
    services: &Services,
    clock: &SetClock,
    account: &Arc<Account>,
    now: Timestamp,
) -> Result<(), Unavailable> {
    let idle_timeout = services.sessions.settings().policy.idle_timeout;
    let mut events: Vec<(Timestamp, usize, Event)> = Vec::new();
    for (number, piece) in PIECES.iter().enumerate() {
        events.push((
            now.saturating_sub(piece.began(idle_timeout)),
            number,
            Event::Begins,
        ));
        events.push((
            now.saturating_sub(piece.used(idle_timeout)),
            number,
            Event::IsUsed,
        ));
    }
    events.sort_by_key(|(at, number, event)| (*at, *number, *event == Event::IsUsed));

    let mut tokens: Vec<String> = vec![String::new(); PIECES.len()];
    for (at, number, event) in events {
        clock.set(at);
        let piece = &PIECES[number];
        let visit = Visit {
            ip_address: piece.ip_address.parse().ok(),
            client: piece.client,
        };
        match event {
            Event::Begins => {
                let new = NewSession {
                    account,
                    remembered: piece.remembered,
                    visit,
                    replaces: None,
                };
                let created = services
                    .sessions
                    .create(new, at, services.entropy.as_ref())
                    .await?;
                tokens[number] = created.token.reveal();
            }
            Event::IsUsed => {
                services
                    .sessions
                    .validate(tokens[number].as_bytes(), &visit, at)
                    .await?;
            }
        }
    }
    services.sessions.flush(services.clock.now()).await
}

/// A clock that stands where it was set.
struct SetClock(AtomicI64);

impl SetClock {
    fn at(instant: Timestamp) -> Self {
        Self(AtomicI64::new(instant.as_millisecond()))
    }

    fn set(&self, instant: Timestamp) {
        self.0.store(instant.as_millisecond(), Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Begins,
    IsUsed,
}

/// A password for this run: 60 random bits, in groups that are easily typed.
fn password(entropy: &dyn Entropy) -> String {
    // Without letters and digits that are easily taken for one another.
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut random = [0; 12];
    entropy.fill(&mut random);
    let mut password = String::new();
    for (place, byte) in random.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    password
}
