//! The rules, by a clock that stands still.

use proptest::prelude::*;

use super::*;

const NOON: Timestamp = Timestamp::from_millisecond(1_700_000_000_000);

fn after(seconds: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_secs(seconds))
}

impl Counts {
    /// A failure while no other try is under way.
    fn fail_at(&self, now: Timestamp) -> Result<Self, Wait> {
        match self.admit(Tries::default(), now) {
            Ok(()) => Ok(self.with_one_failure(now)),
            Err(NotNow::TooMany(wait)) => Err(wait),
            Err(NotNow::Undecided) => panic!("no other try is under way"),
        }
    }
}

fn counts(now: Timestamp) -> Counts {
    Counts {
        pair: RecentFailures::default(),
        name: Pressure::none(now),
        known_visitor: None,
    }
}

#[test]
fn the_eleventh_failure_of_a_pair_within_a_quarter_of_an_hour_has_to_wait() {
    let mut counts = counts(NOON);
    for second in 0..10 {
        counts = counts.fail_at(after(second)).unwrap();
    }
    assert_eq!(counts.fail_at(after(10)).unwrap_err().as_seconds(), 890);
    assert_eq!(counts.fail_at(after(899)).unwrap_err().as_seconds(), 1);
    assert!(counts.fail_at(after(900)).is_ok());
}

#[test]
fn no_quarter_of_an_hour_sees_more_than_ten_failures() {
    let mut counts = counts(NOON);
    let mut passed = Vec::new();
    for second in (0..7_200).step_by(7) {
        // The name alone would stop them after 100; that is another test.
        counts.name = Pressure::none(after(second));
        if let Ok(counted) = counts.fail_at(after(second)) {
            passed.push(second);
            counts = counted;
        }
    }
    for start in &passed {
        let within = passed
            .iter()
            .filter(|second| (*start..start + 900).contains(*second))
            .count();
        assert!(within <= 10, "{within} from {start}");
    }
    assert!(passed.len() >= 70, "{}", passed.len());
}

#[test]
fn more_than_a_hundred_failures_for_a_name_slow_strangers_down() {
    let mut pressure = Pressure::none(NOON);
    for _ in 0..100 {
        assert_eq!(pressure.wait(NOON), None);
        pressure = pressure.with_more(1, NOON);
    }
    assert_eq!(pressure.wait(NOON).unwrap().as_seconds(), 900);
    assert_eq!(pressure.wait(after(899)).unwrap().as_seconds(), 1);
    // One in a quarter of an hour from then on.
    assert_eq!(pressure.wait(after(900)), None);
    let pressure = Pressure::at(pressure.empty_at(), after(900)).with_more(1, after(900));
    assert_eq!(pressure.wait(after(900)).unwrap().as_seconds(), 900);
}

#[test]
fn a_known_visitor_has_nothing_but_its_own_limit_to_pass() {
    let mut full = counts(NOON);
    for _ in 0..10 {
        full.pair = full.pair.with_more(1, NOON);
    }
    for _ in 0..200 {
        full.name = full.name.with_more(1, NOON);
    }
    assert!(full.fail_at(NOON).is_err());
    full.known_visitor = Some(RecentFailures::default());
    for _ in 0..10 {
        full = full.fail_at(NOON).unwrap();
    }
    assert_eq!(full.fail_at(NOON).unwrap_err().as_seconds(), 900);
}

#[test]
fn a_limit_that_is_reached_through_tries_under_way_says_nothing_yet() {
    let under_way = |tries| Tries {
        pair: tries,
        name: tries,
        known_visitor: 0,
    };
    let mut counts = counts(NOON);
    for _ in 0..9 {
        counts = counts.fail_at(NOON).unwrap();
    }
    assert_eq!(counts.admit(under_way(0), NOON), Ok(()));
    assert_eq!(counts.admit(under_way(1), NOON), Err(NotNow::Undecided));
    assert_eq!(counts.admit(under_way(5), NOON), Err(NotNow::Undecided));
    counts = counts.with_one_failure(NOON);
    for tries in [0, 1, 5] {
        assert!(matches!(
            counts.admit(under_way(tries), NOON),
            Err(NotNow::TooMany(_))
        ));
    }
    counts.pair = RecentFailures::default();
    counts.name = Pressure::none(NOON).with_more(99, NOON);
    assert_eq!(counts.admit(under_way(0), NOON), Ok(()));
    assert_eq!(counts.admit(under_way(1), NOON), Err(NotNow::Undecided));
    counts.name = counts.name.with_more(1, NOON);
    assert!(matches!(
        counts.admit(under_way(1), NOON),
        Err(NotNow::TooMany(_))
    ));
}

#[test]
fn a_known_visitor_waits_for_tries_of_its_own_only() {
    let mut counts = counts(NOON);
    counts.known_visitor = Some(RecentFailures::default());
    let mut under_way = Tries {
        pair: 500,
        name: 500,
        known_visitor: 9,
    };
    assert_eq!(counts.admit(under_way, NOON), Ok(()));
    under_way.known_visitor = 10;
    assert_eq!(counts.admit(under_way, NOON), Err(NotNow::Undecided));
}

#[test]
fn a_clock_set_back_neither_forgives_nor_blocks_for_longer() {
    let mut failures = RecentFailures::default();
    for _ in 0..10 {
        failures = failures.with_more(1, after(1_000_000));
    }
    let failures = RecentFailures::at(failures.times().to_vec(), NOON);
    assert_eq!(failures.wait(NOON).unwrap().as_seconds(), 900);
    let pressure = Pressure::at(after(100_000_000), NOON);
    assert_eq!(pressure.wait(NOON).unwrap().as_seconds(), 900);
}

#[test]
fn addresses_of_one_ipv6_network_are_one_and_a_mapped_address_is_the_ipv4_one() {
    let name = NameKey::of("ada");
    let pair = |address: &str| Counter::of_pair(&name, Some(address.parse().unwrap()));
    assert_eq!(pair("2001:db8:1:2::1"), pair("2001:db8:1:2:ffff::9"));
    assert_ne!(pair("2001:db8:1:2::1"), pair("2001:db8:1:3::1"));
    assert_ne!(pair("203.0.113.7"), pair("203.0.113.8"));
    assert_eq!(pair("::ffff:203.0.113.7"), pair("203.0.113.7"));
    assert_ne!(Counter::of_pair(&name, None), pair("0.0.0.0"));
    assert_ne!(
        pair("203.0.113.7"),
        Counter::of_pair(&NameKey::of("grace"), "203.0.113.7".parse().ok())
    );
}

proptest! {
    #[test]
    fn a_wait_is_never_longer_than_the_window(
        times in proptest::collection::vec(any::<i64>(), 0..40), now in any::<i64>(), empty_at in any::<i64>(),
    ) {
        let now = Timestamp::from_millisecond(now);
        let failures = RecentFailures::at(times.into_iter().map(Timestamp::from_millisecond), now);
        let pressure = Pressure::at(Timestamp::from_millisecond(empty_at), now);
        for wait in [failures.wait(now), pressure.wait(now)].into_iter().flatten() {
            prop_assert!((1..=900).contains(&wait.as_seconds()));
        }
        prop_assert!(failures.with_more(1, now).times().len() <= FAILURES_PER_PAIR);
        prop_assert!(pressure.with_more(1, now).empty_at() >= pressure.empty_at());
    }
}
