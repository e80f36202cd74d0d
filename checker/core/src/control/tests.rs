#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::{
    Catalog, Check, Choices, Claim, Filter, NameDecl, Override, ParameterValue, PopulationDecl,
    ProbeDecl, Script, Severity, SourceFile, Vocabulary, Waivers, catalog_page, control_schema,
    waiver_schema,
};
use crate::diagnostic::Diagnostic;
use crate::duration::Duration;
use crate::expression::Bindings;
use crate::expression::types::{Field, Typed as _};

crate::facts! {
    /// How a secret rotates.
    pub(crate) struct Rotation {
        /// Whether it is on.
        pub(crate) enabled: bool,
        /// The longest time between two rotations.
        pub(crate) longest_gap: Option<Duration>,
        /// How late a rotation may start.
        pub(crate) window: Duration,
    }
    /// The version in use.
    pub(crate) struct Version {
        /// How old it is.
        pub(crate) age: Duration,
    }
    /// A secret.
    pub(crate) struct Secret {
        /// Its name.
        pub(crate) name: String,
        /// Its tags.
        pub(crate) tags: BTreeMap<String, String>,
        /// Its rotation.
        pub(crate) rotation: Rotation,
        /// The version in use.
        pub(crate) current_version: Version,
    }
    /// What a reader saw.
    pub(crate) struct Reads {
        /// How many reads failed.
        pub(crate) failed: i64,
    }
    /// What a forced rotation left behind.
    pub(crate) struct RotationTrace {
        /// Whether the label moved.
        pub(crate) current_moved: bool,
        /// What the reader saw.
        pub(crate) reader: Reads,
    }
}

fn vocabulary() -> Vocabulary {
    Vocabulary {
        populations: vec![PopulationDecl {
            name: "secrets".to_owned(),
            variable: "secret".to_owned(),
            ty: Secret::ty(),
            filters: vec![NameDecl::new(
                "managed",
                "in the namespace, and not owned by a service",
            )],
            reconciliations: vec![NameDecl::new("tagging-api", "GetResources")],
            doc: "Secrets of the account.".to_owned(),
        }],
        probes: vec![ProbeDecl {
            name: "rotate".to_owned(),
            trace: RotationTrace::ty(),
            doc: "A forced rotation.".to_owned(),
        }],
        globals: vec![
            Field::new("now", "the time of the run", DateTime::<Utc>::ty()),
            Field::new("stage", "the stage", String::ty()),
        ],
    }
}

fn load(text: &str) -> Result<Catalog, Vec<Diagnostic>> {
    load_with(text, &Choices::default())
}

fn load_with(text: &str, choices: &Choices) -> Result<Catalog, Vec<Diagnostic>> {
    let file = SourceFile {
        path: "controls/a.yaml".to_owned(),
        text: text.to_owned(),
    };
    Catalog::load("controls", &[file], &vocabulary(), choices)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controls")
}

fn example() -> String {
    fs::read_to_string(folder().join("valid.yaml")).unwrap()
}

#[test]
fn a_control_is_read_as_it_is_meant() {
    let catalog = load(&example()).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let [control] = catalog.controls.as_slice() else {
        panic!("one control")
    };
    assert_eq!(
        (control.id.as_str(), control.severity),
        ("FR-278", Severity::High)
    );
    assert_eq!(control.mapping["pci_dss_v4_0_1"], ["8.6.3", "8.30"]);
    assert_eq!(control.digest.len(), 64);
    assert_eq!(
        control.parameters[0].value,
        ParameterValue::Duration(Duration::days(90).unwrap())
    );
    let rules: Vec<&str> = control.rule_ids().collect();
    assert_eq!(
        rules,
        [
            "switched-on",
            "interval",
            "really-rotated",
            "readers",
            "loader",
            "promoted",
            "moved",
            "no-gap"
        ]
    );
    let Check::Inspect(inspect) = &control.checks[0] else {
        panic!("an inspection")
    };
    assert_eq!(
        (
            inspect.population.min,
            inspect.population.reconcile.as_deref()
        ),
        (1, Some("tagging-api"))
    );
    assert_eq!(
        inspect.population.filter,
        Filter::Named("managed".to_owned())
    );
    assert_eq!(inspect.rules[1].source.to_string(), "controls/a.yaml:24:16");
    let Check::Inspect(named) = &control.checks[1] else {
        panic!("an inspection")
    };
    assert_eq!(named.population.min, 0);
    assert!(
        matches!(&named.population.filter, Filter::Condition(condition) if condition.text() == "secret.name.startsWith('bank-')")
    );
    let Check::Iam(iam) = &control.checks[2] else {
        panic!("an access check")
    };
    assert_eq!(
        iam.rules.iter().map(|rule| rule.claim).collect::<Vec<_>>(),
        [Claim::NobodyCan, Claim::Can]
    );
    let mut bindings = Bindings::new();
    bindings.bind_value("params", control.params());
    bindings.bind("stage", &"dev".to_owned());
    assert_eq!(
        iam.rules[0].access.except[0].expand(&bindings),
        ["bank-rotation", "bank-loader"]
    );
    let Check::Probe(probe) = &control.checks[3] else {
        panic!("a probe")
    };
    let Script::Rotate {
        secret,
        reader_every,
        within,
    } = &probe.script
    else {
        panic!("a rotation")
    };
    assert_eq!(secret.render(&bindings), "bank-platform/rotation/probe-dev");
    assert_eq!(
        (reader_every.unwrap().to_string(), within.to_string()),
        ("200ms".to_owned(), "10m".to_owned())
    );
    assert_eq!(control.tests[0].given, "tests/fr-278/cron-yearly.json");
}

/// The example of the documentation, as it stands there.
#[test]
fn the_documented_example_is_a_control() {
    let catalog = load(&fs::read_to_string(folder().join("documented.yaml")).unwrap())
        .unwrap_or_else(|errors| panic!("{errors:#?}"));
    let rules: Vec<&str> = catalog.controls[0].rule_ids().collect();
    assert_eq!(
        rules,
        [
            "switched-on",
            "interval",
            "really-rotated",
            "promoted",
            "no-gap"
        ]
    );
    assert_eq!(
        catalog.controls[0].parameters[0].why.as_deref(),
        Some("regulatory ceiling, may only be lowered")
    );
}

#[test]
fn parameters_are_set_by_stage_and_by_choice_within_bounds() {
    let value = |choices: &Choices| {
        load_with(&example(), choices)
            .map(|catalog| catalog.controls[0].parameters[0].value.to_string())
    };
    let choice = |control: &str, parameter: &str, value: &str| Choices {
        stage: "prod".to_owned(),
        overrides: vec![Override {
            control: control.to_owned(),
            parameter: parameter.to_owned(),
            value: value.to_owned(),
        }],
    };
    assert_eq!(
        value(&Choices {
            stage: "dev".to_owned(),
            overrides: vec![]
        })
        .unwrap(),
        "90d"
    );
    assert_eq!(
        value(&Choices {
            stage: "prod".to_owned(),
            overrides: vec![]
        })
        .unwrap(),
        "60d"
    );
    assert_eq!(value(&choice("FR-278", "max_age", "30d")).unwrap(), "30d");
    for (choices, message) in [
        (
            choice("FR-278", "max_age", "91d"),
            "parameter FR-278.max_age: `91d` is above the maximum `90d`",
        ),
        (
            choice("FR-278", "max_age", "91"),
            "parameter FR-278.max_age: `91` has no unit, write `91d`, `91h`, `91m`, `91s` or `91ms`",
        ),
        (
            choice("FR-278", "max_aeg", "30d"),
            "parameter FR-278.max_aeg: unknown parameter `max_aeg` (did you mean `max_age`?)",
        ),
        (
            choice("FR-287", "max_age", "30d"),
            "parameter FR-287.max_age: unknown control `FR-287` (did you mean `FR-278`?)",
        ),
    ] {
        let errors = value(&choices).unwrap_err();
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [message]
        );
    }
}

/// Each case file is a control with errors, a line of dashes, and the errors it must give, all of them.
/// `UPDATE=1` writes them anew, for a person to read.
#[test]
fn every_error_is_reported_at_its_place() {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "case")
    });
    cases.sort();
    assert!(cases.len() >= 30, "{} cases", cases.len());
    for path in cases {
        let case = fs::read_to_string(&path).unwrap();
        let (yaml, expected) = case.split_once("\n--------\n").unwrap_or((&case, ""));
        let found = match load(&format!("{yaml}\n")) {
            Ok(_) => panic!("{} has no error", path.display()),
            Err(errors) => errors.iter().fold(String::new(), |mut text, error| {
                writeln!(
                    text,
                    "{}",
                    error.to_string().trim_start_matches("controls/a.yaml:")
                )
                .unwrap();
                text
            }),
        };
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, format!("{yaml}\n--------\n{found}")).unwrap();
        } else {
            assert_eq!(found, expected, "{}", path.display());
        }
    }
}

#[test]
fn a_folder_without_controls_is_an_error() {
    let errors = Catalog::load("controls", &[], &vocabulary(), &Choices::default()).unwrap_err();
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "controls: no control: the folder has no `*.yaml` file besides `waivers.yaml` (name another folder, or write a first control)"
        ]
    );
}

#[test]
fn errors_of_all_files_are_reported_and_ids_occur_once() {
    let file = |path: &str, text: &str| SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let files = [
        file("controls/a.yaml", &example()),
        file("controls/b.yaml", &example()),
        file("controls/c.yaml", "control: [\n"),
        file(
            "controls/d.yaml",
            &example()
                .replace("titel", "title")
                .replace("severity: high", "severity: hihg"),
        ),
    ];
    let errors = Catalog::load("controls", &files, &vocabulary(), &Choices::default()).unwrap_err();
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown[0],
        "controls/b.yaml:2:10: control `FR-278` stands in two files (the other is controls/a.yaml:2:10)"
    );
    assert!(shown[1].starts_with("controls/c.yaml:"), "{}", shown[1]);
    assert_eq!(
        shown[2],
        "controls/d.yaml:6:11: unknown word `hihg` (did you mean `high`?)"
    );
    assert_eq!(shown.len(), 3);
}

proptest! {
    /// A file with any few characters replaced, removed or doubled is a catalogue or has errors, each with its place.
    #[test]
    fn any_damage_to_a_file_is_an_error_with_its_place(
        edits in prop::collection::vec(
            (
                0..4000_usize,
                prop::sample::select(vec![
                    "", " ", "\n", "\t", "{", "}", "[", "]", ":", "- ", "'", "\"", "|", ">-", "&a ", "*a", "!x ", "#", "é", "\u{0}", "~", "? ",
                ]),
            ),
            1..4,
        ),
    ) {
        let mut text = example();
        for (at, replacement) in edits {
            if let Some((at, found)) = text.char_indices().nth(at) {
                text.replace_range(at..at + found.len_utf8(), replacement);
            }
        }
        if let Err(errors) = load(&text) {
            prop_assert!(!errors.is_empty());
            let lines: Vec<&str> = text.split('\n').collect();
            for error in errors {
                let (line, column) = error.at.unwrap();
                let width = lines.get(line - 1).map(|line| line.chars().count());
                prop_assert!(width.is_some_and(|width| (1..=width + 2).contains(&column)), "{} in\n{}", error, text);
            }
        }
    }
}

#[test]
fn waivers_are_read_as_they_are_meant() {
    let catalog = load(&example()).unwrap();
    let file = |text: &str| SourceFile {
        path: "controls/waivers.yaml".to_owned(),
        text: text.to_owned(),
    };
    let none = Waivers::load(&file("# none yet\n\n"), &catalog).unwrap();
    assert_eq!((none.waivers.len(), none.digest.is_some()), (0, true));
    let text = fs::read_to_string(folder().join("waivers.yaml")).unwrap();
    let waivers =
        Waivers::load(&file(&text), &catalog).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let [waiver] = waivers.waivers.as_slice() else {
        panic!("one waiver")
    };
    assert_eq!(
        (
            waiver.assertion.as_str(),
            waiver.source.to_string().as_str()
        ),
        ("interval", "controls/waivers.yaml:2:7")
    );
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for (now, holds, days_left) in [
        ("2026-01-14T23:59:59Z", false, 91),
        ("2026-01-15T00:00:00Z", true, 90),
        ("2026-04-15T23:59:59Z", true, 0),
        ("2026-04-16T00:00:00Z", false, -1),
    ] {
        assert_eq!(
            (waiver.holds(at(now)), waiver.days_left(at(now))),
            (holds, days_left),
            "{now}"
        );
    }
}

#[test]
fn every_error_of_a_waiver_is_reported_at_its_place() {
    let catalog = load(&example()).unwrap();
    let text = fs::read_to_string(folder().join("waivers.yaml")).unwrap();
    let second = text.replace("id: legacy-schedule", "id: another");
    for (changed, expected) in [
        (
            text.replace("control: FR-278", "control: FR-279"),
            "3:12: unknown control `FR-279` (did you mean `FR-278`?)",
        ),
        (
            text.replace("assertion: interval", "assertion: intervall"),
            "4:14: `FR-278` has no rule `intervall` (did you mean `interval`?)",
        ),
        (
            text.replace("legacy-AbCdEf", "*"),
            "5:13: `arn:aws:secretsmanager:eu-west-1:111122223333:secret:bank-*` is a pattern (name one resource exactly)",
        ),
        (
            text.replace("2026-04-15", "2026-04-16"),
            "10:12: a waiver of 91 days, at most 90 are allowed (the latest day is 2026-04-15)",
        ),
        (
            text.replace("2026-04-15", "2026-01-14"),
            "10:12: `2026-01-14` is before the approval on 2026-01-15",
        ),
        (
            text.replace("2026-04-15", "2026-4-15"),
            "10:12: `2026-4-15` is no day (write it like `2026-01-31`)",
        ),
        (
            text.replace("2026-04-15", "2026-02-30"),
            "10:12: `2026-02-30` is no day (write it like `2026-01-31`)",
        ),
        (
            text.replace("  approver: head-of-platform\n", ""),
            "2:3: a waiver without `approver`",
        ),
        (
            text.replace("ticket:", "tickt:"),
            "11:3: unknown key `tickt` (did you mean `ticket`?)",
        ),
        (
            text.replace("id: legacy-schedule", "id: Legacy"),
            "2:7: `Legacy` is no id (write lower-case words with dashes, like `legacy-key`)",
        ),
        (
            format!("{text}{second}"),
            "16:13: already waived by `legacy-schedule`",
        ),
        (
            format!("{text}{}", text.replace("interval", "readers")),
            "13:7: two waivers `legacy-schedule` (the other is in line 2)",
        ),
        (
            "a: b\n".to_owned(),
            "1:1: expected a list, found a mapping (write `- ` before each item, or `[a, b]`)",
        ),
    ] {
        let file = SourceFile {
            path: "w".to_owned(),
            text: changed,
        };
        let errors = Waivers::load(&file, &catalog).unwrap_err();
        let shown: Vec<String> = errors
            .iter()
            .map(|error| error.to_string().trim_start_matches("w:").to_owned())
            .collect();
        assert_eq!(shown, [expected]);
    }
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    for (schema, file) in [
        (control_schema(), "valid.yaml"),
        (waiver_schema(), "waivers.yaml"),
    ] {
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let text = fs::read_to_string(folder().join(file)).unwrap();
        let text = text
            .replace(
                "why: regulatory ceiling, may only be lowered",
                "why: a ceiling",
            )
            .replace("8.30", "'8.30'");
        let instance: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&instance)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{file}: {errors:#?}");
    }
}

#[test]
fn the_schema_refuses_the_shapes_that_the_reader_refuses() {
    let schema: serde_json::Value = serde_json::from_str(&control_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for case in [
        "key-misspelt",
        "keys-missing",
        "kind-unknown",
        "kind-two",
        "title-mapping",
        "population-min",
        "parameter-type-unknown",
        "tests-unknown-rule",
    ] {
        let text = fs::read_to_string(folder().join(format!("{case}.case"))).unwrap();
        let (yaml, _) = text.split_once("\n--------\n").unwrap();
        let instance: serde_json::Value = serde_yaml::from_str(yaml).unwrap();
        assert!(!validator.is_valid(&instance), "{case}");
    }
}

#[test]
fn the_committed_schemas_are_current() {
    for (name, generated) in [
        ("control.schema.json", control_schema()),
        ("waivers.schema.json", waiver_schema()),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../controls")
            .join(name);
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "controls/{name} is stale: run `UPDATE=1 cargo test -p checker-core`"
        );
    }
}

#[test]
fn the_page_of_the_catalogue_names_every_rule_and_every_fact() {
    let page = catalog_page(&load(&example()).unwrap(), &vocabulary());
    for line in [
        "| [FR-278](#fr-278) | high | platform-security | 8 | 1 | Secrets are rotated automatically at least every 90 days, without downtime |",
        "| `max_age` | 90d | at most 90d | regulatory ceiling, may only be lowered |",
        "| `interval` | secrets, managed | {secret.name} rotates every {secret.rotation.longest_gap} |",
        "| `no-gap` | probe `rotate` | no read failed while it happened |",
        "* `where: managed`: in the namespace, and not owned by a service",
        "| `secret.rotation.longest_gap` | duration or null | The longest time between two rotations. |",
        "| `trace.reader.failed` | int | How many reads failed. |",
        "| `days(int)` | a duration | that many days of 24 hours |",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[test]
fn hostile_files_are_refused_quickly_and_never_crash() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n";
    for (name, text, message) in [
        (
            "flow",
            "[".repeat(100_000),
            "nested too deep, at most 32 levels are read",
        ),
        (
            "flow maps",
            "{a: ".repeat(60_000),
            "nested too deep, at most 32 levels are read",
        ),
        (
            "block lists",
            "- ".repeat(100_000),
            "nested too deep, at most 32 levels are read",
        ),
        (
            "block maps",
            (0..400).fold(String::new(), |text, depth| {
                text + &" ".repeat(depth) + "a:\n"
            }),
            "nested too deep, at most 32 levels are read",
        ),
        (
            "bomb",
            bomb.to_owned(),
            "anchors and aliases are not allowed (write the value out where it is used)",
        ),
        (
            "alias",
            "control: *missing\n".to_owned(),
            "anchors and aliases are not allowed (write the value out where it is used)",
        ),
        (
            "many",
            "- a\n".repeat(50_000),
            "too large, at most 20000 keys and values are read",
        ),
        (
            "long",
            "a".repeat(50_000_000),
            "a file of 50000000 bytes, at most 262144 are read",
        ),
        ("empty", String::new(), "an empty file"),
        ("blank", "\n\n   \n# nothing\n".to_owned(), "an empty file"),
        ("null", "~\n".to_owned(), "an empty file"),
        (
            "tag",
            "control: !secret a\n".to_owned(),
            "tags (`!..`) are not allowed",
        ),
        (
            "two",
            "control: a\n---\ncontrol: b\n".to_owned(),
            "more than one document in the file",
        ),
        ("tab", "control:\n\t- a\n".to_owned(), "malformed YAML"),
        (
            "control characters",
            "control: \u{0}\u{7}\n".to_owned(),
            "malformed YAML",
        ),
        ("text", "hello".to_owned(), "expected a control, found text"),
        (
            "list",
            "- control: FR-1\n".to_owned(),
            "expected a control, found a list",
        ),
        ("key", "[a, b]: c\n".to_owned(), "malformed YAML"),
    ] {
        let started = std::time::Instant::now();
        let errors = load(&text).expect_err(name);
        let shown = errors[0].to_string();
        eprintln!(
            "{name}: {shown} ({} errors, {:?})",
            errors.len(),
            started.elapsed()
        );
        assert!(shown.contains(message), "{name}: {shown}");
        assert!(
            started.elapsed().as_secs() < 5,
            "{name}: {:?}",
            started.elapsed()
        );
    }
}
