//! The thread of a node, which goes on where the program has made a mistake.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::driver::Driver;
use super::{Command, Shared};

/// How long it takes after the first mistake until it goes on: about as long as after a connection that was lost.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// After each mistake the pause is twice as long, up to this. It never grows shorter: a program that stumbles once a day
/// loses these seconds once a day, and one that stumbles over everything does not fill the log with it.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Runs until nobody can say anything to it any more. After a panic lease and memory go, as with a lost connection, and a
/// driver that knows nothing takes over.
///
/// The other way would be to end the process and have a supervisor start it. It would take with it all connections of
/// visitors and the uses that are not written yet, and is no safer: everything that a panic may have left half done is
/// the driver's, which is thrown away, or memory's, which has to forget. What goes over is what the first driver said
/// to the database: under which number it last registered, so that the next one is another, and whether it is to
/// register at all. Changes that waited for other nodes are answered as unknown.
///
/// Where memory cannot even forget without a panic, there is never a lease again: it forgets before each one. Then
/// every validation asks the database, and `lastseen_leased` says so.
pub(super) fn run(
    runtime: &Runtime,
    shared: &Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut driver = Driver::new(Arc::clone(shared), commands);
    let mut pause = FIRST_PAUSE;
    while catch_unwind(AssertUnwindSafe(|| runtime.block_on(driver.run()))).is_err() {
        // First of all: whatever comes next may panic too.
        shared.lease.show(None);
        tracing::error!(
            node = %shared.origin,
            "the thread that holds the lease has made a mistake; it begins anew, without what it knew"
        );
        let forgotten = catch_unwind(AssertUnwindSafe(|| shared.forget_everything()));
        if forgotten.is_err() {
            tracing::error!(node = %shared.origin, "memory cannot forget; there is no lease until it can");
        }
        driver = driver.begun_anew();
        runtime.block_on(async { sleep(pause).await });
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
