//! `GET`: the list.

use std::time::Duration;

use axum::body::Body;
use http::Request;

use crate::world::{CHROME, FIREFOX, PAGE, World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn somebody_who_is_alone_sees_the_current_session_and_is_told_so() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(
        page.text()
            .contains("1 active. You are on Firefox 132 on Windows. No other device is signed in.")
    );
    assert_eq!(page.ids(), [&ada.id]);
    let row = page.row_text(&ada);
    assert!(
        row.contains("Firefox 132 on Windows ✓ This session"),
        "{row}"
    );
    assert!(row.ends_with("Disconnect"), "{row}");
    assert!(page.html.contains(" disabled>Terminate All</button>"));
}

#[tokio::test]
async fn every_fact_of_a_session_stands_in_its_row() {
    let world = World::new().await;
    let other = world.sign_in(CHROME, "203.0.113.7").await;
    world.pass(12 * Duration::from_secs(60));
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    for heading in [
        "Operating System",
        "Browser",
        "User Agent",
        "IP Address",
        "Last Updated",
        "Expires At",
        "Time Left",
    ] {
        assert!(
            page.html.contains(&format!(
                r#"<th role="columnheader" scope="col">{heading}</th>"#
            )),
            "{heading}"
        );
    }
    let row = page.row(&other);
    assert!(
        row.contains(r##"<use href="#linux"/></svg><span>Linux</span>"##),
        "{row}"
    );
    assert!(
        row.contains(r##"<use href="#chrome"/></svg><span>Chrome 120</span>"##),
        "{row}"
    );
    assert!(row.contains(
        r#"datetime="2026-11-24T09:00:00.001Z" title="24 Nov 2026, 09:00:00 UTC">12 min ago</time>"#
    ));
    assert!(row.contains(r#"datetime="2026-12-08T09:00:00.001Z" title="8 Dec 2026, 09:00:00 UTC">8 Dec 2026, 09:00 UTC"#));
    assert!(row.contains(
        r#"<span role="timer" aria-label="13 days 23 hours 47 minutes left">13 d 23 h 47 min left</span>"#
    ));
    assert!(row.contains(r#"aria-label="Select Chrome 120 on Linux, 203.0.113.7""#));
    assert_eq!(
        page.row_text(&other),
        "Linux Chrome 120 Chrome 120 on Linux Remembered 203.0.113.7 12 min ago 8 Dec 2026, 09:00 UTC \
         13 d 23 h 47 min left Terminate"
    );
}

#[tokio::test]
async fn a_rows_button_is_called_by_its_word_and_described_by_its_row() {
    let world = World::new().await;
    let other = world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    let id = &other.id;
    assert!(page.row(&other).contains(&format!(
        r#"name="action" value="one:{id}" aria-describedby="d-{id} p-{id}">Terminate</button>"#
    )));
}

#[tokio::test]
async fn the_current_session_is_first_then_newest_use_then_expired() {
    let world = World::new().await;
    let expired = world.sign_in_as("ada", false, CHROME, "203.0.113.1").await;
    world.pass(DAY);
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let older = world.sign_in(CHROME, "203.0.113.2").await;
    world.pass(HOUR);
    let newer = world.sign_in(FIREFOX, "198.51.100.3").await;
    let page = world.get(&ada, PAGE).await;
    assert_eq!(page.ids(), [&ada.id, &newer.id, &older.id, &expired.id]);
    assert!(page.text().contains("3 active, 1 expired."));
}

#[tokio::test]
async fn an_expired_session_is_labelled_and_offers_to_be_removed() {
    let world = World::new().await;
    let expired = world.sign_in_as("ada", false, CHROME, "203.0.113.1").await;
    world.pass(12 * HOUR);
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    let row = page.row(&expired);
    assert!(row.contains(r#"<i class="over">Expired</i>"#));
    assert!(row.contains(">Expired</span>"));
    assert!(row.contains(&format!(r#"value="remove:{}""#, expired.id)));
    assert!(row.ends_with(">Remove</button></td>\n"), "{row}");
}

#[tokio::test]
async fn a_session_that_is_about_to_expire_says_so() {
    let world = World::new().await;
    let soon = world.sign_in(CHROME, "203.0.113.1").await;
    world.pass(13 * DAY + HOUR);
    let later = world.sign_in(CHROME, "203.0.113.2").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    assert!(page.row_text(&soon).contains("Expires soon"));
    assert!(!page.row_text(&later).contains("Expires soon"));
}

#[tokio::test]
async fn what_was_not_used_for_thirty_days_is_counted_for_the_rule_that_ticks_it() {
    let world = World::new().await;
    let old = world.sign_in(CHROME, "203.0.113.1").await;
    world.pass(30 * DAY);
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    assert!(
        page.html
            .contains(r#"value="unused" data-total="1">Unused for 30 days</button>"#)
    );
    assert!(page.html.contains(&format!(
        r#"id="s-{}" class="expired" data-left="0""#,
        old.id
    )));
}

#[tokio::test]
async fn an_unknown_device_is_called_that_and_has_the_neutral_drawing() {
    let world = World::new().await;
    let other = world.sign_in("???", "no address").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    let row = page.row(&other);
    assert_eq!(
        row.matches(r##"<use href="#unknown"/></svg><span>Unknown</span>"##)
            .count(),
        2
    );
    assert!(row.contains(r#"aria-label="Select Unknown device""#));
    assert!(
        page.row_text(&other)
            .contains("Unknown device Remembered Unknown address")
    );
}

#[tokio::test]
async fn what_comes_from_outside_is_shown_as_text() {
    let world = World::new().await;
    let evil = "\"><script>alert(1)</script>";
    let other = world
        .sign_in_as(evil, true, "<script>alert(2)</script>/1.0", "203.0.113.7")
        .await;
    let page = world
        .get(
            &other,
            "/account/sessions?done=%3Cscript%3E&n=%3Cb%3E&from=%3Ci%3E",
        )
        .await;
    assert_eq!(page.status, 200);
    assert!(!page.html.contains("<script>"));
    assert!(!page.html.contains("alert(2)"));
    assert!(
        page.html
            .contains("<bdi class=\"who\">&#34;&#62;&#60;script&#62;")
    );
    assert!(page.html.contains(r#"<p id="status" role="status"></p>"#));
}

#[tokio::test]
async fn three_alike_get_a_heading_where_the_newest_of_them_stands() {
    let world = World::new().await;
    let first = world.sign_in(CHROME, "203.0.113.1").await;
    let between = world.sign_in(FIREFOX, "203.0.113.2").await;
    let second = world.sign_in(CHROME, "203.0.113.3").await;
    let elsewhere = world.sign_in(CHROME, "198.51.100.4").await;
    let third = world.sign_in(CHROME, "203.0.113.5").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    assert_eq!(
        page.ids(),
        [
            &ada.id,
            &third.id,
            &second.id,
            &first.id,
            &elsewhere.id,
            &between.id
        ]
    );
    assert!(page.html.contains("Chrome on Linux · 3 sessions</th>"));
    assert!(
        page.html
            .contains(r#"aria-label="Select Chrome on Linux, 3 sessions""#)
    );
    assert!(page.row(&first).contains(r#"data-group="1""#));
    assert!(!page.row(&elsewhere).contains("data-group"));
}

#[tokio::test]
async fn a_page_has_fifty_rows_then_more_and_never_over_two_hundred() {
    let world = World::new().await;
    for number in 0..455_u32 {
        let address = format!("198.51.{}.7", number % 200);
        world.sign_in(CHROME, &address).await;
    }
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let rows = |html: &str| html.split("<tbody").nth(1).unwrap().matches("<tr ").count();

    let page = world.get(&ada, PAGE).await;
    assert_eq!(page.ids().len(), 50);
    assert!(
        page.html
            .contains(r#"name="shown" value="100">Show more</button>"#)
    );

    let page = world.get(&ada, "/account/sessions?shown=5000").await;
    assert!((199..=200).contains(&rows(&page.html)));
    assert!(!page.html.contains("Show more"));
    let mut seen: Vec<String> = page.ids().iter().map(ToString::to_string).collect();
    let mut next = Some(page.ids().len());
    while let Some(from) = next {
        let link =
            format!(r#"href="/account/sessions?from={from}&amp;shown=200">Show the next 200"#);
        let page_before = &seen;
        assert!(page_before.len() == from, "{from}");
        let page = world
            .get(&ada, &format!("/account/sessions?from={from}&shown=200"))
            .await;
        assert!(rows(&page.html) <= 200);
        assert!(page.html.contains("Show the 200 before"));
        assert!(!page.html.contains(&link));
        seen.extend(page.ids().iter().map(ToString::to_string));
        next = page
            .html
            .contains("Show the next 200")
            .then_some(seen.len());
    }
    assert_eq!(seen.len(), 456);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 456);
}

#[tokio::test]
async fn whoever_asks_for_a_part_behind_the_end_gets_the_last_session() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    for from in ["1", "99999999", "18446744073709551615", "-1", "x"] {
        let page = world
            .get(&ada, &format!("/account/sessions?from={from}&shown={from}"))
            .await;
        assert_eq!(page.ids(), [&ada.id], "{from}");
    }
}

#[tokio::test]
async fn a_visitor_without_a_session_is_led_to_sign_in_and_back() {
    let world = World::new().await;
    let answer = world
        .send(Request::get(PAGE).body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.location(), "/login?return_to=%2Faccount%2Fsessions");
    let answer = world
        .send(
            Request::get("/account/sessions?shown=100&done=all")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(
        answer.location(),
        "/login?return_to=%2Faccount%2Fsessions%3Fshown%3D100"
    );
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn another_persons_sessions_are_in_no_list() {
    let world = World::new().await;
    let eve = world.sign_in_as("eve", true, CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    assert!(!page.html.contains(&eve.id));
}

#[tokio::test]
async fn sign_out_is_a_form_on_the_page() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    assert!(page.html.contains(
        r#"<form method="post" action="/logout"><button class="plain">Sign out</button></form>"#
    ));
}

#[tokio::test]
async fn a_page_loads_a_style_a_script_and_an_icon_which_may_be_kept_for_ever() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let page = world.get(&ada, PAGE).await;
    let names: Vec<&str> = page
        .html
        .split(r#""/account/sessions/assets/"#)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(names.len(), 3);
    for (name, content_type) in names.iter().zip([
        "text/css; charset=utf-8",
        "image/svg+xml; charset=utf-8",
        "text/javascript; charset=utf-8",
    ]) {
        let path = format!("/account/sessions/assets/{name}");
        let asset = world
            .send(Request::get(&path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(asset.status, 200);
        assert_eq!(asset.headers["content-type"], content_type);
        assert_eq!(
            asset.headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
    }
    let other = world
        .send(
            Request::get("/account/sessions/assets/style.css")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn nothing_in_a_page_is_inline_code() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let html = world.get(&ada, PAGE).await.html;
    assert!(!html.contains(" style="));
    assert!(!html.contains("<style"));
    assert_eq!(html.matches("<script").count(), 1);
    assert!(!html.contains(" onclick"));
}
