//! `checker faults`: plants one fault at a time and says which control notices.
//!
//! In: the program, the controls and `.config/faults.yaml`. Out: `faults.json` below the output folder, a table for the
//! person, and exit code 1 when a fault survived without a reason, when a reason outlived its faults, or when one fits a
//! fault that a rule notices; 3 when no fault at all could be tried.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use checker_core::control::Catalog;
use checker_core::fault::{FaultOutcome, FaultReport, FaultRun, FaultSummary, VERSION};
use checker_core::observation::hex;
use checker_core::report;
use checker_lab::program::ProgramFile;
use clap::{Args, ValueEnum};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::controls;
use crate::console::{Console, data};
use crate::failure::Failure;
use crate::fault::{
    Bench, Fault, Hand, Kept, Remarks, Trial, faults_of, faulty_function, faulty_functions,
};

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table on stderr.
    Text,
    /// JSON on stdout.
    Json,
}

/// Options of `checker faults`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder of the Pulumi YAML program.
    #[arg(long, value_name = "DIR", default_value = "infra-pulumi-yaml")]
    program: PathBuf,
    /// The folder of control files.
    #[arg(long, value_name = "DIR", default_value = "controls")]
    controls: PathBuf,
    /// The stage.
    #[arg(long, default_value = "dev")]
    stage: String,
    /// Further faults, and why some may survive.
    #[arg(long, value_name = "FILE", default_value = ".config/faults.yaml")]
    remarks: PathBuf,
    /// Only so many faults, of every kind in turn, chosen by the program's digest.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Only these faults, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    only: Vec<String>,
    /// Judges each fault by every check, not only by those that read what it touches.
    #[arg(long)]
    whole: bool,
    /// Keeps what was found in this file, and leaves out what it holds already.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// How many faults are tried at the same time; two for each core without it.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Only lists the faults.
    #[arg(long)]
    list: bool,
    /// The folder that receives `faults.json` and `faults.html`.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Does it.
pub(super) fn faults(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    // A waived finding notices nothing: faults are judged without waivers.
    let catalog = Catalog::of(controls::load(&arguments.controls, &arguments.stage, &[])?.controls);
    let remarks = Remarks::read(&arguments.remarks)?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    // A trial waits about half of its time: for functions, and for what they were told.
    let jobs = arguments.jobs.unwrap_or(2 * cores).max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(jobs.min(cores).max(2))
        .enable_all()
        .build()
        .map_err(|error| Failure::Broken(format!("failed to start: {error}")))?;
    runtime.block_on(async {
        let (program, stage) = (&arguments.program, &arguments.stage);
        let bench = Bench::new(program, stage, catalog, arguments.whole, console).await?;
        let faults = chosen(arguments, all(&bench, &remarks), &bench)?;
        console.progress_done();
        if arguments.list {
            list(arguments.format, &faults);
            return Ok(0);
        }
        let started = std::time::Instant::now();
        let about = json!({"programs": digest(&bench), "controls": bench.controls(), "whole": arguments.whole});
        let mut kept = Kept::open(arguments.resume.as_deref(), &about.to_string())?;
        let runs = try_all(Arc::new(bench), faults, jobs, &remarks, &mut kept).await?;
        console.progress_done();
        let report = report(arguments, &remarks, runs);
        write(&arguments.out, &report)?;
        table(console, &report, started.elapsed().as_secs_f64());
        if arguments.format == Format::Json {
            data(&pretty(&report)?);
        }
        let clean = report.summary.survived == 0
            && report.unneeded_reasons.is_empty()
            && report.too_broad_reasons.is_empty();
        // Where nothing could be tried, nothing is shown.
        let nothing = report.summary.planted + report.summary.refused == 0;
        Ok(match (clean, nothing && report.summary.not_run > 0) {
            (false, _) => 1,
            (true, true) => 3,
            (true, false) => 0,
        })
    })
}

/// Every fault of every program of the stack, sorted by id.
fn all(bench: &Bench, remarks: &Remarks) -> Vec<Fault> {
    let mut faults = Vec::new();
    let top = bench.written().len().saturating_sub(1);
    for (index, written) in bench.written().iter().enumerate() {
        let folder = if index == top { "" } else { "prerequisites" };
        let prefix = if index == top { "" } else { "prerequisites/" };
        faults.extend(faults_of(written, index, prefix));
        faults.extend(remarks.more(folder, &Hand::new(written, index, prefix)));
    }
    if let Some(written) = bench.written().last() {
        faults.extend(faulty_functions(
            &written.path(ProgramFile::Program),
            bench.stage(),
        ));
    }
    faults.sort_by(|left, right| left.id.cmp(&right.id));
    faults
}

fn chosen(
    arguments: &Arguments,
    mut faults: Vec<Fault>,
    bench: &Bench,
) -> Result<Vec<Fault>, Failure> {
    if !arguments.only.is_empty() {
        let unknown = arguments
            .only
            .iter()
            .find(|id| !faults.iter().any(|fault| fault.id == **id));
        if let Some(id) = unknown {
            return Err(Failure::Usage(format!(
                "there is no fault `{id}`: `checker faults --list` shows all"
            )));
        }
        faults.retain(|fault| arguments.only.contains(&fault.id));
    }
    if let Some(count) = arguments.sample {
        let seed = digest(bench);
        faults.sort_by_cached_key(|fault| {
            hex(&Sha256::digest(format!("{seed}{}", fault.id).as_bytes()))
        });
        // The first of every kind, then the second of every kind, and so on.
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        faults.sort_by_cached_key(|fault| {
            let turn = seen.entry(fault.kind.clone()).or_default();
            *turn += 1;
            *turn
        });
        faults.truncate(count);
        faults.sort_by(|left, right| left.id.cmp(&right.id));
    }
    Ok(faults)
}

/// Of the programs as they are written.
fn digest(bench: &Bench) -> String {
    let mut digest = Sha256::new();
    for written in bench.written() {
        for file in [ProgramFile::Program, ProgramFile::Stage] {
            digest.update(written.value(file).to_string());
        }
    }
    hex(&digest.finalize())
}

fn list(format: Format, faults: &[Fault]) {
    match format {
        Format::Text => {
            for fault in faults {
                let missing = missing(fault)
                    .map(|why| format!("; not run: {why}"))
                    .unwrap_or_default();
                data(&format!(
                    "{:<70} {} ({}){missing}\n",
                    fault.id, fault.what, fault.place
                ));
            }
        }
        Format::Json => {
            let rows: Vec<_> = faults
                .iter()
                .map(|fault| {
                    json!({
                        "id": fault.id, "kind": fault.kind, "what": fault.what, "where": fault.place,
                        "not_run": missing(fault),
                    })
                })
                .collect();
            data(&format!("{}\n", json!({"faults": rows})));
        }
    }
}

/// What is missing for a fault, so that it can't be tried.
fn missing(fault: &Fault) -> Option<&'static str> {
    fault.behaviour.as_ref()?;
    faulty_function().err()
}

/// Tries faults, several at a time, and says what became of each.
async fn try_all(
    bench: Arc<Bench>,
    faults: Vec<Fault>,
    jobs: usize,
    remarks: &Remarks,
    kept: &mut Kept,
) -> Result<Vec<FaultRun>, Failure> {
    let total = faults.len();
    let mut runs = Vec::new();
    let mut open: VecDeque<Fault> = VecDeque::new();
    for fault in faults {
        if let Some(why) = missing(&fault) {
            runs.push(told(&fault, Trial::NotRun(why.to_owned()), remarks));
        } else if let Some(run) = kept.take(&fault.id) {
            runs.push(reasoned(run, remarks));
        } else {
            open.push_back(fault);
        }
    }
    let mut running: JoinSet<(Fault, Result<Trial, Failure>)> = JoinSet::new();
    loop {
        while running.len() < jobs
            && let Some(fault) = open.pop_front()
        {
            let bench = Arc::clone(&bench);
            running.spawn(async move {
                let trial = Box::pin(bench.trial(&fault)).await;
                (fault, trial)
            });
        }
        let Some(ended) = running.join_next().await else {
            break;
        };
        let (fault, trial) =
            ended.map_err(|error| Failure::Broken(format!("failed to try a fault: {error}")))?;
        let run = told(&fault, trial?, remarks);
        kept.add(&run)?;
        runs.push(run);
        bench
            .console()
            .progress(&format!("{} of {total} faults", runs.len()));
    }
    runs.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(runs)
}

fn told(fault: &Fault, trial: Trial, remarks: &Remarks) -> FaultRun {
    let mut run = FaultRun {
        id: fault.id.clone(),
        kind: fault.kind.clone(),
        what: fault.what.clone(),
        place: fault.place.clone(),
        outcome: FaultOutcome::Survived,
        killed_by: Vec::new(),
        inconclusive: Vec::new(),
        reason: None,
    };
    match trial {
        Trial::Refused(why) => {
            run.outcome = FaultOutcome::Refused;
            run.reason = Some(why);
        }
        Trial::NotRun(why) => {
            run.outcome = FaultOutcome::NotRun;
            run.reason = Some(why);
        }
        Trial::Judged {
            failed,
            inconclusive,
        } => {
            run.inconclusive = inconclusive.into_iter().collect();
            run.killed_by = failed.into_iter().collect();
            if !run.killed_by.is_empty() {
                run.outcome = FaultOutcome::Killed;
            }
        }
    }
    reasoned(run, remarks)
}

/// With the reason that is written down today, where it survived.
fn reasoned(mut run: FaultRun, remarks: &Remarks) -> FaultRun {
    if matches!(
        run.outcome,
        FaultOutcome::Survived | FaultOutcome::Equivalent
    ) {
        let reason = remarks.reason(&run.id).map(str::to_owned);
        run.outcome = match reason {
            Some(_) => FaultOutcome::Equivalent,
            None => FaultOutcome::Survived,
        };
        run.reason = reason;
    }
    run
}

fn report(arguments: &Arguments, remarks: &Remarks, runs: Vec<FaultRun>) -> FaultReport {
    let everything = arguments.only.is_empty() && arguments.sample.is_none();
    let with = |outcome: FaultOutcome| -> Vec<&str> {
        let runs = runs.iter().filter(|run| run.outcome == outcome);
        runs.map(|run| run.id.as_str()).collect()
    };
    FaultReport {
        version: VERSION,
        program: arguments.program.display().to_string(),
        stage: arguments.stage.clone(),
        tool: format!("checker {}", env!("CARGO_PKG_VERSION")),
        summary: FaultSummary::over(&runs),
        unneeded_reasons: if everything {
            remarks.unneeded(&with(FaultOutcome::Equivalent))
        } else {
            Vec::new()
        },
        too_broad_reasons: remarks.too_broad(&with(FaultOutcome::Killed)),
        faults: runs,
    }
}

fn pretty(report: &FaultReport) -> Result<String, Failure> {
    serde_json::to_string_pretty(report)
        .map(|text| text + "\n")
        .map_err(|error| Failure::Broken(format!("failed to write the report: {error}")))
}

fn write(out: &Path, report: &FaultReport) -> Result<(), Failure> {
    let text = pretty(report)?;
    std::fs::create_dir_all(out)
        .and_then(|()| std::fs::write(out.join("faults.json"), text))
        .and_then(|()| std::fs::write(out.join("faults.html"), report::faults(report)))
        .map_err(|error| {
            Failure::Broken(format!(
                "failed to write below `{}`: {error}",
                out.display()
            ))
        })
}

/// How many faults of each kind were noticed, then what needs somebody's attention.
fn table(console: Console, report: &FaultReport, seconds: f64) {
    let mut kinds: BTreeMap<&str, Vec<FaultRun>> = BTreeMap::new();
    for run in &report.faults {
        kinds.entry(&run.kind).or_default().push(run.clone());
    }
    let line = |kind: &str, summary: FaultSummary| {
        console.line(&format!(
            "{kind:<12} {:>8} {:>8} {:>9} {:>11} {:>8} {:>8}",
            summary.planted,
            summary.killed,
            summary.survived,
            summary.equivalent,
            summary.refused,
            summary.not_run
        ));
    };
    console.line(&format!(
        "{:<12} {:>8} {:>8} {:>9} {:>11} {:>8} {:>8}",
        "kind", "planted", "killed", "survived", "equivalent", "refused", "not run"
    ));
    for (kind, runs) in &kinds {
        line(kind, FaultSummary::over(runs));
    }
    line("all", report.summary);
    for run in &report.faults {
        if run.outcome == FaultOutcome::Survived {
            console.line(&format!(
                "survived: {} ({}) {}",
                run.id, run.what, run.place
            ));
            if !run.inconclusive.is_empty() {
                console.line(&format!(
                    "    inconclusive: {}",
                    run.inconclusive.join(", ")
                ));
            }
        }
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for run in &report.faults {
        if run.outcome == FaultOutcome::NotRun {
            let why = run.reason.as_deref().unwrap_or_default();
            reasons.entry(why).or_default().push(&run.id);
        }
    }
    for (why, ids) in reasons {
        console.line(&format!("not run: {} ({why})", ids.join(", ")));
    }
    for pattern in &report.too_broad_reasons {
        console.line(&format!("a reason that is too broad: {pattern}"));
    }
    for pattern in &report.unneeded_reasons {
        console.line(&format!("a reason that no fault needs: {pattern}"));
    }
    console.line(&format!("{} faults in {seconds:.1} s", report.faults.len()));
}
