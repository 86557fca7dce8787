//! The key that an application authenticates with.
//!
//! A key is a secret of its own kind ([`lastseen::token`]): the prefix `lsa_`, by which secret scanners know
//! it, then the application's number, 128 random bits and a checksum. What is kept is the SHA-256 of the
//! random bits. So a key that was typed wrong is refused without a look at anything, and which application
//! is meant is known before anything secret is compared.

use lastseen::ApplicationId;
use lastseen::token::{ApplicationSecret, Secret};

/// The key of an application. It cannot be printed by accident.
pub type ApplicationKey = Secret<ApplicationSecret>;

/// Bytes that name what a secret belongs to.
const NAME_BYTES: usize = 16;

/// What the keys of an application carry in front of their random bytes.
pub(super) fn name_of(id: ApplicationId) -> [u8; NAME_BYTES] {
    let mut name = [0; NAME_BYTES];
    name[NAME_BYTES - 4..].copy_from_slice(&id.0.to_be_bytes());
    name
}

/// Which application a key says that it belongs to; nothing of that is proven.
pub(super) fn application_of(key: &ApplicationKey) -> Option<ApplicationId> {
    let (zeros, number) = key
        .name()
        .split_last_chunk()
        .map(|(zeros, number)| (zeros.iter().all(|byte| *byte == 0), *number))?;
    zeros.then(|| ApplicationId(u32::from_be_bytes(number)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::testing::CountingEntropy;

    #[test]
    fn a_key_is_recognised_by_its_prefix_and_works_as_nothing_else() {
        let key = ApplicationKey::generate(name_of(ApplicationId(7)), &CountingEntropy::default());
        let text = key.reveal();
        assert!(text.starts_with("lsa_") && text.len() == 52);
        assert!(lastseen::SessionToken::parse(text.as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn a_key_names_its_application(number in any::<u32>()) {
            let key = ApplicationKey::generate(name_of(ApplicationId(number)), &CountingEntropy::default());
            let read = ApplicationKey::parse(key.reveal().as_bytes()).unwrap();
            prop_assert_eq!(application_of(&read), Some(ApplicationId(number)));
        }

        #[test]
        fn a_key_with_any_other_name_names_none(name in any::<[u8; 16]>()) {
            let key = ApplicationKey::generate(name, &CountingEntropy::default());
            prop_assert_eq!(application_of(&key).is_some(), name[..12] == [0; 12]);
        }
    }
}
