//! What is counted elsewhere.

use lastseen::Sessions;
use lastseen_postgres::Figures;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::sign_in::SignIn;
use crate::storage::Storage;

/// What the sessions and the accounts have counted, read when somebody asks.
pub(super) struct Inside {
    pub(super) sessions: Sessions,
    pub(super) sign_in: SignIn,
    pub(super) storage: Storage,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Inside")
    }
}

impl Collector for Inside {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let figures = self.sessions.statistics();
        let verdicts = [
            ("active", figures.active),
            ("malformed", figures.malformed),
            ("unknown", figures.unknown),
            ("wrong_secret", figures.wrong_secret),
            ("expired", figures.expired),
            ("ended", figures.ended_token),
            ("unavailable", figures.unavailable),
        ];
        counters(
            &mut encoder,
            "validations",
            "Session tokens judged",
            "verdict",
            &verdicts,
        )?;
        counters(
            &mut encoder,
            "terminations",
            "Sessions that ended",
            "kind",
            &figures.ended,
        )?;
        let cache = [("hit", figures.cache_hits), ("miss", figures.cache_misses)];
        counters(
            &mut encoder,
            "cache",
            "Accepted tokens answered from memory or not",
            "answer",
            &cache,
        )?;
        counter(
            &mut encoder,
            "look_ups",
            "Sessions looked up in the store by id",
            figures.look_ups,
        )?;
        counter(
            &mut encoder,
            "sessions_created",
            "Sessions that began",
            figures.created,
        )?;
        counter(
            &mut encoder,
            "write_batches",
            "Batches of uses written",
            figures.write_batches,
        )?;
        counter(
            &mut encoder,
            "uses_written",
            "Uses written in batches",
            figures.uses_written,
        )?;
        gauges(
            &mut encoder,
            "cached_sessions",
            "Sessions kept in memory",
            "",
            &[("", figures.cached)],
        )?;
        let sign_in = self.sign_in.statistics();
        counter(
            &mut encoder,
            "sign_ins",
            "Sign-ins that led to a session",
            sign_in.succeeded,
        )?;
        let failures = [
            ("credentials", sign_in.refused),
            ("throttled", sign_in.throttled),
            ("unavailable", sign_in.unavailable),
        ];
        counters(
            &mut encoder,
            "sign_in_failures",
            "Sign-ins that were refused",
            "reason",
            &failures,
        )?;
        if let Some(tidied) = figures.tidied {
            let statuses = [
                ("active", tidied.active),
                ("expired", tidied.expired),
                ("ended", tidied.ended),
            ];
            gauges(
                &mut encoder,
                "sessions",
                "Sessions as the last tidying met them",
                "status",
                &statuses,
            )?;
        }
        match self.storage.figures() {
            Some(figures) => of_node(&mut encoder, &figures),
            None => Ok(()),
        }
    }
}

/// What a node counts beside others.
fn of_node(encoder: &mut DescriptorEncoder<'_>, figures: &Figures) -> Result<(), std::fmt::Error> {
    let leased = [("", u64::from(figures.leased))];
    gauges(
        encoder,
        "leased",
        "Whether a lease runs: 0 says that each validation asks the database",
        "",
        &leased,
    )?;
    let of_leases = [
        (
            "lease_terms",
            "Unbroken runs of lease that began",
            figures.terms,
        ),
        ("lease_renewals", "Renewals of the lease", figures.renewals),
        (
            "changes_followed",
            "Changes by any node that memory has followed",
            figures.changes_followed,
        ),
        (
            "nodes_waited_out",
            "Nodes that a change waited for until their leases had run out",
            figures.waited_out,
        ),
    ];
    for (name, help, value) in of_leases {
        counter(encoder, name, help, value)?;
    }
    let acknowledgements = [
        ("sent", figures.acknowledgements_sent),
        ("received", figures.acknowledgements_received),
    ];
    counters(
        encoder,
        "acknowledgements",
        "Changes that a node has told another it has followed",
        "direction",
        &acknowledgements,
    )?;
    gauges(
        encoder,
        "changes_waiting",
        "Changes of this node that wait for others at this moment",
        "",
        &[("", figures.waiting)],
    )?;
    let confirmed = &figures.confirmed;
    // Each class counts its own here, and the last is without a bound.
    let mut before = 0;
    let mut classes: Vec<(f64, u64)> = Vec::with_capacity(confirmed.within.len() + 1);
    for (bound, within) in &confirmed.within {
        classes.push((bound.as_secs_f64(), within - before));
        before = *within;
    }
    classes.push((f64::INFINITY, confirmed.count - before));
    encoder
        .encode_descriptor(
            "change_confirmation_seconds",
            "Time from the commit of a change to the moment from which no node acts on the state before",
            None,
            MetricType::Histogram,
        )?
        .encode_histogram::<NoLabelSet>(
            confirmed.sum.as_secs_f64(),
            confirmed.count,
            &classes,
            None,
        )
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let figure = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(figure)
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &[(&str, u64)],
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (kind, value) in values {
        ConstCounter::new(*value).encode(family.encode_family(&[(label, *kind)])?)?;
    }
    Ok(())
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &[(&str, u64)],
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (kind, value) in values {
        let gauge = ConstGauge::new(*value);
        if label.is_empty() {
            gauge.encode(family)?;
            return Ok(());
        }
        gauge.encode(family.encode_family(&[(label, *kind)])?)?;
    }
    Ok(())
}
