//! `GET /api/v1/sessions?limit=&cursor=`: the caller's own sessions, active and expired, a page at a time.

use axum::extract::RawQuery;
use axum::response::Response;
use lastseen::{Cursor, Page, Session, SessionId, Timestamp};
use url::form_urlencoded;

use super::{LONGEST_PAGE, USUAL_PAGE, json};
use crate::context::CurrentSession;
use crate::extract::is_soundly_encoded;
use crate::problem::Problem;
use crate::view::{SessionsWriter, USUAL_BYTES, write_string};

#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/api/v1/sessions",
    operation_id = "list_sessions",
    summary = "The caller's own sessions, active and expired",
    tag = "sessions",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many sessions; 50 unless told."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{32}$", description = "The next_cursor of an earlier page."),
    ),
    responses((status = 200, description = "A part of the list.", body = super::openapi::SessionPage)),
    security(("cookie" = []), ("bearer" = [])),
))]
pub(super) async fn handle(
    current: CurrentSession,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let ListQuery { limit, after } = ListQuery::read(query.as_deref().unwrap_or_default())?;
    let Session { id, account, .. } = &current.session;
    let sessions = current.context().sessions();
    let page = sessions
        .list(&account.key, Some(*id), limit, after, current.now)
        .await?;
    Ok(json(page_json(&page, Some(*id), current.now)))
}

/// A part of a list as JSON, as the contract has it, at the instant `now`.
#[must_use]
pub fn page_json(page: &Page, current: Option<SessionId>, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + page.sessions.len() * USUAL_BYTES);
    out.extend_from_slice(b"{\"sessions\":[");
    let mut writer = SessionsWriter::new(&mut out);
    for (position, session) in page.sessions.iter().enumerate() {
        if position > 0 {
            writer.out.push(b',');
        }
        writer.write(session.view(), Some(session.id) == current, now);
    }
    out.extend_from_slice(b"],\"next_cursor\":");
    match &page.next {
        Some(next) => write_string(&mut out, &next.to_string()),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

/// Which page was asked for. Names that mean nothing here are ignored, as links carry many of them; a name that does is
/// sent once at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListQuery {
    /// How many sessions at most.
    pub limit: usize,
    /// Where the list goes on; from its beginning where there is nothing.
    pub after: Option<Cursor>,
}

impl ListQuery {
    /// Reads the query of a request for a list; an empty one asks for the usual page.
    ///
    /// # Errors
    /// `invalid_request` with what is wrong.
    pub fn read(text: &str) -> Result<Self, Problem> {
        if !is_soundly_encoded(text) {
            return Err(Problem::invalid_request(
                "The query is not soundly percent-encoded.",
            ));
        }
        let (mut limit, mut after) = (None, None);
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let is_repeated = match &*name {
                "limit" => limit.replace(read_limit(&value)?).is_some(),
                "cursor" => after.replace(read_cursor(&value)?).is_some(),
                _ => false,
            };
            if is_repeated {
                return Err(Problem::invalid_request(format!(
                    "{name} may stand in the query once."
                )));
            }
        }
        Ok(Self {
            limit: limit.unwrap_or(USUAL_PAGE),
            after,
        })
    }
}

fn read_limit(text: &str) -> Result<usize, Problem> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(limit) if is_number && (1..=LONGEST_PAGE).contains(&limit) => Ok(limit),
        _ => Err(Problem::invalid_request(
            "limit must be a number from 1 to 200.",
        )),
    }
}

fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid_request("cursor must be the next_cursor of an earlier page."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(query: &str) -> Option<usize> {
        ListQuery::read(query).ok().map(|query| query.limit)
    }

    #[test]
    fn a_page_has_50_sessions_unless_told_and_200_at_most() {
        for (query, limit) in [
            ("", 50),
            ("limit=1", 1),
            ("limit=200", 200),
            ("other=1&limit=7", 7),
            ("limit=%32", 2),
            ("&&", 50),
        ] {
            assert_eq!(limit_of(query), Some(limit), "{query}");
        }
        for query in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=%2B1",
            "limit=+1",
            "limit=1.0",
            "limit=",
            "limit",
            "limit=x",
            "limit=99999999999999999999999999",
            "limit=1&limit=1",
            "limit=%",
            "x=%ff",
            "cursor=",
            "cursor=x",
        ] {
            assert_eq!(limit_of(query), None, "{query}");
        }
    }
}
