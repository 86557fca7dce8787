//! Results as others read them: the runs as JSON, a table, charts.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Operation;
use super::load::Run;

/// The middle of several rounds, and the ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self {
            least,
            median,
            most,
        })
    }

    fn to_json(self) -> Value {
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        json!({"median": rounded(self.median), "least": rounded(self.least), "most": rounded(self.most)})
    }
}

/// What one contender came to in one operation, over all rounds.
struct Row {
    operation: &'static str,
    connections: u32,
    contender: &'static str,
    rate: Spread,
    /// Processor time of the server and its database for one request, in microseconds.
    cost: Spread,
    p50: Spread,
    p99: Spread,
    /// Rate and cost as multiples of the yardstick's in the same round.
    rate_ratio: Option<Spread>,
    cost_ratio: Option<Spread>,
    yardstick: &'static str,
    failed: u64,
}

/// Writes all of it.
pub(super) fn write(
    folder: &Path,
    about: &Value,
    runs: &[Run],
    redis_get: &[(u32, f64)],
    commit_us: Option<f64>,
    terminate_us: Option<f64>,
) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let rows = rows(runs);
    let summary: Vec<Value> = rows.iter().map(row_json).collect();
    let redis: Vec<Value> = redis_get
        .iter()
        .map(|(connections, rate)| json!({"connections": connections, "requests_a_second": rate}))
        .collect();
    let all = json!({
        "about": about,
        "summary": summary,
        "redis_get": redis,
        "one_fsynced_commit_us": commit_us,
        "terminate_alone_p50_us": terminate_us,
        "runs": runs.iter().map(Run::to_json).collect::<Vec<_>>(),
    });
    let save = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    };
    save("results.json", format!("{all:#}\n"))?;
    save(
        "results.md",
        table(about, &rows, redis_get, commit_us, terminate_us),
    )?;
    for operation in Operation::ALL {
        let name = operation.name();
        let of_it: Vec<&Row> = rows.iter().filter(|row| row.operation == name).collect();
        if !of_it.is_empty() {
            save(&format!("{name}.svg"), chart(name, &of_it))?;
        }
    }
    Ok(())
}

/// The yardstick of an operation: the floor, or what people would use where a floor does nothing of the kind.
fn yardstick(operation: &str) -> &'static str {
    match operation {
        "create" | "terminate" => "tower-sessions, SQLite",
        _ => "floor",
    }
}

fn rows(runs: &[Run]) -> Vec<Row> {
    let mut known: Vec<(&str, u32, &str)> = Vec::new();
    for run in runs {
        let key = (run.operation, run.connections, run.contender);
        if !known.contains(&key) {
            known.push(key);
        }
    }
    known
        .into_iter()
        .filter_map(|(operation, connections, contender)| {
            let of = |name: &str| -> Vec<&Run> {
                runs.iter()
                    .filter(|run| {
                        (run.operation, run.connections, run.contender)
                            == (operation, connections, name)
                    })
                    .collect()
            };
            let mine = of(contender);
            let yardstick = yardstick(operation);
            let measure = of(yardstick);
            let spread =
                |value: fn(&Run) -> f64| Spread::of(mine.iter().map(|run| value(run)).collect());
            // Round by round, so that what a noisy neighbour took from both is not held against one.
            let ratio = |value: fn(&Run) -> f64| {
                let ratios = mine.iter().filter_map(|run| {
                    let same = measure.iter().find(|other| other.round == run.round)?;
                    Some(value(run) / value(same))
                });
                Spread::of(ratios.filter(|ratio| ratio.is_finite()).collect())
            };
            Some(Row {
                operation,
                connections,
                contender,
                rate: spread(|run| run.requests_a_second)?,
                cost: spread(cost)?,
                p50: spread(|run| run.p50_us)?,
                p99: spread(|run| run.p99_us)?,
                rate_ratio: ratio(|run| run.requests_a_second),
                cost_ratio: ratio(cost),
                yardstick,
                failed: mine.iter().map(|run| run.failed).sum(),
            })
        })
        .collect()
}

fn cost(run: &Run) -> f64 {
    run.server_us + run.backend_us
}

fn row_json(row: &Row) -> Value {
    json!({
        "operation": row.operation,
        "connections": row.connections,
        "contender": row.contender,
        "requests_a_second": row.rate.to_json(),
        "processor_us_a_request": row.cost.to_json(),
        "p50_us": row.p50.to_json(),
        "p99_us": row.p99.to_json(),
        "yardstick": row.yardstick,
        "rate_of_the_yardstick": row.rate_ratio.map(Spread::to_json),
        "processor_of_the_yardstick": row.cost_ratio.map(Spread::to_json),
        "failed": row.failed,
    })
}

fn table(
    about: &Value,
    rows: &[Row],
    redis_get: &[(u32, f64)],
    commit_us: Option<f64>,
    terminate_us: Option<f64>,
) -> String {
    let mut text = String::from(
        "# Results\n\nMade by `cargo xtask bench`; how to read it stands in [README.md](../README.md). The ratios are the \
         result: in each round both sides ran within the same minute. Absolute figures hold for this machine only.\n\n",
    );
    if let Some(about) = about.as_object() {
        text.push_str("| of | |\n| --- | --- |\n");
        for (name, value) in about {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            _ = writeln!(text, "| {} | {value} |", name.replace('_', " "));
        }
    }
    for operation in Operation::ALL {
        let of_it: Vec<&Row> = rows
            .iter()
            .filter(|row| row.operation == operation.name())
            .collect();
        let Some(first) = of_it.first() else { continue };
        _ = write!(
            text,
            "\n## {}\n\nRatios are to {}.\n\n| connections | | requests a second, ratio | range | processor a request, \
             ratio | µs of processor | requests a second | p50 µs | p99 µs | failed |\n\
             | --: | --- | --: | --- | --: | --: | --: | --: | --: | --: |\n",
            operation.name(),
            first.yardstick
        );
        for row in of_it {
            let ratio = |spread: Option<Spread>| {
                spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.2}", spread.median))
            };
            let range = row.rate_ratio.map_or_else(
                || "–".to_owned(),
                |spread| format!("{:.2} to {:.2}", spread.least, spread.most),
            );
            _ = writeln!(
                text,
                "| {} | {} | {} | {range} | {} | {:.1} | {:.0} | {:.0} | {:.0} | {} |",
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
    for (connections, rate) in redis_get {
        _ = writeln!(
            text,
            "\nRedis itself answers {rate:.0} GETs a second to redis-benchmark with {connections} connections."
        );
    }
    if let (Some(commit), Some(terminate)) = (commit_us, terminate_us) {
        _ = writeln!(
            text,
            "\nOne fsynced commit of one row takes {commit:.0} µs here (p50), terminating one session over one connection \
             {terminate:.0} µs (p50): {:.1} times as long.",
            terminate / commit
        );
    }
    text
}

/// Horizontal bars: the rate as a multiple of the yardstick's, with its range over the rounds.
fn chart(title: &str, rows: &[&Row]) -> String {
    const LEFT: f64 = 280.0;
    const WIDTH: f64 = 380.0;
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
    for row in rows {
        let Some(ratio) = row.rate_ratio else {
            continue;
        };
        let class = match row.contender {
            "Lastseen" => "ours",
            "floor" => "floor",
            _ => "other",
        };
        let middle = y + 9.0;
        _ = writeln!(
            bars,
            "<text class=\"name\" x=\"{:.0}\" y=\"{:.0}\">{}, {} connections</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"18\"/>\
             <path class=\"range\" d=\"M{:.1} {middle:.0}H{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{:.2}</text>",
            LEFT - 8.0,
            y + 13.0,
            row.contender,
            row.connections,
            place(ratio.median) - LEFT,
            place(ratio.least),
            place(ratio.most),
            place(ratio.most) + 6.0,
            y + 13.0,
            ratio.median
        );
        y += STEP;
    }
    let yardstick = rows.first().map_or("", |row| row.yardstick);
    let one = place(1.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height:.0}\" role=\"img\" \
         aria-label=\"{title}: requests a second as a multiple of {yardstick}\">\n<style>\
         text{{font:13px system-ui,sans-serif;fill:#57606a}}.title{{font-weight:600;font-size:15px}}\
         .name{{text-anchor:end}}.ours{{fill:#2563eb}}.floor{{fill:#6b7280}}.other{{fill:#9ca3af}}\
         .range{{stroke:#111827;stroke-width:1.5}}.one{{stroke:#6b7280;stroke-dasharray:3 3}}</style>\n\
         <text class=\"title\" x=\"8\" y=\"22\">{title}</text>\
         <text x=\"8\" y=\"42\">requests a second, {yardstick} = 1; bar: median, line: range of the rounds</text>\n\
         <path class=\"one\" d=\"M{one:.1} {TOP}V{y:.0}\"/>\n{bars}</svg>\n",
        height = y + 8.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(contender: &'static str, round: usize, rate: f64) -> Run {
        Run {
            contender,
            operation: "validate",
            connections: 32,
            round,
            requests_a_second: rate,
            server_us: 10.0,
            backend_us: 0.0,
            p50_us: 1.0,
            p99_us: 2.0,
            failed: 0,
        }
    }

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        let runs = [
            run("floor", 1, 100.0),
            run("Lastseen", 1, 90.0),
            // A noisy minute: both are slower, the ratio is the same.
            run("floor", 2, 50.0),
            run("Lastseen", 2, 45.0),
        ];
        let rows = rows(&runs);
        let ours = rows.iter().find(|row| row.contender == "Lastseen").unwrap();
        let ratio = ours.rate_ratio.unwrap();
        assert!((ratio.least - 0.9).abs() < 1e-9 && (ratio.most - 0.9).abs() < 1e-9);
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 3.0]).unwrap();
        assert!((spread.median - 2.5).abs() < 1e-9);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
