//! Asking the person at the terminal.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use zeroize::Zeroizing;

use crate::cli::text::visible;
use crate::failure::{Failure, plain};

/// Longest password input that is read. The rules for passwords stop far below (128 characters of at most four bytes);
/// the limit is there so that a wrong pipe does not fill the memory.
const LONGEST_PASSWORD_INPUT: u64 = 4096;

/// Asks a yes-or-no question; anything but a yes is a no. Where nobody can be asked it is refused.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::refused(format_args!(
            "nobody can be asked here; nothing was done (--yes does not ask)"
        )));
    }
    let mut stderr = std::io::stderr().lock();
    let asked = write!(stderr, "{} [y/N] ", visible(question)).and_then(|()| stderr.flush());
    asked.map_err(|error| Failure::output(&error))?;
    let mut answer = String::new();
    stdin
        .lock()
        .take(64)
        .read_line(&mut answer)
        .map_err(|error| {
            Failure::refused(format_args!("the answer cannot be read: {}", plain(&error)))
        })?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::refused("nothing was done")),
    }
}

/// Reads a new password: from stdin, dropping exactly one trailing line feed, or from the person at the terminal,
/// unseen and twice.
pub(super) fn new_password(from_stdin: bool) -> Result<Zeroizing<String>, Failure> {
    if from_stdin {
        return password_from(std::io::stdin().lock());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::refused(
            "nobody can be asked for the password here (--password-stdin reads it from stdin)",
        ));
    }
    let ask = |prompt| {
        let answer = rpassword::prompt_password(prompt).map(Zeroizing::new);
        answer.map_err(|error| {
            Failure::refused(format_args!(
                "the password cannot be read: {}",
                plain(&error)
            ))
        })
    };
    let password = ask("Password: ")?;
    if *ask("Password again: ")? != *password {
        return Err(Failure::refused(
            "the two passwords differ; nothing was done",
        ));
    }
    Ok(password)
}

fn password_from(input: impl std::io::Read) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    input
        .take(LONGEST_PASSWORD_INPUT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            Failure::refused(format_args!(
                "the password cannot be read: {}",
                plain(&error)
            ))
        })?;
    if bytes.len() as u64 > LONGEST_PASSWORD_INPUT {
        return Err(Failure::refused(
            "the password is too long: at most 128 characters",
        ));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    let text = std::str::from_utf8(&bytes);
    text.map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| Failure::refused("the password is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_trailing_line_feed_is_dropped() {
        let read = |bytes: &[u8]| password_from(bytes).unwrap().to_string();
        assert_eq!(read(b"correct horse\n"), "correct horse");
        assert_eq!(read(b"correct horse\n\n"), "correct horse\n");
        assert_eq!(read(b"correct horse\r\n"), "correct horse\r");
        assert_eq!(read(b" correct horse "), " correct horse ");
        assert_eq!(read(b""), "");
    }

    #[test]
    fn a_password_that_is_not_utf_8_or_has_no_end_is_refused() {
        assert!(password_from(&b"\xff\xfe"[..]).is_err());
        assert!(password_from(std::io::repeat(b'a')).is_err());
    }
}
