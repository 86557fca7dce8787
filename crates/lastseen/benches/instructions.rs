//! One operation, many times, for `cargo xtask instructions` to count its instructions under callgrind.
//!
//! `instructions NAME` prepares what the operation needs and then does it [`TIMES`] times inside [`measured`], the one
//! function that is counted. Without a name it prints the names.

mod support;

use std::hint::black_box;
use std::sync::Arc;

use lastseen::{ClientDescription, DeviceParser, NewSession, SessionToken, Timestamp};

use support::{
    Generated, HINTS, NOW, Repeatable, USER_AGENT, VISIT, at_once, look, open, validate, warm,
};

/// How often the operation is done: enough that what happens now and then (a table grows) is spread thin.
const TIMES: usize = 1_000;

/// Sessions in memory meanwhile.
const SESSIONS: u64 = 2_000;

type Operation = (&'static str, fn());

const OPERATIONS: &[Operation] = &[
    ("token_parse", token_parse),
    ("validate_hit", validate_hit),
    ("validate_hit_and_keep", validate_hit_and_keep),
    ("validate_hit_and_touch", validate_hit_and_touch),
    ("validate_miss", validate_miss),
    ("validate_malformed", validate_malformed),
    ("list_50_of_10", || list_50(10)),
    ("list_50_of_1000", || list_50(1_000)),
    ("device_parse", device_parse),
    ("device_known", device_known),
    ("create", create),
];

fn main() {
    let asked = std::env::args().nth(1).unwrap_or_default();
    match OPERATIONS.iter().find(|(name, _)| *name == asked) {
        Some((_, operation)) => operation(),
        None => {
            for (name, _) in OPERATIONS {
                println!("{name}");
            }
        }
    }
}

/// What is counted, and nothing else.
#[inline(never)]
fn measured(operation: &mut dyn FnMut(usize)) {
    for time in 0..TIMES {
        operation(time);
    }
    // So that the loop is not the function's last act, which a jump would end outside of it.
    black_box(&operation);
}

fn token_parse() {
    let token = Generated { per_account: 10 }.token(1);
    measured(&mut |_| {
        black_box(SessionToken::parse(black_box(&token)).map(|token| token.name()));
    });
}

fn validate_hit() {
    let (sessions, tokens) = warm(SESSIONS, 10);
    measured(&mut |time| {
        black_box(look(&sessions, black_box(&tokens[time])));
    });
}

fn validate_hit_and_keep() {
    let (sessions, tokens) = warm(SESSIONS, 10);
    measured(&mut |time| {
        black_box(validate(&sessions, black_box(&tokens[time])));
    });
}

fn validate_hit_and_touch() {
    let (sessions, tokens) = warm(SESSIONS, 10);
    runtime().block_on(sessions.flush(NOW)).expect("available");
    let later = |time: usize| {
        Timestamp::from_millisecond(NOW.as_millisecond() + i64::try_from(time).expect("a thousand"))
    };
    measured(&mut |time| {
        _ = black_box(at_once(sessions.validate(
            black_box(&tokens[time]),
            &VISIT,
            later(time),
        )));
    });
}

fn validate_miss() {
    let store = Generated { per_account: 10 };
    let tokens: Vec<_> = (0..TIMES)
        .map(|number| store.token(number as u64))
        .collect();
    let sessions = open(Arc::new(Generated { per_account: 10 }));
    validate(&sessions, &store.token(TIMES as u64));
    measured(&mut |time| {
        black_box(validate(&sessions, black_box(&tokens[time])));
    });
}

fn validate_malformed() {
    let sessions = open(Arc::new(Generated { per_account: 10 }));
    let mut token = Generated { per_account: 10 }.token(1);
    token[20] ^= 1;
    measured(&mut |_| {
        _ = black_box(at_once(sessions.validate(black_box(&token), &VISIT, NOW)));
    });
}

fn list_50(of: u64) {
    let store = Generated { per_account: of };
    let account = store.account_of(0).key.clone();
    let current = SessionToken::parse(&store.token(0))
        .expect("a token of ours")
        .session_id();
    let sessions = open(Arc::new(store));
    let list = || at_once(sessions.list(black_box(&account), Some(current), 50, None, NOW));
    list().expect("available");
    measured(&mut |_| {
        _ = black_box(list());
    });
}

fn device_parse() {
    let client = ClientDescription {
        user_agent: Some(USER_AGENT),
        hints: HINTS,
    };
    let parser = DeviceParser::shared();
    parser.parse(&client);
    measured(&mut |_| {
        black_box(parser.parse(black_box(&client)));
    });
}

fn device_known() {
    let client = VISIT.client;
    client.fingerprint();
    measured(&mut |_| {
        black_box(black_box(&client).fingerprint());
    });
}

/// For what lets others go first now and then.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers")
}

fn create() {
    let runtime = runtime();
    let sessions = open(Arc::new(Generated { per_account: 0 }));
    let entropy = Repeatable::new(0);
    let accounts: Vec<_> = (0..100)
        .map(|number| Generated { per_account: 1 }.account_of(number))
        .collect();
    let create = |time: usize| {
        let new = NewSession {
            account: &accounts[time % accounts.len()],
            remembered: true,
            visit: VISIT,
            replaces: None,
        };
        runtime
            .block_on(sessions.create(new, NOW, &entropy))
            .expect("available")
    };
    create(0);
    measured(&mut |time| {
        black_box(create(time).token.reveal());
    });
}
