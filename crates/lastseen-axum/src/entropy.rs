//! The one place that draws randomness.

use lastseen::Entropy;

/// The operating system's generator: fit for secrets.
///
/// ```
/// use lastseen::Entropy;
/// use lastseen_axum::SystemEntropy;
///
/// let mut bytes = [0; 16];
/// SystemEntropy.fill(&mut bytes);
/// assert_ne!(bytes, [0; 16]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "this is the entropy file; see below"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        // It fails where the system has no generator at all. There is no safe way on from there: a secret that can be
        // guessed must not be handed out, and nobody who runs the process can be served without secrets.
        getrandom::fill(bytes).expect("the system has a generator of random bytes");
    }
}
