//! Who is let in: keys, and what is none.

use super::*;

/// Every request of an application, with a body that it takes.
fn every_request(id: &str) -> Vec<(&'static str, String, &'static str, String)> {
    let sessions = sessions_of("ada");
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    vec![
        ("POST", sessions.clone(), json, "{}".into()),
        ("GET", sessions.clone(), "", String::new()),
        ("DELETE", format!("{sessions}/{id}"), "", String::new()),
        (
            "POST",
            format!("{sessions}/terminate"),
            json,
            format!("{{\"ids\":[\"{id}\"]}}"),
        ),
        (
            "POST",
            format!("{sessions}/terminate-others"),
            json,
            "{\"keep\":null}".into(),
        ),
        ("POST", format!("{sessions}/{id}/link"), "", String::new()),
        ("POST", "/api/v1/introspect".into(), form, "token=x".into()),
        ("POST", "/api/v1/revoke".into(), form, "token=x".into()),
    ]
}

#[rstest]
#[tokio::test]
async fn whatever_is_no_key_is_not_signed_in(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (token, id) = shop.begin("ada").await;
    let other = lastseen::token::Secret::<lastseen::token::ApplicationSecret>::generate(
        crate::applications::key::name_of(lastseen::ApplicationId(1)),
        server.entropy.as_ref(),
    );
    let mut mangled = shop.key.clone();
    mangled.replace_range(20..21, if &mangled[20..21] == "A" { "B" } else { "A" });
    let cookie = format!("__Host-lastseen={token}");
    let key_as_cookie = format!("__Host-lastseen={}", shop.key);
    for headers in [
        vec![],
        vec![("authorization", "Bearer".to_owned())],
        vec![("authorization", format!("Bearer {token}"))],
        vec![("authorization", format!("Bearer {mangled}"))],
        vec![("authorization", format!("Bearer {}", other.reveal()))],
        vec![("authorization", format!("Basic {}", shop.key))],
        vec![("authorization", shop.key.clone())],
        vec![("cookie", cookie)],
        vec![("cookie", key_as_cookie)],
    ] {
        for (method, path, content_type, body) in every_request(&id) {
            let mut sent = vec![("content-type", content_type)];
            sent.retain(|(_, value)| !value.is_empty());
            sent.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
            let answer = server.send(method, &path, &sent, body).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer.json()["code"], "not_signed_in", "{method} {path}");
            assert!(
                answer.headers.contains_key("www-authenticate"),
                "{method} {path}"
            );
            if path != "/api/v1/revoke" {
                answer.assert_problem("not_signed_in");
            }
        }
    }
    // And an application key is no session token.
    assert!(!server.accepts(&shop.key).await);
    assert!(server.accepts(&token).await);
}

#[rstest]
#[tokio::test]
async fn where_a_key_and_the_cookie_are_sent_the_key_counts(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    let built_in = server.built_in("ada").await.token.reveal();
    let bearer = format!("Bearer {}", shop.key);
    let cookie = format!("__Host-lastseen={built_in}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("cookie", cookie.as_str()),
    ];
    let answer = server.send("GET", &sessions_of("ada"), &headers, "").await;
    assert_eq!(answer.json()["sessions"][0]["id"], id);
    assert_eq!(answer.json()["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_is_unavailable_and_a_bad_key_stays_a_bad_key() {
    let store = memory();
    let database = TestStorage::new(Kind::Sqlite).await;
    let clock = Arc::new(TestClock::new());
    let server = Server::over(store.clone(), database, clock, Arc::default()).await;
    let shop = server.application("Shop").await;
    // A session that only the store knows: of an account that nobody asked about yet.
    let id = "0".repeat(26);
    let unknown = lastseen::SessionToken::generate([9; 16], server.entropy.as_ref()).reveal();
    store.set_unavailable(true);
    for (method, path, content_type, body) in every_request(&id) {
        let body = body.replace("token=x", &format!("token={unknown}"));
        let answer = shop.send(method, &path, content_type, body.clone()).await;
        answer.assert_problem("unavailable");
        let headers = [
            ("content-type", content_type),
            ("authorization", "Bearer nonsense"),
        ];
        let answer = server.send(method, &path, &headers, body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_not_allowed(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let sessions = sessions_of("ada");
    for (method, path) in [
        ("PUT", sessions.clone()),
        ("GET", format!("{sessions}/terminate-others")),
        ("POST", format!("{sessions}/{}", "0".repeat(26))),
        ("GET", "/api/v1/introspect".into()),
        ("GET", "/api/v1/revoke".into()),
    ] {
        let answer = shop.send(method, &path, "", String::new()).await;
        assert_eq!(
            answer.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
        assert!(answer.headers.contains_key("allow"), "{method} {path}");
        answer.assert_problem("method_not_allowed");
    }
}
