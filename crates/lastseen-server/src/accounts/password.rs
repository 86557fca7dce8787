//! A password, and which ones may become one.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Fewest characters of a new password: the contract's, and the least that NIST SP 800-63B-4 allows beside
/// a limit on failures. The pages advise 15.
pub const FEWEST_CHARACTERS: usize = 8;
/// Most characters of a new password: the contract's. NIST asks for at least 64; a limit has to be, so
/// that nobody makes the server hash a novel.
pub const MOST_CHARACTERS: usize = 128;
/// A password that the estimator reaches within so many guesses counts as common.
///
/// The limits on failures allow a stranger 100 guesses and 96 more a day, 35,000 a year; ten years of that,
/// and a factor of three for the estimator's error, are about a million. It is zxcvbn's own border between
/// "very guessable" and "somewhat guessable", and far below any passphrase of three words.
const COMMON_BELOW_GUESSES: u64 = 1_000_000;
/// What is common for this server beside what is common for all the world.
const NAME_OF_THE_PROGRAM: &str = "lastseen";

/// Passwords of at least 8 characters that are used most, in lower case; see the folder's README.
static COMMON_PASSWORDS: &str = include_str!("common_passwords/common-passwords.txt");

/// A password as a person typed it, in Unicode's normalisation form C.
///
/// Form C changes nothing but how one and the same letter is encoded, which differs between keyboards; it
/// drops nothing, cuts nothing and folds no letters that look different. It is stable: Unicode never
/// changes the form C of characters that are assigned. It cannot be printed, and is wiped when dropped.
#[derive(Clone)]
pub struct Password {
    text: Zeroizing<String>,
    characters: usize,
}

impl Password {
    /// The password `text`, of whatever length.
    pub fn new(text: &str) -> Self {
        // Composing never makes more than three times the bytes (Unicode Standard Annex 15), so the buffer
        // does not grow and leaves no copy behind.
        let mut normalised = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
        normalised.extend(text.nfc());
        let characters = normalised.chars().count();
        Self {
            text: normalised,
            characters,
        }
    }

    /// What is hashed.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Whether no account can have this password, because it is longer than any.
    pub fn is_beyond_any(&self) -> bool {
        self.characters > MOST_CHARACTERS
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Why a password may not become one. The text is for the person who chose it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordRefusal {
    /// It has fewer than [`FEWEST_CHARACTERS`] characters.
    #[error("a password has at least {FEWEST_CHARACTERS} characters")]
    TooShort,
    /// It has more than [`MOST_CHARACTERS`] characters.
    #[error("a password has at most {MOST_CHARACTERS} characters")]
    TooLong,
    /// It is among the first that anybody would try.
    #[error("this password is too common: it is among the first that are tried")]
    Common,
    /// It is little more than the account's name or the program's.
    #[error(
        "this password is too common: it is made of the account's name or of the name of this program"
    )]
    LikeTheName,
}

/// Judges a password that is to become the one of the account called `name`.
///
/// The one place where the rules stand; the HTTP interface, the pages, the set-up link and the command line
/// all ask here. A character is a Unicode code point after normalisation. There are no composition rules.
/// Takes up to about a tenth of a second, so it belongs on a blocking thread.
///
/// # Errors
/// Why it may not.
pub fn judge_new_password(password: &Password, name: &str) -> Result<(), PasswordRefusal> {
    if password.characters < FEWEST_CHARACTERS {
        return Err(PasswordRefusal::TooShort);
    }
    if password.is_beyond_any() {
        return Err(PasswordRefusal::TooLong);
    }
    let lower_case = Zeroizing::new(password.text.to_lowercase());
    if COMMON_PASSWORDS.lines().any(|common| common == *lower_case) || is_guessed(password, &[]) {
        return Err(PasswordRefusal::Common);
    }
    let mut words = vec![NAME_OF_THE_PROGRAM, name];
    words.extend(
        name.split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty()),
    );
    if is_guessed(password, &words) {
        return Err(PasswordRefusal::LikeTheName);
    }
    Ok(())
}

/// Whether the estimator finds `password` within [`COMMON_BELOW_GUESSES`], knowing `words`.
fn is_guessed(password: &Password, words: &[&str]) -> bool {
    zxcvbn::zxcvbn(&password.text, words).guesses() < COMMON_BELOW_GUESSES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(password: &str) -> Result<(), PasswordRefusal> {
        judge_new_password(&Password::new(password), "ada")
    }

    #[test]
    fn a_password_has_8_to_128_characters_of_any_script() {
        assert_eq!(judge("kv9#tmz"), Err(PasswordRefusal::TooShort));
        assert_eq!(judge("kv9#tmzw"), Ok(()));
        assert_eq!(judge("日本語の合言葉"), Err(PasswordRefusal::TooShort));
        assert_eq!(judge("日本語の合言葉だ"), Ok(()));
        let long: String = ('a'..='z')
            .cycle()
            .step_by(7)
            .take(64)
            .chain(('α'..='ω').cycle().step_by(4).take(64))
            .collect();
        assert_eq!(long.chars().count(), 128);
        assert_eq!(judge(&long), Ok(()));
        assert_eq!(judge(&format!("{long}x")), Err(PasswordRefusal::TooLong));
    }

    #[test]
    fn characters_are_counted_in_one_way_whatever_the_keyboard_sends() {
        // Seven letters, fourteen code points before normalisation.
        assert_eq!(judge(&"ê\u{323}".repeat(7)), Err(PasswordRefusal::TooShort));
        let composed = Password::new("caf\u{e9} au lait");
        let decomposed = Password::new("cafe\u{301} au lait");
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
    }

    #[test]
    fn a_password_is_used_whole_with_its_spaces_and_control_characters() {
        assert_eq!(Password::new(" a\0b\t ").as_bytes(), b" a\0b\t ");
        assert_ne!(
            Password::new("Password").as_bytes(),
            Password::new("password").as_bytes()
        );
        assert_ne!(
            Password::new("ａ").as_bytes(),
            Password::new("a").as_bytes()
        );
    }

    #[test]
    fn the_three_thousand_commonest_passwords_are_refused() {
        let mut asked = 0;
        for common in COMMON_PASSWORDS.lines().take(3_000) {
            assert_eq!(judge(common), Err(PasswordRefusal::Common), "{common}");
            asked += 1;
        }
        assert_eq!(asked, 3_000);
    }

    #[test]
    fn case_does_not_make_a_common_password_uncommon() {
        for common in [
            "PassWord1",
            "ILOVEYOU",
            "Qwertyuiop",
            "P@ssw0rd",
            "Password123!",
            "Aaaaaaaa1",
            "19901990",
        ] {
            assert_eq!(judge(common), Err(PasswordRefusal::Common), "{common}");
        }
    }

    #[test]
    fn passphrases_are_welcome() {
        for good in [
            "correct horse battery staple",
            "violet-otter-plays-chess",
            "a long enough password",
            "tulips in the rain",
            "pässwörd-lang",
            "parola mea e sigură",
            "🔑🦦🌧🎻🧭🥝🪁🧶",
        ] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_password_made_of_the_names_at_hand_is_refused() {
        for bad in ["lastseen", "Lastseen1", "l@stseen"] {
            assert!(judge(bad).is_err(), "{bad}");
        }
        let judge_for =
            |name: &str, password: &str| judge_new_password(&Password::new(password), name);
        assert_eq!(
            judge_for("Grace Brewster", "grace brewster"),
            Err(PasswordRefusal::LikeTheName)
        );
        assert_eq!(
            judge_for("xqvkwzpt", "xqvkwzpt1"),
            Err(PasswordRefusal::LikeTheName)
        );
        assert_eq!(judge_for("ada", "ada keeps four grey herons"), Ok(()));
    }

    #[test]
    fn a_password_cannot_be_printed() {
        assert_eq!(
            format!("{:?}", Password::new("correct horse")),
            "Password(…)"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_judged_without_harm(text in any::<String>(), name in any::<String>()) {
            let _ = judge_new_password(&Password::new(&text), &name);
        }

        #[test]
        fn the_buffer_of_a_password_never_grows(text in any::<String>()) {
            let password = Password::new(&text);
            prop_assert!(password.text.len() <= text.len() * 3);
        }
    }
}
