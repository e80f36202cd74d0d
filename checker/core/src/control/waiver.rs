//! `waivers.yaml`: findings that are accepted for a time, with reason and approval.
//!
//! In: the text of the file and the [`Catalog`] that it speaks of. Out: [`Waiver`]s, or every error. Whether one has
//! expired or matches nothing is a matter of the run and its `now`, so it is not decided here.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use super::catalog::{Catalog, Source, SourceFile};
use super::prove::{digest, is_kebab};
use super::read::{At, Read as _, Reader};
use super::{written, yaml};
use crate::diagnostic::{Diagnostic, suggestion};

/// A waiver holds for at most so many days after its approval.
pub const MAX_WAIVER_DAYS: i64 = 90;

/// All waivers, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waivers {
    /// The waivers.
    pub waivers: Vec<Waiver>,
    /// SHA-256 of the file, in hexadecimal; nothing when there is none.
    pub digest: Option<String>,
}

/// A finding that is accepted for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Its name.
    pub id: String,
    /// The control.
    pub control: String,
    /// The rule of that control.
    pub assertion: String,
    /// The resource, exactly.
    pub resource: String,
    /// Why the finding is accepted.
    pub reason: String,
    /// What protects meanwhile.
    pub compensating: String,
    /// Who approved it.
    pub approver: String,
    /// The day of the approval.
    pub approved_on: NaiveDate,
    /// The last day on which it holds, UTC.
    pub expires: NaiveDate,
    /// Where it was decided.
    pub ticket: String,
    /// Where it stands.
    pub source: Source,
}

impl Waiver {
    /// Whether it holds at a time: from the day of its approval to the end of its last day.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        let start = self.approved_on.and_time(NaiveTime::MIN).and_utc();
        let end = self
            .expires
            .checked_add_days(Days::new(1))
            .map(|day| day.and_time(NaiveTime::MIN).and_utc());
        start <= now && end.is_none_or(|end| now < end)
    }

    /// Whole days from a time to its last day; negative once it has expired.
    pub fn days_left(&self, now: DateTime<Utc>) -> i64 {
        (self.expires - now.date_naive()).num_days()
    }
}

impl Waivers {
    /// Reads and proves the waivers; every error is returned.
    pub fn load(file: &SourceFile, catalog: &Catalog) -> Result<Self, Vec<Diagnostic>> {
        let digest = Some(digest(&file.text));
        // A file of comments is how one begins.
        if file
            .text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            return Ok(Self {
                waivers: Vec::new(),
                digest,
            });
        }
        let node = yaml::parse(&file.path, &file.text).map_err(|diagnostic| vec![diagnostic])?;
        let reader = Reader::new(&file.path, &file.text);
        let written = Vec::<written::Waiver>::read(&node, &reader).unwrap_or_default();
        for (index, waiver) in written.iter().enumerate() {
            unique(waiver, written.get(..index).unwrap_or_default(), &reader);
        }
        let waivers = written
            .into_iter()
            .filter_map(|waiver| prove(waiver, file, catalog, &reader))
            .collect();
        if reader.has_errors() {
            Err(reader.finish())
        } else {
            Ok(Self { waivers, digest })
        }
    }
}

fn unique(waiver: &written::Waiver, earlier: &[written::Waiver], reader: &Reader<'_>) {
    if !is_kebab(&waiver.id.value) {
        let help = "write lower-case words with dashes, like `legacy-key`".to_owned();
        reader.fail::<()>(
            waiver.id.place,
            format!("`{}` is no id", waiver.id.value),
            Some(help),
        );
    }
    if let Some(first) = earlier
        .iter()
        .find(|first| first.id.value == waiver.id.value)
    {
        let help = format!("the other is in line {}", first.id.place.line);
        reader.fail::<()>(
            waiver.id.place,
            format!("two waivers `{}`", waiver.id.value),
            Some(help),
        );
    }
    let same = |first: &&written::Waiver| {
        (
            &first.control.value,
            &first.assertion.value,
            &first.resource.value,
        ) == (
            &waiver.control.value,
            &waiver.assertion.value,
            &waiver.resource.value,
        )
    };
    if let Some(first) = earlier.iter().find(same) {
        reader.fail::<()>(
            waiver.resource.place,
            format!("already waived by `{}`", first.id.value),
            None,
        );
    }
}

fn prove(
    written: written::Waiver,
    file: &SourceFile,
    catalog: &Catalog,
    reader: &Reader<'_>,
) -> Option<Waiver> {
    let rule = rule(&written, catalog, reader);
    let resource = resource(&written.resource, reader);
    let approved_on = date(&written.approved_on, reader);
    let expires = date(&written.expires, reader);
    let (approved_on, expires) = (approved_on?, expires?);
    let days = (expires - approved_on).num_days();
    if days < 0 {
        return reader.fail(
            written.expires.place,
            format!("`{expires}` is before the approval on {approved_on}"),
            None,
        );
    }
    if days > MAX_WAIVER_DAYS {
        let latest = approved_on.checked_add_days(Days::new(MAX_WAIVER_DAYS.unsigned_abs()));
        let help = latest.map(|latest| format!("the latest day is {latest}"));
        return reader.fail(
            written.expires.place,
            format!("a waiver of {days} days, at most {MAX_WAIVER_DAYS} are allowed"),
            help,
        );
    }
    rule?;
    Some(Waiver {
        id: written.id.value,
        control: written.control.value,
        assertion: written.assertion.value,
        resource: resource?,
        reason: written.reason,
        compensating: written.compensating,
        approver: written.approver,
        approved_on,
        expires,
        ticket: written.ticket,
        source: Source {
            path: file.path.clone(),
            line: written.id.place.line,
            column: written.id.place.column,
        },
    })
}

/// The rule must exist, or the waiver would wait for nothing.
fn rule(written: &written::Waiver, catalog: &Catalog, reader: &Reader<'_>) -> Option<()> {
    let (control, assertion) = (&written.control, &written.assertion);
    let Some(found) = catalog.control(&control.value) else {
        let help = suggestion(
            &control.value,
            catalog.controls.iter().map(|control| control.id.as_str()),
        );
        return reader.fail(
            control.place,
            format!("unknown control `{}`", control.value),
            help,
        );
    };
    if found.rule_ids().any(|rule| rule == assertion.value) {
        return Some(());
    }
    let help = suggestion(&assertion.value, found.rule_ids());
    reader.fail(
        assertion.place,
        format!("`{}` has no rule `{}`", found.id, assertion.value),
        help,
    )
}

/// A pattern would waive what nobody has looked at.
fn resource(at: &At<String>, reader: &Reader<'_>) -> Option<String> {
    if at.value.contains(['*', '?']) {
        return reader.fail(
            at.place,
            format!("`{}` is a pattern", at.value),
            Some("name one resource exactly".to_owned()),
        );
    }
    Some(at.value.clone())
}

fn date(at: &At<String>, reader: &Reader<'_>) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(&at.value, "%Y-%m-%d")
        .ok()
        .filter(|_| at.value.len() == 10);
    date.or_else(|| {
        reader.fail(
            at.place,
            format!("`{}` is no day", at.value),
            Some("write it like `2026-01-31`".to_owned()),
        )
    })
}
