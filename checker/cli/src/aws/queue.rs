//! Questions in line, by service: every service takes a few at a time, so that a slow one holds up no other.

use std::collections::{BTreeMap, VecDeque};

use checker_core::observation::Observation;

/// How many questions a service is asked at the same time.
fn places(service: &str) -> usize {
    match service {
        // CloudTrail allows two calls a second in an account and region.
        "cloudtrail" | "iam" | "sts" => 2,
        "ssm" | "tag" => 4,
        _ => 8,
    }
}

/// The service of a question, as IAM policies write it.
pub(super) fn service(question: &Observation) -> &'static str {
    let operation = question.operation();
    operation
        .split_once(':')
        .map_or(operation, |(service, _)| service)
}

/// What is still to be asked.
#[derive(Debug, Default)]
pub(super) struct Queue(BTreeMap<&'static str, Line>);

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Observation>,
    running: usize,
}

impl Queue {
    /// All questions, in line.
    pub(super) fn of(questions: impl IntoIterator<Item = Observation>) -> Self {
        let mut queue = Self::default();
        for question in questions {
            let line = queue.0.entry(service(&question)).or_default();
            line.waiting.push_back(question);
        }
        queue
    }

    /// A question whose service has a free place, which it now takes.
    pub(super) fn next(&mut self) -> Option<Observation> {
        self.0.iter_mut().find_map(|(service, line)| {
            if line.running >= places(service) {
                return None;
            }
            let question = line.waiting.pop_front()?;
            line.running += 1;
            Some(question)
        })
    }

    /// Frees the place of a question that was answered.
    pub(super) fn answered(&mut self, question: &Observation) {
        if let Some(line) = self.0.get_mut(service(question)) {
            line.running = line.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use checker_core::observation::Observation;

    use super::Queue;

    #[test]
    fn a_busy_service_holds_up_no_other() {
        let secrets = (0..20).map(|number| Observation::Secret(number.to_string()));
        let mut queue = Queue::of(secrets.chain([Observation::Caller]));
        let first: Vec<Observation> = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(first.len(), 9);
        assert!(first.contains(&Observation::Caller));
        assert_eq!(queue.next(), None);
        queue.answered(&Observation::Secret("0".to_owned()));
        assert_eq!(queue.next(), Some(Observation::Secret("8".to_owned())));
    }
}
