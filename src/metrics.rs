//! What is counted, for `GET /metrics`. Uses nobody.
//!
//! Every label has few values that this program chooses itself (a forge's label is its name in the configuration):
//! nothing that arrives from outside can become a label, so the number of series stays bounded.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Everything that is counted; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    deliveries: Family<DeliveryLabels, Counter>,
    verdicts: Family<VerdictLabels, Counter>,
    forge_calls: Family<ForgeLabels, Counter>,
    statuses: Family<StatusLabels, Counter>,
    publish_latency: Histogram,
    requests: Family<RequestLabels, Counter>,
    request_time: Histogram,
    queue_age: Gauge<f64, AtomicU64>,
    queue_length: Gauge,
    unsent: Gauge,
    leased: Family<LeaseLabels, Gauge>,
    parked: Family<ParkedLabels, Gauge>,
    cache_bytes: Gauge,
    missed: Counter,
    redelivered: Counter,
    overwritten: Counter,
    merged_red: Counter,
    registry: Arc<Registry>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryResult {
    /// Durable, and something will be looked at.
    Accepted,
    /// Genuine, and no verdict can depend on it.
    Ignored,
    /// Genuine, of an event that this version does not know.
    UnknownEvent,
    /// Genuine, of a repository that no gate names.
    UnknownRepository,
    /// Unsigned or wrongly signed.
    Unsigned,
    /// Not `application/json`.
    NotJsonType,
    /// Over the cap.
    TooLarge,
    /// Did not arrive in time, or broke off.
    Incomplete,
    /// Genuine, but not JSON.
    NotJson,
    /// Could not be stored, or no memory for it: the forge was told 503.
    Unavailable,
}

impl DeliveryResult {
    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::UnknownEvent => "unknown_event",
            Self::UnknownRepository => "unknown_repository",
            Self::Unsigned => "unsigned",
            Self::NotJsonType => "not_json_type",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
            Self::NotJson => "not_json",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What an evaluation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerdictKind {
    /// Compared, and no difference that counts.
    InSync,
    /// A difference is shown.
    Drift,
    /// Neither could be proven.
    Undecided,
    /// No evaluation: a side could not be read.
    Unreadable,
}

impl VerdictKind {
    fn word(self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Drift => "drift",
            Self::Undecided => "undecided",
            Self::Unreadable => "unreadable",
        }
    }
}

/// How a forge answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForgeAnswer {
    /// As asked.
    Ok,
    /// 301, 307, 308.
    Moved,
    /// 401, 403.
    Denied,
    /// 404, or a commit that the forge does not know.
    NotFound,
    /// The forge asked to wait, whatever its status code.
    RateLimited,
    /// Any other 4xx.
    Refused,
    /// 5xx, transport, time-out.
    Unreachable,
}

impl ForgeAnswer {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Moved => "moved",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    forge: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ForgeLabels {
    forge: String,
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    written: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    work: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ParkedLabels {
    because: &'static str,
}

/// What waits and what is worked on, at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Repositories that wait for a look.
    pub repositories: u64,
    /// Age of the oldest hint among them.
    pub oldest: Duration,
    /// Statuses that the forge does not say yet.
    pub unsent: u64,
    /// Repositories that somebody looks at.
    pub looks: u64,
    /// Statuses that somebody sends.
    pub sends: u64,
    /// Comments that somebody reads.
    pub comments: u64,
    /// Pull requests that end drift and are being worked on.
    pub pulls: u64,
    /// Statuses that somebody else writes over, and that are left so for now.
    pub overwritten: u64,
    /// Statuses that say `error`, because their commit could not be judged.
    pub not_judged: u64,
    /// Bytes of the repository caches on disk.
    pub cache_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: String,
}

/// Seconds; from a local forge's few milliseconds to an outage.
const LATENCY: [f64; 14] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0, 3600.0];
/// Seconds.
const REQUEST: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics in a registry of their own.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("drift_gate");
        let deliveries = Family::default();
        registry.register("deliveries", "Webhook deliveries by forge and result", deliveries.clone());
        let verdicts = Family::default();
        registry.register("verdicts", "Evaluations by verdict", verdicts.clone());
        let forge_calls = Family::default();
        registry.register("forge_calls", "Calls of a forge's API by its answer", forge_calls.clone());
        let statuses = Family::default();
        registry.register("statuses", "Statuses that stand: written, or found as wanted", statuses.clone());
        let publish_latency = Histogram::new(LATENCY);
        registry.register(
            "publish_latency_seconds",
            "From the decision to the status that the forge took",
            publish_latency.clone(),
        );
        let requests = Family::default();
        registry.register("http_requests", "Requests by route and status", requests.clone());
        let request_time = Histogram::new(REQUEST);
        registry.register("http_request_seconds", "Time to answer a request", request_time.clone());
        let queue_age = Gauge::default();
        registry.register("queue_age_seconds", "Age of the oldest hint that is not looked at yet", queue_age.clone());
        let queue_length = Gauge::default();
        registry.register("queue_length", "Repositories that wait for a look", queue_length.clone());
        let unsent = Gauge::default();
        registry.register("unsent_statuses", "Statuses that the forge does not say yet", unsent.clone());
        let leased = Family::default();
        registry.register("leased", "What somebody works on now", leased.clone());
        let parked = Family::default();
        registry.register("parked_statuses", "Statuses that are left as they are for now", parked.clone());
        let cache_bytes = Gauge::default();
        registry.register("cache_bytes", "Size of the repository caches on disk", cache_bytes.clone());
        let missed = Counter::default();
        registry.register("missed", "Heads that the timer found and no delivery had told", missed.clone());
        let redelivered = Counter::default();
        registry.register(
            "redelivered",
            "Deliveries that did not reach us and that the forge was asked to send again",
            redelivered.clone(),
        );
        let overwritten = Counter::default();
        registry.register("overwritten", "Statuses of ours that somebody else wrote over", overwritten.clone());
        let merged_red = Counter::default();
        registry.register("merged_red", "Pull requests merged although a status of ours was red", merged_red.clone());
        Self {
            deliveries,
            verdicts,
            forge_calls,
            statuses,
            publish_latency,
            requests,
            request_time,
            queue_age,
            queue_length,
            unsent,
            leased,
            parked,
            cache_bytes,
            missed,
            redelivered,
            overwritten,
            merged_red,
            registry: Arc::new(registry),
        }
    }

    /// A delivery was answered. `forge` is a name from the configuration.
    pub fn delivery(&self, forge: &str, result: DeliveryResult) {
        self.deliveries.get_or_create(&DeliveryLabels { forge: forge.to_owned(), result: result.word() }).inc();
    }

    /// An evaluation ended.
    pub fn verdict(&self, verdict: VerdictKind) {
        self.verdicts.get_or_create(&VerdictLabels { verdict: verdict.word() }).inc();
    }

    /// A forge answered, or did not.
    pub fn forge_call(&self, forge: &str, answer: ForgeAnswer) {
        self.forge_calls.get_or_create(&ForgeLabels { forge: forge.to_owned(), answer: answer.word() }).inc();
    }

    /// A status stands on the forge as wanted, so many milliseconds after it was decided; `wrote`: it had to be written.
    pub fn published(&self, wrote: bool, latency_ms: i64) {
        let written = if wrote { "yes" } else { "no" };
        self.statuses.get_or_create(&StatusLabels { written }).inc();
        self.publish_latency.observe(latency_ms.max(0) as f64 / 1000.0);
    }

    /// The queue as it is.
    pub fn queue(&self, queue: &Queue) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue_length.set(number(queue.repositories));
        self.queue_age.set(queue.oldest.as_secs_f64());
        self.unsent.set(number(queue.unsent));
        let leased =
            [("look", queue.looks), ("status", queue.sends), ("comment", queue.comments), ("pull", queue.pulls)];
        for (work, count) in leased {
            self.leased.get_or_create(&LeaseLabels { work }).set(number(count));
        }
        for (because, count) in [("overwritten", queue.overwritten), ("not_judged", queue.not_judged)] {
            self.parked.get_or_create(&ParkedLabels { because }).set(number(count));
        }
        self.cache_bytes.set(number(queue.cache_bytes));
    }

    /// The timer found so many heads that no delivery had told.
    pub fn missed(&self, heads: u64) {
        self.missed.inc_by(heads);
    }

    /// The forge was asked to send so many deliveries again.
    pub fn redelivered(&self, deliveries: u64) {
        self.redelivered.inc_by(deliveries);
    }

    /// Somebody else wrote over a status of ours.
    pub fn overwritten(&self) {
        self.overwritten.inc();
    }

    /// A pull request was merged although its status was red.
    pub fn merged_red(&self) {
        self.merged_red.inc();
    }

    /// A request was answered; `route` is the route's pattern, not the path.
    pub fn request(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { route, status: status.to_string() }).inc();
        self.request_time.observe(took.as_secs_f64());
    }

    /// All of it in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.delivery("main", DeliveryResult::Accepted);
        metrics.clone().delivery("main", DeliveryResult::Accepted);
        metrics.published(true, 250);
        metrics.queue(&Queue {
            oldest: Duration::from_millis(1500),
            unsent: 1,
            sends: 3,
            not_judged: 2,
            ..Queue::default()
        });
        let text = metrics.text();
        for line in [
            "drift_gate_deliveries_total{forge=\"main\",result=\"accepted\"} 2",
            "drift_gate_statuses_total{written=\"yes\"} 1",
            "drift_gate_publish_latency_seconds_sum 0.25",
            "drift_gate_queue_age_seconds 1.5",
            "drift_gate_unsent_statuses 1",
            "drift_gate_leased{work=\"status\"} 3",
            "drift_gate_parked_statuses{because=\"not_judged\"} 2",
        ] {
            assert!(text.contains(line), "`{line}` is missing:\n{text}");
        }
    }
}
