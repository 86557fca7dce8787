use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const PEER: &str = "10.0.0.1";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn trusted(networks: &[&str]) -> TrustedProxies {
    networks
        .iter()
        .map(|network| network.parse::<IpNet>().unwrap())
        .collect()
}

fn visitor_of(peer: &str, header: &HeaderName, lines: &[&str]) -> IpAddr {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    let trusted = trusted(&["10.0.0.0/8", "2001:db8:ffff::/48"]);
    client_ip(Some(address(peer)), &headers, &trusted).unwrap()
}

fn x_forwarded_for(lines: &[&str]) -> String {
    visitor_of(PEER, &X_FORWARDED_FOR, lines).to_string()
}

fn forwarded(lines: &[&str]) -> String {
    visitor_of(PEER, &FORWARDED, lines).to_string()
}

#[test]
fn a_peer_that_is_not_trusted_is_the_visitor_whatever_it_says() {
    for header in [&X_FORWARDED_FOR, &FORWARDED] {
        for line in ["192.0.2.1", "for=192.0.2.1", "10.0.0.2"] {
            let visitor = visitor_of("203.0.113.7", header, &[line]);
            assert_eq!(visitor, address("203.0.113.7"));
        }
    }
}

#[test]
fn without_trusted_proxies_no_header_counts() {
    let mut headers = HeaderMap::new();
    headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("192.0.2.1"));
    headers.insert(FORWARDED, HeaderValue::from_static("for=192.0.2.1"));
    let visitor = client_ip(Some(address(PEER)), &headers, &TrustedProxies::none());
    assert_eq!(visitor, Some(address(PEER)));
}

#[test]
fn without_a_peer_there_is_no_address() {
    let mut headers = HeaderMap::new();
    headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("192.0.2.1"));
    assert_eq!(client_ip(None, &headers, &trusted(&["0.0.0.0/0"])), None);
}

#[test]
fn a_trusted_peer_without_a_header_is_the_visitor() {
    assert_eq!(x_forwarded_for(&[]), PEER);
    assert_eq!(x_forwarded_for(&[""]), PEER);
    assert_eq!(x_forwarded_for(&[" , ,"]), PEER);
    assert_eq!(forwarded(&[""]), PEER);
    assert_eq!(forwarded(&[" , ;, "]), PEER);
}

#[test]
fn the_visitor_is_the_first_hop_from_the_right_that_is_not_trusted() {
    assert_eq!(x_forwarded_for(&["192.0.2.1"]), "192.0.2.1");
    assert_eq!(x_forwarded_for(&["198.51.100.9, 192.0.2.1"]), "192.0.2.1");
    assert_eq!(
        x_forwarded_for(&["198.51.100.9, 192.0.2.1, 10.0.0.2"]),
        "192.0.2.1"
    );
    assert_eq!(
        x_forwarded_for(&["198.51.100.9,192.0.2.1,10.0.0.2, 10.9.9.9"]),
        "192.0.2.1"
    );
    assert_eq!(
        x_forwarded_for(&["198.51.100.9", "192.0.2.1", "10.0.0.2"]),
        "192.0.2.1"
    );
    assert_eq!(
        x_forwarded_for(&["10.0.0.3, 192.0.2.1, 10.0.0.2"]),
        "192.0.2.1"
    );
    assert_eq!(
        forwarded(&["for=198.51.100.9, for=192.0.2.1;proto=https, for=10.0.0.2"]),
        "192.0.2.1"
    );
    assert_eq!(
        forwarded(&["for=198.51.100.9", "For=192.0.2.1", "FOR=10.0.0.2"]),
        "192.0.2.1"
    );
}

#[test]
fn where_every_hop_is_trusted_the_leftmost_is_the_visitor() {
    assert_eq!(x_forwarded_for(&["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    assert_eq!(forwarded(&["for=10.0.0.3, for=10.0.0.2"]), "10.0.0.3");
}

#[test]
fn forwarded_wins_where_both_are_sent_even_where_it_says_nothing() {
    let trusted = trusted(&["10.0.0.0/8"]);
    for (line, visitor) in [
        ("for=192.0.2.1", "192.0.2.1"),
        ("for=unknown", PEER),
        ("", PEER),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.9"));
        headers.insert(FORWARDED, HeaderValue::from_static(line));
        let found = client_ip(Some(address(PEER)), &headers, &trusted);
        assert_eq!(found, Some(address(visitor)), "{line}");
    }
}

#[test]
fn ports_brackets_and_ipv6_are_read() {
    for (hop, visitor) in [
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
    ] {
        assert_eq!(x_forwarded_for(&[hop]), visitor, "{hop}");
        assert_eq!(forwarded(&[&format!("for=\"{hop}\"")]), visitor, "{hop}");
        assert_eq!(
            forwarded(&[&format!("for={hop};by=10.0.0.1")]),
            visitor,
            "{hop}"
        );
    }
    assert_eq!(
        forwarded(&["for=\"192.0.2.1:_hidden.port-1\""]),
        "192.0.2.1"
    );
}

#[test]
fn a_peer_and_a_network_in_ipv6_clothes_are_ipv4() {
    let visitor = visitor_of("::ffff:10.0.0.1", &X_FORWARDED_FOR, &["192.0.2.1"]);
    assert_eq!(visitor, address("192.0.2.1"));
    assert_eq!(
        visitor_of("::ffff:192.0.2.9", &X_FORWARDED_FOR, &[]),
        address("192.0.2.9")
    );
    let mapped = trusted(&["::ffff:10.0.0.0/104"]);
    assert!(mapped.contains(address("10.0.0.1")));
    assert!(!mapped.contains(address("11.0.0.1")));
    let all = trusted(&["::/0"]);
    assert!(all.contains(address("2001:db8::1")));
    assert!(!all.contains(address("192.0.2.1")));
}

#[test]
fn where_a_hop_cannot_be_read_the_peer_is_the_visitor() {
    for hop in [
        "unknown",
        "_hidden",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1:",
        "192.0.2.1:port",
        "192.0.2.1:65536",
        "192.0.2.1:+80",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]4711",
        "[192.0.2.1]",
        "fe80::1%eth0",
        "192.0.2.1 192.0.2.2",
        "\u{fc}",
        "0xC0.0.2.1",
        "192.0.2.01",
    ] {
        assert_eq!(
            x_forwarded_for(&[&format!("192.0.2.1, {hop}, 10.0.0.2")]),
            PEER,
            "{hop}"
        );
        assert_eq!(
            forwarded(&[&format!("for=192.0.2.1, for=\"{hop}\", for=10.0.0.2")]),
            PEER,
            "{hop}"
        );
    }
    // To the left of the visitor anything may stand: nobody vouches for it.
    assert_eq!(x_forwarded_for(&["garbage, 192.0.2.1"]), "192.0.2.1");
    assert_eq!(forwarded(&["for=_hidden, for=192.0.2.1"]), "192.0.2.1");
}

#[test]
fn forwarded_elements_without_one_clear_for_cannot_be_read() {
    for line in [
        "proto=https",
        "for=192.0.2.1;for=192.0.2.2",
        "for=",
        "for=\"\"",
        "for",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "192.0.2.1",
        "for=\"192.0.2.1",
        "for=\"192.0.2.1\"x",
        "for=192.0.2.1\"",
        "for=\"192.0.2.1\\",
        "=192.0.2.1",
        "for=192.0.2.1 for=192.0.2.2",
    ] {
        assert_eq!(forwarded(&[line]), PEER, "{line}");
    }
}

#[test]
fn commas_and_semicolons_inside_quotes_separate_nothing() {
    assert_eq!(
        forwarded(&["for=192.0.2.1;secret=\"a, for=198.51.100.9\""]),
        "192.0.2.1"
    );
    assert_eq!(
        forwarded(&["for=192.0.2.1;secret=\"a; for=198.51.100.9\""]),
        "192.0.2.1"
    );
    assert_eq!(
        forwarded(&["for=192.0.2.1;secret=\"a\\\", for=198.51.100.9\""]),
        "192.0.2.1"
    );
    assert_eq!(forwarded(&["for=\"192.0\\.2.1\""]), "192.0.2.1");
}

#[test]
fn a_quote_left_open_by_the_visitor_does_not_swallow_the_next_line() {
    assert_eq!(
        forwarded(&["for=\"198.51.100.9", "for=192.0.2.1"]),
        "192.0.2.1"
    );
    assert_eq!(forwarded(&["for=\"198.51.100.9, for=192.0.2.1"]), PEER);
    assert_eq!(forwarded(&["for=\"198.51.100.9, for=\"192.0.2.1\""]), PEER);
}

#[test]
fn a_value_too_long_to_be_a_node_cannot_be_read() {
    let long = format!("for=\"{}192.0.2.1\"", "0".repeat(1_000));
    assert_eq!(forwarded(&[&long]), PEER);
    let long = format!("for=192.0.2.1;secret=\"{}\"", "x".repeat(1_000));
    assert_eq!(forwarded(&[&long]), "192.0.2.1");
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        (0_u8..4).prop_map(|last| IpAddr::from([10, 0, 0, last])),
    ]
}

/// The rule, word for word, over hops that were already read.
fn by_the_rule(peer: IpAddr, hops: &[Option<IpAddr>], trusted: &TrustedProxies) -> IpAddr {
    for hop in hops.iter().rev() {
        match hop {
            None => return peer,
            Some(address) if !trusted.contains(*address) => return address.to_canonical(),
            Some(_) => {}
        }
    }
    hops.first()
        .copied()
        .flatten()
        .unwrap_or(peer)
        .to_canonical()
}

proptest! {
    #[test]
    fn both_headers_lead_to_the_visitor_that_the_rule_names(
        hops in proptest::collection::vec(proptest::option::weighted(0.9, any_address()), 0..8),
        ports in any::<bool>(),
    ) {
        let trusted = trusted(&["10.0.0.0/8"]);
        let peer = address(PEER);
        let written: Vec<String> = hops.iter().map(|hop| match hop {
            None => "_hidden".to_owned(),
            Some(IpAddr::V4(v4)) if ports => format!("{v4}:80"),
            Some(IpAddr::V4(v4)) => v4.to_string(),
            Some(IpAddr::V6(v6)) if ports => format!("[{v6}]:80"),
            Some(IpAddr::V6(v6)) => format!("[{v6}]"),
        }).collect();
        let expected = by_the_rule(peer, &hops, &trusted);

        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, written.join(", ").parse().unwrap());
        prop_assert_eq!(client_ip(Some(peer), &headers, &trusted), Some(expected));

        let elements: Vec<String> = written.iter().map(|node| format!("proto=https;for=\"{node}\"")).collect();
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, elements.join(",").parse().unwrap());
        prop_assert_eq!(client_ip(Some(peer), &headers, &trusted), Some(expected));
    }

    #[test]
    fn whatever_a_visitor_writes_his_proxy_has_the_last_word(
        prefix in proptest::collection::vec(0x20_u8..0x7f, 0..64),
    ) {
        // A proxy that adds a line of its own, as RFC 7239 allows: what stands before cannot change the outcome.
        let trusted = trusted(&["10.0.0.0/8"]);
        for (name, own) in [(FORWARDED, "for=192.0.2.1"), (X_FORWARDED_FOR, "192.0.2.1")] {
            let mut headers = HeaderMap::new();
            headers.append(&name, HeaderValue::from_bytes(&prefix).unwrap());
            headers.append(&name, HeaderValue::from_static(own));
            prop_assert_eq!(
                client_ip(Some(address(PEER)), &headers, &trusted),
                Some(address("192.0.2.1"))
            );
        }
    }

    #[test]
    fn garbage_never_panics_and_never_takes_the_address_away(
        line in proptest::collection::vec(prop_oneof![
            Just(b'"'), Just(b'\\'), Just(b','), Just(b';'), Just(b'='), Just(b'['), Just(b']'), Just(b':'),
            Just(b'f'), Just(b'o'), Just(b'r'), Just(b'1'), Just(b'.'), 0x20_u8..0x7f, 0x80_u8..=0xff,
        ], 0..200),
    ) {
        let trusted = trusted(&["10.0.0.0/8"]);
        for name in [FORWARDED, X_FORWARDED_FOR] {
            let mut headers = HeaderMap::new();
            headers.insert(&name, HeaderValue::from_bytes(&line).unwrap());
            prop_assert!(client_ip(Some(address(PEER)), &headers, &trusted).is_some());
        }
    }
}
