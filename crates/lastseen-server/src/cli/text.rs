//! How text from outside is shown to a person at a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with everything made visible that a terminal would obey instead of show: control characters (a sequence
/// that moves the cursor or sets the title), line breaks, and the marks that turn the direction of writing.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_obeyed(letter) {
            // Writing to a string does not fail.
            _ = write!(shown, "\\u{{{:x}}}", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A table with a head, its columns padded to the widest cell, two spaces between them and none at the end of a line.
/// Every cell is made [`visible`].
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| visible(cell)).collect())
        .collect();
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let head: Vec<Cow<'_, str>> = head.iter().map(|cell| Cow::Borrowed(*cell)).collect();
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        assert!(matches!(
            visible("Ada's phone, größer"),
            Cow::Borrowed("Ada's phone, größer")
        ));
    }

    #[test]
    fn what_a_terminal_would_obey_becomes_visible() {
        assert_eq!(visible("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(
            visible("a\r\nb\u{7f}\u{9b}"),
            "a\\u{d}\\u{a}b\\u{7f}\\u{9b}"
        );
        assert_eq!(visible("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
    }

    #[test]
    fn a_table_pads_its_columns_and_leaves_no_space_at_the_end() {
        let rows = vec![
            vec!["ada".to_owned(), "active".to_owned()],
            vec!["grace\u{7}".to_owned(), String::new()],
        ];
        assert_eq!(
            table(&["NAME", "STATE"], &rows),
            "NAME        STATE\nada         active\ngrace\\u{7}\n"
        );
    }
}
