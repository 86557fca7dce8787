use std::sync::Arc;
use std::time::Duration;

use lastseen::{Account, AccountId, AccountSource, Device, SessionId};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// What the contract calls a session: every field, no other.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    id: String,
    account: ReadAccount,
    current: bool,
    status: String,
    operating_system: Option<ReadProduct>,
    browser: Option<ReadProduct>,
    user_agent: String,
    ip_address: Option<IpAddr>,
    remembered: bool,
    created_at: String,
    last_updated: String,
    expires_at: String,
    time_left_seconds: u64,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadAccount {
    id: String,
    name: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadProduct {
    name: String,
    version: Option<String>,
}

const NOW: Timestamp = Timestamp::from_millisecond(1_795_510_800_000);

fn session() -> Session {
    let id = AccountId::new("42").unwrap();
    Session {
        id: SessionId::from_bytes([7; 16]),
        account: Arc::new(Account::new(AccountSource::BuiltIn, id, "ada")),
        remembered: true,
        created_at: NOW,
        last_used_at: NOW.saturating_add(Duration::from_secs(4_500)),
        ip_address: Some("203.0.113.7".parse().unwrap()),
        device: Arc::new(Device {
            operating_system: Some(Product::new("Linux", None)),
            browser: Some(Product::new("Chrome", Some("120"))),
        }),
        expires_at: NOW.saturating_add(Duration::from_secs(1_214_100)),
        absolute_deadline: NOW.saturating_add(Duration::from_secs(2_592_000)),
        expired: false,
    }
}

#[test]
fn a_session_reads_as_in_the_contract() {
    let session = session();
    let json = session_json(&session, true, session.last_used_at);
    assert_eq!(
        String::from_utf8(json).unwrap(),
        format!(
            "{{\"id\":\"{}\",\"account\":{{\"id\":\"42\",\"name\":\"ada\"}},\"current\":true,\"status\":\"active\",\
             \"operating_system\":{{\"name\":\"Linux\",\"version\":null}},\
             \"browser\":{{\"name\":\"Chrome\",\"version\":\"120\"}},\
             \"user_agent\":\"Chrome 120 on Linux\",\"ip_address\":\"203.0.113.7\",\"remembered\":true,\
             \"created_at\":\"2026-11-24T09:00:00.000Z\",\"last_updated\":\"2026-11-24T10:15:00.000Z\",\
             \"expires_at\":\"2026-12-08T10:15:00.000Z\",\"time_left_seconds\":1209600}}",
            session.id
        )
    );
}

#[test]
fn what_cannot_be_worked_out_is_null_and_the_device_unknown() {
    let session = Session {
        device: Arc::default(),
        ip_address: None,
        ..session()
    };
    let read: Read = serde_json::from_slice(&session_json(&session, false, NOW)).unwrap();
    assert_eq!(read.operating_system, None);
    assert_eq!(read.browser, None);
    assert_eq!(read.ip_address, None);
    assert_eq!(read.user_agent, "Unknown device");
}

#[test]
fn time_left_is_rounded_down_and_zero_once_expired() {
    let session = session();
    for (before, status, seconds) in [(1_999, "active", 1), (999, "active", 0), (0, "expired", 0)] {
        let now = session
            .expires_at
            .saturating_sub(Duration::from_millis(before));
        let read: Read = serde_json::from_slice(&session_json(&session, false, now)).unwrap();
        assert_eq!(
            (read.status.as_str(), read.time_left_seconds),
            (status, seconds)
        );
    }
    let long_after = session
        .expires_at
        .saturating_add(Duration::from_secs(1_000));
    let read: Read = serde_json::from_slice(&session_json(&session, false, long_after)).unwrap();
    assert_eq!(
        (read.status.as_str(), read.time_left_seconds),
        ("expired", 0)
    );
}

#[test]
fn instants_outside_of_four_digit_years_are_cut() {
    assert_eq!(
        rfc3339(Timestamp::from_millisecond(i64::MAX)),
        "9999-12-31T23:59:59.999Z"
    );
    assert_eq!(
        rfc3339(Timestamp::from_millisecond(i64::MIN)),
        "0000-01-01T00:00:00.000Z"
    );
}

#[test]
fn one_character_that_needs_an_escape_is_found_wherever_it_stands() {
    for length in 1..=20 {
        for position in 0..length {
            for byte in 0..=127 {
                let mut text = vec![b'a'; length];
                text[position] = byte;
                assert_eq!(
                    needs_no_escape(&text),
                    !needs_escape(byte),
                    "{byte} at {position} of {length}"
                );
            }
        }
    }
    assert!(needs_no_escape(b""));
    assert!(needs_no_escape("ä€😀 and the like".as_bytes()));
}

proptest! {
    #[test]
    fn sessions_in_a_row_read_as_each_of_them_alone(
        picks in proptest::collection::vec((0..2_usize, 0..6_usize, any::<u32>()), 1..20),
    ) {
        let accounts: Vec<_> = ["ada", "grace"]
            .map(|name| {
                let id = AccountId::new(name).unwrap();
                Arc::new(Account::new(AccountSource::BuiltIn, id, name))
            })
            .into();
        let devices: Vec<_> = (0..6)
            .map(|version| {
                let browser = Some(Product::new("Chrome", Some(&version.to_string())));
                Arc::new(Device { operating_system: None, browser })
            })
            .collect();
        let sessions: Vec<_> = picks
            .iter()
            .map(|(account, device, seconds)| Session {
                account: Arc::clone(&accounts[*account]),
                device: Arc::clone(&devices[*device]),
                last_used_at: NOW.saturating_add(Duration::from_secs((*seconds).into())),
                ..session()
            })
            .collect();
        let mut together = b"before".to_vec();
        let mut writer = SessionsWriter::new(&mut together);
        let mut alone = b"before".to_vec();
        for (number, session) in sessions.iter().enumerate() {
            writer.write(session.view(), number == 1, NOW);
            alone.extend(session_json(session, number == 1, NOW));
        }
        prop_assert_eq!(String::from_utf8(together).unwrap(), String::from_utf8(alone).unwrap());
    }

    #[test]
    fn a_number_is_written_as_everybody_writes_it(number in prop_oneof![any::<u64>(), 0_u64..100_000], few in any::<u8>()) {
        for number in [number, few.into()] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn an_address_is_written_as_everybody_writes_it(octets in any::<[u8; 4]>()) {
        let address = IpAddr::from(octets);
        let mut out = Vec::new();
        write_address(&mut out, Some(address));
        prop_assert_eq!(String::from_utf8(out).unwrap(), format!("\"{address}\""));
    }

    #[test]
    fn an_instant_reads_as_a_library_of_calendars_writes_it(
        milliseconds in prop_oneof![
            -62_167_219_200_000_i64..253_402_300_799_999,
            0_i64..4_102_444_800_000,
        ],
    ) {
        let other = jiff::Timestamp::from_millisecond(milliseconds).unwrap();
        prop_assert_eq!(rfc3339(Timestamp::from_millisecond(milliseconds)), format!("{other:.3}"));
    }

    #[test]
    fn any_text_is_written_as_a_json_string_that_reads_back(text in any::<String>()) {
        let mut out = Vec::new();
        write_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn any_session_is_written_as_json_that_reads_back(
        name in ".{1,64}",
        browser in proptest::option::of((".{1,40}", proptest::option::of("[0-9.]{1,12}"))),
        system in proptest::option::of((".{1,40}", proptest::option::of("[0-9.]{1,12}"))),
        address in proptest::option::of(any::<[u8; 16]>()),
        current in any::<bool>(),
    ) {
        let product = |(name, version): &(String, Option<String>)| Product::new(name.as_str(), version.as_deref());
        let device = Device { operating_system: system.as_ref().map(product), browser: browser.as_ref().map(product) };
        let label = device.label();
        let id = AccountId::new("42").unwrap();
        let session = Session {
            account: Arc::new(Account::new(AccountSource::BuiltIn, id, &name)),
            device: Arc::new(device),
            ip_address: address.map(IpAddr::from),
            ..session()
        };
        let read: Read = serde_json::from_slice(&session_json(&session, current, NOW)).unwrap();
        let expected = |product: Option<(String, Option<String>)>| {
            product.map(|(name, version)| ReadProduct { name, version })
        };
        prop_assert_eq!(read.user_agent, label);
        prop_assert_eq!(read.account.name, name);
        prop_assert_eq!(read.browser, expected(browser));
        prop_assert_eq!(read.operating_system, expected(system));
        prop_assert_eq!(read.ip_address, address.map(IpAddr::from));
        prop_assert_eq!(read.current, current);
    }
}
