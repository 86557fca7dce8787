//! Who is trusted to be the database, by each `sslmode`.

use std::path::{Path, PathBuf};
use std::process::Command;

use lastseen_postgres::testing::Cluster;
use lastseen_postgres::{Address, Database, Error, OpenError, Options};
use tempfile::TempDir;

/// An authority, a certificate of it for `localhost`, and an authority that has signed nothing.
struct Certificates(TempDir);

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = "
            set -e
            authority() {
                openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout $1.key -out $1.pem -subj /CN=$1 \
                    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
            }
            authority ours
            authority others
            openssl req -new -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost
            printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' >extensions
            openssl x509 -req -in server.csr -CA ours.pem -CAkey ours.key -CAcreateserial -days 2 \
                -extfile extensions -out server.pem
        ";
        let made = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.path())
            .output()
            .expect("openssl is there");
        let words = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{words}");
        Self(folder)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).expect("it was made")
    }
}

/// Writes a file that belongs to the server, through the server.
fn hand_over(cluster: &Cluster, name: &str, text: &str) {
    let place = cluster.folder().join("data").join(name);
    cluster.psql(
        "postgres",
        &format!(
            "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) TO PROGRAM 'umask 077; cat >{}'",
            text.trim_end(),
            place.display()
        ),
    );
}

async fn reached(cluster: &Cluster, host: &str, parameters: &str) -> Result<bool, OpenError> {
    let url = format!(
        "postgres://lastseen@{host}:{}/postgres?{parameters}",
        cluster.port()
    );
    let options = Options {
        connections: 1,
        ..Options::new(Address::parse(&url).expect("it is an address"))
    };
    let database = Database::open(options, &[]).await?;
    let rows = database
        .query(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            &[],
        )
        .await
        .expect("it answers");
    Ok(rows[0].get(0))
}

fn roots(path: &Path) -> String {
    format!("sslrootcert={}", path.display())
}

#[tokio::test]
async fn a_server_is_trusted_as_far_as_the_address_says() {
    let cluster = Cluster::start(&[]);
    assert_eq!(
        reached(&cluster, "127.0.0.1", "sslmode=prefer").await,
        Ok(false),
        "it speaks no TLS yet"
    );
    let refused = reached(&cluster, "127.0.0.1", "sslmode=require").await;
    assert!(matches!(refused, Err(OpenError::Failed { .. })));

    let certificates = Certificates::new();
    hand_over(&cluster, "server.crt", &certificates.text("server.pem"));
    hand_over(&cluster, "server.key", &certificates.text("server.key"));
    cluster.psql("postgres", "ALTER SYSTEM SET ssl TO on");
    cluster.stop();
    cluster.start_again();

    let (ours, others) = (
        roots(&certificates.path("ours.pem")),
        roots(&certificates.path("others.pem")),
    );
    let accepted = [
        ("127.0.0.1", "sslmode=disable".to_owned(), false),
        ("127.0.0.1", "sslmode=prefer".to_owned(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        ("127.0.0.1", format!("sslmode=verify-ca&{ours}"), true),
        ("localhost", format!("sslmode=verify-full&{ours}"), true),
    ];
    for (host, parameters, secure) in accepted {
        let answer = reached(&cluster, host, &parameters).await;
        assert_eq!(answer, Ok(secure), "{host} {parameters}");
    }
    let refused = [
        // Another name than the certificate's.
        ("127.0.0.1", format!("sslmode=verify-full&{ours}")),
        // Nobody that is trusted has signed it.
        ("localhost", format!("sslmode=verify-full&{others}")),
        ("localhost", format!("sslmode=verify-ca&{others}")),
        ("localhost", format!("sslmode=require&{others}")),
    ];
    for (host, parameters) in refused {
        let answer = reached(&cluster, host, &parameters).await;
        let Err(OpenError::Failed { reason, .. }) = &answer else {
            panic!("{host} {parameters}: {answer:?}");
        };
        assert!(
            matches!(reason, Error::Unreachable(text) if text.contains("certificate")),
            "{reason}"
        );
    }
}
