//! Prepares what the sessions page sends to a browser, so that it is small without any other tool:
//! drawings from the icon packages on a coarse grid, and the style and script without their comments.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

use icondata_bs::{
    BsAndroid, BsBrowserEdge, BsBrowserFirefox, BsBrowserSafari, BsDisplay, BsFacebook,
    BsInstagram, BsNintendoSwitch, BsPlaystation, BsQuestionCircle, BsTerminal, BsWechat,
    BsWhatsapp, BsWindow, BsWindows, BsXbox,
};
use icondata_si::{
    SiApple, SiBrave, SiDuckduckgo, SiFreebsd, SiGoogle, SiGooglechrome, SiHarmonyos, SiKaios,
    SiKakaotalk, SiLibrewolf, SiLine, SiLinux, SiNaver, SiOpera, SiQq, SiSnapchat, SiThreads,
    SiTorbrowser, SiVivaldi, SiZenbrowser,
};
use kurbo::{Affine, BezPath, PathEl, Point};

/// Every drawing is laid on a square of this many units. An icon is shown at 20 pixels, so rounding to
/// whole units moves a line by at most an eighth of a pixel, and halves what is sent.
const GRID: f64 = 80.0;

/// One path of a drawing: what stands in `d`, and how overlapping parts are filled.
struct Outline {
    path: String,
    even_odd: bool,
}

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("OUT_DIR").map_err(io::Error::other)?;
    let target = Path::new(&target);
    fs::write(target.join("drawings.rs"), drawings())?;
    for (name, shorten) in [
        ("style.css", shorten_style as fn(&str) -> String),
        ("script.js", shorten_script),
    ] {
        let source = format!("src/pages/{name}");
        println!("cargo::rerun-if-changed={source}");
        fs::write(target.join(name), shorten(&fs::read_to_string(source)?))?;
    }
    Ok(())
}

/// The drawings as Rust: an array of `(name, markup)`, sorted by name.
fn drawings() -> String {
    let mut drawings = [
        ("android", BsAndroid.view_box, BsAndroid.data),
        ("apple", SiApple.view_box, SiApple.data),
        ("brave", SiBrave.view_box, SiBrave.data),
        ("browser", BsWindow.view_box, BsWindow.data),
        ("chrome", SiGooglechrome.view_box, SiGooglechrome.data),
        ("duckduckgo", SiDuckduckgo.view_box, SiDuckduckgo.data),
        ("edge", BsBrowserEdge.view_box, BsBrowserEdge.data),
        ("facebook", BsFacebook.view_box, BsFacebook.data),
        ("firefox", BsBrowserFirefox.view_box, BsBrowserFirefox.data),
        ("freebsd", SiFreebsd.view_box, SiFreebsd.data),
        ("google", SiGoogle.view_box, SiGoogle.data),
        ("harmony", SiHarmonyos.view_box, SiHarmonyos.data),
        ("instagram", BsInstagram.view_box, BsInstagram.data),
        ("kaios", SiKaios.view_box, SiKaios.data),
        ("kakaotalk", SiKakaotalk.view_box, SiKakaotalk.data),
        ("librewolf", SiLibrewolf.view_box, SiLibrewolf.data),
        ("line", SiLine.view_box, SiLine.data),
        ("linux", SiLinux.view_box, SiLinux.data),
        ("naver", SiNaver.view_box, SiNaver.data),
        ("nintendo", BsNintendoSwitch.view_box, BsNintendoSwitch.data),
        ("opera", SiOpera.view_box, SiOpera.data),
        ("playstation", BsPlaystation.view_box, BsPlaystation.data),
        ("qq", SiQq.view_box, SiQq.data),
        ("safari", BsBrowserSafari.view_box, BsBrowserSafari.data),
        ("snapchat", SiSnapchat.view_box, SiSnapchat.data),
        ("system", BsDisplay.view_box, BsDisplay.data),
        ("terminal", BsTerminal.view_box, BsTerminal.data),
        ("threads", SiThreads.view_box, SiThreads.data),
        ("tor", SiTorbrowser.view_box, SiTorbrowser.data),
        ("unknown", BsQuestionCircle.view_box, BsQuestionCircle.data),
        ("vivaldi", SiVivaldi.view_box, SiVivaldi.data),
        ("wechat", BsWechat.view_box, BsWechat.data),
        ("whatsapp", BsWhatsapp.view_box, BsWhatsapp.data),
        ("windows", BsWindows.view_box, BsWindows.data),
        ("xbox", BsXbox.view_box, BsXbox.data),
        ("zen", SiZenbrowser.view_box, SiZenbrowser.data),
    ];
    drawings.sort_unstable_by_key(|(name, ..)| *name);
    let mut rust = String::from("[\n");
    for (name, view_box, data) in drawings {
        let size = view_box.and_then(|numbers| numbers.rsplit(' ').next()?.parse::<f64>().ok());
        let size = size.unwrap_or_else(|| panic!("the drawing {name} has no view box"));
        let mut markup = String::new();
        for outline in outlines(name, data, GRID / size) {
            let rule = if outline.even_odd {
                r#" fill-rule="evenodd""#
            } else {
                ""
            };
            // Writing into a string cannot fail.
            let _ = write!(markup, r#"<path{rule} d="{}"/>"#, outline.path);
        }
        let _ = writeln!(rust, "    ({name:?}, {markup:?}),");
    }
    rust.push(']');
    rust
}

/// The paths in a drawing of the package, on our grid. Anything but a path stops the build: a drawing
/// that was replaced by another one shall be looked at.
fn outlines(name: &str, data: &str, scale: f64) -> Vec<Outline> {
    data.split('<')
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .map(|element| {
            let path = element
                .strip_prefix("path ")
                .and_then(|rest| rest.split(r#"d=""#).nth(1)?.split('"').next());
            let path = path.and_then(|path| BezPath::from_svg(path).ok());
            let path = path
                .unwrap_or_else(|| panic!("the drawing {name} is not made of paths: {element}"));
            Outline {
                path: on_grid(&(Affine::scale(scale) * path)),
                even_odd: element.contains("evenodd"),
            }
        })
        .collect()
}

/// The path with whole numbers, each counted from the point before it.
fn on_grid(path: &BezPath) -> String {
    let mut pen = Pen::default();
    for element in path.elements() {
        match *element {
            PathEl::MoveTo(to) => {
                pen.draw('m', &[to]);
                pen.start = pen.at;
            }
            PathEl::LineTo(to) => pen.draw('l', &[to]),
            PathEl::QuadTo(handle, to) => pen.draw('q', &[handle, to]),
            PathEl::CurveTo(first, second, to) => pen.draw('c', &[first, second, to]),
            PathEl::ClosePath => pen.close(),
        }
    }
    pen.text
}

/// Writes a path, and knows where it stands.
#[derive(Default)]
struct Pen {
    text: String,
    at: (i32, i32),
    start: (i32, i32),
    last: Option<char>,
}

impl Pen {
    /// Draws one command. Its letter is left out where it is the one before; a step along one axis is
    /// written with one number; a step of no length is not written.
    fn draw(&mut self, command: char, points: &[Point]) {
        let steps: Vec<(i32, i32)> = points
            .iter()
            .map(|point| (whole(point.x), whole(point.y)))
            .map(|(x, y)| (x - self.at.0, y - self.at.1))
            .collect();
        let Some(&(x, y)) = steps.last() else { return };
        if command != 'm' && steps.iter().all(|step| *step == (0, 0)) {
            return;
        }
        let (command, numbers) = match (command, x, y) {
            ('l', x, 0) => ('h', vec![x]),
            ('l', 0, y) => ('v', vec![y]),
            _ => (
                command,
                steps.into_iter().flat_map(|(x, y)| [x, y]).collect(),
            ),
        };
        let mut bare = true;
        if self.last != Some(command) {
            self.text.push(command);
            bare = false;
        }
        for number in numbers {
            if bare && number >= 0 {
                self.text.push(' ');
            }
            bare = true;
            self.text.push_str(&number.to_string());
        }
        self.at = (self.at.0 + x, self.at.1 + y);
        self.last = Some(command);
    }

    fn close(&mut self) {
        self.text.push('z');
        self.at = self.start;
        self.last = None;
    }
}

/// The nearest whole number of grid units.
fn whole(units: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a drawing lies within its view box of 80 units"
    )]
    let whole = units.round() as i32;
    whole
}

/// The style without comments and indentation.
fn shorten_style(source: &str) -> String {
    let mut rest = source;
    let mut bare = String::new();
    while let Some((before, after)) = rest.split_once("/*") {
        bare.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    bare.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .fold(String::new(), |mut text, line| {
            text.push_str(line);
            // A line that ends a rule or a declaration needs no line feed after it.
            if !line.ends_with(['{', '}', ';', ',']) {
                text.push('\n');
            }
            text
        })
}

/// The script without indentation and without the lines that are nothing but a comment.
///
/// Only whole lines go, so nothing needs to be understood of the language; the script holds no text of
/// several lines.
fn shorten_script(source: &str) -> String {
    source
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .fold(String::new(), |text, line| text + line + "\n")
}
