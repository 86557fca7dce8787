//! What the server does by itself, beside the requests.
//!
//! A job that fails says so in the log and comes again; nothing depends on it but how tidy things are, and how much of
//! the last use a crash may lose.

use std::time::Duration;

use lastseen::{Tidied, Unavailable};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::Services;

/// Pause between two rounds of tidying, unless the settings ask for shorter ones.
const TIDY_PERIOD: Duration = Duration::from_mins(1);

/// A round of tidying reads every record. It may take this part of the time, no more: after a round of 1 s it rests for
/// 50.
const TIDY_REST: u32 = 50;

/// How long the last write may take when the server stops. The contract gives 5 s in all.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// The jobs of a running server.
pub(crate) struct Jobs {
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
    services: Services,
}

impl Jobs {
    /// Begins them.
    pub(crate) fn start(services: &Services) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(flush(services.clone(), stopped.clone()));
        running.spawn(tidy(services.clone(), stopped));
        Self {
            stop,
            running,
            services: services.clone(),
        }
    }

    /// Ends them and writes what is still in memory.
    pub(crate) async fn stop(mut self) {
        _ = self.stop.send(true);
        let ended = tokio::time::timeout(LAST_WRITE, async {
            while self.running.join_next().await.is_some() {}
        });
        _ = ended.await;
        self.running.abort_all();
        let now = self.services.clock.now();
        match tokio::time::timeout(LAST_WRITE, self.services.sessions.flush(now)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the last uses could not be written"),
            Err(_) => tracing::error!("the last uses could not be written in time"),
        }
    }
}

/// Writes the uses that only memory knows.
async fn flush(services: Services, mut stopped: watch::Receiver<bool>) {
    let mut begun = Instant::now();
    loop {
        // Asked each time: another node may have brought a policy with a shorter idle timeout into force.
        let next = begun + services.sessions.flush_period();
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep_until(next) => {}
        }
        // From here on, not from when it was due: after a pause of the machine one write is enough.
        begun = Instant::now();
        report(
            "write uses",
            services.sessions.flush(services.clock.now()).await,
        );
    }
}

/// Removes what has been expired or ended for long enough, and failed sign-ins that do not count any more.
async fn tidy(services: Services, mut stopped: watch::Receiver<bool>) {
    let settings = *services.sessions.settings();
    let shortest_kept = settings.keep_expired.min(settings.keep_ended);
    let period = (shortest_kept / 4).clamp(Duration::from_secs(1), TIDY_PERIOD);
    // The first round comes soon: until then nobody knows how many sessions there are.
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let begun = Instant::now();
        let round = services.sessions.tidy(services.clock.now()).await;
        if let Ok(Tidied { purged: 1.., .. }) = &round {
            tracing::debug!(?round, "tidied");
        }
        report("tidy", round.map(|_| ()));
        report("forget failures", services.sign_in.tidy().await.map(|_| ()));
        pause = period.max(begun.elapsed() * TIDY_REST);
    }
}

fn report(job: &str, result: Result<(), Unavailable>) {
    if let Err(error) = result {
        tracing::error!(%error, job, "a job failed; it comes again");
    }
}
