//! Which facts rest on which property of which resource type.
//!
//! Rows are read from the most exact to the least: a property that a row names, otherwise the row of the type without
//! properties. A type that has no row is judged by its module; a module that nothing is known of touches everything.

use crate::population::Noun;
use crate::population::Noun::{
    Account, Calls, Declarations, Detectors, Environments, EventRules, Functions, Keys, LogGroups,
    Outputs, Parameters, Policies, Principals, Program as Programs, Resources, Schedules, Secrets,
    Topics, Trails,
};

/// Something that rests on a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// A path in items of a noun; an empty path is all of them.
    Fact(Noun, &'static str, Scope),
    /// Who may do what.
    Access,
}

/// Which items of the noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All.
    All,
    /// The one that the gap's resource is or belongs to; all where that is not known.
    Own,
    /// The declaration of the gap's resource.
    Declared,
}

const fn all(noun: Noun, path: &'static str) -> Touch {
    Touch::Fact(noun, path, Scope::All)
}

const fn own(noun: Noun, path: &'static str) -> Touch {
    Touch::Fact(noun, path, Scope::Own)
}

struct Row {
    kind: &'static str,
    /// Empty: every property that no other row of the type names, and the resource as a whole.
    properties: &'static [&'static str],
    touches: &'static [Touch],
}

const fn row(
    kind: &'static str,
    properties: &'static [&'static str],
    touches: &'static [Touch],
) -> Row {
    Row {
        kind,
        properties,
        touches,
    }
}

const IDENTITY: &[Touch] = &[Touch::Access, all(Policies, ""), all(Principals, "")];
const NOTHING: &[Touch] = &[];

/// What compares the names of roles.
const ROLE_NAME: &[Touch] = &[
    Touch::Access,
    all(Policies, ""),
    all(Principals, ""),
    all(Functions, ""),
    all(Detectors, ""),
    all(Environments, ""),
    all(Secrets, "secret.rotation.function_arn"),
    all(Secrets, "secret.rotation.function_name"),
];

/// What compares the names and ARNs of functions.
const FUNCTION_NAME: &[Touch] = &[
    Touch::Access,
    all(Functions, ""),
    all(Detectors, ""),
    all(Environments, ""),
    all(EventRules, ""),
    all(Schedules, ""),
    all(Secrets, "secret.rotation.function_arn"),
    all(Secrets, "secret.rotation.function_name"),
];

/// Of every type: what its tags decide.
const TAGS: &[Touch] = &[
    Touch::Fact(Declarations, "declaration.tags", Scope::Declared),
    own(Secrets, "secret.tags"),
    all(Resources, ""),
    Touch::Access,
];

const fn declared(path: &'static str) -> Touch {
    Touch::Fact(Declarations, path, Scope::Declared)
}

/// Of every type: what the program itself says of a resource.
const SETTINGS: &[Touch] = &[declared("declaration.settings")];

/// Of every type: what the program itself says in a policy.
const DECLARED_POLICY: &[Touch] = &[
    declared("declaration.policies_known"),
    declared("declaration.outsiders"),
    declared("declaration.unconfined"),
    declared("declaration.wide"),
];

/// What the detector takes from its environment.
const ENVIRONMENT: &[Touch] = &[
    own(Environments, ""),
    own(Detectors, "detector.allowed"),
    own(Detectors, "detector.alert_topic"),
    own(Detectors, "detector.record_log"),
    own(Detectors, "detector.rotation_role"),
    own(Detectors, "detector.canary_role"),
    own(Detectors, "detector.canary_secret"),
    own(Detectors, "detector.twin_secret"),
    own(Detectors, "detector.synthetic_source"),
];

const EVERYTHING: &[Touch] = &[
    Touch::Access,
    all(Account, ""),
    all(Calls, ""),
    all(Detectors, ""),
    all(Environments, ""),
    all(EventRules, ""),
    all(Functions, ""),
    all(Keys, ""),
    all(LogGroups, ""),
    all(Outputs, ""),
    all(Parameters, ""),
    all(Policies, ""),
    all(Principals, ""),
    all(Programs, ""),
    all(Resources, ""),
    all(Schedules, ""),
    all(Secrets, ""),
    all(Topics, ""),
    all(Trails, ""),
];

const QUEUE: &[Touch] = &[
    all(EventRules, "rule.target.dead_letters_accepted"),
    all(Topics, "topic.receivers"),
    Touch::Access,
];

const TARGET: &[Touch] = &[
    own(EventRules, "rule.target_arns"),
    own(EventRules, "rule.targeted"),
    own(EventRules, "rule.target"),
    all(Schedules, ""),
];

const KEY: &[Touch] = &[
    all(Secrets, "secret.key"),
    all(LogGroups, "group.key"),
    all(Keys, ""),
    Touch::Access,
];

const ROWS: &[Row] = &[
    row(
        "aws:iam/role:Role",
        &["description", "forceDetachPolicies", "maxSessionDuration"],
        NOTHING,
    ),
    row(
        "aws:iam/role:Role",
        &["name", "namePrefix", "path"],
        ROLE_NAME,
    ),
    row("aws:iam/role:Role", &[], IDENTITY),
    row("aws:iam/policy:Policy", &["description"], NOTHING),
    row("aws:iam/policy:Policy", &[], IDENTITY),
    row(
        "aws:lambda/function:Function",
        &["role"],
        &[
            Touch::Access,
            own(Functions, "lambda.role"),
            own(Detectors, "detector.role"),
        ],
    ),
    row(
        "aws:lambda/function:Function",
        &["runtime"],
        &[
            own(Functions, "lambda.runtime"),
            own(Functions, "lambda.state"),
            own(Detectors, "detector.runtime"),
            own(Detectors, "detector.state"),
        ],
    ),
    row(
        "aws:lambda/function:Function",
        &["environment", "kmsKeyArn"],
        ENVIRONMENT,
    ),
    row(
        "aws:lambda/function:Function",
        &["name", "namePrefix"],
        FUNCTION_NAME,
    ),
    row(
        "aws:lambda/function:Function",
        &["timeout"],
        &[
            own(Functions, "lambda.timeout"),
            own(Detectors, "detector.timeout"),
        ],
    ),
    row(
        "aws:lambda/function:Function",
        &[
            "architectures",
            "code",
            "description",
            "ephemeralStorage",
            "handler",
            "imageConfig",
            "imageUri",
            "layers",
            "loggingConfig",
            "memorySize",
            "packageType",
            "publish",
            "reservedConcurrentExecutions",
            "s3Bucket",
            "s3Key",
            "s3ObjectVersion",
            "skipDestroy",
            "sourceCodeHash",
            "tracingConfig",
            "vpcConfig",
        ],
        &[
            own(Functions, "lambda.state"),
            own(Detectors, "detector.state"),
        ],
    ),
    row(
        "aws:lambda/function:Function",
        &[],
        &[
            own(Functions, ""),
            own(Detectors, ""),
            own(Environments, ""),
            Touch::Access,
        ],
    ),
    row(
        "aws:lambda/permission:Permission",
        &[],
        &[
            own(Functions, "lambda.rotation_permission"),
            all(EventRules, "rule.permission"),
            Touch::Access,
        ],
    ),
    row(
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        &["maximumEventAgeInSeconds", "maximumRetryAttempts"],
        NOTHING,
    ),
    row(
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        &[],
        &[own(Detectors, "detector.failure_destination")],
    ),
    row(
        "aws:lambda/alias:Alias",
        &[],
        &[
            all(EventRules, "rule.targeted"),
            all(EventRules, "rule.target"),
        ],
    ),
    row("aws:lambda/invocation:Invocation", &[], &[all(Calls, "")]),
    row(
        "aws:secretsmanager/secret:Secret",
        &[
            "description",
            "forceOverwriteReplicaSecret",
            "recoveryWindowInDays",
        ],
        NOTHING,
    ),
    row(
        "aws:secretsmanager/secret:Secret",
        &["kmsKeyId"],
        &[own(Secrets, "secret.key"), all(Keys, ""), Touch::Access],
    ),
    row(
        "aws:secretsmanager/secret:Secret",
        &["policy"],
        &[own(Secrets, "secret.policy"), Touch::Access],
    ),
    row(
        "aws:secretsmanager/secret:Secret",
        &["replicas"],
        &[own(Secrets, "secret.replica_regions")],
    ),
    row(
        "aws:secretsmanager/secret:Secret",
        &[],
        &[
            all(Secrets, ""),
            all(Keys, ""),
            all(Account, ""),
            all(Functions, ""),
            all(Resources, ""),
            all(Schedules, ""),
            Touch::Access,
        ],
    ),
    row(
        "aws:secretsmanager/secretVersion:SecretVersion",
        &[
            "secretBinary",
            "secretString",
            "secretStringWo",
            "secretStringWoVersion",
        ],
        NOTHING,
    ),
    row(
        "aws:secretsmanager/secretVersion:SecretVersion",
        &[],
        &[
            own(Secrets, "secret.current_version"),
            own(Secrets, "secret.labels"),
            own(Secrets, "secret.rotation.stuck"),
        ],
    ),
    row(
        "aws:secretsmanager/secretRotation:SecretRotation",
        &["rotationRules"],
        &[
            own(Secrets, "secret.rotation.schedule"),
            own(Secrets, "secret.rotation.longest_gap"),
            own(Secrets, "secret.rotation.window"),
            own(Secrets, "secret.rotation.next_due"),
        ],
    ),
    row(
        "aws:secretsmanager/secretRotation:SecretRotation",
        &["rotationLambdaArn"],
        &[
            own(Secrets, "secret.rotation.function_arn"),
            own(Secrets, "secret.rotation.function_name"),
            own(Secrets, "secret.current_version"),
            own(Secrets, "secret.rotation.stuck"),
            all(Functions, ""),
            all(Schedules, ""),
        ],
    ),
    row(
        "aws:secretsmanager/secretRotation:SecretRotation",
        &["rotateImmediately"],
        &[
            own(Secrets, "secret.current_version"),
            own(Secrets, "secret.rotation.last_rotated"),
            own(Secrets, "secret.rotation.next_due"),
        ],
    ),
    row(
        "aws:secretsmanager/secretRotation:SecretRotation",
        &[],
        &[
            own(Secrets, "secret.rotation"),
            own(Secrets, "secret.current_version"),
            all(Functions, ""),
            all(Schedules, ""),
        ],
    ),
    row(
        "aws:secretsmanager/secretPolicy:SecretPolicy",
        &[],
        &[own(Secrets, "secret.policy"), Touch::Access],
    ),
    row(
        "aws:cloudwatch/logGroup:LogGroup",
        &["retentionInDays"],
        &[own(LogGroups, "group.retention")],
    ),
    row(
        "aws:cloudwatch/logGroup:LogGroup",
        &["kmsKeyId"],
        &[own(LogGroups, "group.key")],
    ),
    row(
        "aws:cloudwatch/logGroup:LogGroup",
        &["deletionProtectionEnabled"],
        &[own(LogGroups, "group.deletion_protected")],
    ),
    row(
        "aws:cloudwatch/logGroup:LogGroup",
        &["logGroupClass", "skipDestroy"],
        NOTHING,
    ),
    row(
        "aws:cloudwatch/logGroup:LogGroup",
        &["name", "namePrefix"],
        &[
            own(LogGroups, ""),
            all(Detectors, "detector.record_log"),
            Touch::Access,
        ],
    ),
    row(
        "aws:cloudwatch/logGroup:LogGroup",
        &[],
        &[own(LogGroups, "")],
    ),
    row(
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        &[],
        &[Touch::Access],
    ),
    row("aws:cloudwatch/logStream:LogStream", &[], NOTHING),
    row(
        "aws:cloudwatch/logDataProtectionPolicy:LogDataProtectionPolicy",
        &[],
        NOTHING,
    ),
    row(
        "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter",
        &[],
        NOTHING,
    ),
    row(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        &[],
        NOTHING,
    ),
    row(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        &["alarmDescription"],
        NOTHING,
    ),
    row(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        &[],
        &[all(Programs, "program.declared")],
    ),
    row("aws:cloudwatch/eventBus:EventBus", &[], NOTHING),
    row("aws:cloudwatch/eventBusPolicy:EventBusPolicy", &[], NOTHING),
    row(
        "aws:cloudwatch/eventPermission:EventPermission",
        &[],
        NOTHING,
    ),
    row("aws:cloudwatch/eventArchive:EventArchive", &[], NOTHING),
    row(
        "aws:cloudwatch/eventRule:EventRule",
        &["description", "forceDestroy"],
        NOTHING,
    ),
    row(
        "aws:cloudwatch/eventRule:EventRule",
        &["state", "isEnabled"],
        &[own(EventRules, "rule.state")],
    ),
    row(
        "aws:cloudwatch/eventRule:EventRule",
        &["eventPattern"],
        &[
            own(EventRules, "rule.missed"),
            own(EventRules, "rule.stray"),
        ],
    ),
    row(
        "aws:cloudwatch/eventRule:EventRule",
        &[],
        &[own(EventRules, ""), all(Schedules, "")],
    ),
    row(
        "aws:cloudwatch/eventTarget:EventTarget",
        &["deadLetterConfig"],
        &[
            own(EventRules, "rule.target.dead_letter_queue"),
            own(EventRules, "rule.target.dead_letters_accepted"),
        ],
    ),
    row(
        "aws:cloudwatch/eventTarget:EventTarget",
        &["retryPolicy"],
        &[
            own(EventRules, "rule.target.retries"),
            own(EventRules, "rule.target.retried_for"),
        ],
    ),
    row(
        "aws:cloudwatch/eventTarget:EventTarget",
        &["input", "inputPath", "inputTransformer"],
        &[
            own(EventRules, "rule.target.whole_event"),
            all(Schedules, ""),
        ],
    ),
    row(
        "aws:cloudwatch/eventTarget:EventTarget",
        &["arn"],
        &[
            own(EventRules, "rule.target_arns"),
            own(EventRules, "rule.targeted"),
            own(EventRules, "rule.target"),
            own(EventRules, "rule.permission"),
            all(Schedules, ""),
        ],
    ),
    row("aws:cloudwatch/eventTarget:EventTarget", &[], TARGET),
    row(
        "aws:ssm/parameter:Parameter",
        &["value", "valueWo", "insecureValue"],
        &[
            own(Outputs, "output.value"),
            all(LogGroups, "group.published"),
            all(Detectors, "detector.published"),
        ],
    ),
    row(
        "aws:ssm/parameter:Parameter",
        &[
            "allowedPattern",
            "dataType",
            "description",
            "overwrite",
            "tier",
        ],
        NOTHING,
    ),
    row(
        "aws:ssm/parameter:Parameter",
        &["type"],
        &[own(Parameters, ""), all(Programs, "program.values")],
    ),
    row(
        "aws:ssm/parameter:Parameter",
        &[],
        &[
            own(Parameters, ""),
            own(Outputs, ""),
            all(LogGroups, "group.published"),
            all(Detectors, "detector.published"),
        ],
    ),
    row("aws:sns/topic:Topic", &["displayName"], NOTHING),
    row(
        "aws:sns/topic:Topic",
        &["name", "namePrefix"],
        &[
            own(Topics, ""),
            all(Detectors, "detector.alert_topic"),
            Touch::Access,
        ],
    ),
    row(
        "aws:sns/topic:Topic",
        &[],
        &[own(Topics, ""), Touch::Access],
    ),
    row("aws:sns/topicPolicy:TopicPolicy", &[], &[Touch::Access]),
    row(
        "aws:sns/topicSubscription:TopicSubscription",
        &[],
        &[
            own(Topics, "topic.subscribers"),
            own(Topics, "topic.receivers"),
        ],
    ),
    row(
        "aws:sqs/queue:Queue",
        &[
            "delaySeconds",
            "maxMessageSize",
            "messageRetentionSeconds",
            "receiveWaitTimeSeconds",
            "sqsManagedSseEnabled",
            "visibilityTimeoutSeconds",
        ],
        NOTHING,
    ),
    row(
        "aws:sqs/queue:Queue",
        &["name", "namePrefix"],
        &[
            all(EventRules, "rule.target"),
            all(Topics, ""),
            all(Detectors, "detector.failure_destination"),
            Touch::Access,
        ],
    ),
    row("aws:sqs/queue:Queue", &[], QUEUE),
    row("aws:sqs/queuePolicy:QueuePolicy", &[], QUEUE),
    row(
        "aws:kms/key:Key",
        &[
            "deletionWindowInDays",
            "description",
            "enableKeyRotation",
            "rotationPeriodInDays",
        ],
        NOTHING,
    ),
    row(
        "aws:kms/key:Key",
        &["policy"],
        &[
            own(Keys, "key.outside"),
            own(Keys, "key.open"),
            Touch::Access,
        ],
    ),
    row(
        "aws:kms/key:Key",
        &["isEnabled"],
        &[
            all(Secrets, "secret.key.state"),
            all(LogGroups, "group.key.state"),
        ],
    ),
    row("aws:kms/key:Key", &[], KEY),
    row("aws:kms/alias:Alias", &[], KEY),
    row(
        "aws:kms/keyPolicy:KeyPolicy",
        &[],
        &[
            own(Keys, "key.outside"),
            own(Keys, "key.open"),
            Touch::Access,
        ],
    ),
    row("aws:cloudtrail/trail:Trail", &[], &[all(Trails, "")]),
    row("pulumi:pulumi:Stack", &[], NOTHING),
];

/// Modules of the `aws` provider that hold nothing that a fact rests on.
const ELSEWHERE: &[&str] = &[
    "acm",
    "alb",
    "apigateway",
    "apigatewayv2",
    "appautoscaling",
    "athena",
    "autoscaling",
    "backup",
    "cloudfront",
    "docdb",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "efs",
    "elasticache",
    "elb",
    "glue",
    "kinesis",
    "lb",
    "opensearch",
    "route53",
    "s3",
    "servicediscovery",
    "vpc",
    "wafv2",
];

/// Packages that make nothing in AWS.
const NOT_AWS: &[&str] = &["archive", "null", "random", "std", "time", "tls"];

/// What rests on a property of a resource, or on the whole of it.
pub(super) fn touches(kind: &str, property: Option<&str>) -> Vec<Touch> {
    let mut touches = facts(kind, property);
    touches.extend(SETTINGS);
    let top = property.map(|path| path.split(['.', '[']).next().unwrap_or(path));
    if top.is_none_or(|top| top.to_ascii_lowercase().contains("policy")) {
        touches.extend(DECLARED_POLICY);
    }
    touches
}

/// What AWS would say otherwise.
fn facts(kind: &str, property: Option<&str>) -> Vec<Touch> {
    let rows = || ROWS.iter().filter(|row| row.kind == kind);
    if rows().next().is_none() {
        let mut found = of_module(kind).to_vec();
        if property == Some("tags") && found.is_empty() {
            found.extend(TAGS);
        }
        return found;
    }
    let top = property.map(|path| path.split(['.', '[']).next().unwrap_or(path));
    match top {
        Some("tags") => TAGS.to_vec(),
        Some(property) => rows()
            .find(|row| row.properties.contains(&property))
            .or_else(|| rows().find(|row| row.properties.is_empty()))
            .map_or_else(Vec::new, |row| row.touches.to_vec()),
        None => rows().flat_map(|row| row.touches).copied().collect(),
    }
}

fn of_module(kind: &str) -> &'static [Touch] {
    let mut parts = kind.split(':');
    let package = parts.next().unwrap_or(kind);
    let module = parts.next().unwrap_or_default();
    let module = module.split('/').next().unwrap_or(module);
    match (package, module) {
        ("aws", "iam") => IDENTITY,
        ("aws", module) if ELSEWHERE.contains(&module) => NOTHING,
        (package, _) if NOT_AWS.contains(&package) => NOTHING,
        _ => EVERYTHING,
    }
}

#[cfg(test)]
mod tests {
    use super::{EVERYTHING, ROWS, Touch, facts};

    #[test]
    fn every_type_has_one_row_for_what_no_row_names() {
        for row in ROWS {
            let rest = ROWS
                .iter()
                .filter(|other| other.kind == row.kind && other.properties.is_empty());
            assert_eq!(rest.count(), 1, "{}", row.kind);
        }
    }

    #[test]
    fn what_is_not_known_touches_everything() {
        for kind in [
            "aws-native:secretsmanager:Secret",
            "aws:cloudformation/stack:Stack",
            "aws:scheduler/schedule:Schedule",
            "pulumi:providers:aws",
        ] {
            assert_eq!(facts(kind, None), EVERYTHING, "{kind}");
            assert_eq!(facts(kind, Some("tags")), EVERYTHING, "{kind}");
        }
        let users = facts("aws:iam/user:User", None);
        assert!(users.contains(&Touch::Access));
        assert!(facts("aws:ec2/vpc:Vpc", None).is_empty());
    }
}
