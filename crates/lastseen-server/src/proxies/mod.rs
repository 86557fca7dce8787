//! Checks for proxies that guard other services: is this visitor signed in, and as whom?
//!
//! A proxy asks before it passes a request on, with the visitor's own headers. `GET /auth-request` is for nginx
//! (`auth_request`), `GET /forward-auth` for Caddy (`forward_auth`) and Traefik (`ForwardAuth`), which hand a refusal to
//! the visitor as it is, so that it may be a redirect to the sign-in page. docs/proxies/ has a set-up for each.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`check`] | the session that is asked about, and whether its account will do |
//! | [`identity`] | who it is, as headers |
//! | [`original`] | what the visitor asked for, as his proxy says |
//! | [`requests`] | the two requests |

mod check;
mod identity;
mod original;
mod requests;

pub use requests::{openapi, router};

#[cfg(test)]
mod tests;
