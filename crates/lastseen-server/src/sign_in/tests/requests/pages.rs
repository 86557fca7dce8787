//! The pages with a form, as a browser sends them.

use super::*;

#[tokio::test]
async fn the_sign_in_form_leads_back_to_where_the_visitor_came_from() {
    let server = Server::with_ada().await;
    let page = server.get("/sign-in?return_to=%2Fpassword", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(
        page.body.contains(r#"name="return_to" value="/password""#),
        "{}",
        page.body
    );
    for (return_to, expected) in [
        ("/password", "/password"),
        ("/sessions?from=50", "/sessions?from=50"),
        ("//elsewhere.example", "/sessions"),
        ("https://elsewhere.example/", "/sessions"),
        ("/\\elsewhere.example", "/sessions"),
        ("", "/sessions"),
    ] {
        let fields = [
            ("username", "ada"),
            ("password", GOOD_PASSWORD),
            ("remember", "yes"),
            ("return_to", return_to),
        ];
        let answer = server
            .post_form("/sign-in", &[(ORIGIN.as_str(), HTTPS)], &fields)
            .await;
        assert_eq!(
            (answer.status, answer.location()),
            (StatusCode::SEE_OTHER, expected),
            "{return_to}"
        );
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.cookies()[0].contains("Max-Age"));
        assert!(server.is_signed_in(&answer.cookie()).await);
    }
}

#[tokio::test]
async fn a_refused_form_comes_back_as_the_page_with_the_name_and_without_the_password() {
    let server = Server::with_ada().await;
    let fields = [
        ("username", "<ada>"),
        ("password", "hunter2 & co"),
        ("return_to", "/password"),
    ];
    let answer = server.post_form("/sign-in", &[], &fields).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(answer.body.contains("User name and password do not match."));
    assert!(answer.body.contains("&#60;ada&#62;") && answer.body.contains(r#"value="/password""#));
    assert!(!answer.body.contains("hunter2"));
    assert!(answer.cookies().is_empty());
    let nonsense = server
        .post_form("/sign-in", &[], &[("username", "ada")])
        .await;
    assert_eq!(nonsense.status, StatusCode::BAD_REQUEST);
    let as_json = server
        .post_json(
            "/sign-in",
            &[],
            json!({"username": "ada", "password": GOOD_PASSWORD}),
        )
        .await;
    assert_eq!(as_json.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn fetching_an_address_signs_nobody_in_or_out() {
    let server = Server::with_ada().await;
    let own = server.sign_in(&[], GOOD_PASSWORD).await.cookie();
    let path = format!(
        "/sign-in?username=ada&password={}",
        GOOD_PASSWORD.replace(' ', "+")
    );
    let fetched = server.get(&path, &[(COOKIE.as_str(), &own)]).await;
    assert_eq!(fetched.status, StatusCode::OK);
    assert!(fetched.cookies().is_empty());
    assert_eq!(
        server
            .get("/sign-out", &[(COOKIE.as_str(), &own)])
            .await
            .status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert!(server.is_signed_in(&own).await);
}

#[tokio::test]
async fn sign_out_ends_the_session_and_clears_what_the_browser_kept() {
    let server = Server::with_ada().await;
    let own = server.sign_in(&[], GOOD_PASSWORD).await.cookie();
    let headers = [(COOKIE.as_str(), own.as_str()), (ORIGIN.as_str(), HTTPS)];
    for _ in 0..2 {
        let answer = server.post_form("/sign-out", &headers, &[]).await;
        assert_eq!(
            (answer.status, answer.location()),
            (StatusCode::SEE_OTHER, "/sign-in")
        );
        assert!(answer.cookies()[0].starts_with("__Host-lastseen=; Max-Age=0;"));
        assert_eq!(answer.headers["clear-site-data"], "\"cache\", \"storage\"");
        assert!(!server.is_signed_in(&own).await);
    }
    let foreign = [
        (COOKIE.as_str(), own.as_str()),
        (ORIGIN.as_str(), "https://elsewhere.example"),
    ];
    assert_eq!(
        server.post_form("/sign-out", &foreign, &[]).await.status,
        StatusCode::FORBIDDEN
    );
    let foreign = [(ORIGIN.as_str(), "https://elsewhere.example")];
    assert_eq!(
        server.post_form("/sign-out", &foreign, &[]).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn the_password_page_is_for_those_who_are_signed_in() {
    let server = Server::with_ada().await;
    let stranger = server.get("/password", &[]).await;
    assert_eq!(
        (stranger.status, stranger.location()),
        (StatusCode::SEE_OTHER, "/sign-in?return_to=%2Fpassword")
    );
    let fields = [
        ("current_password", GOOD_PASSWORD),
        ("new_password", NEW_PASSWORD),
        ("username", "ada"),
    ];
    let stranger = server.post_form("/password", &[], &fields).await;
    assert_eq!(stranger.location(), "/sign-in?return_to=%2Fpassword");
    let own = server.sign_in(&[], GOOD_PASSWORD).await.cookie();
    let headers = [(COOKIE.as_str(), own.as_str())];
    assert_eq!(
        server.get("/password", &headers).await.status,
        StatusCode::OK
    );
    let wrong = [
        ("current_password", "wrong"),
        ("new_password", NEW_PASSWORD),
    ];
    let refused = server.post_form("/password", &headers, &wrong).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.body.contains("The current password is wrong."));
    let changed = server.post_form("/password", &headers, &fields).await;
    assert_eq!(
        (changed.status, changed.location()),
        (StatusCode::SEE_OTHER, "/password?changed=1")
    );
    let renewed = changed.cookie();
    assert!(server.is_signed_in(&renewed).await && !server.is_signed_in(&own).await);
    let page = server
        .get("/password?changed=1", &[(COOKIE.as_str(), &renewed)])
        .await;
    assert!(page.body.contains("Password changed."));
}

#[tokio::test]
async fn the_set_up_link_is_a_page_with_a_form_that_works_once() {
    let server = Server::of(House::new(Kind::Sqlite).await, "http://127.0.0.1:8080");
    let link = server.house.sign_in.offer_set_up().await.unwrap().unwrap();
    for _ in 0..3 {
        let page = server.get(&link.path, &[]).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(
            page.body
                .contains(&format!(r#"action="{}""#, link.path.as_str()))
        );
        assert!(page.cookies().is_empty());
    }
    let refused = server
        .post_form(
            &link.path,
            &[],
            &[("username", "ada"), ("password", "password1")],
        )
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.body.contains("too common"));
    let foreign = [("sec-fetch-site", "cross-site")];
    let fields = [("username", "ada"), ("password", GOOD_PASSWORD)];
    assert_eq!(
        server.post_form(&link.path, &foreign, &fields).await.status,
        StatusCode::FORBIDDEN
    );
    let made = server.post_form(&link.path, &[], &fields).await;
    assert_eq!(
        (made.status, made.location()),
        (StatusCode::SEE_OTHER, "/sessions")
    );
    assert!(made.cookies()[0].starts_with("lastseen=lss_"));
    assert!(server.is_signed_in(&made.cookie()).await);
    for answer in [
        server.post_form(&link.path, &[], &fields).await,
        server.get(&link.path, &[]).await,
        server.get("/set-up/lsu_nonsense", &[]).await,
        server.get("/set-up/%ff", &[]).await,
        server.post_form("/set-up/x", &[], &[]).await,
    ] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.body.contains("This link is not good any more."));
    }
}
