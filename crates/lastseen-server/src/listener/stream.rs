//! A connection's socket, with patience: a peer that sends no request, half a request, or takes no answer is left.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrayvec::{ArrayVec, CapacityError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::WRITE_STALL_TIME;
use super::phase::{Patience, Phase};
use super::refusal::Refusals;

pub(super) struct PatientStream {
    stream: TcpStream,
    phase: Arc<Phase>,
    refusals: Arc<Refusals>,
    /// Wakes the task when the peer has taken nothing for too long.
    stall: Timer,
}

impl PatientStream {
    pub(super) fn new(stream: TcpStream, phase: Arc<Phase>, refusals: Arc<Refusals>) -> Self {
        Self {
            stream,
            phase,
            refusals,
            stall: Timer::default(),
        }
    }

    /// What a write has come to: no progress for too long is an error.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match poll {
            Poll::Ready(result) => {
                self.stall.stop();
                Poll::Ready(result)
            }
            Poll::Pending => {
                let deadline = self
                    .stall
                    .deadline
                    .unwrap_or_else(|| Instant::now() + WRITE_STALL_TIME);
                ready!(self.stall.poll(deadline, cx));
                Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)))
            }
        }
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > before {
                    this.phase.bytes_arrived();
                }
                return Poll::Ready(result);
            }
            Poll::Pending => {}
        }
        // The connection's task is woken at the deadline and comes by here.
        match this.phase.overdue() {
            None | Some(Patience::Endless) => Poll::Pending,
            // An end of input: the connection is closed without a word, as HTTP does with idle ones.
            Some(Patience::Idle(_)) => Poll::Ready(Ok(())),
            Some(Patience::Head(_)) => {
                if !this.stall.runs() {
                    // One attempt: whoever is too slow for a head does not get to hold the connection any longer.
                    _ = this.stream.try_write(this.refusals.slow().as_bytes());
                }
                Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)))
            }
        }
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(better) = this.refusals.in_place_of(bytes) {
            // The whole of it fits into the socket's empty buffer; where it is not empty, the peer reads no answers,
            // and the connection ends with this one anyway.
            _ = this.stream.try_write(better.as_bytes());
            return Poll::Ready(Ok(bytes.len()));
        }
        let poll = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [slice] = slices {
            return self.poll_write(cx, slice);
        }
        let this = self.get_mut();
        let mut piece = Piece::new();
        let poll = match fill_with(&mut piece, slices) {
            Ok(()) => Pin::new(&mut this.stream).poll_write(cx, &piece),
            Err(_) => Pin::new(&mut this.stream).poll_write_vectored(cx, slices),
        };
        this.written(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// An answer in one piece, of the longest that is put together before it is sent: the kernel takes one piece of this
/// length sooner than it counts two. An answer with one session is shorter.
type Piece = ArrayVec<u8, 1536>;

/// All slices one after the other, where there is room for them.
fn fill_with(piece: &mut Piece, slices: &[io::IoSlice<'_>]) -> Result<(), CapacityError> {
    slices
        .iter()
        .try_for_each(|slice| piece.try_extend_from_slice(slice))
}

/// A timer that costs nothing until it is first needed.
#[derive(Default)]
struct Timer {
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if self.deadline != Some(deadline) {
            sleep.as_mut().reset(deadline);
            self.deadline = Some(deadline);
        }
        sleep.as_mut().poll(cx)
    }

    /// The timer no longer counts. It may still wake the task once, which then finds nothing to do.
    fn stop(&mut self) {
        self.deadline = None;
    }

    fn runs(&self) -> bool {
        self.deadline.is_some()
    }
}
