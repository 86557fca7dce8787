//! Each statement meets one partition.

use std::collections::BTreeSet;

use super::*;
use crate::store::statements;

/// Sessions that make the planner look twice, of as many accounts.
const CROWD: &str = "
    INSERT INTO account (bits, key, source, id, name)
        SELECT number % 65536, md5(number::text)::uuid, 0, 'crowd', 'crowd' FROM generate_series(1, 20000) AS number;
    INSERT INTO session (bits, sequence, id, account, remembered, created_at, policy, token_generation, token_hash, first_device)
        SELECT number % 65536, number, md5(number::text)::uuid, md5(number::text)::uuid, false, 0, 0, 0, '', '[]'
        FROM generate_series(1, 20000) AS number;
    INSERT INTO last_use (bits, sequence, used_at) SELECT bits, sequence, 0 FROM session WHERE sequence <= 20000;
    ANALYZE;
";

/// The partitions that a plan goes to, as far as it was carried out.
fn partitions(plan: &str) -> BTreeSet<&str> {
    plan.lines()
        .filter(|line| line.contains(" Scan ") && !line.contains("(never executed)"))
        .filter_map(|line| line.split_once(" on ")?.1.split(' ').next())
        .filter_map(|table| {
            ["session_", "account_", "last_use_"]
                .into_iter()
                .find_map(|name| table.strip_prefix(name))
        })
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a list of all statements")]
#[tokio::test]
async fn every_statement_but_the_walk_meets_one_partition_and_looks_rows_up_by_key() {
    let (store, place) = store().await;
    let ada = account("ada");
    let ids = filled(&store, &[Arc::clone(&ada)], 3).await;
    store
        .touch(vec![use_of(ids[0], after(1))], after(1))
        .await
        .unwrap();
    place.psql(CROWD);

    let bits = i32::from(ada.key.partition());
    let key = key_of(&ada.key);
    let Place { sequence, .. } = Place::of(ids[0]);
    let id = Bytes16::from(ids[0]);
    let hash = [1_u8; 32].to_vec();
    let sequences: Vec<i64> = ids.iter().map(SessionId::sequence).collect();
    let all: Vec<Bytes16> = ids.iter().copied().map(Bytes16::from).collect();
    let times = vec![after(2).as_millisecond(); 3];
    let causes = vec!["command"; 3];
    let nobody: Vec<Option<Bytes16>> = vec![None; 3];
    let every_bits = vec![bits; 3];
    let keys = vec![key; 3];
    let owners = vec![Some(key), None, Some(key)];
    let requests = vec![0_i32; 3];
    let addresses = vec![origin().ip_address; 3];
    let devices = vec!["[]"; 3];
    let generation = 9_i64;

    let in_bits: Parameter<'_> = (&bits, Type::INT4);
    let of_account: Parameter<'_> = (&key, Type::UUID);
    let at: Parameter<'_> = (&sequence, Type::INT8);
    let called: Parameter<'_> = (&id, Type::UUID);
    let secret: Parameter<'_> = (&hash, Type::BYTEA);
    let at_all: Parameter<'_> = (&sequences, Type::INT8_ARRAY);
    let all_called: Parameter<'_> = (&all, Type::UUID_ARRAY);
    let then: Parameter<'_> = (&times, Type::INT8_ARRAY);
    let several = [in_bits.clone(), at_all.clone(), all_called.clone()];
    let statements: Vec<(&str, Vec<Parameter<'_>>)> = vec![
        (
            statements::FIND,
            vec![in_bits.clone(), at.clone(), called.clone()],
        ),
        (statements::LIST, vec![in_bits.clone(), of_account.clone()]),
        (statements::COUNT, vec![in_bits.clone(), of_account.clone()]),
        (
            statements::NAME_OF,
            vec![in_bits.clone(), of_account.clone()],
        ),
        (
            statements::TOUCH,
            vec![
                (&every_bits, Type::INT4_ARRAY),
                at_all.clone(),
                all_called.clone(),
                then.clone(),
                (&addresses, Type::INET_ARRAY),
                (&devices, Type::TEXT_ARRAY),
            ],
        ),
        (
            statements::TOUCH_IN_ONE,
            vec![
                in_bits.clone(),
                at_all.clone(),
                all_called.clone(),
                then.clone(),
                (&addresses, Type::INET_ARRAY),
                (&devices, Type::TEXT_ARRAY),
            ],
        ),
        (
            statements::OWN,
            vec![
                (&requests, Type::INT4_ARRAY),
                (&every_bits, Type::INT4_ARRAY),
                (&keys, Type::UUID_ARRAY),
                at_all.clone(),
                all_called.clone(),
            ],
        ),
        (
            statements::RENEW,
            vec![
                in_bits.clone(),
                at.clone(),
                called.clone(),
                secret.clone(),
                (&generation, Type::INT8),
            ],
        ),
        (
            statements::SET_PAGE_TOKEN,
            vec![in_bits.clone(), at.clone(), called.clone(), secret.clone()],
        ),
        (statements::HOLD_USES, several.to_vec()),
        (
            statements::EXPIRE,
            [&several[..], std::slice::from_ref(&then)].concat(),
        ),
        (statements::EXPIRED, several.to_vec()),
        (statements::ENDED, several.to_vec()),
        (statements::SETTLE, vec![in_bits.clone(), at_all.clone()]),
        (
            statements::END,
            [
                &several[..],
                &[
                    then.clone(),
                    then.clone(),
                    (&causes, Type::TEXT_ARRAY),
                    (&nobody, Type::UUID_ARRAY),
                    (&owners, Type::UUID_ARRAY),
                ],
            ]
            .concat(),
        ),
        (
            statements::END_SEVERAL,
            vec![
                (&every_bits, Type::INT4_ARRAY),
                at_all.clone(),
                all_called.clone(),
                then.clone(),
                then.clone(),
                (&causes, Type::TEXT_ARRAY),
                (&nobody, Type::UUID_ARRAY),
                (&owners, Type::UUID_ARRAY),
            ],
        ),
        (statements::HOLD_ACCOUNTS, several.to_vec()),
        (statements::PURGE, several.to_vec()),
    ];
    for (statement, parameters) in statements {
        // Carried out, and undone: of a row that is looked up by what another says, only that tells the partition.
        let transaction = store.database().begin(Durability::Soon).await.unwrap();
        if statement == statements::END_SEVERAL {
            transaction.query(statements::BY_KEY, &[]).await.unwrap();
        }
        let explain = format!("EXPLAIN (ANALYZE, TIMING OFF) {statement}");
        let rows = transaction.query(&explain, &parameters).await.unwrap();
        transaction.roll_back().await;
        let plan: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert_eq!(partitions(&plan).len(), 1, "{statement}\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{statement}\n{plan}");
    }
}

#[tokio::test]
async fn all_that_belongs_to_an_account_is_in_one_partition_and_accounts_are_spread() {
    let (store, place) = store().await;
    let accounts: Vec<_> = (0..200)
        .map(|number| account(&format!("account-{number}")))
        .collect();
    let ids = filled(&store, &accounts, 2).await;
    let uses = ids.iter().map(|id| use_of(*id, after(1))).collect();
    store.touch(uses, after(1)).await.unwrap();
    let apart = place.psql(
        "SELECT count(*) FROM session JOIN account ON account.bits = session.bits AND account.key = session.account
             JOIN last_use ON last_use.bits = session.bits AND last_use.sequence = session.sequence
         WHERE replace(session.tableoid::regclass::text, 'session_', '') IN
             (replace(account.tableoid::regclass::text, 'account_', ''))
             AND replace(session.tableoid::regclass::text, 'session_', '') IN
             (replace(last_use.tableoid::regclass::text, 'last_use_', ''))",
    );
    assert_eq!(apart, "400");
    let used = place.psql("SELECT count(DISTINCT tableoid) FROM session");
    assert_eq!(used, "16");
}

#[tokio::test]
async fn a_walk_meets_every_session_in_the_order_of_its_places() {
    let (store, place) = store().await;
    let accounts: Vec<_> = (0..20)
        .map(|number| account(&format!("account-{number}")))
        .collect();
    let mut ids = filled(&store, &accounts, 3).await;
    ids.sort_unstable();
    let mut met = Vec::new();
    loop {
        let step = store.walk(met.last().copied(), 7).await.unwrap();
        met.extend(step.iter().map(|record| record.id));
        if step.len() < 7 {
            break;
        }
    }
    assert_eq!(met, ids);
    drop(place);
}
