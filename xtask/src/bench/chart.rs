//! Horizontal bars: the rate as a multiple of the yardstick's, with its range over the rounds; a group for each number of
//! connections.

use std::fmt::Write as _;

use super::results::Row;

/// A chart of one operation, as SVG.
pub(super) fn chart(title: &str, yardstick: &str, rows: &[&Row]) -> String {
    const LEFT: f64 = 230.0;
    const WIDTH: f64 = 430.0;
    const STEP: f64 = 26.0;
    const TOP: f64 = 56.0;
    let most = rows
        .iter()
        .filter_map(|row| row.rate_ratio)
        .map(|ratio| ratio.most)
        .fold(1.0, f64::max);
    let place = |value: f64| LEFT + value / most * WIDTH;
    let mut bars = String::new();
    let mut y = TOP;
    let mut connections = None;
    for row in rows {
        let Some(ratio) = row.rate_ratio else {
            continue;
        };
        let class = if row.contender.starts_with("Lastseen") {
            "ours"
        } else if row.contender == "floor" {
            "floor"
        } else {
            "other"
        };
        if connections.replace(row.connections) != Some(row.connections) {
            // Writing to a string cannot fail.
            _ = writeln!(
                bars,
                "<text class=\"group\" x=\"8\" y=\"{:.0}\">{} connections</text>",
                y + 16.0,
                row.connections
            );
            y += STEP;
        }
        let middle = y + 9.0;
        _ = writeln!(
            bars,
            "<text class=\"name\" x=\"{:.0}\" y=\"{:.0}\">{}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"18\"/>\
             <path class=\"range\" d=\"M{:.1} {middle:.0}H{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{:.2}</text>",
            LEFT - 8.0,
            y + 13.0,
            row.contender,
            place(ratio.median) - LEFT,
            place(ratio.least),
            place(ratio.most),
            place(ratio.most) + 6.0,
            y + 13.0,
            ratio.median
        );
        y += STEP;
    }
    let one = place(1.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height:.0}\" role=\"img\" \
         aria-label=\"{title}: requests a second as a multiple of {yardstick}\">\n<style>\
         text{{font:13px system-ui,sans-serif;fill:#57606a}}.title{{font-weight:600;font-size:15px}}.group{{font-weight:600}}\
         .name{{text-anchor:end}}.ours{{fill:#2563eb}}.floor{{fill:#6b7280}}.other{{fill:#9ca3af}}\
         .range{{stroke:#111827;stroke-width:1.5}}.one{{stroke:#6b7280;stroke-dasharray:3 3}}</style>\n\
         <rect width=\"720\" height=\"{height:.0}\" fill=\"#fff\"/>\n\
         <text class=\"title\" x=\"8\" y=\"22\">{title}</text>\
         <text x=\"8\" y=\"42\">requests a second, {yardstick} = 1; bar: median, line: range of the rounds</text>\n\
         <path class=\"one\" d=\"M{one:.1} {TOP}V{y:.0}\"/>\n{bars}</svg>\n",
        height = y + 8.0,
    )
}
