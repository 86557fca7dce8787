//! The demo's account and its sessions.
//!
//! They are made by the same verbs as everybody's, in the order of their times: each signs in once and is used once
//! more, at times that lie in the past.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use lastseen::{
    Account, AccountSource, ClientDescription, ClientHints, Clock, Entropy, NewSession, Timestamp,
    Unavailable, Visit,
};
use lastseen_axum::SystemClock;
use lastseen_sqlite::Database;

use crate::accounts::Password;
use crate::app::{self, Limits, Services};
use crate::config::Effective;
use crate::failure::Failure;

/// The demo's account.
const NAME: &str = "ada";

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// One session of the demo: who, from where, remembered or not, and how long before now it began and was last used.
struct Piece {
    client: ClientDescription<'static>,
    ip_address: &'static str,
    remembered: bool,
    began: Duration,
    used: Duration,
}

const fn user_agent(text: &'static str) -> ClientDescription<'static> {
    ClientDescription {
        user_agent: Some(text.as_bytes()),
        hints: NO_HINTS,
    }
}

const NO_HINTS: ClientHints<'static> = ClientHints {
    brands: None,
    full_version_list: None,
    platform: None,
    platform_version: None,
    mobile: None,
    model: None,
};

/// A Chromium browser's hints: brands, platform and its version.
const fn hints(
    brands: &'static str,
    platform: &'static str,
    platform_version: &'static str,
) -> ClientHints<'static> {
    ClientHints {
        brands: Some(brands.as_bytes()),
        platform: Some(platform.as_bytes()),
        platform_version: Some(platform_version.as_bytes()),
        ..NO_HINTS
    }
}

/// Every kind of session: each system and browser that most people have, one that is an app, one a program, one
/// unknown; used a minute ago, unused for weeks, about to expire, expired. Addresses are those that are set aside for
/// documentation (RFC 5737, RFC 3849).
fn pieces(idle_timeout: Duration) -> Vec<Piece> {
    vec![
        // Chrome on Windows 11, used a minute ago.
        Piece {
            client: ClientDescription {
                user_agent: Some(
                    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
                ),
                hints: hints(
                    r#""Google Chrome";v="141", "Chromium";v="141", "Not?A_Brand";v="8""#,
                    r#""Windows""#,
                    r#""15.0.0""#,
                ),
            },
            ip_address: "203.0.113.7",
            remembered: true,
            began: 20 * DAY,
            used: MINUTE,
        },
        // Safari on a Mac, used earlier today.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
            ),
            ip_address: "203.0.113.7",
            remembered: true,
            began: 9 * DAY,
            used: 3 * HOUR,
        },
        // Firefox on Linux.
        Piece {
            client: user_agent("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"),
            ip_address: "2001:db8:47:11::2a",
            remembered: false,
            began: 6 * HOUR,
            used: 12 * MINUTE,
        },
        // Chrome on an Android phone.
        Piece {
            client: ClientDescription {
                user_agent: Some(
                    b"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
                ),
                hints: ClientHints {
                    mobile: Some(b"?1"),
                    ..hints(
                        r#""Google Chrome";v="141", "Chromium";v="141", "Not?A_Brand";v="8""#,
                        r#""Android""#,
                        r#""16""#,
                    )
                },
            },
            ip_address: "198.51.100.23",
            remembered: true,
            began: 40 * DAY,
            used: 25 * HOUR,
        },
        // Samsung Internet, unused for weeks.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            ),
            ip_address: "198.51.100.99",
            remembered: true,
            began: 50 * DAY,
            used: 26 * DAY,
        },
        // Safari on an iPhone.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
            ),
            ip_address: "192.0.2.130",
            remembered: true,
            began: 15 * DAY,
            used: 50 * MINUTE,
        },
        // Safari on an iPad that names itself.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
            ),
            ip_address: "203.0.113.7",
            remembered: true,
            began: 30 * DAY,
            used: 4 * DAY,
        },
        // Chrome on a Chromebook, about to expire.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            ),
            ip_address: "198.51.100.4",
            remembered: false,
            began: idle_timeout,
            used: idle_timeout.saturating_sub(9 * MINUTE),
        },
        // Edge on Windows 10.
        Piece {
            client: ClientDescription {
                user_agent: Some(
                    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
                ),
                hints: hints(
                    r#""Microsoft Edge";v="141", "Chromium";v="141", "Not?A_Brand";v="8""#,
                    r#""Windows""#,
                    r#""10.0.0""#,
                ),
            },
            ip_address: "192.0.2.44",
            remembered: true,
            began: 12 * DAY,
            used: 2 * DAY,
        },
        // Opera on Linux.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 OPR/123.0.0.0",
            ),
            ip_address: "2001:db8:47:11::2a",
            remembered: true,
            began: 33 * DAY,
            used: 17 * DAY,
        },
        // An app's built-in browser on Android.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.0.0 Mobile Safari/537.36 Instagram 340.0.0.22.109 Android",
            ),
            ip_address: "198.51.100.23",
            remembered: true,
            began: 8 * DAY,
            used: 7 * DAY,
        },
        // A program.
        Piece {
            client: user_agent("curl/8.14.1"),
            ip_address: "192.0.2.10",
            remembered: false,
            began: 5 * HOUR,
            used: 40 * MINUTE,
        },
        // Something that says nothing of itself.
        Piece {
            client: ClientDescription { user_agent: None, hints: NO_HINTS },
            ip_address: "203.0.113.200",
            remembered: false,
            began: 2 * HOUR,
            used: 95 * MINUTE,
        },
        // Expired: Firefox on Windows, not remembered, three days ago.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
            ),
            ip_address: "192.0.2.44",
            remembered: false,
            began: 3 * DAY + 2 * HOUR,
            used: 3 * DAY,
        },
        // Expired: Chrome on a Mac, not remembered, last week.
        Piece {
            client: user_agent(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
            ),
            ip_address: "198.51.100.61",
            remembered: false,
            began: 8 * DAY,
            used: 8 * DAY - 5 * HOUR,
        },
    ]
}

/// Adds the account and its sessions; answers with the lines to print.
pub(crate) async fn furnish(
    database: &Database,
    effective: &Effective,
) -> Result<Vec<String>, Failure> {
    let now = SystemClock::new().now();
    let pieces = pieces(effective.sessions.policy.idle_timeout);
    let first = pieces
        .iter()
        .map(|piece| piece.began)
        .max()
        .unwrap_or_default();
    // Time goes one way in the sessions' memory: they are opened in the past, and what happened is told in its order.
    let clock = Arc::new(SetClock::at(now.saturating_sub(first + HOUR)));
    let by_clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let services =
        app::open_by_clock(database.clone(), effective, Limits::OfSettings, by_clock).await?;

    let password = password(services.entropy.as_ref());
    let added = services.accounts.add(NAME, &Password::new(&password)).await;
    let account = added.map_err(Failure::refused)?;
    let account = Arc::new(Account::new(AccountSource::BuiltIn, account.id, NAME));
    place(&services, &clock, &account, &pieces, now)
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
    pieces: &[Piece],
    now: Timestamp,
) -> Result<(), Unavailable> {
    let mut events: Vec<(Timestamp, usize, Event)> = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        events.push((now.saturating_sub(piece.began), number, Event::Begins));
        events.push((now.saturating_sub(piece.used), number, Event::IsUsed));
    }
    events.sort_by_key(|(at, number, event)| (*at, *number, *event == Event::IsUsed));

    let mut tokens: Vec<String> = vec![String::new(); pieces.len()];
    for (at, number, event) in events {
        clock.set(at);
        let piece = &pieces[number];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_session_of_the_demo_is_used_before_it_begins() {
        for piece in pieces(12 * HOUR) {
            assert!(piece.used < piece.began);
            piece.ip_address.parse::<std::net::IpAddr>().unwrap();
        }
    }
}
