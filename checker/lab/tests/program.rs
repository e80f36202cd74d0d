//! The language: what programs evaluate to, and what is refused where.
//!
//! The cases are data (`data/program/values.yaml` and `errors.yaml`); each is written to a folder of its own and loaded
//! like any program.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::path::Path;

use checker_lab::program::{MASKED, Program, ProgramErrors, UNKNOWN};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueCase {
    name: String,
    #[serde(default)]
    value: serde_json::Value,
    /// The value as YAML, where JSON can't say it.
    yaml: Option<String>,
    #[serde(default)]
    config: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    variables: serde_json::Map<String, serde_json::Value>,
    json: Option<String>,
    text: Option<String>,
    lint: Option<String>,
    #[serde(default)]
    secret: bool,
    #[serde(default)]
    unknown: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorCase {
    name: String,
    program: String,
    settings: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    help: Vec<String>,
    prefix: Option<String>,
}

fn load(program: &str, settings: &str) -> Result<Program, ProgramErrors> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Pulumi.yaml"), program).unwrap();
    std::fs::write(folder.path().join("Pulumi.test.yaml"), settings).unwrap();
    std::fs::copy(
        "tests/data/program/note.txt",
        folder.path().join("note.txt"),
    )
    .unwrap();
    Program::load(folder.path(), "test")
}

fn cases<T: serde::de::DeserializeOwned>(file: &str) -> Vec<T> {
    let text = std::fs::read_to_string(Path::new("tests/data/program").join(file)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// JSON is YAML, so a case's value can stand in a program as it is. `as_json` looks at the value's type as well.
fn program_of(case: &ValueCase, as_json: bool) -> (String, String) {
    let mut declared = serde_json::Map::new();
    let mut filled = serde_json::Map::new();
    for (name, entry) in &case.config {
        let mut entry = entry.clone();
        if let Some(value) = entry.remove("value") {
            filled.insert(format!("cases:{name}"), value);
        }
        declared.insert(name.clone(), entry.into());
    }
    let value = match &case.yaml {
        Some(_) => "@@yaml@@".into(),
        None => case.value.clone(),
    };
    let value = if as_json {
        serde_json::json!({"fn::toJSON": {"v": value}})
    } else {
        value
    };
    let program = serde_json::json!({
        "name": "cases",
        "runtime": "yaml",
        "config": declared,
        "variables": case.variables,
        "resources": {
            "other": {"type": "aws:kms:Alias", "properties": {"name": "named", "targetKeyId": "x"}},
            "probe": {"type": "aws:secretsmanager:Secret", "properties": {"description": value}},
        },
    });
    let settings = serde_json::json!({ "config": filled });
    let yaml = case.yaml.as_deref().unwrap_or_default();
    (
        program.to_string().replace("\"@@yaml@@\"", yaml),
        settings.to_string(),
    )
}

#[test]
fn expressions_have_the_values_that_pulumi_gives_them() {
    let cases: Vec<ValueCase> = cases("values.yaml");
    assert!(cases.len() >= 45);
    for case in cases {
        let (program, settings) = program_of(&case, case.json.is_some());
        let loaded =
            load(&program, &settings).unwrap_or_else(|errors| panic!("{}: {errors}", case.name));
        let probe = loaded
            .resources()
            .iter()
            .find(|found| found.name == "probe")
            .unwrap();
        let found = probe.inputs["description"].as_str().unwrap();
        let wanted = match (&case.json, &case.text, case.secret, case.unknown) {
            (Some(json), None, false, false) => json.as_str(),
            (None, Some(text), false, false) => text.as_str(),
            (None, None, true, false) => MASKED,
            (None, None, false, true) => UNKNOWN,
            _ => panic!("{}: one expectation is needed", case.name),
        };
        assert_eq!(found, wanted, "{}", case.name);
        let lints: Vec<&str> = loaded
            .lints()
            .iter()
            .map(|lint| lint.message.as_str())
            .collect();
        assert_eq!(
            lints,
            case.lint.as_deref().into_iter().collect::<Vec<_>>(),
            "{}",
            case.name
        );
    }
}

#[test]
fn errors_name_their_place_and_what_was_meant() {
    let cases: Vec<ErrorCase> = cases("errors.yaml");
    assert!(cases.len() >= 35);
    for case in cases {
        let settings = case
            .settings
            .clone()
            .unwrap_or_else(|| "config: {}".to_owned());
        let Err(errors) = load(&case.program, &settings) else {
            panic!("{}: nothing was refused", case.name);
        };
        let found: Vec<String> = errors
            .errors()
            .iter()
            .map(|error| format!("{}:{}: {}", error.line, error.column, error.message))
            .collect();
        match &case.prefix {
            Some(prefix) => assert!(found[0].starts_with(prefix), "{}: {}", case.name, found[0]),
            None => assert_eq!(found, case.errors, "{}", case.name),
        }
        let help: Vec<String> = errors
            .errors()
            .iter()
            .filter_map(|error| error.help.clone())
            .collect();
        for wanted in &case.help {
            assert!(
                help.contains(wanted),
                "{}: no help `{wanted}` in {help:?}",
                case.name
            );
        }
    }
}

#[test]
fn an_error_is_shown_with_file_place_and_help() {
    let Err(errors) = load("name: cases\nruntime: yaml\nresource: {}\n", "config: {}") else {
        panic!("nothing was refused");
    };
    let shown = errors.to_string();
    let (_, tail) = shown.rsplit_once('/').unwrap();
    assert_eq!(
        tail,
        "Pulumi.yaml:3:1: `resource` isn't a section that this evaluator knows\n  help: did you mean `resources`?"
    );
}

#[test]
fn hostile_files_are_refused_without_harm() {
    let deep = format!(
        "name: cases\nruntime: yaml\nvariables: {{a: {}",
        "[".repeat(100_000)
    );
    let nested = format!("name: cases\nvariables: {}", "{a: ".repeat(100_000));
    let bomb: Vec<String> = (1..20)
        .map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1))
        .collect();
    let bomb = format!("name: cases\na0: &a0 [x, x]\n{}", bomb.concat());
    let large = format!("name: cases\ndescription: \"{}\"\n", "x".repeat(2 << 20));
    let many = format!("name: cases\nvariables: {{a: [{}]}}", "x,".repeat(200_000));
    let chain: Vec<String> = (0..3_000)
        .map(|at| format!("  v{at}: ${{v{}}}\n", at + 1))
        .collect();
    let chain = chain.concat();
    let chain = format!("name: cases\nruntime: yaml\nvariables:\n{chain}  v3000: ${{v0}}\n");
    let doubled = |one: &str| -> String {
        let doubled: Vec<String> = (1..60)
            .map(|at| {
                format!(
                    "  v{at:03}: {}\n",
                    one.replace('@', &format!("${{v{:03}}}", at - 1))
                )
            })
            .collect();
        let doubled = doubled.concat();
        format!("name: cases\nruntime: yaml\nvariables:\n  v000: [x]\n{doubled}")
    };
    let steps = format!(
        "name: cases\nruntime: yaml\nvariables: {{a: '${{a{}}}'}}",
        ".a".repeat(50_000)
    );
    let dollars = format!(
        "name: cases\nruntime: yaml\nvariables: {{a: '{}'}}",
        "${".repeat(50_000)
    );
    for (name, text) in [
        ("deep", deep),
        ("nested", nested),
        ("bomb", bomb),
        ("large", large),
        ("many", many),
        ("dollars", dollars),
        ("chain", chain),
        ("doubled text", doubled("x@@")),
        ("doubled list", doubled("['@', '@']")),
        ("steps", steps),
    ] {
        let started = std::time::Instant::now();
        let Err(errors) = load(&text, "config: {}") else {
            panic!("{name}: nothing was refused");
        };
        assert!(errors.errors().len() <= 20, "{name}: {errors}");
        assert!(errors.errors()[0].line >= 1, "{name}");
        assert!(
            started.elapsed().as_secs() < 30,
            "{name} took {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn a_missing_program_and_a_missing_stage_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let Err(errors) = Program::load(folder.path(), "dev") else {
        panic!("nothing was refused");
    };
    assert_eq!(errors.errors().len(), 1);
    assert!(errors.errors()[0].path.ends_with("Pulumi.yaml"));
    assert!(
        errors.errors()[0]
            .message
            .starts_with("can't read the file: ")
    );
    std::fs::write(
        folder.path().join("Pulumi.yaml"),
        "name: a\nruntime: yaml\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("Pulumi.prod.yaml"), "config: {}\n").unwrap();
    let Err(errors) = Program::load(folder.path(), "dev") else {
        panic!("nothing was refused");
    };
    let error = &errors.errors()[0];
    assert!(error.path.ends_with("Pulumi.dev.yaml"));
    assert_eq!(error.message, "the program has no stage `dev`");
    assert_eq!(error.help.as_deref(), Some("it has `prod`"));
}

#[test]
fn values_of_secrets_in_a_program_are_found() {
    let program = "
name: cases
runtime: yaml
config:
  pin: {type: string, secret: true}
resources:
  secret: {type: aws:secretsmanager:Secret, properties: {name: x}}
  version:
    type: aws:secretsmanager:SecretVersion
    properties:
      secretId: ${secret.id}
      secretString: hunter2
  plain:
    type: aws:ssm:Parameter
    properties: {type: String, name: p, value: open}
  secure:
    type: aws:ssm:Parameter
    properties: {type: SecureString, name: s, value: hunter3}
  wrapped:
    type: aws:ssm:Parameter
    properties: {type: String, name: w, value: {fn::secret: hunter4}}
";
    let loaded = load(program, "config:\n  cases:pin: {secure: AAABBB}\n").unwrap();
    let found: Vec<String> = loaded
        .secret_values()
        .iter()
        .map(|secret| format!("{} {} {}", secret.position, secret.name, secret.why))
        .collect();
    assert_eq!(
        found,
        [
            "2:3 cases:pin a config value that is marked secret",
            "5:3 pin a config value that is marked secret",
            "9:11 version a version of a secret",
            "12:7 version `secretString`: the value of a secret",
            "18:47 secure `value`: the value of an encrypted parameter",
            "21:48 wrapped `value`: `fn::secret`",
        ]
    );
    let shown = format!("{loaded:?}{:?}", loaded.resources());
    let inputs: Vec<String> = loaded
        .resources()
        .iter()
        .map(|found| found.inputs.to_string())
        .collect();
    assert!(!inputs.concat().contains("hunter"), "{inputs:?}");
    assert!(
        !shown.contains("AAABBB") && !shown.contains("hunter"),
        "a secret in Debug output"
    );
}

#[test]
fn the_programs_of_this_repository_are_valid_in_every_stage() {
    for folder in [
        "../../infra-pulumi-yaml",
        "../../infra-pulumi-yaml/prerequisites",
    ] {
        for stage in ["dev", "prod"] {
            let program =
                Program::load(Path::new(folder), stage).unwrap_or_else(|errors| panic!("{errors}"));
            assert!(!program.resources().is_empty());
            assert_eq!(program.lints(), [], "{folder}");
            assert_eq!(program.secret_values(), [], "{folder}");
            assert_eq!(program.default_tags()["environment"], stage);
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    /// Whatever the text, the answer is a program or errors with places.
    #[test]
    fn no_text_does_harm(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES.as_slice()), 0..40)
    ) {
        let text = format!("name: cases\nruntime: yaml\n{}", pieces.concat());
        let folder = Path::new("tests/data/program");
        if let Err(errors) = Program::from_text(folder, "pieces", &text) {
            for error in errors.errors() {
                assert!(error.line >= 1, "{error}");
                assert!(error.column >= 1, "{error}");
            }
        }
    }
}

const PIECES: [&str; 34] = [
    "resources:\n",
    "variables:\n",
    "outputs:\n",
    "config:\n",
    "  a:\n",
    "  b:\n",
    "    type: aws:kms:Key\n",
    "    type: aws:sns:Topic\n",
    "    properties:\n",
    "    options:\n",
    "      description: ",
    "      name: ",
    "      tags: ",
    "      dependsOn: ",
    "${a}",
    "${b.arn}",
    "${a[0]",
    "$$",
    "${",
    "}",
    "[",
    "]",
    "{",
    "fn::toJSON: ",
    "fn::join: [\"\", [a]]",
    "fn::secret: x",
    "\n",
    "  ",
    "é😀",
    "\"",
    "'",
    "|\n",
    "- x\n",
    ": ",
];

/// The errors of a folder of files, as `file:line:column: message`.
fn folder(files: &[(&str, &str)]) -> Result<Program, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let top = folder.path().display().to_string();
    Program::load(folder.path(), "test").map_err(|errors| {
        errors
            .errors()
            .iter()
            .map(|error| {
                let file = error
                    .path
                    .strip_prefix(&top)
                    .unwrap()
                    .trim_start_matches('/');
                format!("{file}:{}:{}: {}", error.line, error.column, error.message)
            })
            .collect()
    })
}

#[test]
fn the_program_may_stand_beside_its_project() {
    let project = "name: cases\nruntime: yaml\nconfig: {size: {type: integer, default: 7}}\n";
    let stage = ("Pulumi.test.yaml", "config: {}\n");
    let main = "resources:\n  topic: {type: aws:sns:Topic, properties: {name: \"t-${size}-${pulumi.project}\"}}\n";
    let json =
        r#"{"resources": {"topic": {"type": "aws:sns:Topic", "properties": {"name": "j"}}}}"#;
    let name = |files: &[(&str, &str)]| {
        let loaded = folder(files).unwrap_or_else(|errors| panic!("{errors:?}"));
        let topic = loaded.resources()[0].inputs["name"]
            .as_str()
            .unwrap()
            .to_owned();
        (topic, loaded.path().rsplit_once('/').unwrap().1.to_owned())
    };
    let of = |topic: &str, file: &str| (topic.to_owned(), file.to_owned());
    let beside = [("Pulumi.yaml", project), stage, ("Main.yaml", main)];
    assert_eq!(name(&beside), of("t-7-cases", "Main.yaml"));
    let both = [
        ("Pulumi.yaml", project),
        stage,
        ("Main.yaml", main),
        ("Main.json", json),
    ];
    assert_eq!(name(&both), of("j", "Main.json"));
    let moved = format!("{project}main: infra\n");
    let below = [
        ("Pulumi.yaml", moved.as_str()),
        stage,
        ("infra/Main.yaml", main),
    ];
    assert_eq!(name(&below), of("t-7-cases", "Main.yaml"));
    let twice = format!("{project}{main}");
    let wrong = [
        ("Pulumi.yaml", twice.as_str()),
        stage,
        ("Main.yaml", "resources: {k: {type: aws:kms:Kee}}\n"),
    ];
    assert_eq!(
        folder(&wrong).unwrap_err(),
        [
            "Main.yaml:1:23: `aws:kms:Kee` isn't a known resource type",
            "Pulumi.yaml:4:1: `resources` stands in the program's own file, beside this one",
        ]
    );
}

#[test]
fn what_stands_beneath_takes_the_provider_settings_of_what_stands_above() {
    let above = tempfile::tempdir().unwrap();
    let below = above.path().join("prerequisites");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(
        above.path().join("Pulumi.staging.yaml"),
        "config:\n  aws:region: eu-west-1\n  aws:allowedAccountIds: [\"111122223333\"]\n  above:size: 3\n",
    )
    .unwrap();
    std::fs::write(below.join("Pulumi.yaml"), "name: below\nruntime: yaml\n").unwrap();
    let program = Program::load_beneath(&below, "staging", above.path()).unwrap();
    assert_eq!(program.region(), Some("eu-west-1"));
    assert_eq!(program.account(), Some("111122223333"));
    assert!(Program::load_beneath(&below, "other", above.path()).is_err());
}
