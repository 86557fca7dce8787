//! Which drawing stands beside which name.
//!
//! The drawings come from the packages `icondata_si` (Simple Icons, CC0) and `icondata_bs` (Bootstrap
//! Icons, MIT) at build time; `build.rs` names them. Marks stay their owners' trademarks: the name always
//! stands beside the drawing, and the drawing never stands for the name.

use lastseen::Product;

/// The drawings as `(name, markup)`, sorted by name. The markup is ours: it needs no escaping.
static DRAWINGS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/drawings.rs"));

/// The drawing for what nothing is known of.
const UNKNOWN: &str = "unknown";

/// The drawing for an operating system.
pub(super) fn operating_system(system: Option<&Product>) -> &'static str {
    let Some(system) = system else { return UNKNOWN };
    match &*system.name {
        "Windows" | "Windows Phone" | "Windows Mobile" => "windows",
        "macOS" | "iOS" | "iPadOS" | "tvOS" | "watchOS" | "visionOS" => "apple",
        "Linux" => "linux",
        "Android" | "Fire OS" | "Wear OS" => "android",
        "ChromeOS" => "chrome",
        "FreeBSD" => "freebsd",
        "HarmonyOS" => "harmony",
        "KaiOS" => "kaios",
        "PlayStation" | "Playstation" => "playstation",
        "Nintendo" | "Nintendo Switch" => "nintendo",
        "Xbox" => "xbox",
        // Known by name, without a drawing of its own.
        _ => "system",
    }
}

/// The drawing for a browser, an app or a program.
pub(super) fn browser(browser: Option<&Product>) -> &'static str {
    let Some(browser) = browser else {
        return UNKNOWN;
    };
    match &*browser.name {
        "Chrome" | "Chromium" | "Headless Chrome" | "HeadlessChrome" | "Chrome WebView" => "chrome",
        "Firefox" | "Firefox Focus" | "Firefox Klar" => "firefox",
        "Safari" => "safari",
        "Edge" | "Edge WebView" => "edge",
        "Opera" | "Opera GX" | "Opera Mini" | "Opera Air" | "Opera Touch" | "Opera Mobile" => {
            "opera"
        }
        "Brave" => "brave",
        "Vivaldi" => "vivaldi",
        "DuckDuckGo" => "duckduckgo",
        "Tor Browser" => "tor",
        "LibreWolf" => "librewolf",
        "Zen" | "Zen Browser" => "zen",
        "Google" | "Google app" | "Google App" => "google",
        "Facebook" | "Messenger" | "Facebook Messenger" => "facebook",
        "Instagram" => "instagram",
        "Threads" => "threads",
        "Snapchat" => "snapchat",
        "WhatsApp" => "whatsapp",
        "WeChat" => "wechat",
        "QQ" | "QQ Browser" => "qq",
        "LINE" | "Line" => "line",
        "KakaoTalk" => "kakaotalk",
        "Naver" | "NAVER" | "Whale" => "naver",
        name if is_program(name) => "terminal",
        // Known by name, without a drawing of its own: Samsung Internet, say.
        _ => "browser",
    }
}

/// Whether this is the name of a program or library rather than of something with windows.
fn is_program(name: &str) -> bool {
    const PROGRAMS: [&str; 24] = [
        "curl",
        "wget",
        "httpie",
        "httpx",
        "python",
        "go-http",
        "okhttp",
        "java",
        "axios",
        "node",
        "undici",
        "libwww",
        "dart",
        "reqwest",
        "hyper",
        "ruby",
        "php",
        "guzzle",
        "powershell",
        "postman",
        "insomnia",
        "aiohttp",
        "apache",
        "git",
    ];
    let name = name.to_ascii_lowercase();
    PROGRAMS.iter().any(|program| name.starts_with(program))
}

/// The drawings that `names` ask for, each once, in the order of their names.
pub(super) fn drawings<'a>(
    names: impl Iterator<Item = &'a str>,
) -> Vec<(&'static str, &'static str)> {
    let mut asked: Vec<&str> = names.collect();
    asked.sort_unstable();
    asked.dedup();
    asked
        .into_iter()
        .filter_map(|name| {
            DRAWINGS
                .binary_search_by_key(&name, |(drawing, _)| drawing)
                .ok()
        })
        .map(|place| DRAWINGS[place])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str) -> Product {
        Product::new(name, None)
    }

    #[test]
    fn every_system_and_browser_has_a_drawing() {
        let names = [
            "Windows",
            "macOS",
            "Linux",
            "Android",
            "iOS",
            "iPadOS",
            "ChromeOS",
            "Something else",
        ];
        for name in names {
            let icon = operating_system(Some(&product(name)));
            assert_eq!(drawings([icon].into_iter()).len(), 1, "{name}");
        }
        let names = [
            "Chrome",
            "Firefox",
            "Safari",
            "Edge",
            "Opera",
            "Samsung Internet",
            "curl",
            "Something else",
        ];
        for name in names {
            let icon = browser(Some(&product(name)));
            assert_eq!(drawings([icon].into_iter()).len(), 1, "{name}");
        }
    }

    #[test]
    fn what_is_not_known_has_the_neutral_drawing() {
        assert_eq!(operating_system(None), UNKNOWN);
        assert_eq!(browser(None), UNKNOWN);
        assert_eq!(drawings([UNKNOWN].into_iter()).len(), 1);
    }

    #[test]
    fn a_drawing_is_sent_once_however_often_it_is_shown() {
        assert_eq!(drawings(["chrome", "linux", "chrome"].into_iter()).len(), 2);
    }

    #[test]
    fn the_drawings_are_sorted_by_name_as_the_search_needs_them() {
        assert!(DRAWINGS.is_sorted_by_key(|(name, _)| name));
    }
}
