//! The numbers that keep one visitor from taking what belongs to all, each with its reason.

use std::time::Duration;

/// Largest request head: request line and headers together. Browsers send below 2 kB to a host with few cookies; a
/// proxy adds some hundred bytes. More is answered 431.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;

/// Longest time from the first byte of a request head to its last. A head is one or two packets, which even the
/// slowest link carries in 10 s. Slower is answered 408.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(10);

/// Longest time that a request body may take, all of it. At most 64 KiB are taken, which is 18 kbit/s.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(30);

/// Longest pause between two requests of one connection. Proxies keep theirs for 60 s and are surprised by a shorter
/// one: a request that crosses the closing is lost.
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(75);

/// Longest time that a peer may take nothing of an answer that waits for it. An answer is at most some hundred
/// kilobytes, most of which the kernel buffers.
pub(crate) const WRITE_STALL_TIME: Duration = Duration::from_secs(30);

/// Connections that wait to be accepted. The kernel caps it at its own limit (4096 since Linux 5.4).
pub(crate) const BACKLOG: u32 = 4096;

/// File descriptors that are kept free of connections: the database's, the log's, the control socket's, with room to
/// spare.
pub(crate) const DESCRIPTORS_IN_RESERVE: u64 = 128;

/// How long the accept loop rests when the system has no more descriptors or memory to give.
pub(crate) const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How long requests under way may take to finish once the server has been asked to stop. The contract gives 5 s in
/// all; the rest is for writing what is in memory.
pub(crate) const DRAIN_TIME: Duration = Duration::from_millis(3500);
