//! What the visitor asked for, as far as his proxy says it and we take its word.

use std::str;

use http::{Extensions, HeaderMap};
use lastseen_axum::SessionsContext;

use crate::sign_in::{ReturnTarget, ReturnTargets};

/// Where the visitor goes after he has signed in: back to what he asked for, where a trusted proxy says what that is and
/// it is a place to lead people to.
pub(super) fn target(
    context: &SessionsContext,
    targets: &ReturnTargets,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Option<ReturnTarget> {
    if !context.is_from_trusted_proxy(extensions) {
        return None;
    }
    let said = |name| only_value(headers, name);
    targets.read_parts(
        said("x-forwarded-proto")?,
        said("x-forwarded-host")?,
        said("x-forwarded-uri")?,
    )
}

/// The value of a header that is sent once. Of two it could be the visitor's own that is taken.
fn only_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => str::from_utf8(value.as_bytes()).ok(),
        _ => None,
    }
}
