//! A run checked from its files alone: digests, tree, signature, and every verdict judged again.
//!
//! In: a [`Bundle`], as it was found, and who may sign. Out: a [`Verification`] that says of each file what is wrong with
//! it. What can't be proven from these files is said as well, and is no problem.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;

use super::attestation;
use super::bundle::{Bundle, EARLIER, SIGNERS, rendered};
use super::manifest::{
    self, ATTESTATION, Entry, MANIFEST, Manifest, ManifestError, SIGNATURE, Source, UNLISTED,
};
use super::pack;
use super::signature::{self, SignedBy};
use super::signers::AllowedSigners;
use crate::control::{Choices, SourceFile, Sources};
use crate::judge::{judge, judge_only};
use crate::merge::judge_parts;
use crate::observation::Facts;
use crate::population;
use crate::run::{Run, Target};

/// How many differences of one file are named.
const NAMED: usize = 10;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the run's own name where no single file is meant.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

impl Problem {
    /// A problem of a file.
    pub fn new(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            what: what.into(),
        }
    }
}

/// What was found out about a run.
#[derive(Debug, Default)]
pub struct Verification {
    /// Its manifest, where that could be read.
    pub manifest: Option<Manifest>,
    /// SHA-256 of its manifest.
    pub digest: String,
    /// The run as judged again.
    pub run: Option<Run>,
    /// The runs before it, as it tells of them.
    pub earlier: Vec<Run>,
    /// The key that signed, and its principals where a signers file names it.
    pub signed_by: Option<(SignedBy, Option<String>)>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What these files can't prove.
    pub unproven: Vec<String>,
    /// Whether only the run itself names its signer.
    pub names_its_signer: bool,
    /// Whether the auditor's signers file is missing for a run that is not its own witness.
    pub needs_signers: bool,
}

/// Checks a run.
pub fn verify(bundle: &Bundle, signers: Option<&AllowedSigners>) -> Verification {
    let mut found = Verification::default();
    let Some(text) = bundle.get(MANIFEST) else {
        found.problems.push(Problem::new(
            MANIFEST,
            "is missing: without it nothing of this folder can be trusted",
        ));
        return found;
    };
    found.digest = manifest::digest(text);
    let by = found.signature(bundle, text);
    let manifest = match Manifest::read(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            found
                .problems
                .push(Problem::new(MANIFEST, error.to_string()));
            if let ManifestError::Version(_) = error {
                found
                    .unproven
                    .push("what a checker of another version wrote".to_owned());
            }
            return found;
        }
    };
    found.files(bundle, &manifest);
    if let Some(by) = &by {
        found.signer(bundle, &manifest, signers, by);
    }
    // What is not the recorded text says nothing about the recorded verdict.
    if found.problems.is_empty() {
        found.judged_again(bundle, &manifest, by.as_ref());
    } else {
        found.unproven.push(
            "the verdicts: they are judged again only from files that are as recorded".to_owned(),
        );
    }
    found.manifest = Some(manifest);
    found
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    fn wrong(&mut self, file: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(file, what));
    }

    fn signature(&mut self, bundle: &Bundle, text: &[u8]) -> Option<SignedBy> {
        let Some(file) = bundle.get(SIGNATURE) else {
            self.wrong(SIGNATURE, "is missing");
            return None;
        };
        match signature::verify(text, file) {
            Ok(by) => Some(by),
            Err(error) => {
                self.wrong(SIGNATURE, error.to_string());
                None
            }
        }
    }

    fn files(&mut self, bundle: &Bundle, manifest: &Manifest) {
        for entry in &manifest.files {
            match bundle.get(&entry.path) {
                None => self.wrong(&entry.path, "was removed: the manifest lists it"),
                Some(bytes) => {
                    let now = Entry::of(&entry.path, bytes);
                    if now != *entry {
                        self.wrong(
                            &entry.path,
                            format!(
                                "was changed: its SHA-256 is {} ({} bytes), recorded {} ({} bytes)",
                                now.sha256, now.size, entry.sha256, entry.size
                            ),
                        );
                    }
                }
            }
        }
        for path in bundle.keys() {
            if manifest.entry(path).is_none() && !UNLISTED.contains(&path.as_str()) {
                self.wrong(path, "was added: the manifest does not list it");
            }
        }
        if !bundle.contains_key(ATTESTATION) {
            self.wrong(ATTESTATION, "is missing");
        }
    }

    fn signer(
        &mut self,
        bundle: &Bundle,
        manifest: &Manifest,
        signers: Option<&AllowedSigners>,
        by: &SignedBy,
    ) {
        let own = match bundle
            .get(SIGNERS)
            .map(|bytes| String::from_utf8_lossy(bytes))
        {
            Some(text) => match AllowedSigners::read(&text) {
                Ok(own) => Some(own),
                Err(error) => {
                    self.wrong(SIGNERS, error.to_string());
                    None
                }
            },
            None => None,
        };
        self.signed_by = Some((by.clone(), None));
        let Some(trusted) = signers.or(own.as_ref()) else {
            self.needs_signers = true;
            self.unproven.push(format!(
                "who signed: {} did, and no signers file says whose key that is (--allowed-signers FILE)",
                by.fingerprint()
            ));
            return;
        };
        match trusted.principals(by, manifest.judged.about.finished) {
            Ok(principals) => {
                if signers.is_none() {
                    self.names_its_signer = true;
                    self.unproven.push(
                        "who signed: the run names its signer itself (--allowed-signers FILE)"
                            .to_owned(),
                    );
                    self.needs_signers = manifest.judged.about.target == Target::Aws;
                }
                self.signed_by = Some((by.clone(), Some(principals)));
            }
            Err(reason) => self.wrong(
                SIGNATURE,
                format!("was made by {}, and {reason}", by.fingerprint()),
            ),
        }
    }

    fn judged_again(&mut self, bundle: &Bundle, manifest: &Manifest, by: Option<&SignedBy>) {
        let run = match judge_again(bundle, manifest) {
            Ok(run) => run,
            Err(problems) => {
                self.problems.extend(problems);
                return;
            }
        };
        let same_tool = run.tool == manifest.tool;
        let mut run = run;
        run.tool.clone_from(&manifest.tool);
        let earlier = self.earlier(bundle);
        self.compare_manifest(manifest, &run);
        self.compare(bundle, &run, &earlier, same_tool);
        if let (Some(by), Some(envelope)) = (by, bundle.get(ATTESTATION))
            && let Err(what) = attestation::belongs(
                &String::from_utf8_lossy(envelope),
                manifest,
                &self.digest,
                &run,
                by,
            )
        {
            self.wrong(ATTESTATION, what);
        }
        if !same_tool {
            self.unproven.push(format!(
                "reports byte by byte: they are of {}, and this is checker {}",
                manifest.tool,
                env!("CARGO_PKG_VERSION")
            ));
        }
        self.earlier = earlier;
        self.run = Some(run);
    }

    fn earlier(&mut self, bundle: &Bundle) -> Vec<Run> {
        let Some(bytes) = bundle.get(EARLIER) else {
            self.wrong(EARLIER, "is missing, and every run has it");
            return Vec::new();
        };
        serde_json::from_slice(bytes).unwrap_or_else(|error| {
            self.wrong(
                EARLIER,
                format!(
                    "line {}, column {} is no outline of a run",
                    error.line(),
                    error.column()
                ),
            );
            Vec::new()
        })
    }

    /// The manifest tells some things again that follow from the run.
    fn compare_manifest(&mut self, manifest: &Manifest, run: &Run) {
        if manifest.verdict != run.verdict {
            self.wrong(
                MANIFEST,
                format!(
                    "says the verdict is {}, judged again it is {}",
                    manifest.verdict.word(),
                    run.verdict.word()
                ),
            );
        }
        if manifest.run_id != run.run_id {
            self.wrong(
                MANIFEST,
                format!(
                    "is of run {}, judged again this is {}",
                    manifest.run_id, run.run_id
                ),
            );
        }
        let parameters: BTreeMap<String, BTreeMap<String, String>> = run
            .controls
            .iter()
            .map(|control| (control.id.clone(), control.parameters.clone()))
            .collect();
        if manifest.parameters != parameters || manifest.not_proven != run.not_proven {
            self.wrong(
                MANIFEST,
                "its parameters or what it says was not proven do not follow from the controls",
            );
        }
    }

    /// Renders every file again, beside the one that is there.
    fn compare(&mut self, bundle: &Bundle, run: &Run, earlier: &[Run], same_tool: bool) {
        for path in bundle.keys() {
            let known = path.contains('/')
                || path == SIGNERS
                || UNLISTED.contains(&path.as_str())
                || rendered().any(|report| report.name == path);
            if !known {
                self.unproven.push(format!(
                    "that {path} follows from the evidence: it is not rendered again"
                ));
            }
        }
        for report in rendered() {
            let name = report.name;
            let Some(bytes) = bundle.get(name) else {
                self.wrong(name, "is missing, and every run has it");
                continue;
            };
            let mut beside = Beside::new(bytes);
            if let Err(error) = report.write(run, earlier, &mut beside) {
                self.wrong(name, format!("failed to {error}"));
                continue;
            }
            let Some(at) = beside.differs_at() else {
                continue;
            };
            let differences = match name {
                "run.json" => differences(bytes, run),
                _ => Vec::new(),
            };
            if !differences.is_empty() {
                for what in differences {
                    self.wrong(name, what);
                }
            } else if same_tool {
                self.wrong(
                    name,
                    format!("is not what the evidence leads to: it differs at byte {at}"),
                );
            }
        }
    }
}

/// A file that is there, compared with one that is being rendered.
struct Beside<'a> {
    rest: &'a [u8],
    at: usize,
    differs: bool,
}

impl<'a> Beside<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            at: 0,
            differs: false,
        }
    }

    /// The first byte that is another one, or where one of the two ends.
    fn differs_at(&self) -> Option<usize> {
        (self.differs || !self.rest.is_empty()).then_some(self.at)
    }
}

impl Write for Beside<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.differs {
            return Ok(bytes.len());
        }
        if let Some(rest) = self.rest.strip_prefix(bytes) {
            self.rest = rest;
            self.at += bytes.len();
        } else {
            let same = self.rest.iter().zip(bytes);
            self.at += same.take_while(|(one, other)| one == other).count();
            self.differs = true;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The run that controls and evidence of a bundle lead to.
pub fn judge_again(bundle: &Bundle, manifest: &Manifest) -> Result<Run, Vec<Problem>> {
    let sources = sources(bundle, manifest)?;
    let facts = facts(bundle)?;
    let judged = &manifest.judged;
    let choices = Choices {
        stage: judged.setting.stage.clone(),
        ..Choices::default()
    };
    let catalog = sources
        .catalog(&population::vocabulary(), &choices, &judged.only)
        .map_err(|errors| {
            errors
                .iter()
                .map(|error| Problem::new("controls", error.to_string()))
                .collect::<Vec<_>>()
        })?;
    let run = match (&judged.resource, judged.parts.is_empty()) {
        (None, true) => Some(judge(
            &catalog,
            &facts,
            &judged.setting,
            judged.about.clone(),
        )),
        (Some(resource), true) => judge_only(
            &catalog,
            &facts,
            &judged.setting,
            judged.about.clone(),
            resource,
        ),
        (resource, false) => judge_parts(&catalog, &facts, &judged.parts, resource.as_deref())
            .map_err(|error| vec![Problem::new(MANIFEST, format!("failed to {error}"))])?,
    };
    run.ok_or_else(|| {
        let what = "says that only one resource was judged, and no rule speaks of it";
        vec![Problem::new(MANIFEST, what)]
    })
}

/// The texts by which a run was judged.
pub fn sources(bundle: &Bundle, manifest: &Manifest) -> Result<Sources, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut read = |source: &Source| -> SourceFile {
        let text = bundle
            .get(&source.file)
            .filter(|bytes| manifest::digest(bytes) == source.sha256)
            .and_then(|bytes| String::from_utf8(bytes.clone()).ok());
        if text.is_none() {
            problems.push(Problem::new(
                &source.file,
                format!("is not the text of {} that was judged by", source.path),
            ));
        }
        SourceFile {
            path: source.path.clone(),
            text: text.unwrap_or_default(),
        }
    };
    let sources = Sources {
        folder: "controls".to_owned(),
        controls: manifest.controls.iter().map(&mut read).collect(),
        waivers: manifest.waivers.as_ref().map(&mut read),
        baseline: manifest.baseline.as_ref().map(&mut read),
    };
    let named = manifest.controls.len()
        + usize::from(manifest.waivers.is_some())
        + usize::from(manifest.baseline.is_some());
    let kept = bundle
        .keys()
        .filter(|path| path.starts_with("controls/"))
        .count();
    if kept != named {
        problems.push(Problem::new(
            "controls",
            format!("{kept} files are kept, and the manifest judges by {named}"),
        ));
    }
    if problems.is_empty() {
        Ok(sources)
    } else {
        Err(problems)
    }
}

/// What a run asked.
pub fn facts(bundle: &Bundle) -> Result<Facts, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut texts = Vec::new();
    for (path, bytes) in bundle.range("evidence/".to_owned().."evidence0".to_owned()) {
        let named = path
            .strip_prefix("evidence/")
            .and_then(|name| name.strip_suffix(".json"));
        if named != Some(manifest::digest(bytes).as_str()) {
            problems.push(Problem::new(
                path,
                "is not named by the SHA-256 of what it holds",
            ));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => texts.push((path.as_str(), text)),
            Err(_) => problems.push(Problem::new(path, "is no text")),
        }
    }
    let mut facts = Facts::default();
    for (path, text) in &texts {
        match pack::read(text) {
            Ok(answers) => answers.into_iter().for_each(|answer| facts.add(answer)),
            Err(what) => problems.push(Problem::new(*path, what)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // One set of facts has one set of files: nothing is written otherwise, and nothing is there twice.
    let files = &facts.files().texts;
    for (path, text) in &texts {
        let named = path
            .strip_prefix("evidence/")
            .and_then(|name| name.strip_suffix(".json"))
            .and_then(|digest| files.get(digest));
        if named.map(|known| &**known) != Some(*text) {
            problems.push(Problem::new(
                *path,
                "is not written as evidence is, or another file answers the same question",
            ));
        }
    }
    if problems.is_empty() {
        Ok(facts)
    } else {
        Err(problems)
    }
}

/// Verdicts that differ between a recorded `run.json` and the one judged again.
fn differences(recorded: &[u8], expected: &Run) -> Vec<String> {
    let (Ok(recorded), Ok(expected)) = (
        serde_json::from_slice::<Value>(recorded),
        serde_json::to_value(expected),
    ) else {
        return vec!["is no JSON".to_owned()];
    };
    let (recorded, expected) = (verdicts(&recorded), verdicts(&expected));
    let word = |verdict: Option<&String>| verdict.map_or("absent", String::as_str).to_owned();
    let mut all: Vec<String> = expected
        .keys()
        .chain(recorded.keys().filter(|key| !expected.contains_key(*key)))
        .filter(|key| recorded.get(*key) != expected.get(*key))
        .map(|key| {
            format!(
                "says {} is {}, judged again it is {}",
                key.1,
                word(recorded.get(key)),
                word(expected.get(key))
            )
        })
        .collect();
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    if more > 0 {
        all.push(format!("and {more} more verdicts differ"));
    }
    all
}

/// The verdicts of a run, its controls and its findings, in this order.
fn verdicts(run: &Value) -> BTreeMap<(u8, String), String> {
    let text = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let list = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut verdicts = BTreeMap::from([((0, "the run".to_owned()), text(run, "verdict"))]);
    for control in list(run, "controls") {
        let id = text(&control, "id");
        verdicts.insert((1, id.clone()), text(&control, "verdict"));
        for finding in list(&control, "findings") {
            verdicts.insert(
                (
                    2,
                    format!(
                        "{id}.{} of {}",
                        text(&finding, "assertion"),
                        text(&finding, "resource")
                    ),
                ),
                text(&finding, "verdict"),
            );
        }
    }
    verdicts
}
