//! A way back after sign-in that is a path of this server.

use url::Url;

/// The longest way back, in bytes. What this server's own pages ask for is far below.
const LONGEST: usize = 2_048;
/// What any path is resolved against. Only its origin matters, and only to see whether it stays the same.
const SOMEWHERE: &str = "http://lastseen.invalid/";

/// A path of this server, with its query, that a visitor may be sent to after sign-in.
///
/// It begins with one `/`, and no browser takes it for anything but a path of the server that sent it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReturnPath(String);

impl ReturnPath {
    /// Reads what came with a request; `None` where it could lead anywhere else.
    ///
    /// It is taken apart the way browsers do it, and put together again from the parts, so what was
    /// judged is what is sent. The sign-in and sign-out addresses themselves are no place to return to.
    pub fn read(text: &str) -> Option<Self> {
        let plain = text.len() <= LONGEST
            && text.starts_with('/')
            && !text.starts_with("//")
            && !text.contains('\\')
            && !text.chars().any(char::is_control);
        if !plain {
            return None;
        }
        let base = Url::parse(SOMEWHERE).ok()?;
        let url = base.join(text).ok()?;
        let own =
            url.origin() == base.origin() && url.username().is_empty() && url.password().is_none();
        // `/.//elsewhere.example` is a path that reads `//elsewhere.example` once it is taken apart.
        if !own || url.path().starts_with("//") || Self::is_no_way_back(url.path()) {
            return None;
        }
        let mut path = url.path().to_owned();
        if let Some(query) = url.query() {
            path.push('?');
            path.push_str(query);
        }
        Some(Self(path))
    }

    /// Whether a path of this server is where people come to sign in or out: nowhere to go afterwards.
    pub(super) fn is_no_way_back(path: &str) -> bool {
        matches!(path, "/sign-in" | "/sign-out")
    }

    /// The path, as ASCII that fits a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ReturnPath {
    /// The list of sessions: where a visitor goes who came from nowhere in particular.
    fn default() -> Self {
        Self("/sessions".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_of_this_server_is_a_way_back() {
        for (text, expected) in [
            ("/sessions", "/sessions"),
            (
                "/sessions?cursor=a%2Fb&limit=5",
                "/sessions?cursor=a%2Fb&limit=5",
            ),
            ("/", "/"),
            ("/a/../password", "/password"),
            ("/é", "/%C3%A9"),
            (
                "/sessions?next=https://elsewhere.example/",
                "/sessions?next=https://elsewhere.example/",
            ),
            ("/x@elsewhere.example/", "/x@elsewhere.example/"),
        ] {
            assert_eq!(ReturnPath::read(text).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn anything_that_could_lead_elsewhere_is_none() {
        for text in [
            "",
            "sessions",
            "//elsewhere.example",
            "///elsewhere.example",
            "/\\elsewhere.example",
            "\\\\elsewhere.example",
            "/.//elsewhere.example",
            "/a/..//elsewhere.example",
            "/%2e//elsewhere.example",
            "/\t/elsewhere.example",
            "/\n/elsewhere.example",
            "\t//elsewhere.example",
            " //elsewhere.example",
            "https://elsewhere.example/",
            "https:elsewhere.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "@elsewhere.example",
            "/sessions\r\nSet-Cookie: a=b",
            "/sign-in",
            "/x/../sign-in?return_to=/sign-in",
            "/sign-out",
        ] {
            assert_eq!(ReturnPath::read(text), None, "{text:?}");
        }
        assert_eq!(ReturnPath::read(&format!("/{}", "a".repeat(2_048))), None);
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_on_the_server(
            text in prop_oneof![any::<String>(), "[/\\\\.@:?#a%2fe\t ]{0,12}", "/[/\\\\.@:?#a%2fe\t ]{0,12}"],
            host in "[a-z]{1,8}\\.example",
        ) {
            if let Some(path) = ReturnPath::read(&text) {
                prop_assert!(path.as_str().starts_with('/') && !path.as_str().starts_with("//"));
                prop_assert!(path.as_str().bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\'));
                let base = Url::parse(&format!("https://{host}/sign-in")).unwrap();
                let target = base.join(path.as_str()).unwrap();
                prop_assert_eq!(target.origin(), base.origin());
                prop_assert_eq!(ReturnPath::read(path.as_str()), Some(path));
            }
        }
    }
}
