//! What a client says about itself: raw header bytes, borrowed from the request.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use foldhash::quality::RandomState;

/// The most of a user agent that is read, in bytes.
///
/// No browser sends more than about 400; some apps come near 700. Matching takes time in
/// proportion to the length, so the bound is also what a hostile header may cost.
pub const MAX_USER_AGENT_BYTES: usize = 1024;

/// The user agent and the client hints of one request, as they arrived.
///
/// Nothing here has been checked: the bytes may be anything at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientDescription<'a> {
    /// The value of the `User-Agent` header (RFC 9110, 10.1.5).
    pub user_agent: Option<&'a [u8]>,
    /// The client hints that came along.
    pub hints: ClientHints<'a>,
}

/// User-Agent Client Hints (WICG UA Client Hints), each as the raw value of its header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHints<'a> {
    /// `Sec-CH-UA`: brands with their significant version.
    pub brands: Option<&'a [u8]>,
    /// `Sec-CH-UA-Full-Version-List`: brands with their full version.
    pub full_version_list: Option<&'a [u8]>,
    /// `Sec-CH-UA-Platform`: the operating system.
    pub platform: Option<&'a [u8]>,
    /// `Sec-CH-UA-Platform-Version`: the version of the operating system.
    pub platform_version: Option<&'a [u8]>,
    /// `Sec-CH-UA-Mobile`. Neither system nor browser follows from it, so nothing reads it yet.
    pub mobile: Option<&'a [u8]>,
    /// `Sec-CH-UA-Model`. Neither system nor browser follows from it, so nothing reads it yet.
    pub model: Option<&'a [u8]>,
}

impl<'a> ClientDescription<'a> {
    /// A description made of a user agent alone.
    pub fn of_user_agent(user_agent: &'a [u8]) -> Self {
        Self {
            user_agent: Some(user_agent),
            hints: ClientHints::default(),
        }
    }

    /// Whether it says nothing from which a device could be named.
    ///
    /// A use that brings no description leaves the session's device as it was.
    pub fn is_empty(&self) -> bool {
        self.said()
            .iter()
            .flatten()
            .all(|value| value.iter().all(u8::is_ascii_whitespace))
    }

    /// A number that is equal for equal descriptions, for telling that a session's device cannot
    /// have changed without parsing it again.
    ///
    /// It is drawn anew in each process, so that nobody outside can prepare two descriptions with
    /// one fingerprint; hence it must not be stored. It is never 0, which is free to mean "none".
    pub fn fingerprint(&self) -> u64 {
        static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        let mut hasher = STATE.build_hasher();
        // All lengths in one number, each by one more so that nothing differs from an empty value: a request's head is
        // far below 32 megabytes.
        let mut lengths = 0_u128;
        for value in self.said() {
            lengths <<= 25;
            if let Some(bytes) = value {
                lengths |= bytes.len() as u128 + 1;
                hasher.write(bytes);
            }
        }
        hasher.write_u128(lengths);
        hasher.finish().max(1)
    }

    /// Everything that a device is named by.
    fn said(&self) -> [Option<&'a [u8]>; 5] {
        [
            self.user_agent,
            self.hints.brands,
            self.hints.full_version_list,
            self.hints.platform,
            self.hints.platform_version,
        ]
    }
}

/// A user agent as it is read: text of at most [`MAX_USER_AGENT_BYTES`] bytes on one line.
///
/// What is not UTF-8, control characters and the marks that turn the direction of writing become
/// the replacement character, so that the text can also be kept, or written to a log or a terminal.
pub fn bounded_user_agent(user_agent: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~');
    if user_agent.len() <= MAX_USER_AGENT_BYTES
        && user_agent.iter().all(plain)
        && let Ok(text) = std::str::from_utf8(user_agent)
    {
        return Cow::Borrowed(text);
    }

    let cut = user_agent.len() > MAX_USER_AGENT_BYTES;
    let head = &user_agent[..user_agent.len().min(MAX_USER_AGENT_BYTES)];
    let mut text = String::with_capacity(head.len());
    let mut push = |character: char| {
        // Replacement characters are three bytes long and may stand for one.
        let fits = text.len() + character.len_utf8() <= MAX_USER_AGENT_BYTES;
        if fits {
            text.push(character);
        }
        fits
    };
    let mut chunks = head.utf8_chunks().peekable();
    'all: while let Some(chunk) = chunks.next() {
        for character in chunk.valid().chars() {
            let character = if is_unprintable(character) {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            };
            if !push(character) {
                break 'all;
            }
        }
        // Where our own cut went through a character, its first half is left away.
        let broken_by_the_cut = cut && chunks.peek().is_none();
        if !chunk.invalid().is_empty() && !broken_by_the_cut && !push(char::REPLACEMENT_CHARACTER) {
            break;
        }
    }
    Cow::Owned(text)
}

/// Whether a character does something instead of showing something: control characters, line and
/// paragraph separators, and the marks that turn, join or hide text.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00ad}'
                | '\u{061c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_user_agent_is_kept_as_it_is() {
        let text = bounded_user_agent(b"Mozilla/5.0 (X11; Linux x86_64)");
        assert!(matches!(
            text,
            Cow::Borrowed("Mozilla/5.0 (X11; Linux x86_64)")
        ));
    }

    #[test]
    fn a_user_agent_is_cut_between_characters() {
        let long = "ä".repeat(40_000);
        let text = bounded_user_agent(long.as_bytes());
        assert_eq!(text, "ä".repeat(512));
        let odd = format!("x{long}");
        let text = bounded_user_agent(odd.as_bytes());
        assert_eq!(text, format!("x{}", "ä".repeat(511)));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_grow_past_the_bound() {
        let bytes = vec![0xff; 65_536];
        let text = bounded_user_agent(&bytes);
        assert!(text.len() <= MAX_USER_AGENT_BYTES);
        assert!(text.chars().all(|c| c == char::REPLACEMENT_CHARACTER));
    }

    #[test]
    fn control_characters_and_direction_marks_are_replaced() {
        let text = bounded_user_agent("a\0b\r\nc\u{1b}[2Jd\u{202e}e\u{9b}".as_bytes());
        assert_eq!(
            text,
            "a\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}[2Jd\u{fffd}e\u{fffd}"
        );
        assert_eq!(bounded_user_agent(b"a\tb"), "a\u{fffd}b");
    }

    #[test]
    fn a_description_without_content_is_empty() {
        assert!(ClientDescription::default().is_empty());
        assert!(ClientDescription::of_user_agent(b" \t").is_empty());
        assert!(!ClientDescription::of_user_agent(b"x").is_empty());
        let mut hinted = ClientDescription::default();
        hinted.hints.mobile = Some(b"?1");
        assert!(hinted.is_empty());
        hinted.hints.platform = Some(b"\"Linux\"");
        assert!(!hinted.is_empty());
    }

    #[test]
    fn a_fingerprint_tells_descriptions_apart() {
        let mut one = ClientDescription::of_user_agent(b"curl/8.5.0");
        let same = one.fingerprint();
        assert_eq!(
            same,
            ClientDescription::of_user_agent(b"curl/8.5.0").fingerprint()
        );
        one.hints.platform = Some(b"\"Linux\"");
        let hinted = one.fingerprint();
        assert_ne!(same, hinted);
        // The same bytes in another place say something else.
        let mut moved = ClientDescription::of_user_agent(b"curl/8.5.0");
        moved.hints.platform_version = Some(b"\"Linux\"");
        assert_ne!(hinted, moved.fingerprint());
    }
}
