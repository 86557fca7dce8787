//! The JSON requests, one at a time.

mod keys;

use super::*;

#[rstest]
#[tokio::test]
async fn a_session_is_created_as_the_application_tells(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let body = json!({
        "name": "Ada",
        "user_agent": CHROME,
        "client_hints": {
            "Sec-CH-UA-Platform": "\"Windows\"",
            "sec-ch-ua-platform-version": "\"15.0.0\"",
            "sec-ch-ua": null,
            "x-unknown": "ignored",
        },
        "ip_address": "203.0.113.7",
        "remember": true,
    });
    let answer = shop.post(&sessions_of("ada@shop.example"), body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!answer.headers.contains_key("set-cookie"));
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 2);
    let session = &body["session"];
    assert_eq!(
        session["account"],
        json!({"id": "ada@shop.example", "name": "Ada"})
    );
    assert_eq!(session["current"], false);
    assert_eq!(
        session["operating_system"],
        json!({"name": "Windows", "version": "11"})
    );
    assert_eq!(session["ip_address"], "203.0.113.7");
    assert_eq!(session["remembered"], true);
    assert!(server.accepts(body["token"].as_str().unwrap()).await);
}

#[rstest]
#[tokio::test]
async fn nothing_is_taken_from_the_applications_own_connection(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let bearer = format!("Bearer {}", shop.key);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("user-agent", CHROME),
        ("x-forwarded-for", "198.51.100.9"),
    ];
    let answer = server
        .send("POST", &sessions_of("ada"), &headers, "{}")
        .await;
    let session = &answer.json()["session"];
    assert_eq!(session["ip_address"], Value::Null);
    assert_eq!(session["user_agent"], "Unknown device");
}

#[rstest]
#[tokio::test]
async fn an_account_is_called_by_its_last_name_or_else_by_its_id(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let name_after = async |body: Value| {
        let answer = shop.post(&sessions_of("42"), body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.json()["session"]["account"]["name"].clone()
    };
    assert_eq!(name_after(json!({})).await, "42");
    assert_eq!(name_after(json!({"name": "Ada"})).await, "Ada");
    assert_eq!(name_after(json!({"name": null})).await, "Ada");
    // Everywhere, the sessions from before too.
    let listed = shop.get(&sessions_of("42")).await.json();
    for session in listed["sessions"].as_array().unwrap() {
        assert_eq!(session["account"]["name"], "Ada");
    }
    for name in [String::new(), "x".repeat(129), "a\u{0}b".to_owned()] {
        let answer = shop.post(&sessions_of("42"), json!({"name": name})).await;
        answer.assert_problem("invalid_request");
    }
    assert_eq!(
        name_after(json!({"name": "é".repeat(64)})).await,
        "é".repeat(64)
    );
    // Also after every session of it has ended.
    let path = format!("{}/terminate-others", sessions_of("42"));
    shop.post(&path, json!({"keep": null})).await;
    assert_eq!(name_after(json!({})).await, "é".repeat(64));
}

#[rstest]
#[tokio::test]
async fn what_does_not_describe_a_sign_in_is_an_invalid_request(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let path = sessions_of("ada");
    for body in [
        json!([]),
        json!({"unknown": 1}),
        json!({"name": 1}),
        json!({"remember": "yes"}),
        json!({"ip_address": "nowhere"}),
        json!({"ip_address": "203.0.113.7:80"}),
        json!({"client_hints": []}),
        json!({"client_hints": {"sec-ch-ua": 1}}),
    ] {
        shop.post(&path, body)
            .await
            .assert_problem("invalid_request");
    }
    let answer = shop
        .send("POST", &path, "application/json", "{".into())
        .await;
    answer.assert_problem("invalid_request");
    let answer = shop.send("POST", &path, "text/plain", "{}".into()).await;
    answer.assert_problem("unsupported_media_type");
    let answer = shop.post_nothing(&path).await;
    answer.assert_problem("unsupported_media_type");
    let long = format!("{{\"user_agent\":\"{}\"}}", "a".repeat(65_536));
    let answer = shop.send("POST", &path, "application/json", long).await;
    answer.assert_problem("too_large");
    assert!(shop.ids_of("ada").await.is_empty());
}

#[rstest]
#[tokio::test]
async fn an_account_is_named_to_the_byte(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let longest = "x".repeat(128);
    let ids = [
        "ada",
        "Ada",
        "a/b",
        "a%2Fb",
        "a",
        "b",
        "é",
        "e\u{301}",
        "a\0b",
        "..",
        ".",
        "a b",
        "a+b",
        "%",
        "sessions",
        "terminate",
        "?",
        "#",
        "\\",
        "\"",
        "😀",
        &longest,
    ];
    let mut tokens = Vec::new();
    for id in ids {
        let answer = shop.post(&sessions_of(id), json!({})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{id:?}");
        let body = answer.json();
        assert_eq!(body["session"]["account"]["id"], id);
        tokens.push(body["token"].as_str().unwrap().to_owned());
    }
    for (id, token) in ids.iter().zip(&tokens) {
        assert_eq!(shop.ids_of(id).await.len(), 1, "{id:?}");
        assert_eq!(shop.introspect(token).await["sub"], *id);
    }
}

#[rstest]
#[tokio::test]
async fn an_account_id_is_decoded_once_and_has_1_to_128_bytes(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let sessions = async |segment: &str| {
        shop.get(&format!("/api/v1/accounts/{segment}/sessions"))
            .await
    };
    // One and the same account, however much of it is encoded.
    shop.begin("a-b").await;
    for segment in ["a-b", "a%2Db", "%61%2d%62"] {
        let listed = sessions(segment).await.json();
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{segment}");
    }
    assert_eq!(sessions("a%252Db").await.json()["sessions"], json!([]));
    for segment in [
        "%",
        "%4",
        "%zz",
        "%ff",
        "a%c3",
        &"x".repeat(129),
        &"%C3%A9".repeat(65),
    ] {
        sessions(segment).await.assert_problem("invalid_request");
    }
    sessions("").await.assert_problem("invalid_request");
    // A slash that is not encoded ends the segment.
    sessions("a/b").await.assert_problem("not_found");
}

#[rstest]
#[tokio::test]
async fn the_list_comes_in_pages_and_nobody_is_current(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let mut begun = Vec::new();
    for _ in 0..5 {
        begun.insert(0, shop.begin("ada").await.1);
        server.clock.pass(Duration::from_secs(1));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shop
            .get(&format!("{}?limit=2{cursor}", sessions_of("ada")))
            .await
            .json();
        for session in page["sessions"].as_array().unwrap() {
            assert_eq!(session["current"], false);
            seen.push(session["id"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, begun);
    for query in ["limit=0", "limit=201", "cursor=x"] {
        let answer = shop.get(&format!("{}?{query}", sessions_of("ada"))).await;
        answer.assert_problem("invalid_request");
    }
}

#[rstest]
#[tokio::test]
async fn an_account_that_was_never_named_has_an_empty_list(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let answer = shop.get(&sessions_of("nobody")).await;
    assert_eq!(answer.json(), json!({"sessions": [], "next_cursor": null}));
    let path = format!("{}/terminate-others", sessions_of("nobody"));
    assert_eq!(
        shop.post(&path, json!({"keep": null})).await.json(),
        json!({"terminated": 0})
    );
}

#[rstest]
#[tokio::test]
async fn a_session_is_terminated_once_and_for_all(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (token, id) = shop.begin("ada").await;
    let path = format!("{}/{id}", sessions_of("ada"));
    for _ in 0..2 {
        let answer = shop.delete(&path).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(answer.body.is_empty());
        assert!(!answer.headers.contains_key("set-cookie"));
    }
    assert!(!server.accepts(&token).await);
    assert!(shop.ids_of("ada").await.is_empty());
    assert_eq!(shop.introspect(&token).await, json!({"active": false}));
    for id in ["nonsense", &"0".repeat(26)] {
        let answer = shop.delete(&format!("{}/{id}", sessions_of("ada"))).await;
        answer.assert_problem("not_found");
    }
}

#[rstest]
#[tokio::test]
async fn several_sessions_end_together_or_not_at_all(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (one, two) = (shop.begin("ada").await, shop.begin("ada").await);
    let bob = shop.begin("bob").await;
    let path = format!("{}/terminate", sessions_of("ada"));
    for ids in [
        json!([one.1, bob.1]),
        json!([one.1, "nonsense"]),
        json!([one.1, "0".repeat(26)]),
    ] {
        let answer = shop.post(&path, json!({"ids": ids})).await;
        answer.assert_problem("not_found");
    }
    for body in [json!({}), json!({"ids": []}), json!({"ids": [1]})] {
        shop.post(&path, body)
            .await
            .assert_problem("invalid_request");
    }
    assert!(server.accepts(&one.0).await);
    let answer = shop
        .post(&path, json!({"ids": [one.1, two.1, one.1]}))
        .await;
    assert_eq!(answer.json(), json!({"terminated": 2}));
    assert!(!server.accepts(&one.0).await && !server.accepts(&two.0).await);
    assert!(server.accepts(&bob.0).await);
}

#[rstest]
#[tokio::test]
async fn all_sessions_but_one_end_or_all_of_them(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (one, _two) = (shop.begin("ada").await, shop.begin("ada").await);
    let bob = shop.begin("bob").await;
    let path = format!("{}/terminate-others", sessions_of("ada"));
    for keep in [json!(bob.1), json!("nonsense"), json!("0".repeat(26))] {
        let answer = shop.post(&path, json!({"keep": keep})).await;
        answer.assert_problem("not_found");
    }
    // A misspelt member must not end everything.
    for body in [json!({}), json!({"kept": one.1}), json!({"keep": 1})] {
        shop.post(&path, body)
            .await
            .assert_problem("invalid_request");
    }
    assert_eq!(shop.ids_of("ada").await.len(), 2);
    let answer = shop.post(&path, json!({"keep": one.1})).await;
    assert_eq!(answer.json(), json!({"terminated": 1}));
    assert_eq!(shop.ids_of("ada").await, std::slice::from_ref(&one.1));
    let answer = shop.post(&path, json!({"keep": null})).await;
    assert_eq!(answer.json(), json!({"terminated": 1}));
    assert!(!server.accepts(&one.0).await);
    assert!(server.accepts(&bob.0).await);
}

#[rstest]
#[tokio::test]
async fn what_an_application_ends_is_on_record_as_ended_by_it(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    shop.delete(&format!("{}/{id}", sessions_of("ada"))).await;
    let store = Arc::clone(&server.database.storage.sessions);
    let record = store.find(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(record.ended.unwrap().by, lastseen::EndedBy::Application);
}
