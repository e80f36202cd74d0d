//! Control files as people write them: shapes and places, not yet proven to make sense.
//!
//! The documentation of each field here is what the JSON Schema and the editors show. What is proven about them,
//! and the types that the rest of the program uses, are in [`super::catalog`].

use super::read::{At, Loose, Named, keywords, kinds, written};
use crate::duration::Duration;

keywords! {
    /// How a control is judged.
    enum Mode {
        /// By this program alone.
        Auto = "AUTO",
        /// By this program, and by a person for what it can't see.
        Hybrid = "HYBRID",
        /// By a person.
        Manual = "MANUAL",
    }

    /// How bad a violation is.
    enum Severity {
        /// Worth knowing.
        Low = "low",
        /// To be mended in the ordinary course.
        Medium = "medium",
        /// To be mended before the next deploy.
        High = "high",
        /// To be mended now.
        Critical = "critical",
    }

    /// The type of a parameter.
    enum ParameterType {
        /// A length of time, like `90d`.
        Duration = "duration",
        /// A whole number.
        Int = "int",
        /// Text.
        Text = "text",
        /// True or false.
        Bool = "bool",
        /// A list of texts.
        List = "list",
    }

    /// What a test expects of a rule.
    enum Expected {
        /// It holds.
        Pass = "pass",
        /// It is violated.
        Fail = "fail",
        /// It can't be decided.
        Inconclusive = "inconclusive",
        /// It says nothing about the case.
        NotApplicable = "not_applicable",
    }
}

written! {
    /// A control: what must hold, for what, and how that is found out.
    struct Control: "a control" {
        /// The control's id, like FR-278.
        id = "control": At<String>,
        /// How it is judged.
        mode: Mode,
        /// One line.
        title: String,
        /// The team that answers for it.
        owner: String,
        /// How bad a violation is.
        severity: Severity,
        /// What must hold, in prose.
        statement: String,
        /// Where it comes from: catalogue name to the ids there.
        mapping: Option<Named<Vec<String>>>,
        /// What an organisation may set, within bounds.
        parameters: Option<Named<Parameter>>,
        /// How it is found out whether the control holds.
        checks: At<Vec<Check>>,
        /// What to do about a violation.
        remediation: Option<Remediation>,
        /// When the control counts as met.
        success_criteria: Option<String>,
        /// When it is to be judged again.
        retest: Option<String>,
        /// Recorded facts with the outcome they must have.
        tests: Option<Vec<Test>>,
    }

    /// A value that an organisation may set.
    struct Parameter: "a parameter" {
        /// Its type.
        ty = "type": ParameterType,
        /// Its value where nothing else is set.
        default: At<Loose>,
        /// The lowest allowed value.
        min: Option<At<Loose>>,
        /// The highest allowed value.
        max: Option<At<Loose>>,
        /// Its value in a stage, where that differs.
        stages: Option<Named<At<Loose>>>,
        /// Why it has this value and these bounds.
        why: Option<String>,
    }

    /// Looks at each member of a population.
    struct Inspect: "an inspection" {
        /// Its name within the control, in kebab-case.
        id: At<String>,
        /// What it looks at.
        population: Population,
        /// What must hold for each of them.
        rules: At<Vec<Rule>>,
    }

    /// What an inspection looks at.
    struct Population: "a population" {
        /// The kind of thing.
        of: At<String>,
        /// Which of them: the name of a filter, or a condition.
        filter = "where": Option<At<String>>,
        /// How many there must be at least; 1 unless said otherwise, 0 if it may be empty.
        min: Option<u32>,
        /// A second source that must know the same members.
        reconcile: Option<At<String>>,
    }

    /// A condition that must hold.
    struct Rule: "a rule" {
        /// Its name within the control, in kebab-case.
        id: At<String>,
        /// The condition in words, with placeholders like `{secret.name}`.
        says: At<String>,
        /// When it applies; always unless said otherwise.
        when: Option<At<String>>,
        /// The condition, in CEL, stated in the positive.
        that: At<String>,
    }

    /// Proves statements about who may do what.
    struct Iam: "an access check" {
        /// Its name within the control, in kebab-case.
        id: At<String>,
        /// The statements.
        rules: At<Vec<AccessRule>>,
    }

    /// A statement about who may do what: `nobody-can`, `can` or `cannot-reach`.
    struct AccessRule: "an access rule" {
        /// Its name within the control, in kebab-case.
        id: At<String>,
        /// The statement in words.
        says: At<String>,
        /// None of these principals is allowed any of these requests.
        nobody_can = "nobody-can": Option<At<Access>>,
        /// Each of these principals is allowed each of these requests.
        can: Option<At<Access>>,
        /// None of these principals is allowed any of these requests, nor can it become anyone who is; a secret
        /// counts as read only where its key can be used too.
        cannot_reach = "cannot-reach": Option<At<Access>>,
    }

    /// A set of requests.
    struct Access: "a set of requests" {
        /// Who: names of principals or patterns; everybody unless said otherwise.
        principals: Option<At<Vec<At<String>>>>,
        /// Who, if it is only one.
        principal: Option<At<String>>,
        /// What: actions or patterns.
        actions: At<Vec<At<String>>>,
        /// On what: ARNs or patterns.
        resources: At<Vec<At<String>>>,
        /// Resources that the statement leaves out.
        outside: Option<Vec<At<String>>>,
        /// Who is excepted, each exactly.
        except: Option<Vec<At<String>>>,
        /// Only requests in which all of this holds.
        when: Option<Vec<Circumstance>>,
        /// Further requests that the same principal must be allowed as well, for the statement to be broken.
        together_with = "together-with": Option<At<Companion>>,
        /// Whether the denial may live in a service control policy, so that a live account without evidence of those
        /// leaves it open.
        scp_may_deny = "scp-may-deny": Option<bool>,
    }

    /// Requests that only count together with others.
    struct Companion: "a companion" {
        /// What: actions or patterns.
        actions: At<Vec<At<String>>>,
        /// On what: ARNs or patterns.
        resources: At<Vec<At<String>>>,
        /// Resources that are left out.
        outside: Option<Vec<At<String>>>,
        /// Only requests in which all of this holds.
        when: Option<Vec<Circumstance>>,
    }

    /// A condition on requests, as in a policy.
    struct Circumstance: "a circumstance" {
        /// The operator, such as `StringLike`.
        operator: At<String>,
        /// The context key.
        key: At<String>,
        /// The values, of which one must match.
        values: At<Vec<At<String>>>,
    }

    /// Acts, and judges what happened. Needs leave to change things.
    struct Probe: "a probe" {
        /// Its name within the control, in kebab-case.
        id: At<String>,
        /// Rotates a probe secret while it is being read.
        rotate: Option<At<Rotate>>,
        /// Provokes an alert.
        anomaly: Option<At<Anomaly>>,
        /// Tries what must be refused.
        denied: Option<At<Denied>>,
        /// Searches logs and queues for a planted value.
        sweep: Option<At<Sweep>>,
        /// What must have happened.
        expect: At<Vec<Rule>>,
    }

    /// Rotates a probe secret while it is being read.
    struct Rotate: "a forced rotation" {
        /// The secret.
        secret: At<String>,
        /// How often it is read meanwhile.
        reader_every: Option<Duration>,
        /// How long it may take.
        within: Duration,
    }

    /// Provokes an alert.
    struct Anomaly: "a provoked alert" {
        /// The secret that is read.
        secret: At<String>,
        /// How often it is done.
        runs: Option<u32>,
        /// How long the alert may take.
        within: Duration,
    }

    /// Tries what must be refused.
    struct Denied: "a refused call" {
        /// Who tries.
        principal = "as": At<String>,
        /// The actions that are tried.
        actions: Vec<At<String>>,
        /// On what.
        resource: At<String>,
    }

    /// Searches logs and queues for a planted value.
    struct Sweep: "a sweep" {
        /// The secret that holds the planted value.
        secret: At<String>,
        /// Where it is searched for: names of log groups, queues and topics.
        places: Vec<At<String>>,
        /// How long the traces may take to arrive.
        within: Option<Duration>,
    }

    /// What to do about a violation.
    struct Remediation: "a remediation" {
        /// In words.
        text: String,
        /// Where the steps are written down.
        runbook: Option<String>,
    }

    /// Recorded facts with the outcome they must have.
    struct Test: "a test" {
        /// What the case is; where the file holds several, the one of this name is taken.
        name: At<String>,
        /// The file of what it starts from, beside the control: a recording, and what is otherwise.
        given: At<String>,
        /// The outcome of each rule that is named here.
        expect: Named<Expected>,
    }

    /// A finding that is accepted for a time.
    struct Waiver: "a waiver" {
        /// Its name, in kebab-case.
        id: At<String>,
        /// The control.
        control: At<String>,
        /// The rule of that control.
        assertion: At<String>,
        /// The resource, exactly.
        resource: At<String>,
        /// Why the finding is accepted.
        reason: String,
        /// What protects meanwhile.
        compensating: String,
        /// Who approved it.
        approver: String,
        /// The day of the approval, like 2026-01-31.
        approved_on: At<String>,
        /// The last day on which it holds, UTC; at most 90 days after the approval.
        expires: At<String>,
        /// Where it was decided.
        ticket: String,
    }
}

kinds! {
    /// One way to find out.
    enum Check: "a check" {
        /// Looks at each member of a population.
        Inspect(Inspect) = "inspect",
        /// Proves statements about who may do what.
        Iam(Iam) = "iam",
        /// Acts, and judges what happened.
        Probe(Probe) = "probe",
    }
}
