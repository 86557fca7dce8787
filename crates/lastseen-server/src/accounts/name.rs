//! The name of a built-in account, and when two names are the same.

use std::fmt;
use std::sync::Arc;

use caseless::Caseless as _;
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

/// The longest account name, in bytes of UTF-8: the contract's limit.
pub const LONGEST_NAME: usize = 128;

/// The name of a built-in account: 1 to 128 bytes of UTF-8 without control characters, kept and shown
/// exactly as it was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountName(Arc<str>);

/// Why a text is no account name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAName {
    /// It is empty.
    #[error("an account name is not empty")]
    Empty,
    /// It has more than [`LONGEST_NAME`] bytes.
    #[error("an account name has at most {LONGEST_NAME} bytes")]
    TooLong,
    /// It holds a control character, a line feed for instance.
    #[error("an account name holds no control characters")]
    ControlCharacter,
}

impl AccountName {
    /// Takes `text` for a name.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(text: &str) -> Result<Self, NotAName> {
        if text.is_empty() {
            Err(NotAName::Empty)
        } else if text.len() > LONGEST_NAME {
            Err(NotAName::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(NotAName::ControlCharacter)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The name as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a shared text, for [`lastseen::Account`].
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// What is compared in its stead.
    pub fn key(&self) -> NameKey {
        NameKey::of(&self.0)
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What two spellings of one name have in common: names are equal where their keys are.
///
/// The key is the compatibility caseless form of the Unicode Standard (definition D146), so `Ada` and
/// `ada`, composed and decomposed letters, and full-width and ordinary ones are one name: on no
/// keyboard does a person fail to reach the own account, and nobody gets an account whose name differs
/// from another's by such a trifle only. Letters of other scripts that merely look alike stay
/// different: accounts are made by the operator alone, who sees what is typed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NameKey(String);

impl NameKey {
    /// The key of `name`.
    pub fn of(name: &str) -> Self {
        let key = name
            .nfd()
            .default_case_fold()
            .nfkd()
            .default_case_fold()
            .nfkd()
            .collect();
        Self(key)
    }

    /// The key of a text that can be no account's name. No name has it: a name holds no control character.
    pub(crate) fn of_no_account(text: &str) -> Self {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(text));
        Self(format!("\0{digest}"))
    }

    /// The key as text, for stores.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_1_to_128_bytes_without_control_characters() {
        assert_eq!(AccountName::new(""), Err(NotAName::Empty));
        assert!(AccountName::new(&"é".repeat(64)).is_ok());
        assert_eq!(AccountName::new(&"é".repeat(65)), Err(NotAName::TooLong));
        for text in ["a\nb", "a\0", "\u{7f}", "\u{85}"] {
            assert_eq!(
                AccountName::new(text),
                Err(NotAName::ControlCharacter),
                "{text:?}"
            );
        }
        assert!(AccountName::new("Ada Lovelace 👩‍💻").is_ok());
    }

    #[test]
    fn a_name_is_shown_as_it_was_typed() {
        assert_eq!(AccountName::new("Ada").unwrap().as_str(), "Ada");
    }

    #[test]
    fn spellings_of_one_name_are_one_name() {
        for (one, other) in [
            ("ada", "ADA"),
            ("é", "e\u{301}"),
            ("ada", "ａｄａ"),
            ("straße", "STRASSE"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ] {
            assert_eq!(NameKey::of(one), NameKey::of(other), "{one} {other}");
        }
    }

    #[test]
    fn different_names_stay_different() {
        // The second `a` of each pair is Cyrillic, or there is a space more.
        for (one, other) in [
            ("ada", "аda"),
            ("ada", "ada "),
            ("ada", "adä"),
            ("a1", "al"),
        ] {
            assert_ne!(NameKey::of(one), NameKey::of(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn the_key_of_a_key_is_itself(name in "\\PC{0,40}") {
            let key = NameKey::of(&name);
            prop_assert_eq!(NameKey::of(key.as_str()), key);
        }

        #[test]
        fn normal_forms_of_a_name_have_one_key(name in "\\PC{0,40}") {
            let key = NameKey::of(&name);
            prop_assert_eq!(&NameKey::of(&name.nfc().collect::<String>()), &key);
            prop_assert_eq!(&NameKey::of(&name.nfd().collect::<String>()), &key);
        }
    }
}
