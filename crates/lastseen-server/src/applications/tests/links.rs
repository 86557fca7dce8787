//! Links into the pages.

use super::*;

/// A link into the pages for a session of `account`: its path, and until when it is good.
async fn link(shop: &Application<'_>, account: &str, id: &str) -> (String, String) {
    let answer = shop
        .post_nothing(&format!("{}/{id}/link", sessions_of(account)))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 2);
    let url = body["url"].as_str().unwrap();
    let path = url.strip_prefix(PUBLIC_URL).unwrap().to_owned();
    (path, body["expires_at"].as_str().unwrap().to_owned())
}

const OWN_PAGE: [(&str, &str); 2] = [("sec-fetch-site", "same-origin"), ("origin", PUBLIC_URL)];

impl Server {
    async fn open_link(&self, path: &str) -> Answer {
        self.send("GET", path, &[("sec-fetch-site", "cross-site")], "")
            .await
    }

    async fn press(&self, path: &str) -> Answer {
        self.send("POST", path, &OWN_PAGE, "").await
    }
}

/// The token in the cookie that an answer sets.
fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    let pair = cookie.split(';').next().unwrap();
    pair.strip_prefix("__Host-lastseen=").unwrap().to_owned()
}

fn assert_dead(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(
        answer.body.contains("This link is not good any more."),
        "{}",
        answer.body
    );
    assert!(!answer.headers.contains_key("set-cookie"));
    assert!(!answer.body.contains("<form"));
}

#[rstest]
#[tokio::test]
async fn the_button_signs_the_session_in_to_the_pages_and_the_applications_token_stays(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (token, id) = shop.begin("ada").await;
    let (path, expires_at) = link(&shop, "ada", &id).await;
    assert!(path.starts_with("/link/lsl_"));
    assert_eq!(expires_at, "2026-11-24T09:01:00.000Z");
    let pressed = server.press(&path).await;
    assert_eq!(pressed.status, StatusCode::SEE_OTHER);
    assert_eq!(pressed.headers["location"], "/sessions");
    assert_eq!(pressed.headers["cache-control"], "no-store");
    let cookie = cookie_of(&pressed);
    assert_ne!(cookie, token);
    assert!(server.accepts(&cookie).await && server.accepts(&token).await);
    let cookie_header = format!("__Host-lastseen={cookie}");
    let page = server
        .send("GET", "/sessions", &[("cookie", &cookie_header)], "")
        .await;
    assert_eq!(page.status, StatusCode::OK);
    // The end of the session is the end of both.
    shop.delete(&format!("{}/{id}", sessions_of("ada"))).await;
    assert!(!server.accepts(&cookie).await && !server.accepts(&token).await);
}

#[rstest]
#[tokio::test]
async fn the_page_of_a_link_names_application_and_account_as_text(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("<b>Shop</b>").await;
    let begun = shop
        .post(&sessions_of("ada"), json!({"name": "<script>ada</script>"}))
        .await
        .json();
    let (path, _) = link(&shop, "ada", begun["session"]["id"].as_str().unwrap()).await;
    let page = server.open_link(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(page.body.contains("&#60;b&#62;Shop&#60;/b&#62;"));
    assert!(page.body.contains("&#60;script&#62;ada"));
    assert!(!page.body.contains("<script>ada"));
    assert!(page.body.contains(&format!(
        r#"<form class="card" method="post" action="{path}">"#
    )));
    assert_eq!(page.body.matches("<button").count(), 1);
    assert!(!page.headers.contains_key("set-cookie"));
}

#[rstest]
#[tokio::test]
async fn opening_a_link_uses_nothing_up_however_often_and_by_whom(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    let (path, _) = link(&shop, "ada", &id).await;
    for _ in 0..5 {
        assert_eq!(server.open_link(&path).await.status, StatusCode::OK);
        let head = server.send("HEAD", &path, &[], "").await;
        assert_eq!(head.status, StatusCode::OK);
        assert!(head.body.is_empty());
        let prefetch = [("sec-purpose", "prefetch"), ("purpose", "prefetch")];
        let fetched = server.send("GET", &path, &prefetch, "").await;
        assert_eq!(fetched.status, StatusCode::OK);
    }
    assert_eq!(server.press(&path).await.status, StatusCode::SEE_OTHER);
}

#[rstest]
#[tokio::test]
async fn a_link_works_once(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    let (path, _) = link(&shop, "ada", &id).await;
    let cookie = cookie_of(&server.press(&path).await);
    assert_dead(&server.press(&path).await);
    assert_dead(&server.open_link(&path).await);
    // The second try does the first one no harm.
    assert!(server.accepts(&cookie).await);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_fifty_press_at_once_works_once(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Arc::new(Server::new(kind).await);
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    let (path, _) = link(&shop, "ada", &id).await;
    let mut pressing = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (server, path) = (Arc::clone(&server), path.clone());
        pressing.spawn(async move { server.press(&path).await });
    }
    let answers = pressing.join_all().await;
    let (good, late): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status == StatusCode::SEE_OTHER);
    assert_eq!(good.len(), 1);
    assert!(server.accepts(&cookie_of(&good[0])).await);
    for answer in &late {
        assert_dead(answer);
    }
}

#[rstest]
#[tokio::test]
async fn a_link_is_good_for_a_minute_to_the_millisecond(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    let (early, late) = (
        link(&shop, "ada", &id).await.0,
        link(&shop, "ada", &id).await.0,
    );
    server.clock.pass(Duration::from_millis(59_999));
    assert_eq!(server.press(&early).await.status, StatusCode::SEE_OTHER);
    assert_eq!(server.open_link(&late).await.status, StatusCode::OK);
    server.clock.pass(Duration::from_millis(1));
    assert_dead(&server.open_link(&late).await);
    assert_dead(&server.press(&late).await);
}

#[rstest]
#[tokio::test]
async fn a_link_dies_with_its_session_and_with_its_application(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    let (path, _) = link(&shop, "ada", &id).await;
    shop.delete(&format!("{}/{id}", sessions_of("ada"))).await;
    assert_dead(&server.open_link(&path).await);
    assert_dead(&server.press(&path).await);
    let (_, id) = shop.begin("ada").await;
    let (path, _) = link(&shop, "ada", &id).await;
    server.applications.remove("Shop").await.unwrap();
    assert_dead(&server.open_link(&path).await);
    assert_dead(&server.press(&path).await);
}

#[rstest]
#[tokio::test]
async fn a_link_that_was_given_out_works_after_a_restart_and_one_that_was_used_does_not(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    let (used, fresh) = (
        link(&shop, "ada", &id).await.0,
        link(&shop, "ada", &id).await.0,
    );
    let cookie = cookie_of(&server.press(&used).await);
    let server = server.restarted().await;
    assert!(server.accepts(&cookie).await);
    assert_dead(&server.press(&used).await);
    assert_eq!(server.press(&fresh).await.status, StatusCode::SEE_OTHER);
}

#[rstest]
#[tokio::test]
async fn what_is_no_link_of_ours_is_a_dead_one(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (token, id) = shop.begin("ada").await;
    let (path, _) = link(&shop, "ada", &id).await;
    let other = lastseen::token::Secret::<lastseen::token::LinkSecret>::generate(
        lastseen::token::Secret::<lastseen::token::LinkSecret>::parse(&path.as_bytes()[6..])
            .unwrap()
            .name(),
        server.entropy.as_ref(),
    );
    for secret in [
        &token,
        &shop.key,
        "lsl_",
        "%ff",
        &path[6..50],
        &other.reveal(),
    ] {
        let path = format!("/link/{secret}");
        assert_dead(&server.open_link(&path).await);
        assert_dead(&server.press(&path).await);
    }
    assert_eq!(server.press(&path).await.status, StatusCode::SEE_OTHER);
}

#[rstest]
#[tokio::test]
async fn the_button_is_pressed_on_our_own_page(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    let (path, _) = link(&shop, "ada", &id).await;
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://elsewhere.example")],
        [("origin", "null")],
    ] {
        let answer = server.send("POST", &path, &headers, "").await;
        answer.assert_problem("forbidden");
    }
    assert_eq!(server.press(&path).await.status, StatusCode::SEE_OTHER);
}

#[rstest]
#[tokio::test]
async fn the_session_that_the_browser_brought_along_stays(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let (shop, forum) = (
        server.application("Shop").await,
        server.application("Forum").await,
    );
    let (brought, _) = forum.begin("ada").await;
    let (_, id) = shop.begin("ada").await;
    let (path, _) = link(&shop, "ada", &id).await;
    let cookie = format!("__Host-lastseen={brought}");
    let headers = [
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookie.as_str()),
    ];
    let pressed = server.send("POST", &path, &headers, "").await;
    assert_eq!(pressed.status, StatusCode::SEE_OTHER);
    assert!(server.accepts(&brought).await);
}

#[rstest]
#[tokio::test]
async fn a_second_link_takes_the_place_of_the_first_in_the_pages(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (token, id) = shop.begin("ada").await;
    let first = cookie_of(&server.press(&link(&shop, "ada", &id).await.0).await);
    let second = cookie_of(&server.press(&link(&shop, "ada", &id).await.0).await);
    assert!(!server.accepts(&first).await);
    assert!(server.accepts(&second).await && server.accepts(&token).await);
}

#[rstest]
#[tokio::test]
async fn there_is_a_link_for_active_sessions_of_the_account_only(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let (shop, forum) = (
        server.application("Shop").await,
        server.application("Forum").await,
    );
    let (_, own) = shop.begin("ada").await;
    let (_, bobs) = shop.begin("bob").await;
    let (_, foreign) = forum.begin("ada").await;
    let built_in = server.built_in("ada").await.session.id.to_string();
    for id in [&bobs, &foreign, &built_in, "nonsense", &"0".repeat(26)] {
        let answer = shop
            .post_nothing(&format!("{}/{id}/link", sessions_of("ada")))
            .await;
        answer.assert_problem("not_found");
    }
    server.clock.pass(Duration::from_hours(12));
    let answer = shop
        .post_nothing(&format!("{}/{own}/link", sessions_of("ada")))
        .await;
    answer.assert_problem("not_found");
}

#[rstest]
#[tokio::test]
async fn links_that_are_worth_nothing_are_forgotten(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    for _ in 0..5 {
        link(&shop, "ada", &id).await;
    }
    server.clock.pass(Duration::from_mins(1));
    link(&shop, "ada", &id).await;
    assert_eq!(server.database.rows("application_link"), 1);
}

impl Server {
    /// A page, as the browser with this cookie sees it.
    async fn page_of(&self, path: &str, cookie: &str) -> Answer {
        let cookie = format!("__Host-lastseen={cookie}");
        self.send("GET", path, &[("cookie", &cookie)], "").await
    }

    async fn press_with(&self, path: &str, return_to: &str) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", return_to)
            .finish();
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [OWN_PAGE[0], OWN_PAGE[1], form];
        self.send("POST", path, &headers, body).await
    }
}

#[rstest]
#[tokio::test]
async fn the_sessions_page_names_the_application_and_leads_back_to_it_on_every_visit(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop & Co").await;
    let begun = shop
        .post(&sessions_of("42"), json!({"name": "Ada"}))
        .await
        .json();
    let id = begun["session"]["id"].as_str().unwrap();
    let (path, _) = link(&shop, "42", id).await;
    let back = "https://shop.example/account?tab=2&x=%22";
    let query: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
    let shown = server.open_link(&format!("{path}?return_to={query}")).await;
    let hidden = r#"name="return_to" value="https://shop.example/account?tab=2&#38;x=%22""#;
    assert!(shown.body.contains(hidden), "{}", shown.body);
    let cookie = cookie_of(&server.press_with(&path, back).await);
    let server = server.restarted().await;
    for _ in 0..2 {
        let page = server.page_of("/sessions", &cookie).await;
        for part in [
            r#"<span class="who"><bdi>Ada</bdi> · <bdi>Shop &#38; Co</bdi></span>"#,
            r#"<a href="https://shop.example/account?tab=2&#38;x=%22">Back to <bdi>Shop &#38; Co</bdi></a>"#,
        ] {
            assert!(page.body.contains(part), "{part}: {}", page.body);
        }
        // Its people have no password here.
        assert!(!page.body.contains("/password"));
        assert!(page.body.contains("/sign-out"));
    }
}

#[rstest]
#[tokio::test]
async fn a_way_back_to_anywhere_else_is_no_way_back(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await;
    let (_, id) = shop.begin("ada").await;
    for back in [
        "https://elsewhere.example/",
        "http://shop.example/",
        "https://shop.example.elsewhere.example/",
        "https://shop.example@elsewhere.example/",
        "https://shop.example:8443/",
        "javascript:alert(1)",
        "//elsewhere.example",
    ] {
        let (path, _) = link(&shop, "ada", &id).await;
        let query: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
        let shown = server.open_link(&format!("{path}?return_to={query}")).await;
        assert!(!shown.body.contains("return_to"), "{back}");
        let cookie = cookie_of(&server.press_with(&path, back).await);
        let page = server.page_of("/sessions", &cookie).await;
        assert!(page.body.contains("<bdi>Shop</bdi></span>"));
        assert!(!page.body.contains("Back to"), "{back}");
    }
}

#[rstest]
#[tokio::test]
async fn a_dead_link_leads_back_to_where_it_came_from(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let path = "/link/lsl_gone?return_to=https%3A%2F%2Fshop.example%2Faccount";
    let answer = server.open_link(path).await;
    assert_dead(&answer);
    assert!(
        answer
            .body
            .contains(r#"href="https://shop.example/account""#)
    );
}

#[rstest]
#[tokio::test]
async fn a_built_in_account_sees_no_application(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    server.application("Shop").await;
    let cookie = server.built_in("ada").await.token.reveal();
    let page = server.page_of("/sessions", &cookie).await;
    assert!(page.body.contains(r#"<bdi class="who">built-in</bdi>"#));
    assert!(page.body.contains("/password"));
    assert!(!page.body.contains("Shop"));
}
