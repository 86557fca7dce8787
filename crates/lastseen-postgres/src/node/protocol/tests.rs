//! What the model leaves out: margins, and readings that come at the wrong time.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(milliseconds: u64) -> Moment {
    Moment(0).after(Duration::from_millis(milliseconds))
}

fn row(id: u128) -> Row {
    Row {
        id: NodeId(id),
        epoch: Epoch(1),
        renewals: 5,
        length: Length(SECOND),
        applied: false,
    }
}

fn read(asked: u64, answered: u64, rows: &[Row]) -> Nodes<'_> {
    Nodes {
        asked: at(asked),
        answered: at(answered),
        primary: Primary {
            timeline: 1,
            settled: true,
            longest: Length(5 * SECOND),
        },
        rows,
    }
}

/// How long `duration` takes by a clock that is `ppm` millionths fast, in nanoseconds.
fn by_a_clock(duration: Duration, ppm: i64) -> i64 {
    let nanoseconds = i64::try_from(duration.as_nanos()).unwrap();
    nanoseconds * 1_000_000 / (1_000_000 + ppm)
}

/// What chrony lets a clock be steered by at the most, in millionths: `maxslewrate`.
const STEERED: i64 = 83_333;

proptest! {
    #[test]
    fn the_margin_is_enough_for_two_clocks_that_are_steered_against_each_other(
        milliseconds in 200_u64..=5_000,
        node in -STEERED..=STEERED,
        terminator in -STEERED..=STEERED,
    ) {
        let length = Length::new(Duration::from_millis(milliseconds)).unwrap();
        let believed = by_a_clock(length.for_its_holder(), node);
        let waited = by_a_clock(length.for_others(), terminator);
        prop_assert!(believed <= waited);
    }
}

#[test]
fn without_a_margin_a_slow_clock_outlives_a_fast_one() {
    assert!(by_a_clock(SECOND, -STEERED) > by_a_clock(SECOND, STEERED));
}

#[test]
fn a_lease_that_is_too_short_or_too_long_is_none() {
    let length = |milliseconds| Length::new(Duration::from_millis(milliseconds));
    assert!(length(199).is_none() && length(5_001).is_none());
    assert!(length(200).is_some() && length(5_000).is_some());
}

#[test]
fn a_lease_is_counted_from_before_it_was_asked_for_less_the_margin() {
    let mut node = Node::new(Length(SECOND));
    node.registered(Epoch(1), 0_u8);
    node.heard_itself();
    assert!(node.renew(at(100)).is_some());
    assert!(node.renew(at(110)).is_none(), "one is under way");
    let brought = node.renewed(0).unwrap();
    assert!(node.applied(brought, at(400)));
    let lease = node.lease().unwrap();
    assert!(lease.runs_at(at(999)));
    assert!(!lease.runs_at(at(1_000)));
}

#[test]
fn a_node_that_has_not_heard_itself_gets_no_lease() {
    let mut node = Node::new(Length(SECOND));
    node.registered(Epoch(1), 0_u8);
    assert!(node.renew(at(100)).is_none());
}

#[test]
fn a_renewal_that_is_answered_after_the_lease_brings_none_back() {
    let mut node = Node::new(Length(SECOND));
    node.registered(Epoch(1), 0_u8);
    node.heard_itself();
    node.renew(at(0));
    let brought = node.renewed(0).unwrap();
    assert!(node.applied(brought, at(10)));
    node.renew(at(800));
    let brought = node.renewed(0).unwrap();
    assert!(!node.applied(brought, at(900)));
    assert_eq!((node.lease(), node.epoch()), (None, None));
}

#[test]
fn what_an_earlier_registration_brought_extends_no_later_one() {
    let mut node = Node::new(Length(SECOND));
    node.registered(Epoch(1), 0_u8);
    node.heard_itself();
    node.renew(at(0));
    let brought = node.renewed(0).unwrap();
    node.lost();
    node.registered(Epoch(2), 0);
    assert!(!node.applied(brought, at(10)));
}

#[test]
fn a_reading_from_before_the_commit_says_nothing() {
    let mut confirmation = Confirmation::new(at(100));
    confirmation.nodes(&read(99, 101, &[]));
    assert_eq!(confirmation.progress(at(200)), Progress::ReadNodes);
    confirmation.nodes(&read(100, 101, &[]));
    let answer = Progress::Answer { waited_out: 0 };
    assert_eq!(confirmation.progress(at(200)), answer);
}

#[test]
fn a_word_that_comes_before_its_node_was_read_counts() {
    let mut confirmation = Confirmation::new(at(0));
    confirmation.acknowledged(NodeId(1), Epoch(1));
    confirmation.acknowledged(NodeId(2), Epoch(0));
    confirmation.nodes(&read(0, 1, &[row(1), row(2)]));
    let awaited: Vec<NodeId> = confirmation.awaited().collect();
    assert_eq!(
        awaited,
        [NodeId(2)],
        "what a registration before this one said is void"
    );
    assert_eq!(confirmation.progress(at(1)), Progress::WaitUntil(at(1_100)));
}

#[test]
fn a_dead_node_is_waited_for_from_the_commit_and_evicted_from_the_reading() {
    let mut confirmation = Confirmation::new(at(0));
    confirmation.nodes(&read(300, 400, &[row(1)]));
    assert_eq!(
        confirmation.progress(at(1_099)),
        Progress::WaitUntil(at(1_100))
    );
    let answer = Progress::Answer { waited_out: 1 };
    assert_eq!(confirmation.progress(at(1_100)), answer);
    assert_eq!(confirmation.evictions(at(1_499)).count(), 0);
    assert_eq!(confirmation.next_eviction(), Some(at(1_500)));
    let eviction = confirmation.evictions(at(1_500)).next().unwrap();
    assert_eq!((eviction.id, eviction.renewals), (NodeId(1), 5));
}

#[test]
fn a_node_that_was_renewed_meanwhile_is_evicted_later() {
    let mut confirmation = Confirmation::new(at(0));
    confirmation.nodes(&read(0, 1, &[row(1)]));
    let renewed = Row {
        renewals: 6,
        ..row(1)
    };
    confirmation.nodes(&read(500, 501, &[renewed]));
    assert_eq!(confirmation.next_eviction(), Some(at(1_601)));
}

#[test]
fn a_node_that_has_left_is_not_waited_for_unless_another_primary_says_so() {
    for (settled, waits) in [(true, 0), (false, 1)] {
        let mut confirmation = Confirmation::new(at(0));
        confirmation.nodes(&read(0, 1, &[row(1)]));
        let mut left = read(10, 11, &[]);
        left.primary.settled = settled;
        confirmation.nodes(&left);
        assert_eq!(confirmation.awaited().count(), waits);
    }
}

#[test]
fn a_primary_that_took_over_is_settled_after_the_longest_lease() {
    let mut takeover = Takeover::default();
    let mut nodes = read(0, 10, &[]);
    nodes.primary.settled = false;
    takeover.nodes(&nodes);
    let mut confirmation = Confirmation::new(at(0));
    confirmation.nodes(&nodes);
    assert_eq!(confirmation.progress(at(0)), Progress::WaitUntil(at(5_500)));
    assert_eq!(takeover.settled(at(5_509)), None);
    assert_eq!(takeover.settled(at(5_510)), Some(1));
    // Another one after it begins anew.
    nodes.primary.timeline = 2;
    nodes.answered = at(5_000);
    takeover.nodes(&nodes);
    assert_eq!(takeover.settled(at(5_510)), None);
}
