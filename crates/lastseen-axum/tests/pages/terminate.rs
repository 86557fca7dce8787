//! `POST`: the question, then the end.

use std::time::Duration;

use axum::body::Body;

use crate::world::{CHROME, ENDED, FIREFOX, PAGE, TERMINATE, World};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn one_session_is_asked_about_before_it_ends() {
    let world = World::new().await;
    let other = world.sign_in(CHROME, "203.0.113.7").await;
    world.pass(Duration::from_secs(12 * 60));
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let question = world.post(&ada, &format!("action=one:{}", other.id)).await;
    assert_eq!(question.status, 200);
    assert_eq!(question.headers["cache-control"], "no-store");
    let text = question.text();
    assert!(text.contains("Terminate this session?"), "{text}");
    assert!(
        text.contains(
            "Chrome 120 on Linux, 203.0.113.7, last used 12 min ago. It is signed out at once."
        ),
        "{text}"
    );
    assert!(text.ends_with("Cancel Terminate"), "{text}");
    assert_eq!(world.get(&ada, PAGE).await.ids().len(), 2);

    let answer = world
        .post(&ada, &format!("action=one:{}&confirmed=yes", other.id))
        .await;
    assert_eq!(answer.location(), "/account/sessions?done=terminated&n=1");
    let page = world.get(&ada, answer.location()).await;
    assert!(
        page.html
            .contains(r#"<p id="status" role="status">1 session terminated.</p>"#)
    );
    assert_eq!(page.ids(), [&ada.id]);
    assert_eq!(world.get(&other, PAGE).await.status, 303);
}

#[tokio::test]
async fn cancel_leads_back_to_the_same_part_of_the_list() {
    let world = World::new().await;
    let other = world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let question = world
        .post(&ada, &format!("action=one:{}&from=1&shown=200", other.id))
        .await;
    assert!(
        question
            .html
            .contains(r#"href="/account/sessions?from=1&#38;shown=200">Cancel</a>"#),
        "{}",
        question.html
    );
    assert!(
        question
            .html
            .contains(r#"<input type="hidden" name="from" value="1">"#)
    );
    assert!(
        question
            .html
            .contains(r#"<input type="hidden" name="shown" value="200">"#)
    );
}

#[tokio::test]
async fn the_current_session_is_disconnected_and_the_visitor_is_led_to_sign_in() {
    let world = World::new().await;
    world.sign_in(CHROME, "203.0.113.7").await;
    world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let text = world
        .post(&ada, &format!("action=one:{}", ada.id))
        .await
        .text();
    assert!(text.contains(
        "Disconnect this device? This is the session you are using. You will be signed out here and must sign in \
         again. Your other 2 sessions stay."
    ));
    assert!(text.ends_with("Cancel Disconnect"));
    let answer = world
        .post(&ada, &format!("action=one:{}&confirmed=yes", ada.id))
        .await;
    assert_eq!(answer.location(), ENDED);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-lastseen=;"), "{cookie}");
    assert_eq!(world.get(&ada, PAGE).await.status, 303);
}

#[tokio::test]
async fn several_are_named_before_they_end() {
    let world = World::new().await;
    let one = world.sign_in(CHROME, "203.0.113.7").await;
    let two = world.sign_in(CHROME, "203.0.113.8").await;
    let three = world.sign_in(CHROME, "203.0.113.9").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let form = format!(
        "action=selected&id={}&id={}&id={}",
        one.id, two.id, three.id
    );
    let question = world.post(&ada, &form).await;
    let text = question.text();
    assert!(text.contains(
        "Terminate 3 sessions? Chrome 120 on Linux, 203.0.113.7 Chrome 120 on Linux, 203.0.113.8 Chrome 120 on \
         Linux, 203.0.113.9 Cancel Terminate 3 Sessions"
    ), "{text}");
    assert_eq!(
        question
            .html
            .matches(r#"<input type="hidden" name="id""#)
            .count(),
        3
    );
    let answer = world.post(&ada, &format!("{form}&confirmed=yes")).await;
    assert_eq!(answer.location(), "/account/sessions?done=terminated&n=3");
    let page = world.get(&ada, answer.location()).await;
    assert!(page.html.contains(">3 sessions terminated.</p>"));
}

#[tokio::test]
async fn with_the_current_one_among_them_the_question_warns_and_the_visitor_is_signed_out() {
    let world = World::new().await;
    let one = world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let form = format!("action=selected&id={}&id={}", one.id, ada.id);
    let question = world.post(&ada, &form).await;
    assert!(
        question.html.contains(
            "<b>One of them is the session you are using: you will be signed out here.</b>"
        )
    );
    assert_eq!(
        world
            .post(&ada, &format!("{form}&confirmed=yes"))
            .await
            .location(),
        ENDED
    );
    assert_eq!(world.get(&one, PAGE).await.status, 303);
}

#[tokio::test]
async fn terminate_all_asks_and_keeps_the_one_in_use() {
    let world = World::new().await;
    world.sign_in_as("ada", false, CHROME, "203.0.113.7").await;
    world.pass(12 * HOUR);
    world.sign_in(CHROME, "203.0.113.7").await;
    world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let text = world.post(&ada, "action=all").await.text();
    assert!(text.contains(
        "Terminate all other sessions? 2 sessions end on your other devices and 1 expired one leaves the list. The \
         one you are using stays. Cancel Terminate All"
    ), "{text}");
    let answer = world.post(&ada, "action=all&confirmed=yes").await;
    assert_eq!(answer.location(), "/account/sessions?done=all&n=2");
    let page = world.get(&ada, answer.location()).await;
    assert_eq!(page.ids(), [&ada.id]);
    assert!(page.html.contains(">All 2 other sessions terminated.</p>"));
}

#[tokio::test]
async fn an_expired_session_is_removed_without_a_question() {
    let world = World::new().await;
    let expired = world.sign_in_as("ada", false, CHROME, "203.0.113.7").await;
    world.pass(12 * HOUR);
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let answer = world
        .post(&ada, &format!("action=remove:{}", expired.id))
        .await;
    assert_eq!(answer.location(), "/account/sessions?done=removed");
    assert_eq!(world.get(&ada, PAGE).await.ids(), [&ada.id]);
}

#[tokio::test]
async fn what_was_shown_as_expired_and_is_active_is_asked_about_after_all() {
    let world = World::new().await;
    let other = world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let question = world
        .post(&ada, &format!("action=remove:{}&confirmed=yes", other.id))
        .await;
    assert!(question.text().contains("Terminate this session?"));
    assert!(
        question
            .html
            .contains(&format!(r#"name="action" value="one:{}""#, other.id))
    );
    assert_eq!(world.get(&ada, PAGE).await.ids().len(), 2);
}

#[tokio::test]
async fn with_nothing_ticked_nothing_ends_and_the_page_says_so() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let answer = world.post(&ada, "action=selected").await;
    assert_eq!(answer.location(), "/account/sessions?done=nothing");
    assert!(
        world
            .get(&ada, answer.location())
            .await
            .html
            .contains(">No session is ticked.</p>")
    );
}

#[tokio::test]
async fn what_has_gone_already_counts_as_done() {
    let world = World::new().await;
    let other = world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let form = format!("action=one:{}&confirmed=yes", other.id);
    assert_eq!(world.post(&ada, &form).await.status, 303);
    for form in [
        form,
        format!("action=one:{}", other.id),
        format!("action=selected&id={}", other.id),
    ] {
        let answer = world.post(&ada, &form).await;
        assert_eq!(
            answer.location(),
            "/account/sessions?done=terminated&n=0",
            "{form}"
        );
        assert!(
            world
                .get(&ada, answer.location())
                .await
                .html
                .contains(">It had ended already.</p>")
        );
    }
}

#[tokio::test]
async fn another_persons_session_and_none_look_the_same_and_nothing_ends() {
    let world = World::new().await;
    let eve = world.sign_in_as("eve", true, CHROME, "203.0.113.7").await;
    let own = world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let unknown = "0".repeat(26);
    let mut pages = Vec::new();
    for id in [&eve.id, &unknown] {
        for form in [
            format!("action=one:{id}"),
            format!("action=one:{id}&confirmed=yes"),
            format!("action=remove:{id}"),
            format!("action=selected&id={}&id={id}&confirmed=yes", own.id),
        ] {
            let answer = world.post(&ada, &form).await;
            pages.push((answer.status, answer.html));
        }
    }
    let (of_eve, of_nobody) = pages.split_at(4);
    assert_eq!(of_eve, of_nobody);
    assert_eq!(of_eve[1].0, 404);
    assert_eq!(of_eve[3].0, 404);
    assert_eq!(world.get(&eve, PAGE).await.status, 200);
    assert_eq!(world.get(&own, PAGE).await.status, 200);
}

#[tokio::test]
async fn a_form_that_no_page_of_ours_sends_is_refused_in_a_persons_words() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let many = "&id=".to_owned() + &"0".repeat(26);
    for (form, status) in [
        ("", 400),
        ("action=", 400),
        ("action=everything", 400),
        ("action=all&more=1", 400),
        ("action=one:x", 404),
        ("action=selected&id=../..", 404),
        (&format!("action=selected{}", many.repeat(1001)), 400),
        (&"x".repeat(70_000), 413),
    ] {
        let answer = world.post(&ada, form).await;
        assert_eq!(answer.status, status, "{form:.40}");
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(
            answer.text().contains("Nothing was terminated"),
            "{form:.40}"
        );
    }
    assert_eq!(world.get(&ada, PAGE).await.status, 200);
}

#[tokio::test]
async fn a_form_from_another_origin_ends_nothing() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let request = world
        .request(&ada, "POST", TERMINATE)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "cross-site")
        .body(Body::from(format!("action=one:{}&confirmed=yes", ada.id)));
    assert_eq!(world.send(request.unwrap()).await.status, 403);
    assert_eq!(world.get(&ada, PAGE).await.status, 200);
}

#[tokio::test]
async fn opening_an_address_ends_nothing() {
    let world = World::new().await;
    let other = world.sign_in(CHROME, "203.0.113.7").await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    let path = format!("{TERMINATE}?action=one:{}&confirmed=yes", other.id);
    assert_eq!(world.get(&ada, &path).await.status, 405);
    assert_eq!(world.get(&other, PAGE).await.status, 200);
}

#[tokio::test]
async fn a_form_without_a_session_leads_to_sign_in() {
    let world = World::new().await;
    let ada = world.sign_in(FIREFOX, "203.0.113.9").await;
    assert_eq!(
        world
            .post(&ada, &format!("action=one:{}&confirmed=yes", ada.id))
            .await
            .location(),
        ENDED
    );
    assert_eq!(
        world
            .post(&ada, "action=all&confirmed=yes")
            .await
            .location(),
        ENDED
    );
}
