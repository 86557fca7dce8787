//! Two applications and the built-in accounts know nothing of each other, whatever the ids look like.

use proptest::prelude::*;

use super::*;

/// Ids that could be taken for something else: equal ones, encoded ones, ones with slashes, long ones, one
/// that a built-in account has.
fn any_id() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("ada".to_owned()),
        Just("0123456789abcdef0123456789abcdef".to_owned()),
        Just("ada/sessions".to_owned()),
        Just("ada%2Fsessions".to_owned()),
        Just("a\0b".to_owned()),
        Just("..".to_owned()),
        Just("é".to_owned()),
        Just("e\u{301}".to_owned()),
        Just("x".repeat(128)),
        Just("😀".repeat(32)),
        "[a-zA-Z0-9/%.+ ?#&=]{1,20}",
        "\\PC{1,32}",
    ]
}

/// What somebody has: an account by its id, with one session.
struct Owned {
    account: String,
    token: String,
    id: String,
}

/// Everything that `stranger` can ask about the session of somebody else by its account's id, its session's
/// id and its token; the answers must be those about what there is not.
async fn try_everything(stranger: &Application<'_>, owned: &Owned, own_ids: &[String]) {
    let sessions = sessions_of(&owned.account);
    let listed = stranger.ids_of(&owned.account).await;
    assert!(!listed.contains(&owned.id));
    assert!(listed.iter().all(|id| own_ids.contains(id)));
    let one = format!("{sessions}/{}", owned.id);
    stranger.delete(&one).await.assert_problem("not_found");
    let link = stranger.post_nothing(&format!("{one}/link")).await;
    link.assert_problem("not_found");
    let ids = json!({"ids": [owned.id]});
    let several = stranger.post(&format!("{sessions}/terminate"), ids).await;
    several.assert_problem("not_found");
    let keep = json!({"keep": owned.id});
    let others = stranger
        .post(&format!("{sessions}/terminate-others"), keep)
        .await;
    others.assert_problem("not_found");
    let fields = [
        ("token", owned.token.as_str()),
        ("ip_address", "198.51.100.9"),
        ("user_agent", CHROME),
    ];
    let introspected = stranger.form("/api/v1/introspect", &fields).await;
    assert_eq!(introspected.json(), json!({"active": false}));
    let revoked = stranger.form("/api/v1/revoke", &fields[..1]).await;
    assert_eq!(revoked.status, StatusCode::OK);
}

async fn live_apart(ids: Vec<String>) {
    let server = Server::new(Kind::Sqlite).await;
    let applications = [
        server.application("Shop").await,
        server.application("Forum").await,
    ];
    // Everybody has an account of every id.
    let mut owned: [Vec<Owned>; 2] = Default::default();
    let mut built_in = Vec::new();
    for id in &ids {
        for (application, owned) in applications.iter().zip(&mut owned) {
            let (token, session) = application.begin(id).await;
            owned.push(Owned {
                account: id.clone(),
                token,
                id: session,
            });
        }
        let created = server.built_in(id).await;
        built_in.push(Owned {
            account: id.clone(),
            token: created.token.reveal(),
            id: created.session.id.to_string(),
        });
    }
    server.clock.pass(Duration::from_secs(1));
    for (stranger, application) in applications.iter().enumerate() {
        let own: Vec<String> = owned[stranger]
            .iter()
            .map(|owned| owned.id.clone())
            .collect();
        for other in owned[1 - stranger].iter().chain(&built_in) {
            try_everything(application, other, &own).await;
            // Also under every other id.
            for account in &ids {
                let path = format!("{}/{}", sessions_of(account), other.id);
                application.delete(&path).await.assert_problem("not_found");
            }
        }
    }
    // Nothing has ended, and nothing was used.
    for owned in owned.iter().flatten().chain(&built_in) {
        let id = owned.id.parse().unwrap();
        let found = server.sessions.find(id, lastseen::Timestamp::EPOCH).await;
        let found = found.unwrap().unwrap();
        assert_eq!(found.last_used_at, found.created_at, "{:?}", owned.account);
        assert_eq!(found.ip_address, None);
    }
    // What one application ends is its own alone.
    for id in &ids {
        let path = format!("{}/terminate-others", sessions_of(id));
        let ended = applications[0].post(&path, json!({"keep": null})).await;
        assert_eq!(ended.status, StatusCode::OK);
    }
    for (accepted, owned) in [(false, &owned[0]), (true, &owned[1]), (true, &built_in)] {
        for owned in owned {
            assert_eq!(server.accepts(&owned.token).await, accepted);
        }
    }
    assert_eq!(
        server.applications.remove("Forum").await.unwrap(),
        u64::try_from(ids.len()).unwrap()
    );
    for owned in &owned[1] {
        assert!(!server.accepts(&owned.token).await);
    }
    for owned in &built_in {
        assert!(server.accepts(&owned.token).await);
    }
}

proptest! {
    // Each case makes a database of its own.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_application_sees_ends_or_introspects_what_is_not_its_own(ids in proptest::collection::vec(any_id(), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live_apart(ids));
    }
}
