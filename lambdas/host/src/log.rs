//! The function's own log: one JSON object a line on standard output, and metrics in the Embedded Metric
//! Format of `CloudWatch`.
//!
//! There is no level to set and no way for a library to write here. Callers pass fixed codes and references
//! (ids, ARNs, counts), never values and never event bodies.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// How urgent a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Normal work.
    Info,
    /// Somebody should look soon.
    Warn,
    /// The invocation failed.
    Error,
}

/// One measurement in the Embedded Metric Format.
#[derive(Debug, Clone, Copy)]
pub struct Metric<'a> {
    /// `CloudWatch` namespace.
    pub namespace: &'a str,
    /// Metric name.
    pub name: &'a str,
    /// `CloudWatch` unit, e.g. `Seconds`, `Count`.
    pub unit: &'a str,
    /// The measured value.
    pub value: f64,
    /// Dimensions: few values each, they are billed.
    pub dimensions: &'a [(&'a str, &'a str)],
    /// Further fields, searchable but not dimensions.
    pub properties: &'a [(&'a str, &'a str)],
}

/// Writes one line. Failure to write is ignored: there is nowhere left to say it.
pub fn line(level: Level, code: &str, fields: &[(&str, &str)]) {
    let level = match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let mut object = Map::new();
    object.insert("level".to_owned(), level.into());
    object.insert("code".to_owned(), code.into());
    for (name, value) in fields {
        object.insert((*name).to_owned(), (*value).into());
    }
    write(&Value::Object(object));
}

/// Writes one measurement; `CloudWatch` turns the line into a metric without a call.
pub fn metric(metric: &Metric<'_>) {
    write(&emf(metric, now_millis()));
}

/// Makes a panic print its place and nothing else: its message may hold a value.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(
            || "unknown".to_owned(),
            |location| {
                format!(
                    "{}:{}:{}",
                    location.file(),
                    location.line(),
                    location.column()
                )
            },
        );
        line(Level::Error, "Panicked", &[("location", &place)]);
    }));
}

fn emf(metric: &Metric<'_>, timestamp: u64) -> Value {
    let names: Vec<&str> = metric.dimensions.iter().map(|(name, _)| *name).collect();
    let mut object = Map::new();
    object.insert(
        "_aws".to_owned(),
        json!({"Timestamp": timestamp, "CloudWatchMetrics": [{
            "Namespace": metric.namespace,
            "Dimensions": [names],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit}],
        }]}),
    );
    object.insert(metric.name.to_owned(), json!(metric.value));
    for (name, value) in metric.dimensions.iter().chain(metric.properties) {
        object.insert((*name).to_owned(), (*value).into());
    }
    Value::Object(object)
}

fn now_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

fn write(value: &Value) {
    let mut text = value.to_string();
    text.push('\n');
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).is_ok() {
        drop(out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::{Metric, emf};
    use serde_json::json;

    #[test]
    fn a_metric_is_embedded_metric_format() {
        let line = emf(
            &Metric {
                namespace: "N",
                name: "Labels",
                unit: "Count",
                value: 15.0,
                dimensions: &[("SecretType", "ENCRYPTION_KEY")],
                properties: &[("secret", "arn")],
            },
            1,
        );
        assert_eq!(
            line,
            json!({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [["SecretType"]],
                "Metrics": [{"Name": "Labels", "Unit": "Count"}]}]},
                "Labels": 15.0, "SecretType": "ENCRYPTION_KEY", "secret": "arn"})
        );
    }
}
