//! A network between a node and the database that can be held still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lastseen_postgres::Address;
use lastseen_postgres::testing::{Cluster, TestDatabase};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to the database. What a node opens first carries its lease, what it opens second its ear.
pub(crate) struct Link {
    port: u16,
    refuses: Arc<AtomicBool>,
    /// For each connection, whether it is held still.
    held: Arc<Mutex<Vec<watch::Sender<bool>>>>,
}

impl Link {
    pub(crate) async fn to(cluster: &'static Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the loopback has a free port");
        let link = Self {
            port: listener.local_addr().expect("it is bound").port(),
            refuses: Arc::default(),
            held: Arc::default(),
        };
        let (refuses, held) = (Arc::clone(&link.refuses), Arc::clone(&link.held));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if refuses.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", cluster.port())).await else {
                    continue;
                };
                let (sender, still) = watch::channel(false);
                held.lock().push(sender);
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, still.clone()));
                tokio::spawn(carry(far_in, near_out, still));
            }
        });
        link
    }

    /// The database by way of this link.
    pub(crate) fn address(&self, place: &TestDatabase<'_>) -> Address {
        let url = format!(
            "postgres://lastseen@127.0.0.1:{}/{}",
            self.port,
            place.name()
        );
        Address::parse(&url).expect("the address of a test is in order")
    }

    /// Holds all connections still: they stay open, and nothing comes through.
    pub(crate) fn hold(&self) {
        self.refuses.store(true, Ordering::Relaxed);
        for held in &*self.held.lock() {
            held.send_replace(true);
        }
    }

    /// Holds the connection that was opened as the `place`th, from 0, still.
    pub(crate) fn hold_one(&self, place: usize) {
        self.held.lock()[place].send_replace(true);
    }

    /// Accepts no further connections; those that there are go on.
    pub(crate) fn refuse(&self) {
        self.refuses.store(true, Ordering::Relaxed);
    }

    /// Goes on with everything.
    pub(crate) fn let_go(&self) {
        self.refuses.store(false, Ordering::Relaxed);
        for held in &*self.held.lock() {
            held.send_replace(false);
        }
    }

    /// How many connections were opened.
    pub(crate) fn opened(&self) -> usize {
        self.held.lock().len()
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut still: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // What is on its way arrives once the link is let go.
        let held = still.wait_for(|still| !still).await.is_err();
        if held || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    // The other side learns of it.
    let _ = to.shutdown().await;
}
