//! `HOW-TO-VERIFY.md`: one page inside every run, for somebody who has never seen the checker.

use crate::run::{Run, Target};

/// The page of a run.
pub fn text(run: &Run) -> String {
    let signers = match run.target {
        Target::Lab | Target::Plan => {
            "This run was judged in a lab. Its key was made by the machine that ran it, and `allowed_signers` lies in this \
             folder: the signature shows that nothing was changed afterwards, not who ran it."
        }
        Target::Aws => {
            "`allowed_signers` is the auditor's own file of the keys that may sign (ssh-keygen(1), ALLOWED SIGNERS). Never \
             take it from the place that the run came from."
        }
    };
    format!(
        r#"# How to verify this folder

Run `{id}`: verdict **{verdict}**, account {account}, region {region}, stage {stage}, {started}.

## Without our program

1. Who signed, and that `manifest.json` is what was signed:

       principal=$(ssh-keygen -Y find-principals -s manifest.json.sig -f allowed_signers)
       ssh-keygen -Y verify -f allowed_signers -I "$principal" -n compliance-evidence -s manifest.json.sig < manifest.json

   {signers}

2. That every file is what the manifest lists:

       sed -n 's/^    {{"path":"\([^"]*\)","sha256":"\([0-9a-f]*\)","size":[0-9]*}},\{{0,1\}}$/\2  \1/p' manifest.json | sha256sum --check --strict --quiet

   and that there is nothing else here but `manifest.json`, `manifest.json.sig` and `attestation.json`:

       find . -type f | wc -l     # the lines of step 2, and three

3. That no run is missing: `previous` in `manifest.json` holds the SHA-256 of the manifest of the run before, and `sequence` goes up
   by one. The end of the chain is proven by the head that the last run published outside this folder: sequence and SHA-256 of
   its manifest.

`docs/verify.sh` of the project does these three steps.

## With our program

    checker verify . --allowed-signers FILE --head SHA256

checks the same, and judges every control again from `controls/` and `evidence/` alone, without a network.

## What is here

| file | holds |
|---|---|
| `manifest.json` | every file with digest and size, the run before, who asked, parameters, and what was *not* proven |
| `manifest.json.sig` | its signature (SSHSIG, namespace `compliance-evidence`) |
| `attestation.json` | the same for supply-chain tools: in-toto test result in a DSSE envelope |
| `controls/` | the controls, waivers and approved baseline that were judged by |
| `evidence/` | what AWS answered, each answer named by its SHA-256 |
| `run.json`, `junit.xml` and other reports | what was found; all of it follows from the two folders above |
| `population.csv` | every resource that was judged, with its verdict by control |
| `earlier.json` | outlines of the runs before, for trends |

A sample for a test of detail: `checker sample . --n 25`. It is drawn with the SHA-256 of `manifest.json` as its seed, so that anybody draws the same.
"#,
        id = run.run_id,
        verdict = run.verdict.word(),
        account = or_unknown(&run.account),
        region = or_unknown(&run.region),
        stage = run.stage,
        started = run.started.format("%Y-%m-%d %H:%M:%S UTC"),
    )
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}
