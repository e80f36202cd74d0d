//! The behaviours: one row each.

/// A row.
pub(crate) struct Behaviour {
    /// The argument that asks for it.
    pub(crate) name: &'static str,
    /// Whose behaviour it is, and what is wrong with it.
    pub(crate) which: Which,
}

/// The function that is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The rotation function.
    Rotation(RotationFault),
    /// The detector.
    Detector(DetectorFault),
}

/// What a rotation function does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RotationFault {
    /// Nothing: shows that a test fails because of the fault and not because of this process.
    None,
    /// Reports success at `finishSecret` without moving `AWSCURRENT`.
    NoPromote,
    /// Writes the new value to its own log.
    LogsValue,
    /// Stores the current value again instead of a new one.
    RepeatsValue,
    /// Fails every `setSecret`.
    Fails,
}

/// What a detector does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DetectorFault {
    /// Nothing.
    None,
    /// Allows whoever has an allowed role's name somewhere in the ARN.
    Substring,
    /// Writes the secret's value, and all texts of the event, into the access record.
    ValueInRecord,
    /// Writes no access record.
    NoRecord,
    /// Publishes no alert.
    NoAlert,
    /// Publishes the alert 400 seconds late, by the lab's clock.
    LateAlert,
    /// Publishes alerts without message attributes.
    NoAttributes,
}

/// All behaviours.
pub(crate) const BEHAVIOURS: [Behaviour; 12] = [
    rotation("rotation-honest", RotationFault::None),
    rotation("rotation-no-promote", RotationFault::NoPromote),
    rotation("rotation-logs-value", RotationFault::LogsValue),
    rotation("rotation-repeats-value", RotationFault::RepeatsValue),
    rotation("rotation-fails", RotationFault::Fails),
    detector("detector-honest", DetectorFault::None),
    detector("detector-substring", DetectorFault::Substring),
    detector("detector-value-in-record", DetectorFault::ValueInRecord),
    detector("detector-no-record", DetectorFault::NoRecord),
    detector("detector-no-alert", DetectorFault::NoAlert),
    detector("detector-late-alert", DetectorFault::LateAlert),
    detector("detector-no-attributes", DetectorFault::NoAttributes),
];

const fn rotation(name: &'static str, fault: RotationFault) -> Behaviour {
    let which = Which::Rotation(fault);
    Behaviour { name, which }
}

const fn detector(name: &'static str, fault: DetectorFault) -> Behaviour {
    let which = Which::Detector(fault);
    Behaviour { name, which }
}

impl Behaviour {
    /// The behaviour of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        BEHAVIOURS.iter().find(|behaviour| behaviour.name == name)
    }
}

/// The names, for those who ask for another.
pub(crate) fn names() -> String {
    let names: Vec<&str> = BEHAVIOURS.iter().map(|behaviour| behaviour.name).collect();
    names.join(" ")
}
