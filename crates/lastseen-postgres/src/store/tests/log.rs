//! What nodes are told, by whomever it was done.

use super::*;

/// The notes since the last call: kind and how many sessions or bits.
fn notes(place: &TestDatabase<'_>) -> String {
    place.psql(
        "WITH gone AS (DELETE FROM change_log RETURNING *)
         SELECT string_agg(kind || ' ' || coalesce(cardinality(sessions), cardinality(bits), 0), ', '
             ORDER BY xid, number) FROM gone",
    )
}

#[tokio::test]
async fn sign_ins_and_uses_tell_nobody_and_write_no_note() {
    let (store, place) = store().await;
    let ids = filled(&store, &[account("ada"), account("bob")], 5).await;
    let uses: Vec<_> = ids.iter().map(|id| use_of(*id, after(1))).collect();
    store.touch(uses, after(1)).await.unwrap();
    assert_eq!(notes(&place), "");
}

#[tokio::test]
async fn whatever_changes_who_is_accepted_is_noted_with_the_change() {
    let (store, place) = store().await;
    let ada = account("ada");
    let ids = filled(&store, &[Arc::clone(&ada)], 5).await;
    let hash = SecretHash::from_bytes([5; 32]);

    store.end(None, vec![end_of(ids[0])]).await.unwrap();
    assert_eq!(notes(&place), "sessions 1");
    store.end(None, vec![end_of(ids[0])]).await.unwrap();
    assert_eq!(notes(&place), "sessions 1", "a second end is told too");
    let unknown = SessionId::from_bytes([9; 16]);
    store.end(None, vec![end_of(unknown)]).await.unwrap();
    assert_eq!(notes(&place), "");
    store.renew(ids[1], hash, 1).await.unwrap();
    assert_eq!(notes(&place), "sessions 1");
    store.set_page_token(ids[1], hash).await.unwrap();
    assert_eq!(notes(&place), "sessions 1");
    let expired = store.expire(vec![(ids[2], MORNING)], after(9)).await;
    assert_eq!(expired.unwrap(), [ids[2]]);
    assert_eq!(notes(&place), "sessions 1");

    let entropy = Counting(AtomicU64::new(1000));
    let new = record(&ada, &entropy);
    store.insert(new, Some(end_of(ids[3]))).await.unwrap();
    assert_eq!(notes(&place), "sessions 1");
    let renamed = Arc::new(Account {
        name: "Ada Lovelace".into(),
        key: ada.key.clone(),
    });
    store
        .insert(record(&renamed, &entropy), None)
        .await
        .unwrap();
    assert_eq!(notes(&place), "partitions 1");
    store.purge(vec![ids[0]]).await.unwrap();
    assert_eq!(notes(&place), "", "it had ended before");

    let policy = lastseen::Settings::default().policy;
    for expected in ["policies 0", ""] {
        store.open(Some(&policy), after(9)).await.unwrap();
        assert_eq!(notes(&place), expected);
    }
}

#[tokio::test]
async fn an_operator_with_psql_is_heard_too_also_past_the_whole_table() {
    let (store, place) = store().await;
    filled(&store, &[account("ada")], 3).await;
    let part = place.psql("SELECT tableoid::regclass FROM session LIMIT 1");
    let end = "SET left_list_at = 1, ended_at = 1, ended_cause = 'command'";
    place.psql(&format!("UPDATE {part} {end}"));
    assert_eq!(notes(&place), "sessions 3");
    place.psql("DELETE FROM session");
    assert_eq!(notes(&place), "", "they had ended");
    filled(&store, &[account("bob")], 3).await;
    place.psql("DELETE FROM session");
    assert_eq!(notes(&place), "sessions 3");
    place.psql("TRUNCATE session");
    assert!(notes(&place).starts_with("everything 0"));
}

#[tokio::test]
async fn an_account_of_many_sessions_is_one_note_and_one_number() {
    let (store, place) = store().await;
    let ada = account("ada");
    let ids = filled(&store, &[Arc::clone(&ada)], 250).await;
    let ends = ids.iter().map(|id| end_of(*id)).collect();
    let ended = store.end(Some(ada.key.clone()), ends).await.unwrap();
    assert!(matches!(ended, Ended::Done(ended) if ended.len() == 250));
    let bits = place.psql("SELECT bits[1] FROM change_log");
    assert_eq!(bits, ada.key.partition().to_string());
    assert_eq!(notes(&place), "partitions 1");
}

/// What a listener hears of what `statements` do, once they are committed: one message, or none.
async fn heard(place: &TestDatabase<'_>, statements: &str) -> Vec<serde_json::Value> {
    let (client, mut stream) = place.address().connect().await.unwrap();
    let messages = futures_util::stream::poll_fn(move |context| stream.poll_message(context));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let listening = tokio::spawn(async move {
        use futures_util::StreamExt;
        let mut messages = Box::pin(messages);
        let mut heard = Vec::new();
        let mut sender = Some(sender);
        while let Some(Ok(message)) = messages.next().await {
            if let tokio_postgres::AsyncMessage::Notification(message) = message {
                if message.channel() == "end" {
                    break;
                }
                heard.push(serde_json::from_str(message.payload()).unwrap());
            }
        }
        let _ = sender.take().map(|sender| sender.send(heard));
    });
    client
        .batch_execute("LISTEN lastseen_changes; LISTEN \"end\"")
        .await
        .unwrap();
    place.psql(statements);
    place.psql("NOTIFY \"end\"");
    let heard = receiver.await.unwrap();
    listening.await.unwrap();
    heard
}

#[tokio::test]
async fn a_transaction_tells_all_that_it_noted_in_one_message_at_its_commit() {
    let (store, place) = store().await;
    let ids = filled(&store, &[account("ada"), account("bob")], 1).await;
    let told = heard(
        &place,
        "BEGIN; SET LOCAL lastseen.origin TO 'n7';
         UPDATE session SET expired = true; SELECT note_change('policies');
         UPDATE session SET expired = true; COMMIT",
    )
    .await;
    assert_eq!(told.len(), 1, "{told:?}");
    let xid = place.psql("SELECT DISTINCT xid FROM change_log");
    assert_eq!(told[0]["xid"], xid.as_str());
    assert_eq!(told[0]["origin"], "n7");
    assert_eq!(
        told[0]["kinds"],
        serde_json::json!(["policies", "sessions"])
    );
    let mut sessions: Vec<SessionId> = told[0]["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| {
            let digits = id.as_str().unwrap().replace('-', "");
            let byte = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).unwrap();
            SessionId::from_bytes(std::array::from_fn(|place| byte(2 * place)))
        })
        .collect();
    sessions.sort_unstable();
    let mut expected = ids;
    expected.sort_unstable();
    assert_eq!(sessions, expected);

    let quiet = "BEGIN; SET LOCAL lastseen.notify TO 'off'; SELECT note_change('policies'); COMMIT";
    assert!(heard(&place, quiet).await.is_empty());
    let undone = "BEGIN; SELECT note_change('policies'); ROLLBACK";
    assert!(heard(&place, undone).await.is_empty());
}

#[tokio::test]
async fn what_does_not_fit_in_a_message_is_told_by_its_bits_or_as_everything() {
    let (_store, place) = store().await;
    let some = "SELECT note_change('sessions', array_agg(md5(number::text)::uuid)) FROM generate_series(1, 300) AS number";
    let told = heard(&place, some).await;
    assert_eq!(told[0]["kinds"], serde_json::json!(["partitions"]));
    let bits = told[0]["bits"].as_array().unwrap().len();
    assert!((290..=300).contains(&bits), "{bits}");
    // md5('1') begins with c4ca.
    assert!(told[0]["bits"].as_array().unwrap().contains(&0xc4ca.into()));
    assert!(told[0].get("sessions").is_none());
    let many = some.replace("300", "9000");
    let told = heard(&place, &many).await;
    assert_eq!(told[0]["kinds"], serde_json::json!(["everything"]));
    assert!(told[0].get("bits").is_none());
}
