//! Where is asked: the accounts and regions of a run.
//!
//! In: `--accounts FILE` and `--regions`, on top of the credentials of the environment. Out: [`Place`]s, each with
//! clients' configuration of its own. A role that cannot be assumed makes its places unseen, by name: never a place
//! less.

use std::collections::BTreeSet;
use std::path::Path;

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use aws_types::region::Region;
use checker_core::diagnostic::Diagnostic;
use checker_core::observation::Unseen;
use serde::Deserialize;
use serde_yaml::Spanned;

use crate::aws::{Aws, Clock};
use crate::failure::Failure;

/// What the file of accounts must look like.
const FORM: &str =
    "expected `accounts:`, a list of `id`, `role`, `external_id` (if any) and `regions`";

/// The name of the session in the accounts' trails.
const SESSION: &str = "compliance-checker";

/// One account and region.
#[derive(Clone)]
pub(crate) struct Place {
    /// The account, where it was named.
    pub(crate) account: Option<String>,
    /// The region.
    pub(crate) region: String,
    /// Clients are made from this.
    pub(crate) config: SdkConfig,
    /// Why nothing can be asked here, if nothing can.
    pub(crate) denied: Option<Unseen>,
}

/// `--accounts FILE`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountsFile {
    accounts: Vec<Account>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    /// Twelve digits.
    id: Spanned<String>,
    /// The ARN of the role that the checker assumes there.
    role: Spanned<String>,
    /// What the role's trust policy asks for.
    external_id: Option<String>,
    /// The regions that are asked.
    regions: Spanned<Vec<Spanned<String>>>,
}

/// The places of a run: those of the file, or the regions of the caller's own account.
pub(crate) async fn places(
    base: &SdkConfig,
    accounts: Option<&Path>,
    regions: &[String],
) -> Result<Vec<Place>, Failure> {
    let Some(path) = accounts else {
        return Ok(own_regions(base, regions));
    };
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Files(vec![
            Diagnostic::whole(&shown, format!("cannot be read: {error}"))
                .help("give the file of accounts with --accounts FILE"),
        ])
    })?;
    let accounts = read(&shown, &text)?;
    // All at the same time: one account that does not answer must not hold up two hundred others.
    let entering: Vec<_> = accounts
        .into_iter()
        .map(|account| {
            let base = base.clone();
            tokio::spawn(async move { of_account(&base, account).await })
        })
        .collect();
    let mut places = Vec::new();
    for account in entering {
        let entered = account
            .await
            .map_err(|error| Failure::Broken(format!("failed to enter an account: {error}")))?;
        places.extend(entered);
    }
    Ok(places)
}

/// The name of a region, as the command line gives it.
pub(crate) fn region(text: &str) -> Result<String, String> {
    let text = text.trim();
    if is_region(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no region, such as ap-southeast-2"))
    }
}

fn is_region(text: &str) -> bool {
    text.matches('-').count() >= 2
        && text.ends_with(|last: char| last.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The caller's own account, in each region.
fn own_regions(base: &SdkConfig, regions: &[String]) -> Vec<Place> {
    let own = base.region().map(ToString::to_string).unwrap_or_default();
    let wanted: BTreeSet<&String> = if regions.is_empty() {
        BTreeSet::from([&own])
    } else {
        regions.iter().collect()
    };
    wanted
        .into_iter()
        .map(|region| Place {
            account: None,
            region: region.clone(),
            config: at(base, region),
            denied: None,
        })
        .collect()
}

fn at(base: &SdkConfig, region: &str) -> SdkConfig {
    base.to_builder()
        .region(Region::new(region.to_owned()))
        .build()
}

/// The places of one account, after its role was assumed once to see whether it can be.
async fn of_account(base: &SdkConfig, account: Account) -> Vec<Place> {
    let role = account.role.value;
    let external = account.external_id;
    let aws = Aws::new(base, Clock::system(None));
    let denied = aws
        .can_assume(&role, external.as_deref(), SESSION)
        .await
        .err()
        .map(|unseen| refused(&account.id.value, &role, external.is_some(), unseen));
    let mut provider = AssumeRoleProvider::builder(&role)
        .session_name(SESSION)
        .configure(base);
    if let Some(external) = external {
        provider = provider.external_id(external);
    }
    let provider = SharedCredentialsProvider::new(provider.build().await);
    let config = base.to_builder().credentials_provider(provider).build();
    let regions: BTreeSet<String> = account
        .regions
        .value
        .into_iter()
        .map(|region| region.value)
        .collect();
    regions
        .into_iter()
        .map(|region| Place {
            account: Some(account.id.value.clone()),
            config: at(&config, &region),
            region,
            denied: denied.clone(),
        })
        .collect()
}

/// Why nothing of an account is seen, and who can change that.
fn refused(account: &str, role: &str, external_id: bool, unseen: Unseen) -> Unseen {
    // AWS does not tell which of them refused.
    let trust = match (unseen.code.contains("AccessDenied"), external_id) {
        (false, _) => "",
        (true, true) => {
            ", and look at the role in that account: its trust policy must let it in with the external id of the file"
        }
        (true, false) => {
            ", and look at the role in that account: its trust policy must let it in, and may ask for an `external_id`"
        }
    };
    Unseen {
        advice: format!(
            "account {account}: `{role}` could not be assumed; {}{trust}",
            unseen.advice
        ),
        ..unseen
    }
}

/// Reads and proves the file; all errors are collected.
fn read(path: &str, text: &str) -> Result<Vec<Account>, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::Files(vec![
            Diagnostic::at(path, 1, 1, "the file is empty").help(FORM),
        ]));
    }
    let file: AccountsFile = serde_yaml::from_str(text).map_err(|error| {
        let message = error.without_snippet().to_string();
        // The position is said before it, and what the parser expects in its own words.
        let message = message.split(" at line ").next().unwrap_or(&message);
        let message = match message {
            "expected sequence start" => "expected a list",
            "expected mapping start" => "expected names with values",
            other => other,
        };
        let (line, column) = error
            .location()
            .map_or((1, 1), |at| (whole(at.line()), whole(at.column())));
        Failure::Files(vec![Diagnostic::at(path, line, column, message).help(FORM)])
    })?;
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for account in &file.accounts {
        let id = account.id.value.as_str();
        if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            wrong.push(about(
                path,
                &account.id,
                format!("`{id}` is no account: twelve digits"),
            ));
        }
        if !known.insert(id) {
            wrong.push(about(
                path,
                &account.id,
                format!("account `{id}` is there twice"),
            ));
        }
        let role = account.role.value.as_str();
        let mut parts = role.splitn(6, ':').skip(4);
        let (owner, name) = (parts.next(), parts.next());
        if !role.starts_with("arn:") || !name.is_some_and(|name| name.starts_with("role/")) {
            wrong.push(about(
                path,
                &account.role,
                format!("`{role}` is no ARN of a role"),
            ));
        } else if owner != Some(id) {
            let message = format!("`{role}` is not a role of account `{id}`");
            wrong.push(about(path, &account.role, message));
        }
        if account.regions.value.is_empty() {
            wrong.push(about(
                path,
                &account.regions,
                "no region is given".to_owned(),
            ));
        }
        for region in &account.regions.value {
            if !is_region(&region.value) {
                let message = format!("`{}` is no region", region.value);
                wrong.push(about(path, region, message));
            }
        }
    }
    if file.accounts.is_empty() {
        wrong.push(Diagnostic::at(path, 1, 1, "no account is given"));
    }
    if wrong.is_empty() {
        Ok(file.accounts)
    } else {
        Err(Failure::Files(wrong))
    }
}

fn about<T>(path: &str, value: &Spanned<T>, message: String) -> Diagnostic {
    let at = value.defined;
    Diagnostic::at(path, whole(at.line()), whole(at.column()), message)
}

fn whole(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_wrong_file_is_refused_at_its_place() {
        let account = "accounts:\n  - id: \"111122223333\"\n    role: arn:aws:iam::111122223333:role/checker\n    regions: [ap-southeast-2]\n";
        assert!(read("a.yaml", account).is_ok());
        for (text, expected) in [
            ("accounts: []\n", "a.yaml:1:1: no account is given"),
            (" \n", "a.yaml:1:1: the file is empty"),
            ("accounts: [\n", "a.yaml:1:11: unclosed bracket '['"),
            ("- id: x\n", "a.yaml:1:1: expected names with values ("),
            (
                "accounts:\n  - id: x\n    role: r\n    regions: []\n",
                "a.yaml:2:9: `x` is no account",
            ),
            (
                &account.replace("::111122223333", "::444455556666"),
                "a.yaml:3:11: `arn:aws:iam::444455556666:role/checker` is not a role of account `111122223333`",
            ),
            (
                &account.replace("ap-southeast-2", "sydney"),
                "a.yaml:4:15: `sydney` is no region",
            ),
            (&account.replace("role:", "rolle:"), "a.yaml:3:"),
            (
                &format!("{account}{}", account.trim_start_matches("accounts:\n")),
                "is there twice",
            ),
        ] {
            let message = read("a.yaml", text)
                .err()
                .map(|failure| failure.to_string());
            assert!(
                message
                    .as_deref()
                    .is_some_and(|message| message.contains(expected)),
                "{expected}: {message:?}"
            );
        }
    }
}
