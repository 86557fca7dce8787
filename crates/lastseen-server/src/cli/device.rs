//! `lastseen device`: what a user agent would be shown as.

use std::ffi::OsString;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt as _;

use lastseen::{ClientDescription, DeviceParser, Product};
use serde::Serialize;

use super::Output;
use crate::failure::{Failure, plain};

/// How much of a line is looked at. The parser looks at far less; the rest of the line is skipped without keeping it,
/// so that a file without line feeds takes no memory.
const LONGEST_LINE: usize = 8 * 1024;

/// A device as the contract has it, in a line.
#[derive(Serialize)]
struct Shown<'a> {
    operating_system: Option<ShownProduct<'a>>,
    browser: Option<ShownProduct<'a>>,
    user_agent: String,
}

#[derive(Serialize)]
struct ShownProduct<'a> {
    name: &'a str,
    version: Option<&'a str>,
}

impl<'a> ShownProduct<'a> {
    fn of(product: &'a Product) -> Self {
        Self {
            name: &product.name,
            version: product.version.as_deref(),
        }
    }
}

/// Prints one JSON object for each user agent, in the order given; without any, for each line of stdin.
pub(super) fn run(user_agents: &[OsString]) -> Result<(), Failure> {
    let parser = DeviceParser::shared();
    let mut output = Output::new();
    if user_agents.is_empty() {
        let mut stdin = io::stdin().lock();
        return each_line(&mut stdin, |line, more_is_here| {
            print(parser, line, &mut output)?;
            // Whoever sends one line and waits for its answer gets it; whoever sends many gets them in large pieces.
            if more_is_here { Ok(()) } else { output.flush() }
        });
    }
    for user_agent in user_agents {
        print(parser, user_agent.as_bytes(), &mut output)?;
    }
    output.flush()
}

fn print(parser: &DeviceParser, user_agent: &[u8], output: &mut Output) -> Result<(), Failure> {
    let device = parser.parse(&ClientDescription::of_user_agent(user_agent));
    let shown = Shown {
        operating_system: device.operating_system.as_ref().map(ShownProduct::of),
        browser: device.browser.as_ref().map(ShownProduct::of),
        user_agent: device.label(),
    };
    let mut line = serde_json::to_vec(&shown)
        .map_err(|error| Failure::refused(format_args!("a device cannot be written: {error}")))?;
    line.push(b'\n');
    output.bytes(&line)
}

/// Calls `each` with each line, without its end, whatever bytes it is made of, and with whether more has been read
/// already.
fn each_line(
    input: &mut impl BufRead,
    mut each: impl FnMut(&[u8], bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let unreadable = |error: io::Error| {
        Failure::refused(format_args!("stdin cannot be read: {}", plain(&error)))
    };
    let mut line = Vec::with_capacity(1024);
    let mut begun = false;
    loop {
        let bytes = match input.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        if bytes.is_empty() {
            return if begun { each(&line, false) } else { Ok(()) };
        }
        begun = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = LONGEST_LINE.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let consumed = part.len() + usize::from(end.is_some());
        let more_is_here = consumed < bytes.len();
        input.consume(consumed);
        if end.is_some() {
            let text = line.strip_suffix(b"\r").unwrap_or(&line);
            each(text, more_is_here)?;
            line.clear();
            begun = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        // A tiny buffer, so that lines lie across its edges.
        let mut input = io::BufReader::with_capacity(3, input);
        each_line(&mut input, |line, _| {
            lines.push(line.to_vec());
            Ok(())
        })
        .unwrap();
        lines
    }

    #[test]
    fn each_line_counts_also_an_empty_one_and_one_without_an_end() {
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"\n"), [b""]);
        assert_eq!(lines(b"one\n\ntwo"), [&b"one"[..], b"", b"two"]);
        assert_eq!(lines(b"one\r\ntwo\n"), [b"one", b"two"]);
    }

    #[test]
    fn lines_that_are_not_utf_8_survive() {
        assert_eq!(lines(b"\xff\xfe\n\0x\n"), [&b"\xff\xfe"[..], b"\0x"]);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut endless = vec![b'a'; 100_000];
        endless.extend_from_slice(b"\nnext\n");
        let lines = lines(&endless);
        assert_eq!(lines[0].len(), LONGEST_LINE);
        assert_eq!(lines[1], b"next");
    }
}
