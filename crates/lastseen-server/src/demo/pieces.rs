//! What the demo's account has: every kind of session.

use std::time::Duration;

use lastseen::{ClientDescription, ClientHints};

/// One session of the demo: who, from where, remembered or not, when it began and when it was last used.
pub(super) struct Piece {
    pub(super) client: ClientDescription<'static>,
    pub(super) ip_address: &'static str,
    pub(super) remembered: bool,
    began: Began,
    used: Used,
}

/// When a session began.
enum Began {
    /// So long before now.
    Ago(Duration),
    /// As long before now as it may pause.
    WithThePauseThatItMayMake,
}

/// When a session was last used.
enum Used {
    /// So long before now.
    Ago(Duration),
    /// So that it expires in so long.
    SoThatItExpiresIn(Duration),
}

impl Piece {
    /// How long before now it began, where a session that is not remembered may pause for `idle_timeout`.
    pub(super) fn began(&self, idle_timeout: Duration) -> Duration {
        match self.began {
            Began::Ago(duration) => duration,
            Began::WithThePauseThatItMayMake => idle_timeout,
        }
    }

    /// How long before now it was last used.
    pub(super) fn used(&self, idle_timeout: Duration) -> Duration {
        match self.used {
            Used::Ago(duration) => duration,
            Used::SoThatItExpiresIn(duration) => idle_timeout.saturating_sub(duration),
        }
    }
}

const fn minutes(number: u64) -> Duration {
    Duration::from_mins(number)
}

const fn hours(number: u64) -> Duration {
    Duration::from_hours(number)
}

const fn days(number: u64) -> Duration {
    Duration::from_hours(number * 24)
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

/// Each system and browser that most people have, one that is an app, one a program, one unknown; used a minute ago,
/// unused for weeks, about to expire, expired. Addresses are those that are set aside for documentation (RFC 5737,
/// RFC 3849).
pub(super) const PIECES: &[Piece] = &[
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
        began: Began::Ago(days(20)),
        used: Used::Ago(minutes(1)),
    },
    // Safari on a Mac, used earlier today.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
        ),
        ip_address: "203.0.113.7",
        remembered: true,
        began: Began::Ago(days(9)),
        used: Used::Ago(hours(3)),
    },
    // Firefox on Linux.
    Piece {
        client: user_agent("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"),
        ip_address: "2001:db8:47:11::2a",
        remembered: false,
        began: Began::Ago(hours(6)),
        used: Used::Ago(minutes(12)),
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
        began: Began::Ago(days(40)),
        used: Used::Ago(hours(25)),
    },
    // Samsung Internet, unused for weeks.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
        ),
        ip_address: "198.51.100.99",
        remembered: true,
        began: Began::Ago(days(50)),
        used: Used::Ago(days(26)),
    },
    // Safari on an iPhone.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
        ),
        ip_address: "192.0.2.130",
        remembered: true,
        began: Began::Ago(days(15)),
        used: Used::Ago(minutes(50)),
    },
    // Safari on an iPad that names itself.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
        ),
        ip_address: "203.0.113.7",
        remembered: true,
        began: Began::Ago(days(30)),
        used: Used::Ago(days(4)),
    },
    // Chrome on a Chromebook, about to expire.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
        ),
        ip_address: "198.51.100.4",
        remembered: false,
        began: Began::WithThePauseThatItMayMake,
        used: Used::SoThatItExpiresIn(minutes(9)),
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
        began: Began::Ago(days(12)),
        used: Used::Ago(days(2)),
    },
    // Opera on Linux.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 OPR/123.0.0.0",
        ),
        ip_address: "2001:db8:47:11::2a",
        remembered: true,
        began: Began::Ago(days(33)),
        used: Used::Ago(days(17)),
    },
    // An app's built-in browser on Android.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.0.0 Mobile Safari/537.36 Instagram 340.0.0.22.109 Android",
        ),
        ip_address: "198.51.100.23",
        remembered: true,
        began: Began::Ago(days(8)),
        used: Used::Ago(days(7)),
    },
    // A program.
    Piece {
        client: user_agent("curl/8.14.1"),
        ip_address: "192.0.2.10",
        remembered: false,
        began: Began::Ago(hours(5)),
        used: Used::Ago(minutes(40)),
    },
    // Something that says nothing of itself.
    Piece {
        client: ClientDescription { user_agent: None, hints: NO_HINTS },
        ip_address: "203.0.113.200",
        remembered: false,
        began: Began::Ago(hours(2)),
        used: Used::Ago(minutes(95)),
    },
    // Expired: Firefox on Windows, not remembered, three days ago.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
        ),
        ip_address: "192.0.2.44",
        remembered: false,
        began: Began::Ago(hours(74)),
        used: Used::Ago(days(3)),
    },
    // Expired: Chrome on a Mac, not remembered, last week.
    Piece {
        client: user_agent(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        ),
        ip_address: "198.51.100.61",
        remembered: false,
        began: Began::Ago(days(8)),
        used: Used::Ago(hours(187)),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_session_of_the_demo_is_used_before_it_begins() {
        for piece in PIECES {
            for idle_timeout in [hours(12), minutes(5)] {
                assert!(piece.used(idle_timeout) < piece.began(idle_timeout));
            }
            piece.ip_address.parse::<std::net::IpAddr>().unwrap();
        }
    }
}
