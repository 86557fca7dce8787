//! Secrets that authenticate, and what is kept of them.
//!
//! A secret's text is a prefix that says its kind, then 48 characters of base64url: 16 bytes that name
//! what it belongs to, 16 random bytes, and a CRC-32 of all that. So a secret scanner recognises it, a
//! mangled one is refused without a look at the store, and what is looked up is the name, never the secret.
//! Only the SHA-256 of the random bytes is kept. Each kind has a prefix of its own, hence none works
//! in another's place.

use std::fmt;
use std::marker::PhantomData;

use base64_simd::{AsOut, URL_SAFE_NO_PAD};
use constant_time_eq::constant_time_eq_32;
use sha2::block_api::compress256;
use zeroize::Zeroize;

use crate::session::SessionId;
use crate::time::Entropy;

/// Bytes of what a secret's text carries beside its prefix: the name, the random bytes, the checksum.
const BODY_BYTES: usize = CHECKSUM_AT + CHECKSUM_BYTES;
const NAME_BYTES: usize = 16;
/// 128 bits: what OWASP ASVS 5.0 V7.2.3 asks for, and out of reach of guessing.
const RANDOM_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
const PREFIX_BYTES: usize = 4;
const RANDOM_AT: usize = NAME_BYTES;
const CHECKSUM_AT: usize = RANDOM_AT + RANDOM_BYTES;
/// Length of the text: 36 bytes are 48 characters to the bit, so every secret has one text only.
const TEXT_BYTES: usize = PREFIX_BYTES + BODY_BYTES / 3 * 4;

/// A kind of secret: each has a prefix of four characters, and works in its own place only.
pub trait SecretKind: Send + Sync + 'static {
    /// What the text begins with.
    const PREFIX: &'static str;
}

/// Declares the kinds; a macro only so that each is one line.
macro_rules! secret_kinds {
    ($($(#[$comment:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$comment])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $name;
        impl SecretKind for $name {
            const PREFIX: &'static str = $prefix;
        }
    )*};
}

secret_kinds! {
    /// The secret of a session, held by the device.
    SessionSecret = "lss_";
    /// The secret of a set-up link, which creates the first account.
    SetUpSecret = "lsu_";
    /// The secret that an application authenticates with.
    ApplicationSecret = "lsa_";
    /// The secret of a single-use link into a session.
    LinkSecret = "lsl_";
}

/// A session token: what a device holds and shows at every request.
pub type SessionToken = Secret<SessionSecret>;

/// A secret that authenticates. It cannot be printed by accident; [`Secret::reveal`] says it on purpose.
pub struct Secret<Kind> {
    name: [u8; NAME_BYTES],
    random: [u8; RANDOM_BYTES],
    kind: PhantomData<Kind>,
}

impl<Kind: SecretKind> Secret<Kind> {
    /// A new secret for what is called `name`.
    pub fn generate(name: [u8; NAME_BYTES], entropy: &dyn Entropy) -> Self {
        let mut random = [0; RANDOM_BYTES];
        entropy.fill(&mut random);
        Self {
            name,
            random,
            kind: PhantomData,
        }
    }

    /// The same secret for what is called `name`: for what gets its name when the hash is kept.
    #[must_use]
    pub fn renamed(self, name: [u8; NAME_BYTES]) -> Self {
        Self {
            name,
            random: self.random,
            kind: PhantomData,
        }
    }

    /// Reads a secret's text; `None` where it is not one of this kind, to the bit.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        let encoded = text.strip_prefix(Kind::PREFIX.as_bytes())?;
        let mut sealed = Sealed::<Kind>::default();
        let body = sealed.bytes.as_mut_slice().as_out();
        URL_SAFE_NO_PAD.decode(encoded, body).ok()?;
        let [.., a, b, c, d] = sealed.bytes;
        (sealed.checksum() == [a, b, c, d]).then(|| Self {
            name: sealed.name(),
            random: sealed.random(),
            kind: PhantomData,
        })
    }

    /// The name of what this secret belongs to. Public; it authenticates nothing.
    pub fn name(&self) -> [u8; NAME_BYTES] {
        self.name
    }

    /// What may be kept of the secret.
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256_of_16(&self.random))
    }

    /// The text that its holder keeps. Whoever has it is taken for the holder.
    pub fn reveal(&self) -> String {
        let mut sealed = Sealed::<Kind>::default();
        sealed.bytes[..RANDOM_AT].copy_from_slice(&self.name);
        sealed.bytes[RANDOM_AT..CHECKSUM_AT].copy_from_slice(&self.random);
        let checksum = sealed.checksum();
        sealed.bytes[CHECKSUM_AT..].copy_from_slice(&checksum);
        let mut text = String::with_capacity(TEXT_BYTES);
        text.push_str(Kind::PREFIX);
        URL_SAFE_NO_PAD.encode_append(&sealed.bytes, &mut text);
        text
    }
}

impl Secret<SessionSecret> {
    /// The session that this token belongs to.
    pub fn session_id(&self) -> SessionId {
        SessionId::from_bytes(self.name)
    }
}

impl<Kind> Drop for Secret<Kind> {
    fn drop(&mut self) {
        // As a slice: one write, and none of them can be left out.
        self.random.as_mut_slice().zeroize();
    }
}

impl<Kind: SecretKind> fmt::Debug for Secret<Kind> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}…", Kind::PREFIX)
    }
}

/// The SHA-256 of 16 bytes: one block, whose padding is known beforehand (FIPS 180-4, 5.1.1 and 5.3.3).
///
/// The digest of any number of bytes writes its padding byte by byte into the block that is read at once a moment
/// later; the processor waits for that longer than half of what the hash itself takes.
fn sha256_of_16(bytes: &[u8; RANDOM_BYTES]) -> [u8; 32] {
    const BEGIN: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    /// A one, zeros, and the length in bits.
    const PADDING: [u8; 48] = {
        let mut padding = [0; 48];
        padding[0] = 0x80;
        padding[47] = 128;
        padding
    };
    let mut block = [0; 64];
    let (message, padding) = block.split_at_mut(RANDOM_BYTES);
    message.copy_from_slice(bytes);
    padding.copy_from_slice(&PADDING);
    let mut state = BEGIN;
    compress256(&mut state, &[block]);
    block.as_mut_slice().zeroize();
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

/// What a secret's text says beside its prefix: what the checksum is of, and the checksum.
struct Sealed<Kind> {
    bytes: [u8; BODY_BYTES],
    kind: PhantomData<Kind>,
}

impl<Kind> Default for Sealed<Kind> {
    fn default() -> Self {
        Self {
            bytes: [0; BODY_BYTES],
            kind: PhantomData,
        }
    }
}

impl<Kind: SecretKind> Sealed<Kind> {
    /// The checksum of the prefix: what that of the rest goes on from.
    const PREFIX_CHECKSUM: u32 = crc32(Kind::PREFIX.as_bytes());

    fn name(&self) -> [u8; NAME_BYTES] {
        std::array::from_fn(|place| self.bytes[place])
    }

    fn random(&self) -> [u8; RANDOM_BYTES] {
        std::array::from_fn(|place| self.bytes[RANDOM_AT + place])
    }

    /// CRC-32 over prefix and body: a token of another kind, or with a letter wrong, does not add up.
    fn checksum(&self) -> [u8; CHECKSUM_BYTES] {
        let mut checksum = crc32fast::Hasher::new_with_initial(Self::PREFIX_CHECKSUM);
        checksum.update(&self.bytes[..CHECKSUM_AT]);
        checksum.finalize().to_be_bytes()
    }
}

/// The CRC-32 of a few bytes, for the compiler to work out.
const fn crc32(bytes: &[u8]) -> u32 {
    let mut state = u32::MAX;
    let mut place = 0;
    while place < bytes.len() {
        state ^= bytes[place] as u32;
        let mut bit = 0;
        while bit < 8 {
            state = (state >> 1) ^ ((state & 1) * 0xedb8_8320);
            bit += 1;
        }
        place += 1;
    }
    !state
}

impl<Kind> Drop for Sealed<Kind> {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
    }
}

/// The SHA-256 of a secret's random bytes: all that a store keeps of it.
///
/// No salt and no stretching: the input has 128 random bits, there is nothing to guess.
/// It compares in constant time and cannot be printed.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash that a store has kept as `bytes`.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What a store keeps.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq_32(&self.0, &other.0)
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn a_token_read_back_is_the_same_token() {
        let token = SessionToken::generate([7; 16], &Fixed(9));
        let read = SessionToken::parse(token.reveal().as_bytes()).unwrap();
        assert_eq!(read.session_id(), SessionId::from_bytes([7; 16]));
        assert_eq!(read.hash(), token.hash());
    }

    #[test]
    fn a_token_has_a_recognisable_form() {
        let text = SessionToken::generate([7; 16], &Fixed(9)).reveal();
        assert_eq!(text.len(), 52);
        assert!(text.starts_with("lss_"));
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        );
    }

    #[test]
    fn a_secret_of_one_kind_is_none_of_another() {
        let text = Secret::<SetUpSecret>::generate([7; 16], &Fixed(9)).reveal();
        assert!(SessionToken::parse(text.as_bytes()).is_none());
        let disguised = text.replace("lsu_", "lss_");
        assert!(SessionToken::parse(disguised.as_bytes()).is_none());
    }

    #[test]
    fn a_renamed_secret_has_the_hash_that_it_had() {
        let token = SessionToken::generate([7; 16], &Fixed(9));
        let hash = token.hash();
        let renamed = SessionToken::parse(token.renamed([8; 16]).reveal().as_bytes()).unwrap();
        assert_eq!(renamed.name(), [8; 16]);
        assert_eq!(renamed.hash(), hash);
    }

    #[test]
    fn a_secret_and_its_hash_cannot_be_printed() {
        let token = SessionToken::generate([7; 16], &Fixed(9));
        assert_eq!(
            format!("{token:?} {:?}", token.hash()),
            "lss_… SecretHash(…)"
        );
    }

    #[test]
    fn the_checksum_is_that_of_the_text_before_it() {
        let token = SessionToken::generate([7; 16], &Fixed(9)).reveal();
        let body = URL_SAFE_NO_PAD.decode_to_vec(&token[4..]).unwrap();
        let sealed = [b"lss_", &body[..32]].concat();
        assert_eq!(body[32..], crc32fast::hash(&sealed).to_be_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = SessionToken::parse(&text);
        }

        #[test]
        fn a_secret_is_hashed_as_everybody_hashes(random in any::<[u8; 16]>()) {
            let expected: [u8; 32] = Sha256::digest(random).into();
            prop_assert_eq!(sha256_of_16(&random), expected);
        }

        #[test]
        fn one_changed_byte_is_enough_to_be_refused(position in 0_usize..52, byte in any::<u8>()) {
            let token = SessionToken::generate([7; 16], &Fixed(9)).reveal();
            let mut changed = token.clone().into_bytes();
            changed[position] = byte;
            prop_assert_eq!(SessionToken::parse(&changed).is_some(), changed == token.as_bytes());
        }

        #[test]
        fn every_name_and_secret_has_one_text(name in any::<[u8; 16]>(), fill in any::<u8>()) {
            let text = SessionToken::generate(name, &Fixed(fill)).reveal();
            let again = SessionToken::parse(text.as_bytes()).unwrap().reveal();
            prop_assert_eq!(text, again);
        }
    }
}
