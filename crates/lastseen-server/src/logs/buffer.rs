//! Lines on their way to stderr, written together.
//!
//! A write for each line, or a thread that is woken for each, costs as much as the request that the line is about. Here
//! a line is appended to what waits, and a thread of its own writes all of it at once, a few dozen times a second.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that wait to be written. When whoever reads stderr is slower than that, lines are dropped rather than requests
/// held up.
const WAITING_BYTES: usize = 4 << 20;

/// How long lines gather before they are written: too short to be missed by a person, long enough for hundreds of them.
const GATHERING: Duration = Duration::from_millis(20);

/// Lines that wait. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    ending: bool,
}

/// Writes the lines; what waits is written when it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    /// Lines that a thread writes to `output`.
    pub(crate) fn to(mut output: impl Write + Send + 'static) -> io::Result<(Self, Worker)> {
        let lines = Self {
            shared: Arc::default(),
        };
        let shared = Arc::clone(&lines.shared);
        let thread = thread::Builder::new()
            .name("lastseen-log".to_owned())
            .spawn(move || shared.write_to(&mut output))?;
        let worker = Worker {
            lines: lines.clone(),
            thread: Some(thread),
        };
        Ok((lines, worker))
    }

    /// Adds a line by letting `line` write it, line feed included.
    pub(crate) fn add(&self, line: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.shared.waiting.lock();
        if waiting.bytes.len() >= WAITING_BYTES {
            waiting.dropped += 1;
            return;
        }
        let first = waiting.bytes.is_empty();
        line(&mut waiting.bytes);
        drop(waiting);
        // The thread sleeps only while nothing waits.
        if first {
            self.shared.changed.notify_one();
        }
    }
}

impl Shared {
    fn write_to(&self, output: &mut dyn Write) {
        let mut batch = Vec::new();
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.bytes.is_empty() && !waiting.ending {
                self.changed.wait(&mut waiting);
            }
            if !waiting.ending {
                // Only an end cuts this short.
                self.changed
                    .wait_while_for(&mut waiting, |waiting| !waiting.ending, GATHERING);
            }
            std::mem::swap(&mut batch, &mut waiting.bytes);
            let (dropped, ending) = (std::mem::take(&mut waiting.dropped), waiting.ending);
            drop(waiting);
            if dropped > 0 {
                batch.extend_from_slice(
                    format!("{dropped} lines of the log were dropped\n").as_bytes(),
                );
            }
            // Nobody can be told that the log cannot be written.
            _ = output.write_all(&batch).and_then(|()| output.flush());
            batch.clear();
            if ending {
                return;
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.lines.shared.waiting.lock().ending = true;
        self.lines.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has written what it could.
            _ = thread.join();
        }
    }
}

/// One line as `tracing` writes it: in one piece.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(|waiting| waiting.extend_from_slice(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_that_was_added_is_written_at_the_end_at_the_latest_and_in_order() {
        let paper = Paper::default();
        let (lines, worker) = Lines::to(paper.clone()).unwrap();
        let mut expected = String::new();
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            expected.push_str(&line);
            lines.add(|waiting| waiting.extend_from_slice(line.as_bytes()));
        }
        drop(worker);
        assert_eq!(String::from_utf8(paper.0.lock().clone()).unwrap(), expected);
    }

    /// A reader that never reads.
    struct Wall;

    impl Write for Wall {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_no_memory() {
        let (lines, worker) = Lines::to(Wall).unwrap();
        let line = [b'x'; 1024];
        for _ in 0..20_000 {
            lines.add(|waiting| waiting.extend_from_slice(&line));
        }
        let waiting = lines.shared.waiting.lock();
        assert!(waiting.bytes.len() <= WAITING_BYTES + line.len());
        assert!(waiting.dropped > 0);
        drop(waiting);
        // It cannot be waited for.
        std::mem::forget(worker);
    }
}
