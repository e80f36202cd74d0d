//! A sealed run against whoever wants to change it: every change is found, and named.
//!
//! The run is the recorded lab run, judged by the committed controls and sealed in memory; nothing is read or written
//! besides. Changes are drawn from a fixed sequence, so that a failure can be repeated.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test harness stops at the first thing that is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use checker_core::control::{Check, Choices, SourceFile, Sources};
use checker_core::evidence::attestation::signed_root;
use checker_core::evidence::bundle::{Contents, Position, seal};
use checker_core::evidence::chain::{Chain, Outside, Placed, check, trends};
use checker_core::evidence::manifest::{
    Entry, Judged, Link, MANIFEST, Manifest, SIGNATURE, digest, root,
};
use checker_core::evidence::proof::Proof;
use checker_core::evidence::signature::{LAB_SIGNER, signers_line};
use checker_core::evidence::verify::{Verification, verify};
use checker_core::evidence::{AllowedSigners, Bundle, Key};
use checker_core::judge::{About, judge};
use checker_core::observation::{Facts, Observed, Outcome, Time};
use checker_core::population::{Organisation, Setting, vocabulary};
use checker_core::run::{Run, Target};
use checker_core::verdict::Verdict;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Recording {
    now: Time,
    stage: String,
    account: String,
    region: String,
    facts: Vec<Observed>,
}

static RECORDING: LazyLock<Recording> =
    LazyLock::new(|| serde_json::from_str(&text("controls/tests/recording.json")).unwrap());

static SEALED: LazyLock<Sealed> =
    LazyLock::new(|| sealed(&sources(""), &RECORDING.facts, &key(1), None));

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The committed controls, with these waivers.
fn sources(waivers: &str) -> Sources {
    let file = |name: &str| SourceFile {
        path: format!("controls/{name}"),
        text: text(&format!("controls/{name}")),
    };
    Sources {
        folder: "controls".to_owned(),
        controls: [
            "AML-007", "DT-001", "DT-002", "FR-277", "FR-278", "FR-279", "FR-280",
        ]
        .map(|id| file(&format!("{id}.yaml")))
        .into(),
        waivers: (!waivers.is_empty()).then(|| SourceFile {
            path: "controls/waivers.yaml".to_owned(),
            text: waivers.to_owned(),
        }),
        baseline: None,
    }
}

fn key(seed: u8) -> Key {
    Key::from_seed(&[seed; 32], "test").unwrap()
}

fn judged() -> Judged {
    Judged {
        setting: Setting {
            stage: RECORDING.stage.clone(),
            account: RECORDING.account.clone(),
            region: RECORDING.region.clone(),
            now: RECORDING.now,
            organisation: Organisation::default(),
            shard: None,
        },
        about: About {
            target: Target::Lab,
            finished: RECORDING.now,
            notes: Vec::new(),
            not_proven: vec!["anything about a live account".to_owned()],
            api_calls: BTreeMap::new(),
        },
        only: Vec::new(),
        resource: None,
        parts: Vec::new(),
    }
}

fn run_of(sources: &Sources, facts: &Facts) -> Run {
    let judged = judged();
    let choices = Choices {
        stage: RECORDING.stage.clone(),
        ..Choices::default()
    };
    let catalog = sources.catalog(&vocabulary(), &choices, &[]).unwrap();
    judge(&catalog, facts, &judged.setting, judged.about)
}

#[test]
fn a_population_that_nobody_put_together_never_passes() {
    let judged = judged();
    let choices = Choices {
        stage: RECORDING.stage.clone(),
        ..Choices::default()
    };
    let mut catalog = sources("").catalog(&vocabulary(), &choices, &[]).unwrap();
    for check in catalog
        .controls
        .iter_mut()
        .flat_map(|control| &mut control.checks)
    {
        if let Check::Inspect(inspect) = check {
            inspect.population.of = "ghosts".to_owned();
        }
    }
    let run = judge(
        &catalog,
        &facts(&RECORDING.facts),
        &judged.setting,
        judged.about,
    );
    let about_ghosts: Vec<_> = run
        .controls
        .iter()
        .flat_map(|control| &control.findings)
        .filter(|finding| finding.resource == "ghosts")
        .collect();
    assert!(!about_ghosts.is_empty());
    for finding in about_ghosts {
        assert_eq!(finding.verdict, Verdict::Inconclusive, "{finding:?}");
    }
    assert_ne!(run.verdict, Verdict::Pass);
}

fn facts(observed: &[Observed]) -> Facts {
    let mut facts = Facts::default();
    for observed in observed {
        facts.insert(observed.clone());
    }
    facts
}

/// A sealed run with its files.
#[derive(Clone)]
struct Sealed {
    bundle: Bundle,
    sequence: u64,
    digest: String,
}

fn sealed(sources: &Sources, observed: &[Observed], key: &Key, after: Option<&Sealed>) -> Sealed {
    let facts = facts(observed);
    let run = run_of(sources, &facts);
    let contents = Contents {
        sources,
        facts: &facts,
        run: &run,
        judged: &judged(),
        earlier: &[],
        further: &[],
        job: &BTreeMap::new(),
        signers: Some(&signers_line(LAB_SIGNER, key)),
    };
    let position = Position {
        sequence: after.map_or(1, |after| after.sequence + 1),
        previous: after.map(|after| Link {
            run_id: Manifest::read(&after.bundle[MANIFEST]).unwrap().run_id,
            manifest: after.digest.clone(),
        }),
    };
    let mut bundle = Bundle::new();
    let sealed = seal(contents, position, key, &mut bundle).unwrap();
    Sealed {
        bundle,
        sequence: sealed.manifest.sequence,
        digest: sealed.digest,
    }
}

/// The files with their digests, root and signature made anew, as somebody with this key would.
fn resealed(mut bundle: Bundle, key: &Key) -> Bundle {
    let mut manifest = Manifest::read(&bundle[MANIFEST]).unwrap();
    manifest.files = bundle
        .iter()
        .filter(|(path, _)| !path.starts_with("manifest.json") && *path != "attestation.json")
        .map(|(path, bytes)| Entry::of(path, bytes))
        .collect();
    manifest.root = root(&manifest.files);
    let text = manifest.text();
    bundle.insert(
        SIGNATURE.to_owned(),
        key.sign(text.as_bytes()).unwrap().into_bytes(),
    );
    bundle.insert(MANIFEST.to_owned(), text.into_bytes());
    bundle
}

fn trusted() -> AllowedSigners {
    AllowedSigners::read(&signers_line("audit@bank", &key(1))).unwrap()
}

/// Verifies and expects problems that name this file and say this.
fn wrong(bundle: &Bundle, file: &str, what: &str) -> Verification {
    let found = verify(bundle, Some(&trusted()));
    assert!(
        found
            .problems
            .iter()
            .any(|problem| problem.file == file && problem.what.contains(what)),
        "expected {file}: {what}, found {:#?}",
        found.problems
    );
    found
}

#[test]
fn an_untouched_run_holds_and_leads_to_the_same_run() {
    let found = verify(&SEALED.bundle, Some(&trusted()));
    assert_eq!(found.problems, []);
    assert_eq!(found.digest, SEALED.digest);
    let run = found.run.unwrap();
    let mut text = Vec::new();
    run.write_json(&mut text).unwrap();
    assert_eq!(text, SEALED.bundle["run.json"]);
    assert_eq!(found.signed_by.unwrap().1.as_deref(), Some("audit@bank"));
}

#[test]
fn the_same_facts_at_the_same_time_give_the_same_bytes() {
    let again = sealed(&sources(""), &RECORDING.facts, &key(1), None);
    assert!(again.bundle == SEALED.bundle);
}

#[test]
fn what_nobody_outside_vouches_for_is_said() {
    let found = verify(&SEALED.bundle, None);
    assert!(found.holds());
    assert!(found.unproven.iter().any(|gap| gap.contains("who signed")));
}

/// `SplitMix64` by Sebastiano Vigna (public domain).
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// One change of one file: a flipped bit, a byte more or less, two bytes swapped, a file gone, copied or renamed.
fn mutate(bundle: &mut Bundle, drawn: &mut Drawn) -> Option<String> {
    let paths: Vec<String> = bundle.keys().cloned().collect();
    let path = paths[drawn.below(paths.len())].clone();
    let length = bundle[&path].len();
    let at = drawn.below(length);
    let bytes = bundle.get_mut(&path)?;
    match drawn.below(8) {
        0..=2 => bytes[at] ^= 1 << drawn.below(8),
        3 => bytes.insert(at, bytes[at]),
        4 => {
            bytes.remove(at);
        }
        5 => {
            let other = drawn.below(length);
            if bytes[at] == bytes[other] {
                return None;
            }
            bytes.swap(at, other);
        }
        6 => {
            bundle.remove(&path);
        }
        _ => {
            let added = format!("evidence/{}.json", digest(&bytes[at..]));
            let copy = bytes[at..].to_vec();
            bundle.insert(added.clone(), copy);
            return Some(added);
        }
    }
    Some(path)
}

#[test]
fn a_thousand_random_changes_are_all_found_in_the_file_they_were_made_in() {
    let mut drawn = Drawn(20_261_126);
    let trusted = trusted();
    let mut done = 0;
    let mut touched = BTreeSet::new();
    while done < 1000 {
        let mut bundle = SEALED.bundle.clone();
        let Some(path) = mutate(&mut bundle, &mut drawn) else {
            continue;
        };
        done += 1;
        let found = verify(&bundle, Some(&trusted));
        let named = found.problems.iter().any(|problem| {
            problem.file == path
                // A changed manifest no longer fits its signature; either name is right.
                || (path == MANIFEST && problem.file == SIGNATURE)
        });
        assert!(
            named,
            "a change of {path} was not found: {:?}",
            found.problems
        );
        touched.insert(path);
    }
    assert!(
        touched.len() > 50,
        "only {} files were changed",
        touched.len()
    );
}

#[test]
fn a_bit_of_every_byte_of_the_signature_files_counts() {
    for path in [SIGNATURE, "attestation.json", "allowed_signers"] {
        for at in 0..SEALED.bundle[path].len() {
            let bit = at % 8;
            let mut bundle = SEALED.bundle.clone();
            bundle.get_mut(path).unwrap()[at] ^= 1 << bit;
            // Only what the file is compared with: the attestation alone needs the whole run.
            bundle.retain(|name, _| path == "attestation.json" || name == path || name == MANIFEST);
            if path == "attestation.json" && at % 60 != 0 {
                continue;
            }
            let found = verify(&bundle, Some(&trusted()));
            assert!(
                found.problems.iter().any(|problem| problem.file == path),
                "bit {bit} of byte {at} of {path}"
            );
        }
    }
}

#[test]
fn a_verdict_edited_and_hashed_anew_without_the_key_is_found() {
    let mut bundle = SEALED.bundle.clone();
    let text = String::from_utf8(bundle["run.json"].clone()).unwrap();
    let edited = text.replacen("\"verdict\": \"pass\"", "\"verdict\": \"waived\"", 3);
    assert_ne!(text, edited);
    bundle.insert("run.json".to_owned(), edited.into_bytes());
    // With the old signature, and with the key of somebody else.
    let mut unsigned = resealed(bundle.clone(), &key(2));
    unsigned.insert(SIGNATURE.to_owned(), SEALED.bundle[SIGNATURE].clone());
    wrong(&unsigned, SIGNATURE, "does not fit");
    wrong(
        &resealed(bundle.clone(), &key(2)),
        SIGNATURE,
        "does not name this key",
    );
    // And even with the right key: it does not follow from the evidence.
    let found = wrong(
        &resealed(bundle, &key(1)),
        "run.json",
        "judged again it is pass",
    );
    assert!(found.run.is_some());
}

/// The recorded facts with every rotation switched off.
fn violating() -> Vec<Observed> {
    let facts = serde_json::to_string(
        &RECORDING
            .facts
            .iter()
            .map(|observed| serde_json::to_value(observed).unwrap())
            .collect::<Vec<_>>(),
    )
    .unwrap();
    let changed = facts.replace("\"rotation_enabled\":true", "\"rotation_enabled\":false");
    assert_ne!(facts, changed);
    serde_json::from_str(&changed).unwrap()
}

#[test]
fn evidence_swapped_for_violating_facts_and_signed_again_changes_the_verdict() {
    let mut bundle = SEALED.bundle.clone();
    bundle.retain(|path, _| !path.starts_with("evidence/"));
    for record in facts(&violating()).records() {
        bundle.insert(
            format!("evidence/{}.json", record.digest),
            record.text.as_bytes().to_vec(),
        );
    }
    let found = wrong(
        &resealed(bundle, &key(1)),
        "run.json",
        "judged again it is fail",
    );
    assert!(
        found
            .problems
            .iter()
            .any(|problem| problem.what.contains("AML-007") && problem.what.contains("is fail")),
        "{:#?}",
        found.problems
    );
}

#[test]
fn a_control_loosened_after_the_run_changes_the_verdict() {
    // A run that failed, made to look passed by a control that demands nothing.
    let failed = sealed(&sources(""), &violating(), &key(1), None);
    let mut bundle = failed.bundle;
    let name = "controls/FR-278.yaml";
    let text = String::from_utf8(bundle[name].clone()).unwrap();
    bundle.insert(
        name.to_owned(),
        text.replace("that: \"secret.rotation.enabled\"", "that: \"true\"")
            .into_bytes(),
    );
    wrong(
        &resealed(bundle, &key(1)),
        name,
        "is not the text of controls/FR-278.yaml",
    );
}

#[test]
fn what_is_signed_must_still_be_a_run() {
    let check = |change: &dyn Fn(&mut Bundle), file: &str, what: &str| {
        let mut bundle = SEALED.bundle.clone();
        change(&mut bundle);
        wrong(&resealed(bundle, &key(1)), file, what);
    };
    let evidence = SEALED
        .bundle
        .keys()
        .find(|path| path.starts_with("evidence/"))
        .unwrap();
    check(
        &|bundle| drop(bundle.remove("junit.xml")),
        "junit.xml",
        "every run has it",
    );
    check(
        &|bundle| drop(bundle.remove("earlier.json")),
        "earlier.json",
        "every run has it",
    );
    check(
        &|bundle| drop(bundle.remove(evidence)),
        "run.json",
        "judged again it is",
    );
    check(
        &|bundle| drop(bundle.insert("controls/extra.yaml".to_owned(), b"x".to_vec())),
        "controls",
        "8 files are kept",
    );
    check(
        &|bundle| {
            let bytes = bundle.remove(evidence).unwrap();
            bundle.insert(format!("evidence/{}.json", "0".repeat(64)), bytes);
        },
        &format!("evidence/{}.json", "0".repeat(64)),
        "is not named by the SHA-256",
    );
    check(
        // Two keys of one name: readers differ in which of them counts.
        &|bundle| {
            let text = String::from_utf8(bundle.remove(evidence).unwrap()).unwrap();
            let text = text.replacen('{', "{\"observation\":\"caller\",", 1);
            bundle.insert(
                format!("evidence/{}.json", digest(text.as_bytes())),
                text.into_bytes(),
            );
        },
        &{
            let text = String::from_utf8(SEALED.bundle[evidence].clone()).unwrap();
            let text = text.replacen('{', "{\"observation\":\"caller\",", 1);
            format!("evidence/{}.json", digest(text.as_bytes()))
        },
        "is not what evidence holds there",
    );
    check(
        &|bundle| {
            let text = format!(
                "{} ",
                String::from_utf8(bundle.remove(evidence).unwrap()).unwrap()
            );
            bundle.insert(
                format!("evidence/{}.json", digest(text.as_bytes())),
                text.into_bytes(),
            );
        },
        // Named below by the digest of the text with a blank.
        &{
            let text = format!(
                "{} ",
                String::from_utf8(SEALED.bundle[evidence].clone()).unwrap()
            );
            format!("evidence/{}.json", digest(text.as_bytes()))
        },
        "is not written as evidence is",
    );
    check(
        &|bundle| drop(bundle.insert("population.csv".to_owned(), b"resource\n".to_vec())),
        "population.csv",
        "is not what the evidence leads to",
    );
}

#[test]
fn a_manifest_has_one_text_and_no_path_leaves_the_folder() {
    let text = String::from_utf8(SEALED.bundle[MANIFEST].clone()).unwrap();
    let check = |edited: String, what: &str| {
        assert_ne!(edited, text);
        let mut bundle = SEALED.bundle.clone();
        bundle.insert(
            SIGNATURE.to_owned(),
            key(1).sign(edited.as_bytes()).unwrap().into_bytes(),
        );
        bundle.insert(MANIFEST.to_owned(), edited.into_bytes());
        wrong(&bundle, MANIFEST, what);
    };
    check(
        text.replacen("\"version\": 1", "\"version\": 2", 1),
        "of version 2",
    );
    check(
        text.replacen("\"version\": 1,", "\"version\": 1, ", 1),
        "was changed",
    );
    check(
        text.replacen("\"version\": 1,", "\"version\": 1,\n  \"version\": 1,", 1),
        "is not what a manifest holds there",
    );
    let files = text.find("\n  \"files\"").unwrap();
    check(
        format!("{}\n}}\n", text[..files].trim_end_matches(',')),
        "is not what a manifest holds there",
    );
    let listed = |path: &str| {
        let mut manifest = Manifest::read(text.as_bytes()).unwrap();
        manifest.files.push(Entry::of(path, b""));
        manifest
            .files
            .sort_by(|one, other| one.path.cmp(&other.path));
        manifest.root = root(&manifest.files);
        manifest.text()
    };
    for path in [
        "../outside",
        "/etc/passwd",
        "a/../b",
        "evidence/../../x",
        ".hidden",
        "a//b",
        "a/b/c",
        "manifest.json",
        "a\\b",
        "a b",
    ] {
        check(listed(path), "which no run holds");
    }
    let mut empty = Manifest::read(text.as_bytes()).unwrap();
    empty.files.clear();
    empty.root = root(&[]);
    let mut bundle = SEALED.bundle.clone();
    bundle.insert(MANIFEST.to_owned(), empty.text().into_bytes());
    bundle.insert(
        SIGNATURE.to_owned(),
        key(1).sign(empty.text().as_bytes()).unwrap().into_bytes(),
    );
    let found = verify(&bundle, Some(&trusted()));
    assert!(!found.holds(), "a manifest of nothing");
}

#[test]
fn a_signature_is_for_this_and_written_in_one_way() {
    let message = &SEALED.bundle[MANIFEST];
    let check = |signature: String, what: &str| {
        let mut bundle = SEALED.bundle.clone();
        bundle.insert(SIGNATURE.to_owned(), signature.into_bytes());
        wrong(&bundle, SIGNATURE, what);
    };
    let text = String::from_utf8(SEALED.bundle[SIGNATURE].clone()).unwrap();
    check(text.replace('\n', "\r\n"), "");
    check(format!("{text}\n"), "");
    check(text.replacen('\n', " \n", 1), "");
    check(format!("\n{text}"), "");
    check("hello".to_owned(), "is no SSH signature");
    check(String::new(), "is no SSH signature");
    let private = ssh_key::PrivateKey::from_openssh(key(1).to_openssh().unwrap()).unwrap();
    let other = private
        .sign("file", ssh_key::HashAlg::Sha512, message)
        .unwrap();
    check(
        format!(
            "{}\n",
            other.to_pem(ssh_key::LineEnding::LF).unwrap().trim_end()
        ),
        "was made for `file`",
    );
    let other = private
        .sign("compliance-evidence", ssh_key::HashAlg::Sha256, message)
        .unwrap();
    check(
        format!(
            "{}\n",
            other.to_pem(ssh_key::LineEnding::LF).unwrap().trim_end()
        ),
        "only ssh-ed25519",
    );
}

static FIVE: LazyLock<Vec<Sealed>> = LazyLock::new(|| {
    let mut runs: Vec<Sealed> = Vec::new();
    for _ in 0..5 {
        runs.push(sealed(&sources(""), &RECORDING.facts, &key(1), runs.last()));
    }
    runs
});

fn chain(outside: &Outside, remove: &[usize]) -> Chain {
    let runs = &*FIVE;
    let placed = runs
        .iter()
        .enumerate()
        .filter(|(index, _)| !remove.contains(index))
        .map(|(index, run)| Placed {
            name: format!("run-{}", index + 1),
            manifest: Manifest::read(&run.bundle[MANIFEST]).unwrap(),
            digest: run.digest.clone(),
        })
        .collect();
    let head = outside
        .head
        .as_ref()
        .map(|index| runs[index.parse::<usize>().unwrap()].digest.clone());
    let before = outside
        .before
        .as_ref()
        .map(|index| runs[index.parse::<usize>().unwrap()].digest.clone());
    check(placed, &Outside { head, before })
}

#[test]
fn a_missing_run_is_named_wherever_it_stood() {
    // `head` and `before` are indices of runs here.
    let at = |head: Option<&str>, before: Option<&str>| Outside {
        head: head.map(str::to_owned),
        before: before.map(str::to_owned),
    };
    let says = |chain: &Chain, expected: &str| {
        assert!(
            chain
                .problems
                .iter()
                .any(|problem| format!("{}: {}", problem.file, problem.what).contains(expected)),
            "expected {expected}: {:#?}",
            chain.problems
        );
    };
    let whole = chain(&at(Some("4"), None), &[]);
    assert_eq!((whole.problems, whole.unproven), (Vec::new(), Vec::new()));
    let without_head = chain(&at(None, None), &[]);
    assert_eq!(without_head.problems, []);
    assert!(without_head.unproven[0].contains("run-5 is the newest run"));
    says(
        &chain(&at(Some("4"), None), &[2]),
        "run-4: run number 3 is missing between run-2",
    );
    says(
        &chain(&at(Some("4"), None), &[1, 2]),
        "run-4: the runs 2 to 3 are missing",
    );
    says(
        &chain(&at(Some("4"), None), &[4]),
        "run-4: is not the newest run",
    );
    says(
        &chain(&at(Some("4"), None), &[0]),
        "run-2: is number 2: the runs before it are missing",
    );
    assert_eq!(chain(&at(Some("4"), Some("0")), &[0]).problems, []);
    says(
        &chain(&at(Some("4"), Some("1")), &[0]),
        "does not follow the manifest given",
    );
    assert!(chain(&at(Some("3"), None), &[]).unproven[0].contains("1 runs are newer"));
}

#[test]
fn a_run_put_in_anothers_place_is_named() {
    let first = sealed(&sources(""), &RECORDING.facts, &key(1), None);
    let other = sealed(&sources(""), &violating(), &key(1), None);
    let second = sealed(&sources(""), &RECORDING.facts, &key(1), Some(&first));
    let placed = |name: &str, run: &Sealed| Placed {
        name: name.to_owned(),
        manifest: Manifest::read(&run.bundle[MANIFEST]).unwrap(),
        digest: run.digest.clone(),
    };
    let replaced = check(
        vec![placed("a", &other), placed("b", &second)],
        &Outside::default(),
    );
    assert!(replaced.problems[0].what.contains("does not follow a"));
    let forked = check(
        vec![
            placed("a", &first),
            placed("b", &other),
            placed("c", &second),
        ],
        &Outside::default(),
    );
    assert!(forked.problems[0].what.contains("the chain forks"));
}

#[test]
fn a_run_that_lies_about_an_earlier_one_is_named() {
    let run = run_of(&sources(""), &facts(&RECORDING.facts)).outline();
    let honest = [run.clone()];
    let mut lie = run.clone();
    lie.controls.pop();
    let check = |told: &[Run], expected: usize| {
        let runs = [("a", &run, [].as_slice()), ("b", &run, told)];
        assert_eq!(trends(runs.into_iter()).len(), expected);
    };
    check(&honest, 0);
    check(&[lie], 1);
}

#[test]
fn one_file_is_proven_without_the_others() {
    let manifest = Manifest::read(&SEALED.bundle[MANIFEST]).unwrap();
    let envelope = String::from_utf8(SEALED.bundle["attestation.json"].clone()).unwrap();
    assert_eq!(signed_root(&envelope, &trusted()).unwrap(), manifest.root);
    let strangers = AllowedSigners::read(&signers_line("x", &key(2))).unwrap();
    assert!(signed_root(&envelope, &strangers).is_err());
    for entry in &manifest.files {
        let proof = Proof::of(&manifest, &entry.path).unwrap();
        assert_eq!(proof.root, manifest.root);
        assert_eq!(proof.holds(&SEALED.bundle[&entry.path]), Ok(()));
        assert!(proof.holds(b"something else").is_err());
        let mut moved: Value = serde_json::from_str(&proof.text()).unwrap();
        moved["entry"]["path"] = Value::from("evidence/other.json");
        let moved: Proof = serde_json::from_value(moved).unwrap();
        assert!(moved.holds(&SEALED.bundle[&entry.path]).is_err());
    }
    assert_eq!(Proof::of(&manifest, "nothing"), None);
}

fn waiver(rule: &str, resource: &str, approved: &str, expires: &str) -> String {
    format!(
        "- id: legacy\n  control: FR-278\n  assertion: {rule}\n  resource: {resource}\n  reason: vendor\n  compensating: alerts\n  \
         approver: head-of-security\n  approved_on: {approved}\n  expires: {expires}\n  ticket: SEC-1\n"
    )
}

/// The run of the violating facts under a waiver, and the finding that it is about.
fn waived(resource: &str, from: i64, to: i64) -> Run {
    let day = |days: i64| {
        (RECORDING.now + chrono::TimeDelta::days(days))
            .date_naive()
            .to_string()
    };
    run_of(
        &sources(&waiver("switched-on", resource, &day(from), &day(to))),
        &facts(&violating()),
    )
}

fn failing() -> String {
    let run = run_of(&sources(""), &facts(&violating()));
    let control = run
        .controls
        .iter()
        .find(|control| control.id == "FR-278")
        .unwrap();
    control
        .findings
        .iter()
        .find(|finding| finding.assertion == "switched-on" && finding.verdict.word() == "fail")
        .unwrap()
        .resource
        .to_string()
}

#[test]
fn a_waiver_covers_one_finding_until_it_expires() {
    let resource = failing();
    let of = |run: &Run, assertion: &str, resource: &str| {
        let control = run
            .controls
            .iter()
            .find(|control| control.id == "FR-278")
            .unwrap();
        control
            .findings
            .iter()
            .find(|finding| finding.assertion == assertion && finding.resource == resource)
            .cloned()
    };
    let run = waived(&resource, -10, 20);
    let finding = of(&run, "switched-on", &resource).unwrap();
    assert_eq!(
        (finding.verdict.word(), finding.waiver.as_deref()),
        ("waived", Some("legacy"))
    );
    assert!(finding.because.last().unwrap().contains("20 days left"));
    assert_eq!((run.waivers[0].covered, run.waivers[0].days_left), (1, 20));
    // Its last day counts; the day after it is over.
    assert_eq!(
        of(&waived(&resource, -10, 0), "switched-on", &resource)
            .unwrap()
            .verdict
            .word(),
        "waived"
    );
    let expired = waived(&resource, -10, -1);
    let finding = of(&expired, "switched-on", &resource).unwrap();
    assert_eq!(finding.verdict.word(), "fail");
    assert!(
        finding
            .because
            .last()
            .unwrap()
            .contains("`legacy` expired on"),
        "{:?}",
        finding.because
    );
    assert_eq!(
        (expired.waivers[0].covered, expired.waivers[0].days_left),
        (0, -1)
    );
    let early = of(&waived(&resource, 1, 20), "switched-on", &resource).unwrap();
    assert!(early.verdict.word() == "fail" && early.because.last().unwrap().contains("only"));
}

#[test]
fn a_waiver_that_matches_nothing_is_a_finding() {
    let orphan = |resource: &str| {
        let run = waived(resource, -10, 20);
        run.controls
            .iter()
            .flat_map(|control| &control.findings)
            .find(|finding| finding.assertion == "waiver")
            .cloned()
    };
    let ours = format!(
        "arn:aws:secretsmanager:{}:{}:secret:bank-gone",
        RECORDING.region, RECORDING.account
    );
    let finding = orphan(&ours).unwrap();
    assert_eq!(
        (finding.verdict.word(), finding.resource.as_str()),
        ("fail", "waiver legacy")
    );
    assert!(finding.because[0].contains(&ours) && finding.source.contains("waivers.yaml:1"));
    // What belongs to another account is a matter of that account's run.
    assert_eq!(
        orphan("arn:aws:secretsmanager:ap-southeast-2:000000000000:secret:bank-gone"),
        None
    );
}

#[test]
fn a_control_that_differs_from_the_baseline_shows_and_changes_no_verdict() {
    let approved = sources("");
    let choices = Choices {
        stage: RECORDING.stage.clone(),
        ..Choices::default()
    };
    let catalog = approved.catalog(&vocabulary(), &choices, &[]).unwrap();
    let baseline = SourceFile {
        path: "controls/baseline.json".to_owned(),
        text: checker_core::control::Baseline::of(&catalog).text(),
    };
    let mut same = approved.clone();
    same.baseline = Some(baseline.clone());
    let facts = facts(&RECORDING.facts);
    let run = run_of(&same, &facts);
    assert_eq!(run.not_proven, judged().about.not_proven);
    let mut loosened = same;
    let file = loosened
        .controls
        .iter_mut()
        .find(|file| file.path.contains("FR-278"))
        .unwrap();
    file.text = file.text.replace("default: 90d", "default: 60d");
    let run = run_of(&loosened, &facts);
    let finding = run
        .controls
        .iter()
        .flat_map(|control| &control.findings)
        .find(|finding| finding.assertion == "baseline")
        .unwrap();
    assert_eq!(finding.verdict.word(), "not_applicable");
    assert!(
        finding
            .because
            .iter()
            .any(|reason| reason.contains("is 60d") && reason.contains("approved 90d")),
        "{:?}",
        finding.because
    );
    assert!(
        run.not_proven
            .iter()
            .any(|gap| gap.contains("FR-278 is judged as approved"))
    );
}

/// The recorded facts with so many secrets more, each with its own answer about its policy.
fn with_secrets(more: usize) -> Vec<Observed> {
    let mut facts: Vec<Value> = RECORDING
        .facts
        .iter()
        .map(|observed| serde_json::to_value(observed).unwrap())
        .collect();
    let pick = |facts: &[Value], name: &str| {
        facts
            .iter()
            .find(|fact| fact["outcome"]["seen"].get(name).is_some())
            .cloned()
            .unwrap()
    };
    let policy = pick(&facts, "secret_policy");
    let first = pick(&facts, "secrets")["outcome"]["seen"]["secrets"][0].clone();
    let arn = first["arn"].as_str().unwrap().to_owned();
    for number in 0..more {
        let arn = format!("{arn}-{number:05}");
        let mut answer = policy.clone();
        answer["observation"]["secret_policy"] = Value::from(arn.as_str());
        answer["origin"]["request_ids"] = serde_json::json!([digest(arn.as_bytes())]);
        for fact in &mut facts {
            for list in ["secrets", "tagged_secrets"] {
                if let Some(rows) = fact["outcome"]["seen"]
                    .get_mut(list)
                    .and_then(Value::as_array_mut)
                {
                    let mut row = rows[0].clone();
                    row["arn"] = Value::from(arn.as_str());
                    if list == "secrets" {
                        row["name"] = Value::from(format!("bank-app/more/{number}"));
                    }
                    rows.push(row);
                }
            }
        }
        facts.push(answer);
    }
    facts
        .into_iter()
        .map(|fact| serde_json::from_value(fact).unwrap())
        .collect()
}

#[test]
fn many_answers_are_packed_and_every_finding_names_files_that_exist() {
    let sealed = sealed(&sources(""), &with_secrets(1200), &key(1), None);
    let found = verify(&sealed.bundle, Some(&trusted()));
    assert_eq!(found.problems, []);
    let evidence: Vec<(&String, &Vec<u8>)> = sealed
        .bundle
        .iter()
        .filter(|(path, _)| path.starts_with("evidence/"))
        .collect();
    assert!(evidence.len() < 100, "{} files", evidence.len());
    let bytes: usize = evidence.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 1_000_000, "{bytes} bytes for 1,200 secrets");
    for finding in found
        .run
        .unwrap()
        .controls
        .iter()
        .flat_map(|control| &control.findings)
    {
        for digest in &finding.evidence {
            assert!(
                sealed
                    .bundle
                    .contains_key(&format!("evidence/{digest}.json")),
                "{finding:?}"
            );
        }
    }
    // A row taken out of a pack, and the rest named and signed anew: that question has no answer any more.
    let (path, bytes) = evidence
        .iter()
        .find(|(_, bytes)| bytes.starts_with(b"{\"records\":"))
        .unwrap();
    let mut pack: Value = serde_json::from_slice(bytes).unwrap();
    pack["records"]["rows"].as_array_mut().unwrap().pop();
    let mut bundle = sealed.bundle.clone();
    bundle.remove(*path);
    let text = pack.to_string();
    bundle.insert(
        format!("evidence/{}.json", digest(text.as_bytes())),
        text.into_bytes(),
    );
    assert!(!verify(&resealed(bundle, &key(1)), Some(&trusted())).holds());
}

#[test]
fn evidence_has_sorted_keys_and_no_white_space() {
    for (path, bytes) in &SEALED.bundle {
        if path.starts_with("evidence/") {
            let observed: Observed = serde_json::from_slice(bytes).unwrap();
            assert!(matches!(
                observed.outcome,
                Outcome::Seen(_) | Outcome::Unseen(_)
            ));
            let mut sorted = String::new();
            canonical(&serde_json::from_slice(bytes).unwrap(), &mut sorted);
            assert_eq!(sorted.as_bytes(), bytes, "{path}");
        }
    }
}

/// JSON with sorted keys, written by itself so that no setting of a library decides.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}
