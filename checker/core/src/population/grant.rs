//! What statements of an identity policy allow or deny, one statement at a time.
//!
//! A conservative reading: conditions narrow nothing here except where a function says so, and statements are not
//! weighed against each other. What holds over whole policies, boundaries included, is proved by `checker-iam`.

use serde_json::Value;

use super::resource_policy::{is, texts};

/// Actions of Secrets Manager that change a secret, its policy, its replicas or its tags: the union of the service
/// authorization reference and the API model. Each has the secret as required resource.
pub const MUTATING: &[&str] = &[
    "secretsmanager:AssociateCrossAccountReplica",
    "secretsmanager:CancelRotateSecret",
    "secretsmanager:CreateSecret",
    "secretsmanager:DeleteResourcePolicy",
    "secretsmanager:DeleteSecret",
    "secretsmanager:DisassociateCrossAccountReplica",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:PutSecretValue",
    "secretsmanager:RemoveRegionsFromReplication",
    "secretsmanager:ReplicateSecretToRegions",
    "secretsmanager:RestoreSecret",
    "secretsmanager:RotateSecret",
    "secretsmanager:StopReplicationToReplica",
    "secretsmanager:TagResource",
    "secretsmanager:UntagResource",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:ValidateResourcePolicy",
];

/// Whether a statement allows.
pub(super) fn allows(statement: &Value) -> bool {
    is(statement, "Effect", "Allow")
}

/// Whether a statement denies, whatever the circumstances.
pub(super) fn denies_always(statement: &Value) -> bool {
    denies(statement) && statement.get("Condition").is_none()
}

/// Whether a statement denies.
pub(super) fn denies(statement: &Value) -> bool {
    is(statement, "Effect", "Deny")
}

/// Whether a statement speaks of an action.
pub(super) fn names_action(statement: &Value, action: &str) -> bool {
    let fitting = |patterns: &Value| {
        texts(patterns)
            .iter()
            .any(|pattern| fits(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
    };
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(patterns), _) => fitting(patterns),
        (None, Some(patterns)) => !fitting(patterns),
        (None, None) => false,
    }
}

/// Whether a statement speaks of a resource.
pub(super) fn names_resource(statement: &Value, resource: &str) -> bool {
    let fitting = |patterns: &Value| {
        texts(patterns)
            .iter()
            .any(|pattern| fits(pattern, resource))
    };
    match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(patterns), _) => fitting(patterns),
        (None, Some(patterns)) => !fitting(patterns),
        (None, None) => false,
    }
}

/// Whether a statement spares nothing but secrets of the namespace: `NotResource` with patterns of names that begin
/// with it, in this account.
pub(super) fn spares_only(statement: &Value, namespace: &str, account: &str) -> bool {
    let spared = statement.get("NotResource").map(texts).unwrap_or_default();
    !spared.is_empty()
        && spared.iter().all(|pattern| {
            let parts: Vec<&str> = pattern.splitn(7, ':').collect();
            matches!(parts.as_slice(), ["arn", _, "secretsmanager", _, owner, "secret", name]
                if *owner == account && name.starts_with(namespace))
        })
}

/// The value of a condition key under an operator, both whatever their case.
pub(super) fn condition(statement: &Value, operator: &str, key: &str) -> Vec<String> {
    let member = |value: &Value, name: &str| {
        value
            .as_object()
            .into_iter()
            .flatten()
            .find(|(member, _)| member.eq_ignore_ascii_case(name))
            .map(|(_, found)| found.clone())
    };
    statement
        .get("Condition")
        .and_then(|all| member(all, operator))
        .and_then(|keys| member(&keys, key))
        .map(|values| texts(&values))
        .unwrap_or_default()
}

/// What reports call a statement: its `Sid`, otherwise its place from 1.
pub(super) fn label(statement: &Value, place: usize) -> String {
    statement
        .get("Sid")
        .and_then(Value::as_str)
        .map_or_else(|| format!("statement {place}"), str::to_owned)
}

/// Whether a pattern with `*` and `?` fits a text, in time that grows with both lengths only.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == letter => {
                at += 1;
                seen += 1;
            }
            Some(_) | None => {
                let Some((after, taken)) = star else {
                    return false;
                };
                star = Some((after, taken + 1));
                at = after;
                seen = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_fit_as_iam_reads_them() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(fits(pattern, text), expected, "{pattern}");
        };
        check("*", "", true);
        check(
            "secretsmanager:Get*Value",
            "secretsmanager:GetSecretValue",
            true,
        );
        check(
            "secretsmanager:Get?Value",
            "secretsmanager:GetSecretValue",
            false,
        );
        check("a*b*c", "aXbXbXc", true);
        check("a*b*c", "aXbXbX", false);
        check("??", "a", false);
        check("", "a", false);
    }

    #[test]
    fn only_patterns_of_the_namespace_are_spared() {
        let check = |spared: Value, expected: bool| {
            let statement = json!({"Effect": "Deny", "Action": "x:Y", "NotResource": spared});
            assert_eq!(
                spares_only(&statement, "bank-", "1"),
                expected,
                "{statement}"
            );
        };
        check(json!("arn:aws:secretsmanager:*:1:secret:bank-*"), true);
        check(json!("arn:aws:secretsmanager:*:2:secret:bank-*"), false);
        check(json!("arn:aws:secretsmanager:*:*:secret:bank-*"), false);
        check(json!("arn:aws:secretsmanager:*:1:secret:*"), false);
        check(json!("*"), false);
        check(
            json!(["arn:aws:secretsmanager:*:1:secret:bank-*", "*"]),
            false,
        );
        check(json!([]), false);
    }

    #[test]
    fn what_a_statement_leaves_out_is_what_its_not_names() {
        let all_but =
            json!({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::x"});
        assert!(names_action(&all_but, "secretsmanager:GetSecretValue"));
        assert!(!names_action(&all_but, "iam:PassRole"));
        assert!(names_resource(&all_but, "arn:aws:s3:::y"));
        assert!(!names_resource(&all_but, "arn:aws:s3:::x"));
        assert!(names_action(
            &json!({"Action": "SECRETSMANAGER:get*"}),
            "secretsmanager:GetSecretValue"
        ));
    }
}
