//! Fuzzing of everything that reads what others wrote: control files, programs, policies, events and previews.
//!
//! Mutations of a seed corpus (the project's own files, and `data/fuzz`), the same for the same `FUZZ_SEED`. What is read
//! may be refused; it may not panic, take long, or take much memory. `FUZZ_SECONDS` is the time for each target (one by
//! default). What breaks is written to `target/fuzz/` first; put into `data/fuzz/<target>/` it is tried every time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use checker_core::control::{Catalog, Choices, SourceFile};
use checker_core::population::vocabulary;
use checker_iam::{Policy, PolicyKind};
use checker_lab::program::{Plan, Program};
use serde_json::{Value, json};

/// One input may take no longer, on however busy a machine.
const SLOW: Duration = Duration::from_secs(20);
/// No input is longer: what is read has limits of its own, which are tested elsewhere.
const LONGEST: usize = 200_000;

/// What the formats are made of.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "'",
    "\n",
    "  ",
    "- ",
    "&a ",
    "*a",
    "!!str ",
    "${",
    "$${",
    "}",
    "fn::toJSON:",
    "null",
    "true",
    "-1",
    "0",
    "9223372036854775808",
    "1e999",
    "0x7f",
    "*",
    "?",
    "arn:aws:",
    "secretsmanager:",
    "\\u0000",
    "\u{202e}",
    "é",
    "\\",
    "NotAction",
    "Condition",
    "ForAllValues:StringLike",
    "Version",
    "2012-10-17",
    "population",
    "params",
    "exists(",
    "now",
    "90d",
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "4dabf18193072939515e22adb298388d",
    "<nil>",
    "rate(",
    "cron(",
    "#",
    "|",
    ">",
    "---\n",
];

/// xorshift64*: the same mutations for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let rolled = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(rolled).unwrap() % below.max(1)
    }

    fn mutated(&mut self, seeds: &[String]) -> String {
        let mut text = seeds[self.roll(seeds.len())].clone().into_bytes();
        for _ in 0..=self.roll(6) {
            let (one, other) = (self.roll(text.len() + 1), self.roll(text.len() + 1));
            let (from, to) = (one.min(other), one.max(other).min(one.min(other) + 400));
            match self.roll(8) {
                0 => drop(text.drain(from..to)),
                1 => {
                    let part = text[from..to].to_vec();
                    let times = 1 + self.roll(40);
                    text.splice(from..from, part.repeat(times));
                }
                2 | 3 => {
                    let word = WORDS[self.roll(WORDS.len())];
                    text.splice(from..from, word.bytes());
                }
                4 => {
                    let word = WORDS[self.roll(WORDS.len())];
                    text.splice(from..to, word.bytes());
                }
                5 => {
                    let deep = 1 + self.roll(3000);
                    let word = ["[", "{\"a\":", "- ", "(", "a: {"][self.roll(5)];
                    text.splice(from..from, word.repeat(deep).bytes());
                }
                6 => {
                    if let Some(byte) = text.get_mut(from) {
                        *byte ^= 1 << self.roll(8);
                    }
                }
                _ => {
                    let second = seeds[self.roll(seeds.len())].as_bytes();
                    let at = self.roll(second.len() + 1);
                    text.truncate(from);
                    text.extend_from_slice(&second[at..]);
                }
            }
            text.truncate(LONGEST);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of some folders with an extension, and what broke before.
fn seeds(target: &str, folders: &[&str], extension: &str) -> Vec<String> {
    let own = format!("checker/cli/tests/data/fuzz/{target}");
    let mut texts = Vec::new();
    for folder in folders.iter().copied().chain([own.as_str()]) {
        let Ok(entries) = fs::read_dir(repository().join(folder)) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let fits = folder == own || path.extension().is_some_and(|it| it == extension);
            if fits && path.is_file() {
                texts.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
            }
        }
    }
    assert!(!texts.is_empty(), "{target} has no seeds");
    texts
}

/// Feeds a target with its seeds, then with mutations of them until the time is over.
fn fuzz(target: &str, seeds: &[String], read: impl Fn(&str)) {
    let number = |name: &str, otherwise: u64| {
        let given = std::env::var(name).ok();
        given.map_or(otherwise, |text| text.parse().unwrap())
    };
    let (seconds, seed) = (number("FUZZ_SECONDS", 1), number("FUZZ_SEED", 0x5EED));
    let mut dice = Dice(seed | 1);
    let (since, mut inputs) = (Instant::now(), 0_u64);
    let mut tried = seeds.iter();
    while let Some(text) = tried
        .next()
        .cloned()
        .or_else(|| (since.elapsed() < Duration::from_secs(seconds)).then(|| dice.mutated(seeds)))
    {
        let begun = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| read(&text)));
        let slow = begun.elapsed() > SLOW;
        inputs += 1;
        if ended.is_err() || slow {
            let folder = repository().join("target/fuzz");
            fs::create_dir_all(&folder).unwrap();
            let file = folder.join(format!("{target}-{seed}-{inputs}"));
            fs::write(&file, &text).unwrap();
            let what = if slow { "takes long" } else { "panics" };
            panic!(
                "{target} {what} ({:?}): {}",
                begun.elapsed(),
                file.display()
            );
        }
    }
    let memory = memory_mb().unwrap_or_default();
    println!(
        "{target}: {inputs} inputs in {:?}, at most {memory} MB",
        since.elapsed()
    );
    assert!(memory < 1500, "{target}: {memory} MB");
}

/// The most memory that the process ever had.
fn memory_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}

#[test]
fn control_files() {
    let seeds = seeds("control", &["controls"], "yaml");
    let (vocabulary, choices) = (vocabulary(), Choices::default());
    fuzz("control", &seeds, |text| {
        let file = SourceFile {
            path: "controls/fuzzed.yaml".to_owned(),
            text: text.to_owned(),
        };
        drop(Catalog::load("controls", &[file], &vocabulary, &choices));
    });
}

#[test]
fn programs() {
    let folders = [
        "infra-pulumi-yaml",
        "infra-pulumi-yaml/prerequisites",
        "infra-pulumi-yaml/ci",
    ];
    let seeds = seeds("program", &folders, "yaml");
    let folder = repository().join("infra-pulumi-yaml");
    fuzz("program", &seeds, |text| {
        drop(Program::from_text(&folder, "dev", text));
    });
}

#[test]
fn policies() {
    let folders = ["checker/cli/tests/data/iam", "infra-pulumi-yaml/ci"];
    let seeds = seeds("policy", &folders, "json");
    fuzz("policy", &seeds, |text| {
        for kind in [PolicyKind::Identity, PolicyKind::Resource] {
            drop(Policy::parse(text, kind));
        }
    });
}

#[test]
fn events() {
    let seeds = seeds("event", &["lambdas/anomaly-detector/tests/data"], "json");
    let nothing = std::iter::empty::<(String, String)>().collect();
    let rules = anomaly_detector::Rules::from_environment(&nothing);
    fuzz("event", &seeds, |text| {
        // What is no JSON reaches the detector as the text that it is.
        let event = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        let assessment = anomaly_detector::assess(&event, &rules);
        // Whatever it was, there is a record of it.
        assert!(
            !serde_json::to_string(&assessment.record)
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn previews() {
    let mut seeds = seeds("preview", &["checker/cli/tests/data/preview"], "json");
    let urn = |kind: &str, name: &str| format!("urn:pulumi:dev::project::{kind}::{name}");
    let stack = urn("pulumi:pulumi:Stack", "project-dev");
    let secret = urn("aws:secretsmanager/secret:Secret", "secret");
    let state = json!({"urn": secret, "custom": true, "parent": stack, "inputs": {"name": "bank-a", "tags": {"a": "b"},
        "kmsKeyId": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "policy": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}}});
    let steps = json!([
        {"op": "create", "urn": stack, "newState": {"urn": stack, "custom": false, "inputs": {}}},
        {"op": "create", "urn": secret, "newState": state},
    ]);
    let digest = json!({"config": {"aws:region": "eu-west-1"}, "changeSummary": {"create": 2}, "steps": steps});
    seeds.push(digest.to_string());
    let events: Vec<String> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| json!({"resourcePreEvent": {"metadata": step, "planning": true}}).to_string())
        .chain([json!({"summaryEvent": {"resourceChanges": {"create": 2}}}).to_string()])
        .collect();
    seeds.push(events.join("\n"));
    fuzz("preview", &seeds, |text| {
        drop(Plan::parse(text, "preview.json"));
    });
}
