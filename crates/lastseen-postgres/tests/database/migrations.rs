//! Tables that come to be, beside others who make or use them.

use lastseen_postgres::testing::{Cluster, TestDatabase};
use lastseen_postgres::{Database, Migration, MigrationSet, OpenError, Options, PostgresStore};

use super::open_with;

const BOOKS: MigrationSet = MigrationSet {
    name: "books",
    migrations: &[
        Migration {
            name: "books",
            sql: "CREATE TABLE book (title text PRIMARY KEY)",
            only_adds: true,
        },
        Migration {
            name: "pages",
            sql: "ALTER TABLE book ADD pages integer NOT NULL DEFAULT 0; CREATE INDEX book_pages ON book (pages)",
            only_adds: true,
        },
        Migration {
            name: "titles_by_language",
            sql: "ALTER TABLE book RENAME title TO name",
            only_adds: false,
        },
    ],
};

async fn refused(place: &TestDatabase<'_>, sets: &[MigrationSet]) -> String {
    let opened = Database::open(Options::new(place.address()), sets).await;
    opened
        .expect_err("it cannot be worked with")
        .to_string()
        .replace(&place.url(), "DATABASE")
}

fn applied(place: &TestDatabase<'_>) -> String {
    place.psql("SELECT string_agg(number::text, ' ' ORDER BY number) FROM migration WHERE set_name = 'books'")
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_make_the_tables_once() {
    let place = Cluster::shared().database();
    let sets = &[PostgresStore::MIGRATIONS, BOOKS];
    let opening = (0..6).map(|_| {
        let address = place.address();
        tokio::spawn(async move {
            let options = Options {
                connections: 1,
                ..Options::new(address)
            };
            Database::open(options, sets).await
        })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }
    assert_eq!(applied(&place), "1 2 3");
    assert_eq!(place.psql("SELECT count(*) FROM session"), "0");
}

#[tokio::test]
async fn an_older_node_goes_on_beside_tables_that_were_only_added_to() {
    let place = Cluster::shared().database();
    let old = open_with(&place, &[BOOKS.first(1)]).await;
    let newer = open_with(&place, &[BOOKS.first(2)]).await;
    for database in [&old, &newer, &open_with(&place, &[BOOKS.first(1)]).await] {
        let write = "INSERT INTO book (title) VALUES (gen_random_uuid()::text)";
        database.query(write, &[]).await.unwrap();
    }
    assert_eq!(applied(&place), "1 2");
    assert_eq!(place.psql("SELECT count(*) FROM book"), "3");
}

#[tokio::test]
async fn an_older_node_does_not_start_on_tables_that_it_cannot_work_with() {
    let place = Cluster::shared().database();
    open_with(&place, &[BOOKS]).await;
    let text = refused(&place, &[BOOKS.first(2)]).await;
    let expected = "DATABASE: was changed by a newer version: its books are at migration 3, this program knows up to 2";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_migration_that_is_not_the_one_of_this_program_is_refused() {
    const OTHERS: MigrationSet = MigrationSet {
        name: "books",
        migrations: &[Migration {
            name: "books",
            sql: "CREATE TABLE book (isbn text PRIMARY KEY)",
            only_adds: true,
        }],
    };
    let place = Cluster::shared().database();
    open_with(&place, &[BOOKS]).await;
    let text = refused(&place, &[OTHERS]).await;
    let expected = "DATABASE: migration 1 of its books is not the one that this program knows";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_none_of_those_that_came_with_it() {
    const BAD: MigrationSet = MigrationSet {
        name: "bad",
        migrations: &[
            Migration {
                name: "good",
                sql: "CREATE TABLE good ()",
                only_adds: true,
            },
            Migration {
                name: "bad",
                sql: "CREATE TABLE nowhere.bad ()",
                only_adds: true,
            },
        ],
    };
    let place = Cluster::shared().database();
    let text = refused(&place, &[BAD]).await;
    assert!(text.contains("nowhere"), "{text}");
    let left = "SELECT count(*) FROM pg_tables WHERE tablename IN ('good', 'migration')";
    assert_eq!(place.psql(left), "0");
}

#[tokio::test]
async fn a_user_who_may_not_make_tables_starts_where_they_are_there() {
    let place = Cluster::shared().database();
    open_with(&place, &[BOOKS]).await;
    let role = format!("reader_{}", place.name());
    place.psql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let url = place.url().replace("lastseen@", &format!("{role}@"));
    let address = lastseen_postgres::Address::parse(&url).unwrap();
    let opened = Database::open(Options::new(address), &[BOOKS]).await;
    assert!(opened.is_ok(), "{opened:?}");
    drop(opened);
    place.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_with_its_address_and_without_the_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("postgres://ada:s3cret@127.0.0.1:{port}/people");
    let address = lastseen_postgres::Address::parse(&url).unwrap();
    let opened = Database::open(Options::new(address), &[]).await;
    let Err(OpenError::Failed { .. }) = &opened else {
        panic!("{opened:?}");
    };
    let text = opened.unwrap_err().to_string();
    assert!(
        text.starts_with(&format!(
            "postgres://ada@127.0.0.1:{port}/people: the database cannot be reached"
        )),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
}
