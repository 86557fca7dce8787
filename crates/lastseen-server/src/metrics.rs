//! Figures for Prometheus, on a listener of their own.
//!
//! What happens in the sessions is counted there ([`lastseen::Statistics`]) and read when somebody asks; only requests
//! are counted here. No label comes from outside: a visitor cannot make the figures grow.

mod inside;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use hashbrown::{Equivalent, HashMap};
use http::Method;
use http::header::CONTENT_TYPE;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use thread_local::ThreadLocal;

use self::inside::Inside;
use crate::app::Services;
use crate::requests::known;

/// Bounds of the duration of a request, in seconds. A session checked in memory takes some microseconds, a page less
/// than a millisecond, a password some tens of milliseconds.
const DURATIONS: [f64; 11] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0,
];

/// All figures.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Requests,
    /// How long requests took that end sessions: with several nodes each of them waits for the others.
    terminations: Histogram,
}

/// What is counted of requests, by each thread for itself: a figure that all of them write is in the wrong processor's
/// cache half of the time, and every request would wait for it. Whoever asks adds them up.
#[derive(Clone, Debug, Default)]
struct Requests {
    of_threads: Arc<ThreadLocal<Mutex<Count>>>,
}

#[derive(Debug, Default)]
struct Count {
    /// As many as there are routes, methods and statuses: all of them ours.
    answered: HashMap<RequestLabels, u64>,
    /// How many took at most as long as the bound at the same place in [`DURATIONS`]; at the end those that took longer.
    durations: [u64; DURATIONS.len() + 1],
    seconds: f64,
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
        let requests = Requests::default();
        registry.register_collector(Box::new(requests.clone()));
        let terminations = Histogram::new(DURATIONS);
        registry.register(
            "termination_duration_seconds",
            "Time to the answer of a request that ends sessions and does nothing else",
            terminations.clone(),
        );
        registry.register_collector(Box::new(Inside {
            sessions: services.sessions.clone(),
            sign_in: services.sign_in.clone(),
            storage: services.storage.clone(),
        }));
        Self {
            registry,
            requests,
            terminations,
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
        if status < 300 && ends_sessions(method, route) {
            self.terminations.observe(duration.as_secs_f64());
        }
        self.requests.count(method, route, status, duration);
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Requests {
    fn count(&self, method: &'static str, route: &str, status: u16, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let place = DURATIONS.iter().take_while(|bound| seconds > **bound);
        let place = place.count();
        let seen = SeenRequest {
            method,
            route,
            status,
        };
        // Nobody else locks it, but for whoever asks.
        let mut count = self.of_threads.get_or_default().lock();
        count.durations[place] += 1;
        count.seconds += seconds;
        if let Some(answered) = count.answered.get_mut(&seen) {
            *answered += 1;
            return;
        }
        let labels = RequestLabels {
            method,
            route: route.to_owned(),
            status,
        };
        count.answered.insert(labels, 1);
    }

    fn sum(&self) -> Count {
        let mut sum = Count::default();
        for count in self.of_threads.iter() {
            let count = count.lock();
            for (labels, number) in &count.answered {
                *sum.answered.entry_ref(labels).or_default() += number;
            }
            for (sum, number) in sum.durations.iter_mut().zip(count.durations) {
                *sum += number;
            }
            sum.seconds += count.seconds;
        }
        sum
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sum = self.sum();
        let mut family = encoder.encode_descriptor(
            "http_requests",
            "Requests answered",
            None,
            MetricType::Counter,
        )?;
        for (labels, number) in &sum.answered {
            ConstCounter::new(*number).encode(family.encode_family(labels)?)?;
        }
        let bounds = DURATIONS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(sum.durations).collect();
        encoder
            .encode_descriptor(
                "http_request_duration_seconds",
                "Time from the end of a request's head to the beginning of its answer",
                None,
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(sum.seconds, sum.durations.iter().sum(), &buckets, None)
    }
}

/// Whether a request of the API ends sessions and does nothing else.
fn ends_sessions(method: &str, route: &str) -> bool {
    match method {
        "DELETE" => route.starts_with("/api/v1/"),
        "POST" => {
            route.starts_with("/api/v1/")
                && (route.ends_with("/sessions/terminate")
                    || route.ends_with("/sessions/terminate-others")
                    || route.ends_with("/revoke")
                    || route.ends_with("/sign-out"))
        }
        _ => false,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_have_counted_is_added_up() {
        let requests = Requests::default();
        std::thread::scope(|scope| {
            for milliseconds in [0, 2, 2, 9_000] {
                let duration = Duration::from_millis(milliseconds);
                let requests = &requests;
                scope.spawn(move || requests.count("GET", "/sessions", 200, duration));
            }
        });
        requests.count("GET", "none", 404, Duration::from_micros(100));
        let mut registry = Registry::with_prefix("lastseen");
        registry.register_collector(Box::new(requests));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "# TYPE lastseen_http_requests counter",
            r#"lastseen_http_requests_total{method="GET",route="/sessions",status="200"} 4"#,
            r#"lastseen_http_requests_total{method="GET",route="none",status="404"} 1"#,
            "# TYPE lastseen_http_request_duration_seconds histogram",
            r#"lastseen_http_request_duration_seconds_bucket{le="0.00005"} 1"#,
            r#"lastseen_http_request_duration_seconds_bucket{le="0.0001"} 2"#,
            r#"lastseen_http_request_duration_seconds_bucket{le="0.005"} 4"#,
            r#"lastseen_http_request_duration_seconds_bucket{le="5.0"} 4"#,
            r#"lastseen_http_request_duration_seconds_bucket{le="+Inf"} 5"#,
            "lastseen_http_request_duration_seconds_count 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        // The last digit depends on which thread comes first.
        let sum = "lastseen_http_request_duration_seconds_sum ";
        let sum = text.lines().find_map(|line| line.strip_prefix(sum));
        let sum: f64 = sum.unwrap().parse().unwrap();
        assert!((sum - 9.0041).abs() < 1e-9, "{sum}");
    }
}
