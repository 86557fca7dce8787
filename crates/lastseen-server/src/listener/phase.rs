//! What a connection is doing, as its socket, its service and the accept loop see it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::time::Instant;

/// What one connection is doing.
///
/// One task writes the times, the connection's own; the accept loop only looks, to find the one that has been idle for
/// longest, and says what is asked of the connection. A look that is a little old costs a connection its turn, never its
/// correctness.
///
/// Most waits end before anybody asks how long they have lasted: what begins is noted, and the clock is read by whoever
/// asks first. The connection's task does so before it goes to sleep.
#[derive(Debug)]
pub(super) struct Phase {
    /// The instant that times are counted from.
    start: Instant,
    /// When it began to wait for a request, in milliseconds since `start` plus one; zero while a request is served, and
    /// [`JUST_NOW`] until somebody asks.
    waiting_since: AtomicU64,
    /// When the first byte of a request arrived, in the same way; zero while none has.
    head_since: AtomicU64,
    /// What was asked of it last, an [`Asked`].
    asked: AtomicU8,
    asking: AtomicWaker,
}

/// What is asked of a connection; each more than the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Asked {
    /// Nothing.
    #[default]
    Nothing,
    /// To make room for another connection: at once while it waits, else after the answer.
    MakeRoom,
    /// To take no more requests.
    Finish,
    /// To end, whatever it is doing.
    Leave,
}

/// In place of a time: it has begun, and the clock was not read yet.
const JUST_NOW: u64 = u64::MAX;

/// How long a connection may go on waiting, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// A request is being served; the socket's peer owes nothing.
    Endless,
    /// A request may begin until then.
    Idle(Instant),
    /// The head that has begun must be complete by then.
    Head(Instant),
}

impl Phase {
    pub(super) fn waiting() -> Self {
        let phase = Self {
            start: Instant::now(),
            waiting_since: AtomicU64::new(JUST_NOW),
            head_since: AtomicU64::new(0),
            asked: AtomicU8::new(Asked::Nothing as u8),
            asking: AtomicWaker::new(),
        };
        phase.patience();
        phase
    }

    fn stamp(&self, now: Instant) -> u64 {
        let elapsed = now.duration_since(self.start).as_millis();
        u64::try_from(elapsed).unwrap_or(JUST_NOW - 2) + 1
    }

    fn instant(&self, stamp: u64) -> Instant {
        self.start + Duration::from_millis(stamp - 1)
    }

    /// A request is complete up to its body and is served from now on.
    pub(super) fn serve(&self) {
        self.waiting_since.store(0, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
    }

    /// The answer is on its way; the next request may come.
    pub(super) fn wait_for_request(&self) {
        self.head_since.store(0, Ordering::Relaxed);
        self.waiting_since.store(JUST_NOW, Ordering::Relaxed);
    }

    /// Bytes have arrived: while waiting they begin a request.
    pub(super) fn bytes_arrived(&self) {
        if self.waits() && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(JUST_NOW, Ordering::Relaxed);
        }
    }

    /// How long the peer may keep silent now.
    pub(super) fn patience(&self) -> Patience {
        let waiting = self.waiting_since.load(Ordering::Relaxed);
        let head = self.head_since.load(Ordering::Relaxed);
        if waiting == JUST_NOW || head == JUST_NOW {
            return self.patience_at(Instant::now());
        }
        self.patience_of(waiting, head)
    }

    /// What it has waited for in vain, where the peer has kept silent for longer than it may.
    pub(super) fn overdue(&self) -> Option<Patience> {
        if !self.waits() {
            return None;
        }
        let now = Instant::now();
        let patience = self.patience_at(now);
        let deadline = match patience {
            Patience::Endless => return None,
            Patience::Idle(deadline) | Patience::Head(deadline) => deadline,
        };
        (now >= deadline).then_some(patience)
    }

    /// The patience at an instant that was just read, which is noted as the time of what has begun since the last.
    fn patience_at(&self, now: Instant) -> Patience {
        let noted = |time: &AtomicU64| match time.load(Ordering::Relaxed) {
            JUST_NOW => {
                let stamp = self.stamp(now);
                time.store(stamp, Ordering::Relaxed);
                stamp
            }
            noted => noted,
        };
        self.patience_of(noted(&self.waiting_since), noted(&self.head_since))
    }

    fn patience_of(&self, waiting: u64, head: u64) -> Patience {
        match (waiting, head) {
            (0, _) => Patience::Endless,
            (since, 0) => Patience::Idle(self.instant(since) + super::limits::IDLE_TIME),
            (_, since) => Patience::Head(self.instant(since) + super::limits::HEAD_TIME),
        }
    }

    /// Whether it waits for a request, or for the rest of one's head.
    pub(super) fn waits(&self) -> bool {
        self.waiting_since.load(Ordering::Relaxed) != 0
    }

    /// Since when it waits for a request; `None` while one is served, or where it has been asked to leave.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        match self.waiting_since.load(Ordering::Relaxed) {
            0 => None,
            _ if self.asked() > Asked::Nothing => None,
            JUST_NOW => Some(Instant::now()),
            since => Some(self.instant(since)),
        }
    }

    /// Asks something of the connection. It has been asked for all that is less, too.
    pub(super) fn ask(&self, asked: Asked) {
        // Released, so that whoever is woken by it sees it.
        self.asked.fetch_max(asked as u8, Ordering::Release);
        self.asking.wake();
    }

    fn asked(&self) -> Asked {
        let asked = self.asked.load(Ordering::Acquire);
        [Asked::MakeRoom, Asked::Finish, Asked::Leave]
            .into_iter()
            .rfind(|known| *known as u8 == asked)
            .unwrap_or_default()
    }

    /// Waits until more is asked of the connection than it has `heard` so far.
    pub(super) fn poll_asked(&self, cx: &mut Context<'_>, heard: &mut Asked) -> Poll<Asked> {
        self.asking.register(cx.waker());
        // Looked at after whoever asks knows whom to wake.
        let asked = self.asked();
        if asked > *heard {
            *heard = asked;
            return Poll::Ready(asked);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::limits::{HEAD_TIME, IDLE_TIME};

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_has_less_time_than_a_pause() {
        let phase = Phase::waiting();
        let start = Instant::now();
        assert_eq!(phase.patience(), Patience::Idle(start + IDLE_TIME));
        tokio::time::advance(Duration::from_secs(5)).await;
        phase.bytes_arrived();
        let head_by = Patience::Head(start + Duration::from_secs(5) + HEAD_TIME);
        assert_eq!(phase.patience(), head_by);
        tokio::time::advance(Duration::from_secs(5)).await;
        phase.bytes_arrived();
        assert_eq!(
            phase.patience(),
            head_by,
            "more bytes of the same head win no time"
        );
        phase.serve();
        assert_eq!(phase.patience(), Patience::Endless);
        phase.bytes_arrived();
        assert_eq!(phase.patience(), Patience::Endless, "a body is no head");
        assert_eq!(phase.idle_since(), None);
        phase.wait_for_request();
        assert!(matches!(phase.patience(), Patience::Idle(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_counted_from_when_the_task_went_to_sleep_and_one_that_goes_on_is_overdue() {
        let phase = Phase::waiting();
        tokio::time::advance(Duration::from_secs(5)).await;
        phase.serve();
        phase.wait_for_request();
        let begun = Instant::now();
        assert_eq!(phase.idle_since(), Some(begun), "before anybody asked");
        assert_eq!(phase.overdue(), None);
        tokio::time::advance(IDLE_TIME).await;
        assert_eq!(phase.idle_since(), Some(begun));
        let idle = Patience::Idle(begun + IDLE_TIME);
        assert_eq!((phase.patience(), phase.overdue()), (idle, Some(idle)));
        phase.bytes_arrived();
        assert_eq!(phase.overdue(), None, "the head has just begun");
        tokio::time::advance(HEAD_TIME).await;
        assert!(matches!(phase.overdue(), Some(Patience::Head(_))));
        phase.serve();
        assert_eq!(phase.overdue(), None);
    }
}
