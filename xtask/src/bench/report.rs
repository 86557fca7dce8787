//! Results as people read them: one table of all parts that were run, and charts.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum as _;
use serde_json::Value;

use super::Section;
use super::chart::chart;
use super::results::{self, Kept, Row, Spread};

/// Writes the table and the charts of all parts among the results.
pub(super) fn write(folder: &Path) -> Result<()> {
    let save = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    };
    let mut text = String::from(
        "# Results\n\nMade by `cargo xtask bench`; how to read it stands in [README.md](../README.md). The ratios are the \
         result: in each round both sides ran within the same minute. Absolute figures hold for this machine only. The \
         middle of the rounds comes first, then their range.\n",
    );
    for &section in Section::value_variants() {
        let Some(kept) = results::load(folder, section)? else {
            continue;
        };
        let name = section.name();
        _ = write!(text, "\n## {name}\n\n{}\n", about(&kept.about));
        let rows = results::rows(&kept.outcome);
        let mut operations: Vec<&str> = Vec::new();
        for row in &rows {
            // They come back with each number of connections.
            if !operations.contains(&&*row.operation) {
                operations.push(&row.operation);
            }
        }
        for operation in operations {
            let of_it: Vec<&Row> = rows
                .iter()
                .filter(|row| row.operation == operation)
                .collect();
            table(&mut text, operation, &kept, &of_it);
            let title = if name == operation {
                name.clone()
            } else {
                format!("{name}-{operation}")
            };
            let chart = chart(&title, &kept.outcome.yardstick, &of_it);
            save(&format!("{title}.svg"), chart)?;
        }
        figures(&mut text, &kept);
    }
    save("results.md", text)
}

/// The machine and the versions, in a line.
fn about(about: &Value) -> String {
    let words = about
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("{} {value}", name.replace('_', " "))
        });
    words.collect::<Vec<_>>().join("; ")
}

fn range(spread: Spread) -> String {
    let digits = usize::from(spread.median.abs() < 100.0) * 2;
    format!(
        "{:.digits$} ({:.digits$} to {:.digits$})",
        spread.median, spread.least, spread.most
    )
}

fn table(text: &mut String, operation: &str, kept: &Kept, rows: &[&Row]) {
    _ = write!(
        text,
        "\n### {operation}\n\nRatios are to {}.\n\n| connections | | requests a second, ratio | processor time a request, \
         ratio | µs of processor | requests a second | p50 µs | p99 µs | failed |\n\
         | --: | --- | --- | --- | --: | --: | --: | --: | --: |\n",
        kept.outcome.yardstick
    );
    for row in rows {
        let ratio = |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), range);
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} | {:.0} | {:.0} | {:.0} | {} |",
            row.connections,
            row.contender,
            ratio(row.rate_ratio),
            ratio(row.cost_ratio),
            row.cost.median,
            row.rate.median,
            row.p50.median,
            row.p99.median,
            row.failed
        );
    }
}

fn figures(text: &mut String, kept: &Kept) {
    if kept.outcome.figures.is_empty() {
        return;
    }
    text.push_str("\n| | | |\n| --- | --- | --- |\n");
    for figure in &kept.outcome.figures {
        if let Some(spread) = Spread::of(figure.values.clone()) {
            _ = writeln!(
                text,
                "| {} | {} | {} |",
                figure.name,
                range(spread),
                figure.unit
            );
        }
    }
}
