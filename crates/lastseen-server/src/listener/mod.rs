//! Connections: accepted, limited, served and, at the end, let finish.
//!
//! - `answers.rs`: whoever answers the requests.
//! - `limits.rs`: the numbers, each with its reason.
//! - `phase.rs`: what a connection is doing.
//! - `stream.rs`: its socket, which leaves a peer that keeps silent or takes nothing.
//! - `body.rs`: request bodies that must arrive in time.
//! - `refusal.rs`: what is answered to a head that cannot be read.

mod answers;
mod body;
pub(crate) mod limits;
mod phase;
pub(crate) mod refusal;
mod stream;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lastseen_axum::{Problem, SecurityHeaders};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

use answers::Sent;
pub(crate) use answers::{Answer, Answers, Either};
pub(crate) use body::AnswerBody;
use phase::{Asked, Patience, Phase};
use refusal::Refusals;
use stream::PatientStream;

/// A socket that listens, and how many connections it takes at once.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    max_connections: u32,
}

impl Listener {
    /// Listens on `address`.
    pub fn bind(address: SocketAddr, max_connections: u32) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart must not wait for the old connections' last minutes; on Linux this never takes a port from another.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Self::around(socket.listen(limits::BACKLOG)?, max_connections)
    }

    /// Listens on a socket that somebody else has opened.
    pub fn inherit(socket: std::net::TcpListener, max_connections: u32) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Self::around(TcpListener::from_std(socket)?, max_connections)
    }

    fn around(socket: TcpListener, max_connections: u32) -> io::Result<Self> {
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            max_connections,
        })
    }

    /// The address and the real port that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has `answers` answer requests until `stop` is done; then takes no more connections, lets the requests under way
    /// finish for at most [`limits::DRAIN_TIME`], and leaves the rest.
    pub(crate) async fn serve(
        self,
        answers: impl Answers,
        headers: &SecurityHeaders,
        stop: impl Future<Output = ()>,
    ) {
        let connections = Arc::new(Connections {
            room: Arc::new(Semaphore::new(self.max_connections as usize)),
            all: Mutex::default(),
            answers,
            headers: headers.clone(),
            refusals: Arc::new(Refusals::new(headers)),
        });
        // Also where nobody waits for this to end.
        let _leaving = Leaving(Arc::clone(&connections));
        tokio::select! {
            () = stop => {}
            () = accept(&self.socket, &connections) => {}
        }
        drop(self.socket);
        connections.ask(Asked::Finish);
        let everybody_left = connections.room.acquire_many(self.max_connections);
        if tokio::time::timeout(limits::DRAIN_TIME, everybody_left)
            .await
            .is_err()
        {
            let left = connections.all.lock().len();
            tracing::warn!(
                connections = left,
                "leaving connections that have not finished"
            );
        }
    }
}

/// All connections of one listener, and what they have in common.
struct Connections<Of> {
    room: Arc<Semaphore>,
    all: Mutex<HashMap<u64, Arc<Phase>>>,
    answers: Of,
    headers: SecurityHeaders,
    refusals: Arc<Refusals>,
}

/// Asks the connections to end when it goes.
struct Leaving<Of>(Arc<Connections<Of>>);

impl<Of> Drop for Leaving<Of> {
    fn drop(&mut self) {
        self.0.ask(Asked::Leave);
    }
}

impl<Of> Connections<Of> {
    /// Waits for room for one more connection. Where there is none, the one that has waited for a request for longest
    /// makes room, so that idle and slow ones cannot keep the others out.
    async fn make_room(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            return Some(permit);
        }
        loop {
            self.evict_idlest();
            let acquired = Arc::clone(&self.room).acquire_owned();
            // Where all are busy there is nobody to ask; one of them may be idle when looked at again.
            if let Ok(acquired) = tokio::time::timeout(limits::ACCEPT_REST, acquired).await {
                return acquired.ok();
            }
        }
    }

    fn evict_idlest(&self) {
        let all = self.all.lock();
        let waiting = all
            .values()
            .filter_map(|phase| Some((phase.idle_since()?, phase)));
        if let Some((_, idlest)) = waiting.min_by_key(|(since, _)| *since) {
            idlest.ask(Asked::MakeRoom);
        }
    }

    /// Asks something of every connection.
    fn ask(&self, asked: Asked) {
        for phase in self.all.lock().values() {
            phase.ask(asked);
        }
    }
}

/// Takes connections, for ever. An error of the system's ends nothing: out of descriptors or memory, it rests and goes
/// on.
async fn accept(socket: &TcpListener, connections: &Arc<Connections<impl Answers>>) {
    let mut number = 0;
    loop {
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for the moment");
                connections.evict_idlest();
                tokio::time::sleep(limits::ACCEPT_REST).await;
                continue;
            }
        };
        let Some(permit) = connections.make_room().await else {
            return;
        };
        number += 1;
        let registered = Registered::new(number, connections);
        let connection = serve_connection(registered, stream, peer);
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn serve_connection(
    registered: Registered<impl Answers>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Registered {
        phase, connections, ..
    } = &registered;
    // Answers are written whole; waiting for more to fill a packet would only delay them.
    _ = stream.set_nodelay(true);
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());

    let answers = RefCell::new(connections.answers.for_connection());
    let service_phase = Arc::clone(phase);
    let headers = connections.headers.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        service_phase.serve();
        let phase = Arc::clone(&service_phase);
        if names_one_host(&request) {
            return Sent::new(answers.borrow_mut().answer(request, peer), phase);
        }
        let mut refusal =
            Problem::invalid_request("The request names no host, or several.").into_http();
        headers.apply(refusal.headers_mut());
        Sent::new(Answer::at_once(refusal), phase)
    });
    let stream = PatientStream::new(stream, Arc::clone(phase), Arc::clone(&connections.refusals));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The stream has its own patience, which tells an idle connection from a slow head.
        .header_read_timeout(None)
        .max_buf_size(limits::HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut silence = Silence {
        timer: pin!(sleep_until(Instant::now())),
        set: false,
    };
    let mut heard = Asked::default();
    let mut overdue = None;
    poll_fn(|cx| {
        loop {
            // The connection first: what it does changes for how long its peer may keep silent. One that ends in an error
            // ends like any other: the peer has gone, or was left.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            match phase.poll_asked(cx, &mut heard) {
                Poll::Ready(Asked::Leave) => return Poll::Ready(()),
                Poll::Ready(Asked::MakeRoom) if phase.waits() => return Poll::Ready(()),
                Poll::Ready(_) => {
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                Poll::Pending => {}
            }
            let deadline = ready!(silence.poll(phase, cx));
            // The stream is asked once more and says goodbye; where nobody asks it, there is nothing to say.
            if overdue.replace(deadline) == Some(deadline) {
                return Poll::Ready(());
            }
        }
    })
    .await;
}

/// Whether a request says once for which host it is, as HTTP/1.1 asks (RFC 9112, 3.2). Nothing here goes by what it says;
/// a proxy in front may, and two readers of two hosts could disagree.
fn names_one_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(http::header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => true,
        (None, _) => request.version() < http::Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// What tells when the peer has kept silent for longer than it may.
///
/// Each request moves the deadline on, and none of them sets the timer: it goes off at a deadline that was, and is set
/// to the one that is.
struct Silence<'a> {
    timer: Pin<&'a mut Sleep>,
    /// It will wake the connection's task, which has one waker all its life: so it need not be told of it again.
    set: bool,
}

impl Silence<'_> {
    /// Waits for the deadline of this moment; answers with it when it has passed.
    fn poll(&mut self, phase: &Phase, cx: &mut Context<'_>) -> Poll<Instant> {
        let deadline = match phase.patience() {
            Patience::Endless => return Poll::Pending,
            Patience::Idle(deadline) | Patience::Head(deadline) => deadline,
        };
        if self.timer.deadline() > deadline {
            self.set_to(deadline);
        } else if self.set && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            self.set = self.timer.as_mut().poll(cx).is_pending();
            if self.set {
                return Poll::Pending;
            }
            if self.timer.deadline() == deadline {
                return Poll::Ready(deadline);
            }
            self.set_to(deadline);
        }
    }

    fn set_to(&mut self, deadline: Instant) {
        self.timer.as_mut().reset(deadline);
        self.set = false;
    }
}

/// A connection's place among all of them, taken before anybody looks for room again, given up when it ends.
struct Registered<Of> {
    number: u64,
    phase: Arc<Phase>,
    connections: Arc<Connections<Of>>,
}

impl<Of> Registered<Of> {
    fn new(number: u64, connections: &Arc<Connections<Of>>) -> Self {
        let phase = Arc::new(Phase::waiting());
        connections.all.lock().insert(number, Arc::clone(&phase));
        Self {
            number,
            phase,
            connections: Arc::clone(connections),
        }
    }
}

impl<Of> Drop for Registered<Of> {
    fn drop(&mut self) {
        self.connections.all.lock().remove(&self.number);
    }
}
