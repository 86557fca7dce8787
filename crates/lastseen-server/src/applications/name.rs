//! What people know an application by.

use std::fmt;
use std::sync::Arc;

use crate::accounts::NameKey;

/// The longest name of an application, in bytes of UTF-8: as long as an account's.
pub const LONGEST_NAME: usize = 128;

/// The name of an application: 1 to 128 bytes of UTF-8 without control characters, kept and shown exactly
/// as it was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApplicationName(Arc<str>);

/// Why a text is no name of an application.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAnApplicationName {
    /// It is empty.
    #[error("the name of an application is not empty")]
    Empty,
    /// It has more than [`LONGEST_NAME`] bytes.
    #[error("the name of an application has at most {LONGEST_NAME} bytes")]
    TooLong,
    /// It holds a control character, a line feed for instance.
    #[error("the name of an application holds no control characters")]
    ControlCharacter,
}

impl ApplicationName {
    /// Takes `text` for a name.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(text: &str) -> Result<Self, NotAnApplicationName> {
        if text.is_empty() {
            Err(NotAnApplicationName::Empty)
        } else if text.len() > LONGEST_NAME {
            Err(NotAnApplicationName::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(NotAnApplicationName::ControlCharacter)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The name as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a shared text.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// What is compared in its stead: spellings that people take for one name are one, as for accounts.
    pub fn key(&self) -> NameKey {
        NameKey::of(&self.0)
    }
}

impl fmt::Display for ApplicationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_128_bytes_without_control_characters() {
        assert!(ApplicationName::new("Shop, größer").is_ok());
        assert!(ApplicationName::new(&"é".repeat(64)).is_ok());
        for (text, why) in [
            ("", NotAnApplicationName::Empty),
            (&"é".repeat(65), NotAnApplicationName::TooLong),
            ("a\nb", NotAnApplicationName::ControlCharacter),
            ("a\u{85}", NotAnApplicationName::ControlCharacter),
        ] {
            assert_eq!(ApplicationName::new(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn spellings_of_one_name_are_one_name() {
        let key = |text| ApplicationName::new(text).unwrap().key();
        assert_eq!(key("shop"), key("SHOP"));
        assert_ne!(key("shop"), key("shop "));
    }
}
