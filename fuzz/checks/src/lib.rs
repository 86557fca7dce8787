//! What holds for any input from outside, one function for each reader of it.
//!
//! Each takes bytes, gives them to the reader as a client could, and panics where something that must
//! hold does not. `fuzz/fuzz_targets` calls them with input of its own making; `tests/corpus.rs` calls
//! them with everything under `fuzz/corpus`, so that what was once found is tested ever after.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;

use http::header::{COOKIE, FORWARDED, HeaderMap, HeaderValue};
use lastseen::{ClientDescription, ClientHints, Cursor, DeviceParser, SessionId, SessionToken};
use lastseen_axum::client_ip::{X_FORWARDED_FOR, client_ip};
use lastseen_axum::{Carried, PublicUrl, SessionCookie, TrustedProxies};
use lastseen_server::config::{Effective, SETTINGS, Typed, Wrong};
use lastseen_server::sign_in::return_path::ReturnPath;

/// A check by the name of its fuzz target and of its folder under `fuzz/corpus`.
pub type Check = fn(&[u8]);

/// Every check there is.
pub const CHECKS: &[(&str, Check)] = &[
    ("client_hints", client_hints),
    ("configuration", configuration),
    ("cookie", cookie),
    ("cursor", cursor),
    ("durations", durations),
    ("forwarded", forwarded),
    ("public_url", public_url),
    ("return_path", return_path),
    ("session_id", session_id),
    ("settings_file", settings_file),
    ("token", token),
    ("user_agent", user_agent),
];

/// Builds what the first name of a device would have to wait for, so that no input is blamed for it.
pub fn warm_up() {
    DeviceParser::shared();
}

/// A token has one text only: what is read is what would be said.
pub fn token(data: &[u8]) {
    if let Some(token) = SessionToken::parse(data) {
        assert_eq!(token.reveal().as_bytes(), data, "a token with two texts");
        assert_eq!(token.session_id().as_bytes(), &token.name());
    }
}

/// A session id has one text only.
pub fn session_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(id) = text.parse::<SessionId>() {
        assert_eq!(id.to_string(), text, "an id with two texts");
        assert!(!text.starts_with('-'), "an id that looks like an option");
    }
}

/// A cursor has one text only.
pub fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text, "a cursor with two texts");
    }
}

/// A value is found only where a pair of exactly our name carries it, and two values are none.
///
/// Each line of the input is a `Cookie` header.
pub fn cookie(data: &[u8]) {
    let headers = lines_as_headers(data, &COOKIE);
    let public_url = PublicUrl::parse("https://lastseen.example").expect("a constant that parses");
    let cookie = SessionCookie::of(&public_url);
    let name = cookie.name().as_bytes();
    let carries_name = headers
        .get_all(COOKIE)
        .iter()
        .any(|line| line.as_bytes().windows(name.len()).any(|part| part == name));
    match cookie.find(&headers) {
        Carried::Nothing => {}
        Carried::One(value) => {
            assert!(carries_name, "a value under a name that was not sent");
            assert!(
                !value.contains(&b';'),
                "a value that reaches into the next pair"
            );
            // A second, different one makes it unclear, wherever it stands.
            let mut other = value.to_vec();
            other.push(b'x');
            let mut line = [name, b"="].concat();
            line.extend_from_slice(&other);
            if let Ok(line) = HeaderValue::from_bytes(&line) {
                let mut more = headers.clone();
                more.append(COOKIE, line);
                assert_eq!(
                    cookie.find(&more),
                    Carried::Unclear,
                    "two values, and one was taken"
                );
            }
        }
        // More pairs than are looked at are unclear as well, without our name among them.
        Carried::Unclear => {
            let pairs: usize = headers
                .get_all(COOKIE)
                .iter()
                .map(|line| line.as_bytes().split(|byte| *byte == b';').count())
                .sum();
            assert!(
                carries_name || pairs > 256,
                "unclear without anything to be unclear about"
            );
        }
    }
}

/// What a visitor writes before the last hop changes nothing, and who is not trusted says nothing.
///
/// The first byte chooses the header, the rest are its lines.
pub fn forwarded(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let name = if choice & 1 == 0 {
        FORWARDED
    } else {
        X_FORWARDED_FOR
    };
    let headers = lines_as_headers(rest, &name);
    let proxy = IpAddr::from([127, 0, 0, 1]);
    let stranger = IpAddr::from([192, 0, 2, 1]);
    let visitor = IpAddr::from([203, 0, 113, 7]);
    let trusted: TrustedProxies = ["127.0.0.0/8", "10.0.0.0/8"]
        .iter()
        .map(|network| {
            network
                .parse::<ipnet::IpNet>()
                .expect("a constant that parses")
        })
        .collect();

    assert_eq!(client_ip(None, &headers, &trusted), None);
    assert_eq!(
        client_ip(Some(stranger), &headers, &trusted),
        Some(stranger),
        "who is not trusted was believed"
    );
    assert_eq!(
        client_ip(Some(proxy), &headers, &TrustedProxies::none()),
        Some(proxy)
    );
    assert!(client_ip(Some(proxy), &headers, &trusted).is_some());

    // Our own proxy adds the visitor as a line of its own: whatever came before, that is the visitor.
    let mut added = headers.clone();
    let hop = if name == FORWARDED {
        format!("for={visitor}")
    } else {
        visitor.to_string()
    };
    added.append(
        name.clone(),
        HeaderValue::from_str(&hop).expect("an address is plain text"),
    );
    // One header wins over the other, so the other must not be there.
    assert_eq!(
        client_ip(Some(proxy), &added, &trusted),
        Some(visitor),
        "a visitor chose his own address"
    );
}

/// Any user agent gives a short, printable name of a device, and the same one every time.
pub fn user_agent(data: &[u8]) {
    name_device(&ClientDescription {
        user_agent: Some(data),
        hints: ClientHints::default(),
    });
}

/// Any client hints give a short, printable name of a device, and the same one every time.
///
/// The lines of the input are the hints in the order of their fields, and then the user agent.
pub fn client_hints(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    name_device(&ClientDescription {
        hints: ClientHints {
            brands: lines.next(),
            full_version_list: lines.next(),
            platform: lines.next(),
            platform_version: lines.next(),
            mobile: lines.next(),
            model: lines.next(),
        },
        user_agent: lines.next(),
    });
}

fn name_device(client: &ClientDescription<'_>) {
    let device = DeviceParser::shared().parse(client);
    let label = device.label();
    assert!(!label.is_empty(), "a device without a name");
    assert!(
        label.chars().count() <= 256,
        "a name of {} letters",
        label.chars().count()
    );
    assert!(
        !label.chars().any(char::is_control),
        "a name with control characters: {label:?}"
    );
    assert_eq!(
        DeviceParser::shared().parse(client),
        device,
        "two names for one client"
    );
}

/// Settings are refused with a reason in one line each, or come out as a file of known keys.
///
/// Each line is `key=value`, as the environment would carry it.
pub fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let environment: BTreeMap<OsString, OsString> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter_map(|(key, value)| {
            let setting = SETTINGS.iter().find(|setting| setting.key == key)?;
            Some((setting.environment_variable().into(), value.into()))
        })
        .collect();
    assert_refused_or_sound(Typed::gather(BTreeMap::new(), &environment, None));
}

/// A settings file is refused with a reason in one line each, or comes out as a file of known keys.
pub fn settings_file(data: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(&file, data).expect("a temporary file can be written");
    assert_refused_or_sound(Typed::gather(
        BTreeMap::new(),
        &BTreeMap::new(),
        Some(file.path()),
    ));
}

fn assert_refused_or_sound(typed: Result<Typed, Vec<Wrong>>) {
    let effective = match typed.map(Effective::work_out) {
        Ok(Ok(effective)) => effective,
        Ok(Err(wrong)) | Err(wrong) => {
            assert!(!wrong.is_empty(), "refused without a reason");
            for reason in wrong {
                let line = reason.to_string();
                assert!(
                    !line.is_empty() && !line.contains('\n'),
                    "no one line: {line:?}"
                );
            }
            return;
        }
    };
    let written = effective.to_file();
    assert!(!written.contains('\0'));
    for line in written.lines().filter(|line| !line.starts_with('#')) {
        let (key, _) = line
            .split_once(" = ")
            .expect("a setting is a key and its value");
        assert!(
            SETTINGS.iter().any(|setting| setting.key == key),
            "an unknown key: {line}"
        );
    }
}

/// A duration is refused, or lies between a second and 400 days and is written so that it reads the same.
pub fn durations(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = |text: &str| {
        let flags = BTreeMap::from([("idle-timeout", vec![text.to_owned()])]);
        let typed = Typed::gather(flags, &BTreeMap::new(), None).ok()?;
        Effective::work_out(typed).ok()
    };
    let Some(effective) = read(text) else { return };
    let duration = effective.sessions.policy.idle_timeout;
    assert!(
        (1..=400 * 86_400).contains(&duration.as_secs()),
        "{text:?} is {duration:?}"
    );
    assert_eq!(duration.subsec_nanos(), 0);
    let file = effective.to_file();
    let line = file
        .lines()
        .find(|line| line.starts_with("idle-timeout = "));
    let written = line
        .and_then(|line| line.split('"').nth(1))
        .expect("the setting stands in the file, in quotes");
    let again = read(written).expect("what was written can be read");
    assert_eq!(
        again.sessions.policy.idle_timeout, duration,
        "{text:?} became {written:?}"
    );
}

/// A way back is a path of this server, whatever a browser makes of it.
pub fn return_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some(path) = ReturnPath::read(text) else {
        return;
    };
    let path = path.as_str();
    assert!(
        path.starts_with('/') && !path.starts_with("//") && !path.starts_with("/\\"),
        "{path:?}"
    );
    assert!(
        path.bytes().all(|byte| (0x21..0x7f).contains(&byte)),
        "no header takes {path:?}"
    );
    for base in [
        "https://lastseen.example/sign-in?x",
        "http://lastseen.example:8080/a/b",
    ] {
        let base = url::Url::parse(base).expect("a constant that parses");
        let target = base.join(path).expect("a path can be resolved");
        assert_eq!(
            target.origin(),
            base.origin(),
            "{text:?} leads elsewhere, to {target}"
        );
        assert_eq!(target.password(), None);
    }
    // What was judged once is judged the same again.
    assert_eq!(
        ReturnPath::read(path).as_ref().map(ReturnPath::as_str),
        Some(path)
    );
}

/// A public URL is refused, or is an origin and nothing else.
pub fn public_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(url) = PublicUrl::parse(text) else {
        return;
    };
    let origin = url.origin();
    assert!(
        origin.starts_with("http://") || origin.starts_with("https://"),
        "{origin}"
    );
    assert_eq!(url.is_https(), origin.starts_with("https://"));
    assert_eq!(
        origin.matches('/').count(),
        2,
        "an origin with a path: {origin}"
    );
    assert!(!origin.contains(['@', '?', '#', ' ']), "{origin}");
    let again = PublicUrl::parse(origin).expect("an origin is a public URL");
    assert_eq!(again.origin(), origin);
}

fn lines_as_headers(data: &[u8], name: &http::HeaderName) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        // What cannot stand in a header never reaches a reader.
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name.clone(), value);
        }
    }
    headers
}
