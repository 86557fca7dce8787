//! Hashing passwords: slow on purpose, so bounded in number and memory, and never on a request thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use lastseen::Entropy;
use tokio::sync::Semaphore;
use zeroize::{Zeroize as _, Zeroizing};

use super::password::{Password, PasswordRefusal, judge_new_password};

/// Bytes of a salt: what RFC 9106 recommends.
const SALT_BYTES: usize = 16;
/// Bytes of a hash: 256 bits, as RFC 9106 recommends.
const HASH_BYTES: usize = 32;

/// How passwords are hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HashingSettings {
    /// Memory for one hash, in KiB.
    pub memory: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes, each of which could be a thread; this program uses one thread whatever their number.
    pub lanes: u32,
    /// How many hashes are worked out at once: bounds the memory and leaves processors to other work.
    pub at_once: usize,
    /// How many may wait for their turn beyond those; the next one is turned away.
    pub waiting: usize,
}

impl HashingSettings {
    /// The settings of the server, with `processors` of them at hand.
    ///
    /// Argon2id with 19 MiB, two passes and one lane is the first of the equal choices in OWASP's password
    /// storage cheat sheet. Half of the processors stay free for requests that need no hash. A hash takes
    /// about 20 ms, so the last of 128 waiting on one processor gets its turn within three seconds.
    pub fn for_processors(processors: usize) -> Self {
        Self {
            memory: 19_456,
            passes: 2,
            lanes: 1,
            at_once: (processors / 2).max(1),
            waiting: 128,
        }
    }

    /// Settings so weak that a test does not feel them.
    #[cfg(test)]
    pub(crate) fn cheap() -> Self {
        Self {
            memory: 8,
            passes: 1,
            lanes: 1,
            at_once: 4,
            waiting: 1_000,
        }
    }
}

/// A salted hash of a password, as a PHC string. It cannot be printed.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash(Arc<str>);

impl PasswordHash {
    /// The hash that a store has kept as `text`.
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// What a store keeps.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(…)")
    }
}

/// More passwords wait to be hashed than may, or the machine had no memory for it. Nothing was judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many passwords are being checked at once")]
pub struct Busy;

/// What came of comparing a password with a hash.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it is the password.
    pub matches: bool,
    /// A stronger hash of the same password, where the one at hand is weaker than the settings.
    pub stronger: Option<PasswordHash>,
}

/// Whose turn may be refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asker {
    /// Somebody over the network: turned away where too many wait.
    Visitor,
    /// Whoever runs the server: waits as long as it takes.
    Operator,
}

/// The one place where passwords are hashed. Cloning it is cheap and shares the bounds.
#[derive(Clone)]
pub struct Hashing(Arc<Inner>);

struct Inner {
    settings: HashingSettings,
    params: Params,
    entropy: Arc<dyn Entropy>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    hashed: AtomicU64,
    turned_away: AtomicU64,
    decoy: PasswordHash,
}

/// Settings that Argon2 cannot work with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("these settings for hashing passwords are out of bounds: {0}")]
pub struct UnusableSettings(argon2::Error);

impl Hashing {
    /// Hashing by `settings`, salts drawn from `entropy`.
    ///
    /// # Errors
    /// [`UnusableSettings`] where Argon2 cannot work with them.
    pub fn new(
        settings: HashingSettings,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, UnusableSettings> {
        let params = Params::new(
            settings.memory,
            settings.passes,
            settings.lanes,
            Some(HASH_BYTES),
        )
        .map_err(UnusableSettings)?;
        let decoy = decoy(&params, entropy.as_ref());
        Ok(Self(Arc::new(Inner {
            settings,
            params,
            entropy,
            turns: Arc::new(Semaphore::new(settings.at_once.max(1))),
            waiting: AtomicUsize::new(0),
            hashed: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            decoy,
        })))
    }

    /// Judges `password` as the new one of the account called `name`, and hashes it.
    ///
    /// # Errors
    /// [`Busy`] where there was no turn for it; inside, why it may not be the password.
    pub async fn hash_new(
        &self,
        asker: Asker,
        password: Password,
        name: &str,
    ) -> Result<Result<PasswordHash, PasswordRefusal>, Busy> {
        let name = name.to_owned();
        self.in_turn(asker, move |inner| {
            match judge_new_password(&password, &name) {
                Ok(()) => inner.hash(&password).map(Ok),
                Err(refusal) => Ok(Err(refusal)),
            }
        })
        .await
    }

    /// Compares `password` with `hash`; where there is none, takes the same time and says no.
    ///
    /// `like` is the hash whose cost is imitated where there is none, so that hashes of older settings do
    /// not stand out.
    ///
    /// # Errors
    /// [`Busy`] where there was no turn for it.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
        like: Option<PasswordHash>,
    ) -> Result<Verdict, Busy> {
        self.in_turn(Asker::Visitor, move |inner| {
            let Some(hash) = hash else {
                let decoy = like
                    .and_then(|like| like_decoy(&like, inner))
                    .unwrap_or_else(|| inner.decoy.clone());
                inner.compare(&password, &decoy)?;
                return Ok(Verdict {
                    matches: false,
                    stronger: None,
                });
            };
            let matches = inner.compare(&password, &hash)? && !password.is_beyond_any();
            let stronger = if matches && inner.is_weak(&hash) {
                Some(inner.hash(&password)?)
            } else {
                None
            };
            Ok(Verdict { matches, stronger })
        })
        .await
    }

    /// How many hashes were worked out so far.
    pub fn hashed(&self) -> u64 {
        self.0.hashed.load(Ordering::Relaxed)
    }

    /// How many askers were turned away because too many waited.
    pub fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    /// Runs `work` on a blocking thread once it is its turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        asker: Asker,
        work: impl FnOnce(&Inner) -> Result<T, Busy> + Send + 'static,
    ) -> Result<T, Busy> {
        let inner = self.0.clone();
        let place = Place::take(&inner, asker)?;
        let turn = inner
            .turns
            .clone()
            .acquire_owned()
            .await
            .map_err(|_closed| Busy)?;
        drop(place);
        let outcome = tokio::task::spawn_blocking(move || {
            // The turn ends with the work, also where nobody waits for its outcome any more.
            let _turn = turn;
            work(&inner)
        })
        .await;
        outcome.unwrap_or_else(|fault| {
            tracing::error!(%fault, "hashing a password broke off");
            Err(Busy)
        })
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hashing")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// A place among those who wait; leaving it makes room.
struct Place(Arc<Inner>);

impl Place {
    /// Takes a place, unless all are taken. Those whose turn has come need none any more.
    fn take(inner: &Arc<Inner>, asker: Asker) -> Result<Self, Busy> {
        // Whoever gets a turn at once is counted for that moment, too: hence the sum.
        let most = match asker {
            Asker::Visitor => inner
                .settings
                .waiting
                .saturating_add(inner.turns.available_permits()),
            Asker::Operator => usize::MAX,
        };
        let taken = inner
            .waiting
            .try_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
                (waiting < most).then(|| waiting + 1)
            });
        if taken.is_err() {
            inner.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(Busy);
        }
        Ok(Self(inner.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Inner {
    /// A new salted hash of `password` by the settings.
    fn hash(&self, password: &Password) -> Result<PasswordHash, Busy> {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt);
        let mut output = Zeroizing::new([0; HASH_BYTES]);
        self.work_out(
            Algorithm::Argon2id,
            Version::V0x13,
            &self.params,
            password,
            &salt,
            output.as_mut(),
        )?;
        phc_text(&self.params, &salt, output.as_ref()).ok_or(Busy)
    }

    /// Whether `password` is the one behind `hash`.
    ///
    /// A hash that cannot be read matches nothing and takes as long as any other.
    fn compare(&self, password: &Password, hash: &PasswordHash) -> Result<bool, Busy> {
        let Some(parsed) = Parsed::read(hash) else {
            tracing::error!("a stored password hash cannot be read");
            self.hash(password)?;
            return Ok(false);
        };
        let mut output = Zeroizing::new(vec![0; parsed.output.len()]);
        self.work_out(
            parsed.algorithm,
            parsed.version,
            &parsed.params,
            password,
            &parsed.salt,
            &mut output,
        )?;
        // Compares in constant time.
        Ok(phc::Output::new(&output).is_ok_and(|output| output == parsed.output))
    }

    /// Whether `hash` is weaker than the settings in any respect.
    fn is_weak(&self, hash: &PasswordHash) -> bool {
        Parsed::read(hash).is_none_or(|parsed| {
            parsed.algorithm != Algorithm::Argon2id
                || parsed.version != Version::V0x13
                || parsed.params.m_cost() < self.params.m_cost()
                || parsed.params.t_cost() < self.params.t_cost()
                || parsed.params.p_cost() < self.params.p_cost()
                || parsed.output.len() < HASH_BYTES
                || parsed.salt.len() < SALT_BYTES
        })
    }

    /// Argon2 itself. The memory is wiped afterwards.
    fn work_out(
        &self,
        algorithm: Algorithm,
        version: Version,
        params: &Params,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), Busy> {
        self.hashed.fetch_add(1, Ordering::Relaxed);
        let mut memory = Vec::new();
        memory
            .try_reserve_exact(params.block_count())
            .map_err(|_exhausted| Busy)?;
        memory.resize(params.block_count(), Block::new());
        let outcome = Argon2::new(algorithm, version, params.clone())
            .hash_password_into_with_memory(
                password.as_bytes(),
                salt,
                output,
                memory.as_mut_slice(),
            );
        memory.zeroize();
        outcome.map_err(|fault| {
            tracing::error!(%fault, "a password could not be hashed");
            Busy
        })
    }
}

/// A PHC string, taken apart.
struct Parsed {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: phc::Salt,
    output: phc::Output,
}

impl Parsed {
    fn read(hash: &PasswordHash) -> Option<Self> {
        let parsed = phc::PasswordHash::new(hash.as_str()).ok()?;
        Some(Self {
            algorithm: Algorithm::try_from(parsed.algorithm.as_str()).ok()?,
            version: parsed.version.map_or(Some(Version::V0x13), |version| {
                Version::try_from(version).ok()
            })?,
            params: Params::try_from(&parsed).ok()?,
            salt: parsed.salt?,
            output: parsed.hash?,
        })
    }
}

/// Puts a PHC string together.
fn phc_text(params: &Params, salt: &[u8], output: &[u8]) -> Option<PasswordHash> {
    let hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: phc::ParamsString::try_from(params).ok()?,
        salt: Some(phc::Salt::new(salt).ok()?),
        hash: Some(phc::Output::new(output).ok()?),
    };
    Some(PasswordHash::from_text(&hash.to_string()))
}

/// A hash of these parameters that no password is known for.
fn decoy(params: &Params, entropy: &dyn Entropy) -> PasswordHash {
    let mut random = [0; SALT_BYTES + HASH_BYTES];
    entropy.fill(&mut random);
    let (salt, output) = random.split_at(SALT_BYTES);
    // An empty text would match nothing either; it cannot come to that with lengths fixed above.
    phc_text(params, salt, output).unwrap_or_else(|| PasswordHash::from_text(""))
}

/// A decoy that costs what `like` costs.
fn like_decoy(like: &PasswordHash, inner: &Inner) -> Option<PasswordHash> {
    Some(decoy(&Parsed::read(like)?.params, inner.entropy.as_ref()))
}

#[cfg(test)]
mod tests;
