//! Sessions for anybody's axum service: sign-ins that are listed, checked and ended.
//!
//! ```text
//! request ─ SecurityHeaders ─ SessionsLayer ─ router ─ handler(CurrentSession) ─ Sessions ─ view ─ response
//!                                  │                        │
//!                     origin of unsafe requests     cookie or Bearer, address, device
//! ```
//!
//! # Map
//! | file | what it is |
//! | --- | --- |
//! | [`layer`] | [`SessionsLayer`]: stands around a service, refuses foreign origins |
//! | [`context`] | [`SessionsContext`], what a service knows; [`CurrentSession`], who is asking |
//! | [`caller`] | which credential of a request counts, what it says of its client |
//! | [`cookie`] | the only place that reads, sets and clears the session cookie |
//! | [`cookie_domain`] | the domain whose hosts share that cookie |
//! | [`visitor`] | [`Visitor`]: whoever comes to sign in |
//! | [`origin`] | whether a request comes from our own pages |
//! | [`client_ip`] | the only place that decides whose address it is |
//! | [`public_url`] | the address under which browsers reach the service |
//! | [`problem`] | what went wrong; the only place that picks an error's status |
//! | [`extract`] | JSON, forms and bodies, strictly |
//! | [`security_headers`] | what every response says |
//! | [`api`] | the sessions API, a file per request |
//! | [`pages`] | the sessions page, and the frame of every page |
//! | [`view`] | the only wire form of a session |
//! | [`clock`], [`entropy`] | the only places that ask the system for time and randomness |
//!
//! Handlers extract, call one verb of [`lastseen::Sessions`], and render.

pub mod api;
pub mod caller;
pub mod client_ip;
pub mod clock;
pub mod context;
pub mod cookie;
pub mod cookie_domain;
pub mod entropy;
pub mod extract;
pub mod layer;
pub mod origin;
pub mod pages;
pub mod problem;
pub mod public_url;
pub mod security_headers;
pub mod view;
pub mod visitor;

pub use caller::Credential;
pub use client_ip::TrustedProxies;
pub use clock::SystemClock;
pub use context::{CurrentSession, SeenSession, SessionsContext};
pub use cookie::{Carried, Keep, SessionCookie};
pub use cookie_domain::{CookieDomain, CookieDomainError};
pub use entropy::SystemEntropy;
pub use extract::{ApiForm, ApiJson, IgnoredBody};
pub use layer::SessionsLayer;
pub use problem::{Code, Problem};
pub use public_url::{PublicUrl, PublicUrlError};
pub use security_headers::SecurityHeaders;
pub use visitor::{SignedIn, Visitor};

/// Its examples are tested like all others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
