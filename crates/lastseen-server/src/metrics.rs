//! Figures for Prometheus, on a listener of their own.
//!
//! What happens in the sessions is counted there ([`lastseen::Statistics`]) and read when somebody asks; only requests
//! are counted here. No label comes from outside: a visitor cannot make the figures grow.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use hashbrown::{Equivalent, HashMap};
use http::Method;
use http::header::CONTENT_TYPE;
use lastseen::Sessions;
use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::app::Services;
use crate::requests::known;
use crate::sign_in::SignIn;

/// Bounds of the duration of a request, in seconds. A session checked in memory takes some microseconds, a page less
/// than a millisecond, a password some tens of milliseconds.
const DURATIONS: [f64; 11] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0,
];

/// All figures.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    /// The counters of the family, found without a copy of the labels.
    known_requests: RwLock<HashMap<RequestLabels, Counter>>,
    durations: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

/// Labels that are not copied yet. It hashes as they do: field by field, in their order.
#[derive(Hash)]
struct SeenRequest<'a> {
    method: &'static str,
    route: &'a str,
    status: u16,
}

impl Equivalent<RequestLabels> for SeenRequest<'_> {
    fn equivalent(&self, labels: &RequestLabels) -> bool {
        (self.method, self.route, self.status) == (labels.method, &*labels.route, labels.status)
    }
}

impl Metrics {
    pub(crate) fn new(services: &Services) -> Self {
        let mut registry = Registry::with_prefix("lastseen");
        let requests = Family::default();
        let durations = Histogram::new(DURATIONS);
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time from the end of a request's head to the beginning of its answer",
            durations.clone(),
        );
        registry.register_collector(Box::new(Inside {
            sessions: services.sessions.clone(),
            sign_in: services.sign_in.clone(),
        }));
        Self {
            registry,
            requests,
            known_requests: RwLock::default(),
            durations,
        }
    }

    pub(crate) fn count_request(
        &self,
        method: &Method,
        route: &str,
        status: u16,
        duration: Duration,
    ) {
        let method = known(method);
        self.durations.observe(duration.as_secs_f64());
        let seen = SeenRequest {
            method,
            route,
            status,
        };
        if let Some(counter) = self.known_requests.read().get(&seen) {
            counter.inc();
            return;
        }
        let labels = RequestLabels {
            method,
            route: route.to_owned(),
            status,
        };
        let counter = self.requests.get_or_create(&labels).clone();
        counter.inc();
        // As many as there are routes, methods and statuses: all of them ours.
        self.known_requests.write().insert(labels, counter);
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What the sessions and the accounts have counted, read when somebody asks.
struct Inside {
    sessions: Sessions,
    sign_in: SignIn,
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
        Ok(())
    }
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

/// The router of the metrics' own listener.
pub(crate) fn router(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(answer))
        .fallback(lastseen_axum::problem::not_found)
        .method_not_allowed_fallback(lastseen_axum::problem::method_not_allowed)
        .with_state(metrics)
}

async fn answer(State(metrics): State<Arc<Metrics>>) -> axum::response::Response {
    match metrics.text() {
        Ok(text) => {
            let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, form)], text).into_response()
        }
        Err(error) => lastseen_axum::Problem::unavailable(error).into_response(),
    }
}
