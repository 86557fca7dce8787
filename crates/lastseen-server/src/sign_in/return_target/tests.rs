use proptest::prelude::*;

use super::*;

fn targets(public_url: &str, hosts: &[&str]) -> ReturnTargets {
    let hosts = hosts.iter().map(|host| ReturnHost::read(host).unwrap());
    ReturnTargets::new(PublicUrl::parse(public_url).unwrap(), hosts)
}

/// A server that leads back to two hosts, one of them on a port of its own.
fn ours() -> ReturnTargets {
    targets(
        "https://sessions.example.org",
        &[
            "wiki.example.org",
            "files.example.org:8443",
            "bücher.example",
        ],
    )
}

fn read(text: &str) -> Option<String> {
    ours().read(text).map(|target| target.as_str().to_owned())
}

#[test]
fn a_page_of_a_named_host_is_a_way_back_with_its_query_intact() {
    for text in [
        "https://wiki.example.org/",
        "https://wiki.example.org/a/b?x=1&y=%26%3D&z=a+b&q=%C3%A9&empty=&&x=2",
        "https://wiki.example.org/?next=https://elsewhere.example/&m=ada@example.org",
        "https://wiki.example.org//double",
        "https://files.example.org:8443/x?y",
        "https://xn--bcher-kva.example/",
        "https://sessions.example.org/sessions?cursor=x",
    ] {
        assert_eq!(read(text).as_deref(), Some(text));
    }
}

#[test]
fn an_address_is_compared_after_parsing() {
    for (text, expected) in [
        ("HTTPS://Wiki.Example.ORG", "https://wiki.example.org/"),
        (
            "https://wiki.example.org:443/x",
            "https://wiki.example.org/x",
        ),
        (
            "https://wiki.example.org:0443/x",
            "https://wiki.example.org/x",
        ),
        (
            "https://bücher.example/é",
            "https://xn--bcher-kva.example/%C3%A9",
        ),
        ("https://wiki%2eexample.org/", "https://wiki.example.org/"),
        ("https://wiki。example.org/", "https://wiki.example.org/"),
        (
            "https://wiki.example.org/a/../b",
            "https://wiki.example.org/b",
        ),
        ("https://wiki.example.org/a#b", "https://wiki.example.org/a"),
        ("https://wiki.example.org?x", "https://wiki.example.org/?x"),
    ] {
        assert_eq!(read(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn anything_that_could_lead_elsewhere_is_none() {
    for text in [
        // Another host, however alike.
        "https://elsewhere.example/",
        "https://wiki.example.org.elsewhere.example/",
        "https://wiki.example.org.",
        "https://awiki.example.org/",
        "https://a.wiki.example.org/",
        "https://example.org/",
        "https://elsewhere.example/wiki.example.org",
        "https://elsewhere.example#wiki.example.org",
        "https://elsewhere.example?https://wiki.example.org",
        "https://wiki.example.org%2f.elsewhere.example/",
        "https://wiki.exаmple.org/",
        "https://xn--wiki.example.org/",
        // Another port, another scheme.
        "https://wiki.example.org:8443/",
        "https://wiki.example.org:80/",
        "https://files.example.org/",
        "https://wiki.example.org:65536/",
        "http://wiki.example.org/",
        "http://wiki.example.org:443/",
        "http://sessions.example.org/",
        "ftp://wiki.example.org/",
        "wss://wiki.example.org/",
        "javascript://wiki.example.org/%0aalert(1)",
        "javascript:alert(1)",
        "data:text/html,x",
        "blob:https://wiki.example.org/x",
        "view-source:https://wiki.example.org/",
        // A user where a host seems to be.
        "https://wiki.example.org@elsewhere.example/",
        "https://wiki.example.org:443@elsewhere.example/",
        "https://ada:secret@wiki.example.org/",
        "https://@wiki.example.org/",
        "https://elsewhere.example\\@wiki.example.org/",
        // What parsers mend, each in its own way.
        "https:wiki.example.org",
        "https:/wiki.example.org/",
        "https:///wiki.example.org/",
        "https:\\\\wiki.example.org/",
        "https://elsewhere.example\\.wiki.example.org/",
        "https://wiki.example.org\\",
        "//wiki.example.org/",
        "///wiki.example.org/",
        "\\\\wiki.example.org",
        "/\\wiki.example.org",
        " https://wiki.example.org/",
        "https://wiki.example.org/ ",
        "\thttps://wiki.example.org/",
        "ht\ntps://wiki.example.org/",
        "https://wiki.exam\tple.org/",
        "https://wiki.example.org/\r\nSet-Cookie: a=b",
        "https://wiki.example.org/\u{0}",
        "https://",
        "https://?wiki.example.org",
        "://wiki.example.org",
        "wiki.example.org",
        "",
        // No place to come back to.
        "https://sessions.example.org/sign-in",
        "https://sessions.example.org/x/../sign-out",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
    assert_eq!(
        read(&format!("https://wiki.example.org/{}", "a".repeat(2_048))),
        None
    );
}

#[test]
fn paths_of_this_server_are_as_they_were() {
    assert_eq!(read("/sessions?x=1").as_deref(), Some("/sessions?x=1"));
    assert_eq!(read("/sign-in"), None);
    assert_eq!(ReturnTarget::default().as_str(), "/sessions");
}

#[test]
fn without_named_hosts_there_is_this_server_alone() {
    let targets = targets("https://sessions.example.org", &[]);
    assert!(targets.read("https://sessions.example.org/x").is_some());
    assert!(targets.read("https://wiki.example.org/").is_none());
    assert!(targets.form_policy().is_none());
}

#[test]
fn a_server_on_plain_http_leads_back_over_either() {
    let targets = targets("http://127.0.0.1:8080", &["127.0.0.1:3000", "wiki.local"]);
    for text in [
        "http://127.0.0.1:8080/x",
        "http://127.0.0.1:3000/x",
        "https://127.0.0.1:3000/x",
        "http://wiki.local/",
        "https://wiki.local/",
    ] {
        assert!(targets.read(text).is_some(), "{text}");
    }
    for text in [
        "http://127.0.0.1/x",
        "https://127.0.0.1:8080/x",
        "http://wiki.local:443/",
    ] {
        assert!(targets.read(text).is_none(), "{text}");
    }
}

#[test]
fn the_form_may_lead_to_exactly_the_named_hosts() {
    let forms = |targets: &ReturnTargets| {
        let policy = targets.form_policy().unwrap().to_str().unwrap();
        let directive = policy
            .split("; ")
            .find_map(|part| part.strip_prefix("form-action "));
        directive.unwrap().to_owned()
    };
    assert_eq!(
        forms(&ours()),
        "'self' https://wiki.example.org https://files.example.org:8443 https://xn--bcher-kva.example"
    );
    assert_eq!(
        forms(&targets("http://127.0.0.1:8080", &["127.0.0.1:3000"])),
        "'self' https://127.0.0.1:3000 http://127.0.0.1:3000"
    );
}

#[test]
fn what_a_proxy_says_is_judged_like_what_a_visitor_says() {
    let read = |scheme, host, path| {
        ours()
            .read_parts(scheme, host, path)
            .map(|target| target.as_str().to_owned())
    };
    assert_eq!(
        read("https", "wiki.example.org", "/a?b=c&d=%26").as_deref(),
        Some("https://wiki.example.org/a?b=c&d=%26")
    );
    assert_eq!(
        read("https", "wiki.example.org", "//elsewhere.example/").as_deref(),
        Some("https://wiki.example.org//elsewhere.example/")
    );
    for (scheme, host, path) in [
        ("https", "elsewhere.example", "/"),
        ("http", "wiki.example.org", "/"),
        ("wss", "wiki.example.org", "/"),
        ("https", "wiki.example.org", ".elsewhere.example/"),
        ("https", "wiki.example.org", "@elsewhere.example/"),
        ("https", "wiki.example.org", ""),
        ("https", "wiki.example.org", "*"),
        ("https", "wiki.example.org", "https://wiki.example.org/"),
        ("https", "wiki.example.org/x", "/"),
        ("https", "ada@wiki.example.org", "/"),
        ("https", "wiki.example.org, elsewhere.example", "/"),
        ("https://wiki.example.org/?", "wiki.example.org", "/"),
        ("", "wiki.example.org", "/"),
    ] {
        assert_eq!(read(scheme, host, path), None, "{scheme} {host} {path}");
    }
}

/// Texts made of what addresses are made of, so that many of them nearly are one of ours.
fn nearly_an_address() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "https", "http", "HTTPS", "javascript", "data", "://", ":", "/", "//", "\\", "@", "?", "#", "&", "=", ".",
            "%2f", "%2e", "%5c", "%40", "%00", "%09", "\t", "\n", "\r", "\0", " ", "\u{a0}", "\u{3002}", "\u{2024}",
            "\u{ff0f}", "\u{200b}", "\u{ad}", "wiki.example.org", "files.example.org", "sessions.example.org",
            "elsewhere.example", "bücher.example", "xn--", "xn--bcher-kva.example", ":443", ":8443", ":80", "[::1]",
            "127.0.0.1", "0x7f.1", "ada", ":secret", "/sign-in", "/sessions", "..", "é",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => any::<char>().prop_map(String::from),
    ];
    let free = prop::collection::vec(piece.clone(), 0..8).prop_map(|pieces| pieces.concat());
    let begun = (
        prop::sample::select(vec![
            "https://",
            "https://wiki.example.org",
            "https://wiki.example.org/",
            "https://files.example.org:8443",
            "https://sessions.example.org",
            "/",
        ]),
        prop::collection::vec(piece, 0..6),
    )
        .prop_map(|(start, pieces)| format!("{start}{}", pieces.concat()));
    prop_oneof![free, begun]
}

/// Whether a browser on the sign-in page that is sent to `location` ends on this server or on a named host.
fn stays_with_us(location: &str) -> bool {
    let page = Url::parse("https://sessions.example.org/sign-in").unwrap();
    let target = page.join(location).unwrap();
    let origin = target.origin().ascii_serialization();
    target.username().is_empty()
        && target.password().is_none()
        && [
            "https://sessions.example.org",
            "https://wiki.example.org",
            "https://files.example.org:8443",
            "https://xn--bcher-kva.example",
        ]
        .contains(&&*origin)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn whatever_is_accepted_leads_to_this_server_or_to_a_named_host(text in nearly_an_address()) {
        if let Some(target) = ours().read(&text) {
            let location = target.as_str();
            prop_assert!(stays_with_us(location), "{text:?} became {location:?}");
            prop_assert!(location.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\'));
            // Judged again it is the same, so nothing depends on how often it went through a form.
            prop_assert_eq!(ours().read(location), Some(target));
        }
    }

    #[test]
    fn whatever_a_proxy_says_leads_to_this_server_or_to_a_named_host(
        scheme in prop_oneof!["https?", "[a-z:/]{0,8}"],
        host in prop_oneof![nearly_an_address(), Just("wiki.example.org".to_owned())],
        path in nearly_an_address(),
    ) {
        if let Some(target) = ours().read_parts(&scheme, &host, &path) {
            prop_assert!(stays_with_us(target.as_str()), "{scheme} {host:?} {path:?} became {target:?}");
        }
    }

    #[test]
    fn a_query_of_any_form_survives(
        pairs in prop::collection::vec(("[ -~é€]{0,12}", "[ -~é€]{0,12}"), 0..6),
    ) {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&pairs)
            .finish();
        let address = format!("https://wiki.example.org/path?{query}");
        let target = ours().read(&address).unwrap();
        prop_assert_eq!(target.as_str(), address);
    }
}
