#!/usr/bin/env python3
"""Trims AWS's own service models to the operations that the lab serves.

Usage: trim.py <botocore data folder> [--check]

Input is botocore's `data` folder (`pip install --target DIR botocore`, then
`DIR/botocore/data`). Output is one minified `<service>.json` beside this file:
the metadata that decides the wire format, the operations of the table below
and the shapes that they reach, without prose, examples, paginators and
endpoint rules. `--check` writes nothing and fails when a committed file would
change. Standard library only.
"""

import gzip
import json
import sys
from pathlib import Path

# Service -> (operations, the protocol that the Rust SDK speaks where the model's first choice is another).
SERVED = {
    "secretsmanager": (
        """CreateSecret DescribeSecret GetSecretValue BatchGetSecretValue PutSecretValue UpdateSecret
        UpdateSecretVersionStage ListSecrets ListSecretVersionIds RotateSecret CancelRotateSecret DeleteSecret
        RestoreSecret TagResource UntagResource GetRandomPassword GetResourcePolicy PutResourcePolicy
        DeleteResourcePolicy ValidateResourcePolicy ReplicateSecretToRegions""",
        None,
    ),
    "kms": (
        """CreateKey DescribeKey ListKeys CreateAlias UpdateAlias DeleteAlias ListAliases GetKeyPolicy PutKeyPolicy
        GetKeyRotationStatus EnableKeyRotation DisableKeyRotation ListResourceTags TagResource UntagResource
        ScheduleKeyDeletion CancelKeyDeletion Encrypt Decrypt GenerateDataKey ListGrants CreateGrant""",
        None,
    ),
    "iam": (
        """CreateRole GetRole ListRoles DeleteRole UpdateAssumeRolePolicy PutRolePermissionsBoundary
        DeleteRolePermissionsBoundary TagRole ListRoleTags CreatePolicy GetPolicy GetPolicyVersion CreatePolicyVersion
        SetDefaultPolicyVersion ListPolicyVersions DeletePolicyVersion ListPolicies DeletePolicy TagPolicy
        ListPolicyTags AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies PutRolePolicy GetRolePolicy
        DeleteRolePolicy ListRolePolicies ListEntitiesForPolicy GetAccountAuthorizationDetails CreateUser ListUsers
        SimulatePrincipalPolicy SimulateCustomPolicy""",
        None,
    ),
    "sts": ("GetCallerIdentity AssumeRole", None),
    "lambda": (
        """CreateFunction GetFunction GetFunctionConfiguration ListFunctions UpdateFunctionCode
        UpdateFunctionConfiguration DeleteFunction AddPermission RemovePermission GetPolicy Invoke
        PutFunctionEventInvokeConfig GetFunctionEventInvokeConfig ListFunctionEventInvokeConfigs ListTags
        TagResource""",
        None,
    ),
    "ssm": (
        """PutParameter GetParameter GetParameters GetParametersByPath DescribeParameters DeleteParameter
        AddTagsToResource ListTagsForResource""",
        None,
    ),
    "resourcegroupstaggingapi": ("GetResources", "json"),
    "events": (
        """PutRule DescribeRule ListRules EnableRule DisableRule DeleteRule PutTargets RemoveTargets
        ListTargetsByRule PutEvents TestEventPattern TagResource ListTagsForResource DescribeEventBus""",
        None,
    ),
    "logs": (
        """CreateLogGroup DeleteLogGroup DescribeLogGroups PutRetentionPolicy DeleteRetentionPolicy
        PutLogGroupDeletionProtection CreateLogStream DeleteLogStream DescribeLogStreams PutLogEvents GetLogEvents
        FilterLogEvents TagResource ListTagsForResource PutAccountPolicy DescribeAccountPolicies AssociateKmsKey
        DisassociateKmsKey DescribeSubscriptionFilters DescribeResourcePolicies PutResourcePolicy""",
        None,
    ),
    "cloudtrail": (
        """CreateTrail DescribeTrails GetTrail GetTrailStatus StartLogging StopLogging PutEventSelectors
        GetEventSelectors LookupEvents AddTags ListTags""",
        None,
    ),
    "sns": (
        """CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes ListTopics Subscribe Unsubscribe
        ListSubscriptions ListSubscriptionsByTopic GetSubscriptionAttributes SetSubscriptionAttributes Publish
        TagResource ListTagsForResource""",
        None,
    ),
    "sqs": (
        """CreateQueue DeleteQueue GetQueueUrl GetQueueAttributes SetQueueAttributes ListQueues SendMessage
        ReceiveMessage DeleteMessage PurgeQueue TagQueue ListQueueTags""",
        None,
    ),
    "cloudwatch": ("PutMetricAlarm DescribeAlarms TagResource ListTagsForResource", None),
    "scheduler": ("CreateSchedule GetSchedule ListSchedules", None),
}

# The codes of SQS's former protocol, which clients still match on and newer models leave out.
QUERY_CODES = {
    "sqs": {
        "QueueDeletedRecently": "AWS.SimpleQueueService.QueueDeletedRecently",
        "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
        "QueueNameExists": "QueueAlreadyExists",
        "PurgeQueueInProgress": "AWS.SimpleQueueService.PurgeQueueInProgress",
        "UnsupportedOperation": "AWS.SimpleQueueService.UnsupportedOperation",
    },
}

METADATA = (
    "apiVersion awsQueryCompatible endpointPrefix globalEndpoint jsonVersion protocol protocols serviceId "
    "signingName targetPrefix xmlNamespace"
).split()
OPERATION = "name http input output errors".split()
SHAPE = (
    "type members required enum min max pattern locationName location payload flattened timestampFormat sensitive "
    "exception error fault member key value box streaming union document idempotencyToken jsonvalue eventstream event"
).split()
MEMBER = "shape locationName location flattened timestampFormat streaming jsonvalue idempotencyToken box xmlNamespace xmlAttribute".split()


def main(arguments):
    if not arguments or len(arguments) > 2 or arguments[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    data, check, stale = Path(arguments[0]), len(arguments) == 2, []
    for service, (operations, protocol) in SERVED.items():
        model = trim(load(data, service), operations.split(), protocol)
        for name, code in QUERY_CODES.get(service, {}).items():
            model["shapes"][name]["error"] = {"code": code, "httpStatusCode": 400}
        text = json.dumps(model, separators=(",", ":"), sort_keys=True)
        path = Path(__file__).parent / f"{service}.json"
        if check and (not path.exists() or path.read_text() != text + "\n"):
            stale.append(path.name)
        elif not check:
            path.write_text(text + "\n")
            print(f"{path.name}: {len(text)} bytes")
    if stale:
        sys.exit("stale: " + " ".join(stale))


def load(data, service):
    """The newest version of a service's model."""
    folder = sorted(path for path in (data / service).iterdir() if path.is_dir())[-1]
    packed = folder / "service-2.json.gz"
    if packed.exists():
        return json.loads(gzip.decompress(packed.read_bytes()))
    return json.loads((folder / "service-2.json").read_text())


def trim(model, operations, protocol):
    missing = [name for name in operations if name not in model["operations"]]
    if missing:
        sys.exit(f"the model knows no {' '.join(missing)}")
    metadata = {name: model["metadata"][name] for name in METADATA if name in model["metadata"]}
    metadata["protocol"] = protocol or metadata["protocol"]
    kept = {name: operation(model["operations"][name]) for name in operations}
    shapes, open_names = {}, [shape for each in kept.values() for shape in references(each)]
    while open_names:
        name = open_names.pop()
        if name not in shapes:
            shapes[name] = shape(model["shapes"][name])
            open_names.extend(references(shapes[name]))
    return {"metadata": metadata, "operations": kept, "shapes": shapes}


def operation(full):
    kept = {name: full[name] for name in OPERATION if name in full}
    for side in ("input", "output"):
        if side in kept:
            kept[side] = member(kept[side])
    if "resultWrapper" in full.get("output", {}):
        kept["output"]["resultWrapper"] = full["output"]["resultWrapper"]
    if "errors" in kept:
        kept["errors"] = [{"shape": error["shape"]} for error in kept["errors"]]
    return kept


def shape(full):
    kept = {name: full[name] for name in SHAPE if name in full}
    if "members" in kept:
        kept["members"] = {name: member(each) for name, each in kept["members"].items()}
    for part in ("member", "key", "value"):
        if part in kept:
            kept[part] = member(kept[part])
    return kept


def member(full):
    return {name: full[name] for name in MEMBER if name in full}


def references(part):
    """Every shape that an operation or a shape names."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "shape" and isinstance(value, str):
                yield value
            elif name != "enum":
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


if __name__ == "__main__":
    main(sys.argv[1:])
