//! What provoked alerts leave behind: layer by layer, from the pattern to the queue, and the access records beside them.

use super::trace::Mark;
use crate::duration::Duration;
use crate::expression::types::Known;

crate::facts! {
    /// What provoked alerts left behind.
    pub struct Anomaly {
        /// ARN of the canary secret.
        pub secret: String,
        /// The deployed rule, asked about a read like the canary's.
        pub rule: Known<Pattern>,
        /// The detector, invoked directly with a labelled event: proves function, topic and queue.
        pub direct: Alarm,
        /// A synthetic event on the bus, under the probes' own source: proves the way from the bus to the function too.
        pub bus: Bus,
        /// A role that is on no allow-list really reads the canary secret: proves everything.
        pub canary: Known<Canary>,
        /// Whether an impostor was tried: an event that only says that it is synthetic. Its alert is a real one, so that
        /// this is done in the embedded AWS only.
        pub impostor_tried: bool,
        /// The impostor's alert.
        pub impostor: Alarm,
        /// Whether a message that the probe itself sent to the topic arrived in the probes' queue.
        pub control_message: bool,
        /// The access records.
        pub records: Known<Records>,
        /// What happened when.
        pub timeline: Vec<Mark>,
    }

    /// The rule that feeds the detector.
    pub struct Pattern {
        /// Its state.
        pub state: String,
        /// Whether its pattern matches a read of the canary secret; this says nothing of the state.
        pub catches: bool,
    }

    /// One provoked alert.
    pub struct Alarm {
        /// Whether it arrived.
        pub alerted: Known<bool>,
        /// Whether it is marked as synthetic.
        pub marked: Known<bool>,
        /// From the event's time to the alert's arrival in the queue.
        pub latency: Known<Duration>,
        /// The function's error, by type, or AWS's error code.
        pub error: Option<String>,
    }

    /// A synthetic event on the bus.
    pub struct Bus {
        /// Entries that `EventBridge` refused inside an answer that looks like success.
        pub refused: Known<i64>,
        /// Codes of the refusals.
        pub codes: Vec<String>,
        /// Whether its alert arrived.
        pub alerted: Known<bool>,
        /// Whether it is marked as synthetic.
        pub marked: Known<bool>,
        /// From the event's time to the alert's arrival in the queue.
        pub latency: Known<Duration>,
    }

    /// Reads of the canary secret by the canary role.
    pub struct Canary {
        /// How many there were.
        pub reads: i64,
        /// Request ids of reads whose alert did not arrive.
        pub missing: Vec<String>,
        /// Whether the alert of every read arrived.
        pub alerted: Known<bool>,
        /// Whether all alerts are marked as synthetic.
        pub marked: Known<bool>,
        /// From the time that `CloudTrail` gives (to the second) to the alert's arrival in the queue, one a read.
        pub latencies: Vec<Duration>,
        /// The longest of them.
        pub longest: Known<Duration>,
    }

    /// Access records of the provoked events, and of everything else in the period.
    pub struct Records {
        /// How many of the provoked events must be on record.
        pub accesses: i64,
        /// How many records the period has.
        pub found: i64,
        /// Request ids of provoked events without a record.
        pub missing: Vec<String>,
        /// Request ids with records of more than one event.
        pub doubled: Vec<String>,
        /// Records of provoked events that lack identity, secret reference, event name or time, or give a wrong one.
        pub incomplete: Vec<String>,
        /// Records with a member whose name is that of a secret value, with that name.
        pub forbidden: Vec<String>,
        /// Records in which the canary secret's value was found, with the encoding.
        pub with_value: Vec<String>,
        /// The period's events of `CloudTrail` against its records.
        pub reconciled: Known<Reconciled>,
    }

    /// `CloudTrail` against the access log, by event id.
    pub struct Reconciled {
        /// Events that `CloudTrail` has.
        pub events: i64,
        /// Those without a record: name and event id.
        pub unrecorded: Vec<String>,
    }
}
