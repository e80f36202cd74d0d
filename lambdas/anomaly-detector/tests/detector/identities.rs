//! Every form of identity that AWS documents or that was seen, and the ways to look like an allowed role.

use anomaly_detector::assess;
use serde_json::{Value, json};

use crate::{ACCOUNT, ROTATION, SECRET, allowed_read, changed, judged, rules};

/// An identity, what becomes of a read by it, and the name the record gives it.
struct Row {
    what: &'static str,
    identity: Value,
    verdict: &'static str,
    name: &'static str,
}

fn session(issuer: &Value) -> Value {
    json!({"type": "AssumedRole", "accountId": ACCOUNT, "principalId": "AROAEXAMPLE:s",
        "arn": "arn:aws:sts::111122223333:assumed-role/bank-secrets-rotation-dev/s",
        "sessionContext": {"sessionIssuer": issuer, "webIdFederationData": {}, "attributes": {}}})
}

fn issuer(kind: &str, arn: &str, account: &str) -> Value {
    json!({"type": kind, "principalId": "AROAEXAMPLE", "arn": arn, "accountId": account, "userName": "x"})
}

const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/bank-secrets-rotation-dev/s";

#[expect(clippy::too_many_lines, reason = "one table")]
fn rows() -> Vec<Row> {
    let row = |what, verdict, name, identity| Row {
        what,
        identity,
        verdict,
        name,
    };
    let mut with_extras = session(&issuer("Role", ROTATION, ACCOUNT));
    with_extras["sessionContext"]["sourceIdentity"] = json!("person");
    with_extras["sessionContext"]["webIdFederationData"] =
        json!({"attributes": {"a": "b"}, "federatedProvider": "p"});
    with_extras["invokedBy"] = json!("cloudformation.amazonaws.com");
    with_extras["inScopeOf"] =
        json!({"sourceAccount": ACCOUNT, "issuerType": "AWS::Lambda::Function"});
    let mut delegated = session(&issuer("Role", ROTATION, ACCOUNT));
    delegated["invokedByDelegate"] = json!({"accountId": "999999999999"});
    vec![
        row(
            "allowed role",
            "allowed",
            ROTATION,
            session(&issuer("Role", ROTATION, ACCOUNT)),
        ),
        row(
            "allowed role on behalf of a service",
            "allowed",
            ROTATION,
            with_extras,
        ),
        row(
            "allowed role through a product provider",
            "anomalous",
            ROTATION,
            delegated,
        ),
        row(
            "session without issuer",
            "anomalous",
            SESSION,
            session(&json!({})),
        ),
        row(
            "session with null issuer",
            "anomalous",
            SESSION,
            session(&Value::Null),
        ),
        row(
            "issuer without type",
            "anomalous",
            SESSION,
            session(&json!({"arn": ROTATION})),
        ),
        row(
            "issuer is a user of that name",
            "anomalous",
            SESSION,
            session(&issuer("IAMUser", ROTATION, ACCOUNT)),
        ),
        row(
            "same role name in another account",
            "anomalous",
            "arn:aws:iam::999999999999:role/bank-secrets-rotation-dev",
            {
                let mut identity = session(&issuer(
                    "Role",
                    "arn:aws:iam::999999999999:role/bank-secrets-rotation-dev",
                    "999999999999",
                ));
                identity["accountId"] = json!("999999999999");
                identity
            },
        ),
        row(
            "issuer whose account contradicts its ARN",
            "anomalous",
            SESSION,
            session(&issuer("Role", ROTATION, "999999999999")),
        ),
        row(
            "role with a prefix",
            "anomalous",
            "arn:aws:iam::111122223333:role/x-bank-secrets-rotation-dev",
            session(&issuer(
                "Role",
                "arn:aws:iam::111122223333:role/x-bank-secrets-rotation-dev",
                ACCOUNT,
            )),
        ),
        row(
            "role under a path",
            "anomalous",
            "arn:aws:iam::111122223333:role/x/bank-secrets-rotation-dev",
            session(&issuer(
                "Role",
                "arn:aws:iam::111122223333:role/x/bank-secrets-rotation-dev",
                ACCOUNT,
            )),
        ),
        row(
            "role of another partition",
            "anomalous",
            "arn:aws-cn:iam::111122223333:role/bank-secrets-rotation-dev",
            session(&issuer(
                "Role",
                "arn:aws-cn:iam::111122223333:role/bank-secrets-rotation-dev",
                ACCOUNT,
            )),
        ),
        row(
            "session named like the role",
            "anomalous",
            "arn:aws:iam::111122223333:role/evil",
            {
                let mut identity = session(&issuer(
                    "Role",
                    "arn:aws:iam::111122223333:role/evil",
                    ACCOUNT,
                ));
                identity["arn"] = json!(format!(
                    "arn:aws:sts::{ACCOUNT}:assumed-role/evil/{}",
                    "bank-secrets-rotation-dev"
                ));
                identity
            },
        ),
        row(
            "session that carries the role's own ARN",
            "anomalous",
            ROTATION,
            json!({"type": "AssumedRole", "arn": ROTATION, "accountId": ACCOUNT}),
        ),
        row(
            "user",
            "anomalous",
            "arn:aws:iam::111122223333:user/bank-secrets-rotation-dev",
            json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/bank-secrets-rotation-dev", "accountId": ACCOUNT, "userName": "bank-secrets-rotation-dev"}),
        ),
        row(
            "user in the console",
            "anomalous",
            "arn:aws:iam::111122223333:user/u",
            json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/u", "accountId": ACCOUNT, "sessionContext": {"sessionIssuer": {}, "webIdFederationData": {}, "attributes": {}}}),
        ),
        row(
            "user in the console without issuer",
            "anomalous",
            "arn:aws:iam::111122223333:user/u",
            json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/u", "accountId": ACCOUNT, "sessionContext": {"attributes": {}}}),
        ),
        row(
            "root",
            "anomalous",
            "arn:aws:iam::111122223333:root",
            json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": ACCOUNT, "principalId": ACCOUNT, "sessionContext": {"sessionIssuer": {}, "assumedRoot": "true"}}),
        ),
        row(
            "federated user",
            "anomalous",
            "arn:aws:sts::111122223333:federated-user/bank-secrets-rotation-dev",
            json!({"type": "FederatedUser", "arn": "arn:aws:sts::111122223333:federated-user/bank-secrets-rotation-dev", "accountId": ACCOUNT,
                "sessionContext": {"sessionIssuer": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/u", "accountId": ACCOUNT}}}),
        ),
        row(
            "SAML user",
            "anomalous",
            "idp:person",
            json!({"type": "SAMLUser", "principalId": "idp:person", "userName": "person", "identityProvider": "idp"}),
        ),
        row(
            "web identity user",
            "anomalous",
            "oidc:repo",
            json!({"type": "WebIdentityUser", "principalId": "oidc:repo", "userName": "repo"}),
        ),
        row(
            "other account",
            "anomalous",
            "AROAOTHER:bank-secrets-rotation-dev",
            json!({"type": "AWSAccount", "principalId": "AROAOTHER:bank-secrets-rotation-dev", "accountId": "999999999999"}),
        ),
        row(
            "Secrets Manager itself",
            "allowed",
            "secretsmanager.amazonaws.com",
            json!({"type": "AWSService", "invokedBy": "secretsmanager.amazonaws.com"}),
        ),
        row(
            "another service",
            "anomalous",
            "delivery.logs.amazonaws.com",
            json!({"type": "AWSService", "invokedBy": "delivery.logs.amazonaws.com"}),
        ),
        row(
            "service of a similar name",
            "anomalous",
            "secretsmanager.amazonaws.com.evil",
            json!({"type": "AWSService", "invokedBy": "secretsmanager.amazonaws.com.evil"}),
        ),
        row(
            "user who says that the service invoked",
            "anomalous",
            "arn:aws:iam::111122223333:user/u",
            json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/u", "accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"}),
        ),
        row(
            "API call without type that says so",
            "anomalous",
            "secretsmanager.amazonaws.com",
            json!({"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"}),
        ),
        row(
            "identity centre user",
            "anomalous",
            "user-1",
            json!({"type": "IdentityCenterUser", "accountId": ACCOUNT, "onBehalfOf": {"userId": "user-1", "identityStoreArn": "arn:x"}, "credentialId": "c"}),
        ),
        row(
            "directory",
            "anomalous",
            "d-1",
            json!({"type": "Directory", "principalId": "d-1", "accountId": ACCOUNT}),
        ),
        row(
            "anonymous",
            "anomalous",
            "Anonymous",
            json!({"type": "Unknown", "principalId": "Anonymous"}),
        ),
        row(
            "blank principal",
            "anomalous",
            "unknown",
            json!({"type": "Unknown", "principalId": ""}),
        ),
        row(
            "type that does not exist yet",
            "anomalous",
            "p",
            json!({"type": "Tomorrow", "principalId": "p", "accountId": ACCOUNT}),
        ),
        row(
            "no type",
            "anomalous",
            "unknown",
            json!({"accountId": ACCOUNT}),
        ),
        row(
            "members of wrong types",
            "anomalous",
            "unknown",
            json!({"type": 7, "arn": ["a"], "accountId": {}, "sessionContext": "x", "principalId": null}),
        ),
        row("no identity at all", "anomalous", "unknown", Value::Null),
        row(
            "identity that is a text",
            "anomalous",
            "unknown",
            json!(ROTATION),
        ),
        row(
            "identity that is a list",
            "anomalous",
            "unknown",
            json!([ROTATION]),
        ),
    ]
}

#[test]
fn only_a_proven_role_or_the_service_is_allowed() {
    let rules = rules(&[]);
    for Row {
        what,
        identity,
        verdict,
        name,
    } in rows()
    {
        let event = changed(&[("/userIdentity", identity)]);
        let (judgement, signals) = judged(&event, &rules);
        assert_eq!(judgement, verdict, "{what}: {signals:?}");
        let record = anomaly_detector::assess(&event, &rules).record;
        assert_eq!(record.identity, name, "{what}");
        assert_eq!(record.secret_reference.as_deref(), Some(SECRET), "{what}");
    }
}

#[test]
fn an_empty_or_broken_list_alarms_on_everything() {
    for list in [
        "",
        "*",
        "arn:aws:iam::111122223333:role/bank-*",
        "bank-secrets-rotation-dev",
    ] {
        let rules = rules(&[("ALLOWED_ROLE_PATTERNS", list)]);
        let service = json!({"eventType": "AwsServiceEvent", "eventSource": "secretsmanager.amazonaws.com",
            "eventName": "RotationSucceeded", "userIdentity": {"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"}});
        for event in [allowed_read(), service] {
            let (verdict, signals) = judged(&event, &rules);
            assert_eq!(verdict, "anomalous", "{list}");
            assert!(signals.contains(&"C1-allow-list"), "{list}: {signals:?}");
        }
    }
}

/// Probes try on a twin what must be refused: only a refusal, and only there, is theirs.
#[test]
fn a_refusal_on_the_twin_is_synthetic_and_nothing_else() {
    let twin = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:bank/dev/denied-AbCdEf";
    let rules = rules(&[("TWIN_SECRET", "bank/dev/denied")]);
    let read = |secret: &str, denied: bool| {
        let mut changes = vec![
            (
                "/userIdentity/sessionContext/sessionIssuer/arn",
                json!("arn:aws:iam::111122223333:role/other"),
            ),
            ("/requestParameters", json!({"secretId": secret})),
        ];
        if denied {
            changes.push(("/errorCode", json!("AccessDenied")));
        }
        let assessment = assess(&changed(&changes), &rules);
        (assessment.alert.is_some(), assessment.record.synthetic)
    };
    assert_eq!(read(twin, true), (true, true));
    assert_eq!(read(twin, false), (true, false));
    assert_eq!(read(SECRET, true), (true, false));
}
