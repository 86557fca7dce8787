//! Introspection and revocation.

use super::*;

const INTROSPECT: &str = "/api/v1/introspect";
const REVOKE: &str = "/api/v1/revoke";

#[rstest]
#[tokio::test]
async fn introspection_says_whose_an_active_token_is(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let begun = shop
        .post(&sessions_of("42"), json!({"name": "Ada"}))
        .await
        .json();
    let token = begun["token"].as_str().unwrap();
    server.clock.pass(Duration::from_millis(1_999));
    let answer = shop.form(INTROSPECT, &[("token", token)]).await;
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    // The clock began at 09:00:00.000 and the session lasts for twelve hours without a use.
    let began = 1_795_510_800;
    assert_eq!(
        answer.json(),
        json!({
            "active": true,
            "sub": "42",
            "username": "Ada",
            "sid": begun["session"]["id"],
            "iat": began,
            "exp": began + 12 * 3_600 + 1,
        })
    );
}

#[rstest]
#[tokio::test]
async fn introspection_counts_as_a_use_from_where_the_application_says(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (token, id) = shop.begin("ada").await;
    server.clock.pass(Duration::from_secs(60));
    let fields = [
        ("token", token.as_str()),
        ("ip_address", "2001:db8::1"),
        ("user_agent", CHROME),
    ];
    assert_eq!(shop.form(INTROSPECT, &fields).await.json()["active"], true);
    let session = shop.session_of("ada", &id).await;
    assert_eq!(session["last_updated"], "2026-11-24T09:01:00.000Z");
    assert_eq!(session["ip_address"], "2001:db8::1");
    assert_eq!(session["user_agent"], "Chrome 120 on Linux");
    // A use that brings neither leaves them as they were, whatever connection it came over.
    server.clock.pass(Duration::from_secs(60));
    let fields = [
        ("token", token.as_str()),
        ("ip_address", ""),
        ("token_type_hint", "x"),
    ];
    assert_eq!(shop.form(INTROSPECT, &fields).await.json()["active"], true);
    let session = shop.session_of("ada", &id).await;
    assert_eq!(session["last_updated"], "2026-11-24T09:02:00.000Z");
    assert_eq!(session["ip_address"], "2001:db8::1");
    assert_eq!(session["user_agent"], "Chrome 120 on Linux");
}

#[rstest]
#[tokio::test]
async fn of_an_inactive_token_nothing_more_is_told(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (expired, _) = shop.begin("ada").await;
    server.clock.pass(Duration::from_hours(12));
    let (terminated, id) = shop.begin("ada").await;
    shop.delete(&format!("{}/{id}", sessions_of("ada"))).await;
    let (good, _) = shop.begin("ada").await;
    for token in [
        &expired,
        &terminated,
        "nonsense",
        &good[1..],
        &shop.key,
        "\0",
        " ",
    ] {
        assert_eq!(
            shop.introspect(token).await,
            json!({"active": false}),
            "{token:?}"
        );
    }
}

#[rstest]
#[tokio::test]
async fn a_token_of_somebody_else_is_inactive_and_is_not_used_by_that(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let (shop, forum) = (
        server.application("Shop").await,
        server.application("Forum").await,
    );
    let (token, id) = shop.begin("ada").await;
    let built_in = server.built_in("ada").await;
    server.clock.pass(Duration::from_secs(60));
    for token in [token.as_str(), &built_in.token.reveal()] {
        let fields = [
            ("token", token),
            ("ip_address", "198.51.100.9"),
            ("user_agent", CHROME),
        ];
        let answer = forum.form(INTROSPECT, &fields).await;
        assert_eq!(answer.json(), json!({"active": false}));
    }
    let session = shop.session_of("ada", &id).await;
    assert_eq!(session["last_updated"], session["created_at"]);
    assert_eq!(session["ip_address"], Value::Null);
    let found = server
        .sessions
        .find(
            built_in.session.id,
            server.sessions.observe(built_in.session.created_at),
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.last_used_at, built_in.session.created_at);
}

#[rstest]
#[tokio::test]
async fn introspection_refuses_with_problem_documents(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (token, _) = shop.begin("ada").await;
    for body in [
        String::new(),
        "token=".to_owned(),
        "token_type_hint=x".to_owned(),
        "token=a&token=b".to_owned(),
        "token=a&token_type_hint=b&token_type_hint=b".to_owned(),
        format!("token={token}&ip_address=nowhere"),
        format!("token={token}&user_agent=a&user_agent=b"),
        "token=%".to_owned(),
    ] {
        let form = "application/x-www-form-urlencoded";
        let answer = shop.send("POST", INTROSPECT, form, body).await;
        answer.assert_problem("invalid_request");
    }
    let json = format!("{{\"token\":\"{token}\"}}");
    let answer = shop
        .send("POST", INTROSPECT, "application/json", json)
        .await;
    answer.assert_problem("unsupported_media_type");
    let form = format!("token={token}");
    let answer = shop.send("POST", INTROSPECT, "", form).await;
    answer.assert_problem("unsupported_media_type");
    shop.post_nothing(INTROSPECT)
        .await
        .assert_problem("invalid_request");
}

#[rstest]
#[tokio::test]
async fn a_bad_key_is_challenged_as_rfc_6750_says(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    for path in [INTROSPECT, REVOKE] {
        let answer = server.send("POST", path, &[], "").await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        let headers = [("authorization", "Bearer nonsense")];
        let answer = server.send("POST", path, &headers, "").await;
        let challenge = "Bearer error=\"invalid_token\"";
        assert_eq!(answer.headers["www-authenticate"], challenge);
    }
}

#[rstest]
#[tokio::test]
async fn revocation_ends_the_session_and_says_200_whatever_the_token(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let (shop, forum) = (
        server.application("Shop").await,
        server.application("Forum").await,
    );
    let (token, _) = shop.begin("ada").await;
    let other = forum.begin("ada").await.0;
    let built_in = server.built_in("ada").await.token.reveal();
    let revoke = async |token: &str, hint: &str| {
        let answer = shop
            .form(REVOKE, &[("token", token), ("token_type_hint", hint)])
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, "");
        assert_eq!(answer.headers["cache-control"], "no-store");
    };
    for token in [&other, &built_in, "nonsense", &shop.key] {
        revoke(token, "refresh_token").await;
    }
    for token in [&token, &other, &built_in] {
        assert!(server.accepts(token).await);
    }
    for _ in 0..2 {
        revoke(&token, "access_token").await;
        assert!(!server.accepts(&token).await);
    }
    assert!(shop.ids_of("ada").await.is_empty());
}

#[rstest]
#[tokio::test]
async fn an_expired_token_revokes_nothing_and_its_session_stays_listed(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (token, id) = shop.begin("ada").await;
    server.clock.pass(Duration::from_hours(12));
    let answer = shop.form(REVOKE, &[("token", &token)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(shop.session_of("ada", &id).await["status"], "expired");
}

#[rstest]
#[tokio::test]
async fn revocation_refuses_in_the_words_of_oauth(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    for body in [
        "",
        "token=",
        "token_type_hint=x",
        "token=a&token=b",
        "token=%",
    ] {
        let form = "application/x-www-form-urlencoded";
        let answer = shop.send("POST", REVOKE, form, body.into()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.json()["error"], "invalid_request");
        assert!(answer.json()["error_description"].is_string());
    }
    let answer = shop.post_nothing(REVOKE).await;
    assert_eq!(answer.json()["error"], "invalid_request");
    let answer = server.send("POST", REVOKE, &[], "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    assert_eq!(answer.json()["error"], "invalid_client");
    let answer = shop
        .send("POST", REVOKE, "application/json", "{}".into())
        .await;
    answer.assert_problem("unsupported_media_type");
}
