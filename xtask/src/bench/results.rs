//! What a part of the bench came to, as it is kept.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Section;
use super::load::Run;

/// The middle of several rounds, and the ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
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
}

/// A figure that is no run of the load generator: one value a round.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) values: Vec<f64>,
}

/// What one part came to.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Outcome {
    /// Whose rate and cost the ratios are to.
    pub(super) yardstick: String,
    pub(super) runs: Vec<Run>,
    pub(super) figures: Vec<Figure>,
}

impl Outcome {
    /// Adds a value of another round to a figure.
    pub(super) fn note(&mut self, name: &str, unit: &str, value: f64) {
        println!("    {name}: {value:.3} {unit}");
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.values.push(value),
            None => self.figures.push(Figure {
                name: name.to_owned(),
                unit: unit.to_owned(),
                values: vec![value],
            }),
        }
    }

    pub(super) fn print(&self) {
        for row in rows(self) {
            let ratio = |spread: Option<Spread>| {
                spread.map_or_else(String::new, |s| format!("{:.2}", s.median))
            };
            println!(
                "{:>3} {:16} {:34} rate × {:>5}  processor × {:>5}",
                row.connections,
                row.operation,
                row.contender,
                ratio(row.rate_ratio),
                ratio(row.cost_ratio)
            );
        }
        for figure in &self.figures {
            if let Some(spread) = Spread::of(figure.values.clone()) {
                println!(
                    "{}: {:.3} ({:.3} to {:.3}) {}",
                    figure.name, spread.median, spread.least, spread.most, figure.unit
                );
            }
        }
    }
}

/// A part as it lies among the results.
#[derive(Deserialize)]
pub(super) struct Kept {
    pub(super) about: Value,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

fn file(section: Section) -> String {
    format!("{}.json", section.name())
}

pub(super) fn save(
    folder: &Path,
    section: Section,
    about: &Value,
    outcome: &Outcome,
) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let all = json!({
        "about": about,
        "yardstick": outcome.yardstick,
        "runs": outcome.runs,
        "figures": outcome.figures,
    });
    let path = folder.join(file(section));
    std::fs::write(&path, format!("{all:#}\n"))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// What an earlier run, or this one, has left of a part.
pub(super) fn load(folder: &Path, section: Section) -> Result<Option<Kept>> {
    let path = folder.join(file(section));
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path)?;
    let kept = serde_json::from_str(&text)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Some(kept))
}

/// What one contender came to in one operation, over all rounds.
pub(super) struct Row {
    pub(super) operation: String,
    pub(super) connections: u32,
    pub(super) contender: String,
    pub(super) rate: Spread,
    /// Processor time of the server and its database for one request, in microseconds.
    pub(super) cost: Spread,
    pub(super) p50: Spread,
    pub(super) p99: Spread,
    /// Rate and cost as multiples of the yardstick's in the same round.
    pub(super) rate_ratio: Option<Spread>,
    pub(super) cost_ratio: Option<Spread>,
    pub(super) failed: u64,
}

pub(super) fn rows(outcome: &Outcome) -> Vec<Row> {
    let runs = &outcome.runs;
    let mut known: Vec<(&str, u32, &str)> = Vec::new();
    for run in runs {
        let key = (&*run.operation, run.connections, &*run.contender);
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
                        (&*run.operation, run.connections, &*run.contender)
                            == (operation, connections, name)
                    })
                    .collect()
            };
            let mine = of(contender);
            let measure = of(&outcome.yardstick);
            let spread =
                |value: fn(&Run) -> f64| Spread::of(mine.iter().map(|run| value(run)).collect());
            // Round by round, so that what a noisy neighbour took from both is not held against one.
            let ratio = |value: fn(&Run) -> f64| {
                let ratios = mine.iter().filter_map(|run| {
                    let same = measure.iter().find(|other| other.round == run.round)?;
                    Some(value(run) / value(same))
                });
                Spread::of(ratios.collect())
            };
            Some(Row {
                operation: operation.to_owned(),
                connections,
                contender: contender.to_owned(),
                rate: spread(|run| run.requests_a_second)?,
                cost: spread(cost)?,
                p50: spread(|run| run.p50_us)?,
                p99: spread(|run| run.p99_us)?,
                rate_ratio: ratio(|run| run.requests_a_second),
                cost_ratio: ratio(cost),
                failed: mine.iter().map(|run| run.failed).sum(),
            })
        })
        .collect()
}

fn cost(run: &Run) -> f64 {
    run.server_us + run.backend_us
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(contender: &str, round: usize, rate: f64) -> Run {
        Run {
            contender: contender.to_owned(),
            operation: "validate".to_owned(),
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
        let outcome = Outcome {
            yardstick: "floor".to_owned(),
            runs: vec![
                run("floor", 1, 100.0),
                run("Lastseen", 1, 90.0),
                // A noisy minute: both are slower, the ratio is the same.
                run("floor", 2, 50.0),
                run("Lastseen", 2, 45.0),
            ],
            figures: Vec::new(),
        };
        let rows = rows(&outcome);
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
