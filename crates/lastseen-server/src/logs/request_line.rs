//! The line that every request leaves, in the form that all other lines have, at a small part of their cost.
//!
//! `tracing` writes a line by asking each field how it wants to be printed; for a line of known fields at the rate of
//! requests that was a third of what a request cost. A test reads both forms back.

use lastseen::{SessionId, Timestamp};
use lastseen_axum::view;

/// What is noted of a request. No field of it holds text from outside.
#[derive(Debug)]
pub(crate) struct RequestLine<'a> {
    pub(crate) at: Timestamp,
    /// Its id: hexadecimal digits and a dash.
    pub(crate) id: &'a [u8],
    pub(crate) method: &'static str,
    /// The route that matched: a constant of the router.
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    /// The code of a refusal.
    pub(crate) code: Option<&'static str>,
    pub(crate) session: Option<SessionId>,
    pub(crate) microseconds: u64,
}

impl RequestLine<'_> {
    /// The line for people.
    pub(super) fn write_text(&self, out: &mut Vec<u8>) {
        view::write_instant(out, self.at);
        out.extend_from_slice(b"  INFO request id=\"");
        out.extend_from_slice(self.id);
        out.extend_from_slice(b"\" method=\"");
        out.extend_from_slice(self.method.as_bytes());
        out.extend_from_slice(b"\" route=\"");
        out.extend_from_slice(self.route.as_bytes());
        out.extend_from_slice(b"\" status=");
        view::write_number(out, u64::from(self.status));
        if let Some(code) = self.code {
            out.extend_from_slice(b" code=\"");
            out.extend_from_slice(code.as_bytes());
            out.push(b'"');
        }
        if let Some(session) = self.session {
            out.extend_from_slice(b" session=");
            out.extend_from_slice(&session.to_text());
        }
        out.extend_from_slice(b" microseconds=");
        view::write_number(out, self.microseconds);
        out.push(b'\n');
    }

    /// The line for programs.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        view::write_instant(out, self.at);
        out.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request\",\"id\":\"");
        out.extend_from_slice(self.id);
        out.extend_from_slice(b"\",\"method\":\"");
        out.extend_from_slice(self.method.as_bytes());
        out.extend_from_slice(b"\",\"route\":");
        view::write_string(out, self.route);
        out.extend_from_slice(b",\"status\":");
        view::write_number(out, u64::from(self.status));
        if let Some(code) = self.code {
            out.extend_from_slice(b",\"code\":");
            view::write_string(out, code);
        }
        if let Some(session) = self.session {
            out.extend_from_slice(b",\"session\":\"");
            out.extend_from_slice(&session.to_text());
            out.push(b'"');
        }
        out.extend_from_slice(b",\"microseconds\":");
        view::write_number(out, self.microseconds);
        out.extend_from_slice(b",\"target\":\"lastseen::request\"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(code: Option<&'static str>, session: Option<SessionId>) -> RequestLine<'static> {
        RequestLine {
            at: Timestamp::from_millisecond(1_795_510_800_123),
            id: b"0a1b2c3d-7",
            method: "GET",
            route: "/api/v1/sessions/{id}",
            status: 404,
            code,
            session,
            microseconds: 12,
        }
    }

    #[test]
    fn the_line_for_people_reads_like_every_other_line() {
        let mut out = Vec::new();
        line(Some("not_found"), Some(SessionId::from_bytes([0; 16]))).write_text(&mut out);
        line(None, None).write_text(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2026-11-24T09:00:00.123Z  INFO request id=\"0a1b2c3d-7\" method=\"GET\" route=\"/api/v1/sessions/{id}\" \
             status=404 code=\"not_found\" session=00000000000000000000000000 microseconds=12\n\
             2026-11-24T09:00:00.123Z  INFO request id=\"0a1b2c3d-7\" method=\"GET\" route=\"/api/v1/sessions/{id}\" \
             status=404 microseconds=12\n"
        );
    }

    #[test]
    fn the_line_for_programs_is_one_json_object() {
        let mut out = Vec::new();
        line(Some("not_found"), Some(SessionId::from_bytes([0; 16]))).write_json(&mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "timestamp": "2026-11-24T09:00:00.123Z", "level": "INFO", "message": "request",
                "id": "0a1b2c3d-7", "method": "GET", "route": "/api/v1/sessions/{id}", "status": 404,
                "code": "not_found", "session": "00000000000000000000000000", "microseconds": 12,
                "target": "lastseen::request",
            })
        );
        assert_eq!(
            out.iter().position(|byte| *byte == b'\n'),
            Some(out.len() - 1)
        );
    }
}
