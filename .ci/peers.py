#!/usr/bin/env python3
"""Plants faults in a CloudFormation rendering of the parts of the program that other tools can read, and says what
checkov and cfn-guard notice.

    .ci/peers.py [--place target/venvs] [--registry DIR]

Installs checkov (PyPI) and the npm package that AWS publishes with cfn-guard's executable and the 237 proactive controls of
Control Tower in it, where they are missing. --registry adds the rules of a clone of
https://github.com/aws-cloudformation/aws-guard-rules-registry. Prints a Markdown table: a fault is noticed when a check
fails that does not fail on the rendering without any fault.
"""
import argparse
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKOV, GUARD = "checkov==3.3.30", "@cdklabs/cdk-validator-cfnguard@0.0.62"

ACCOUNT, STAGE = "647751526084", "dev"
SECRETS = f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:bank-*-??????"
MUTATING = [
    "secretsmanager:" + name
    for name in "CreateSecret DeleteSecret PutResourcePolicy PutSecretValue ReplicateSecretToRegions RestoreSecret "
    "RotateSecret TagResource UntagResource UpdateSecret UpdateSecretVersionStage".split()
]


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def base():
    """The parts of the program as CloudFormation writes them."""
    deny = {"Sid": "DenyMutationOutsideTheNamespace", "Effect": "Deny", "Action": MUTATING, "NotResource": SECRETS}
    names = {"Sid": "DenyOtherNames", "Effect": "Deny", "Action": "secretsmanager:CreateSecret", "Resource": "*",
             "Condition": {"StringNotLike": {"secretsmanager:Name": "bank-*"}}}
    kms = {"Sid": "UseTheBankKeys", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
           "Resource": f"arn:aws:kms:ap-southeast-2:{ACCOUNT}:key/operational",
           "Condition": {"StringEquals": {"kms:ViaService": "secretsmanager.ap-southeast-2.amazonaws.com"}}}
    trust = policy({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    people = policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole",
                     "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}})
    arn = {"Fn::GetAtt": ["AnomalyFunction", "Arn"]}
    resources = {
        "NamespacePolicy": ("AWS::IAM::ManagedPolicy", {"PolicyDocument": policy(deny, names)}),
        "RotationRole": ("AWS::IAM::Role", {"AssumeRolePolicyDocument": trust,
                                            "Policies": [{"PolicyName": "rotate", "PolicyDocument": policy(kms)}]}),
        "AdminRole": ("AWS::IAM::Role", {"AssumeRolePolicyDocument": people,
                                         "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/bank-boundary-{STAGE}"}),
        "AccessLog": ("AWS::Logs::LogGroup", {"RetentionInDays": 3653, "DeletionProtectionEnabled": True,
                                              "KmsKeyId": f"arn:aws:kms:ap-southeast-2:{ACCOUNT}:key/log"}),
        "DeadLetters": ("AWS::SQS::Queue", {"SqsManagedSseEnabled": True}),
        "AnomalyFunction": ("AWS::Lambda::Function", {
            "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": {"Fn::GetAtt": ["RotationRole", "Arn"]},
            "Code": {"S3Bucket": "code", "S3Key": "detector.zip"},
            "Environment": {"Variables": {"ALLOWED_ROLE_PATTERNS": f"arn:aws:iam::{ACCOUNT}:role/bank-secrets-rotation-{STAGE}"}}}),
        "AnomalyRule": ("AWS::Events::Rule", {
            "State": "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", "EventPattern": {"source": ["aws.secretsmanager"]},
            "Targets": [{"Id": "detector", "Arn": arn, "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}}]}),
        "RotationPermission": ("AWS::Lambda::Permission", {
            "Action": "lambda:InvokeFunction", "FunctionName": arn, "Principal": "secretsmanager.amazonaws.com",
            "SourceAccount": ACCOUNT}),
        "Secret": ("AWS::SecretsManager::Secret", {"Name": "bank-platform/x", "KmsKeyId": "alias/bank/operational"}),
        "Rotation": ("AWS::SecretsManager::RotationSchedule", {
            "SecretId": {"Ref": "Secret"}, "RotationLambdaARN": arn, "RotationRules": {"AutomaticallyAfterDays": 90}}),
    }
    return {"AWSTemplateFormatVersion": "2010-09-09",
            "Resources": {name: {"Type": kind, "Properties": properties} for name, (kind, properties) in resources.items()}}


def statements(template):
    return template["NamespacePolicy"]["Properties"]["PolicyDocument"]["Statement"]


def put(name, key, value):
    def change(resources):
        if value is None:
            del resources[name]["Properties"][key]
        else:
            resources[name]["Properties"][key] = value
    return change


def kms_without_condition(resources):
    del resources["RotationRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Condition"]


def target_without_queue(resources):
    del resources["AnomalyRule"]["Properties"]["Targets"][0]["DeadLetterConfig"]


def allow_list(resources):
    resources["AnomalyFunction"]["Properties"]["Environment"]["Variables"]["ALLOWED_ROLE_PATTERNS"] = "bank-"


FAULTS = [
    ("event rule in plain `ENABLED`", put("AnomalyRule", "State", "ENABLED")),
    ("allow-list by substring", allow_list),
    ("Deny of four actions only", lambda r: statements(r)[0].update(Action=MUTATING[:4])),
    ("`CreateSecret` without the name condition", lambda r: statements(r).pop(1)),
    ("KMS condition missing", kms_without_condition),
    ("retention of 2192 days", put("AccessLog", "RetentionInDays", 2192)),
    ("dead-letter queue missing", target_without_queue),
    ("permission without source account", put("RotationPermission", "SourceAccount", None)),
    ("boundary removed from the admin role", put("AdminRole", "PermissionsBoundary", None)),
    ("rotation every 91 days", put("Rotation", "RotationRules", {"AutomaticallyAfterDays": 91})),
    ("rotation once a year, as cron", put("Rotation", "RotationRules", {"ScheduleExpression": "cron(0 0 1 1 ? *)"})),
    ("secret without a key of one's own", put("Secret", "KmsKeyId", None)),
    ("access log without key", put("AccessLog", "KmsKeyId", None)),
    ("access log not protected from deletion", put("AccessLog", "DeletionProtectionEnabled", False)),
    ("role open to another account", put("RotationRole", "AssumeRolePolicyDocument", policy(
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}))),
]


def installed(place):
    """The executables of both tools, and cfn-guard's rules."""
    checkov = place / "vcheckov/bin/checkov"
    if not checkov.exists():
        subprocess.run([sys.executable, "-m", "venv", place / "vcheckov"], check=True)
        subprocess.run([place / "vcheckov/bin/pip", "install", "-q", CHECKOV], check=True)
    guard = place / "guard"
    if not (guard / "package").exists():
        guard.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(["npm", "pack", "--silent", GUARD], cwd=guard, check=True, capture_output=True, text=True)
        subprocess.run(["tar", "xzf", packed.stdout.strip().splitlines()[-1]], cwd=guard, check=True)
    package = guard / "package"
    return checkov, package / "bin/ubuntu/x86_64/cfn-guard", package / "rules/control-tower/cfn-guard"


def checkov(program, folder):
    """`file` to the checks that fail in it, from one run over all files."""
    run = subprocess.run([program, "-d", folder, "--framework", "cloudformation", "-o", "json", "--compact"],
                         capture_output=True, text=True, check=False)
    found = {}
    for row in json.loads(run.stdout)["results"]["failed_checks"]:
        name = pathlib.Path(row["file_path"]).name
        found.setdefault(name, set()).add((row["check_id"], row["resource"]))
    return found


def guard(program, rules, folder):
    """`file` to the rules that fail in it."""
    found = {}
    for place in rules:
        run = subprocess.run([program, "validate", "--rules", place, "--data", folder, "--structured", "--output-format", "json",
                              "--show-summary", "none"], capture_output=True, text=True, check=False)
        # 19 says that a rule fails; anything else but success is the tool's own trouble.
        if run.returncode not in (0, 19):
            sys.exit(f"cfn-guard ended with {run.returncode}: {run.stderr[-2000:]}")
        for report in json.loads(run.stdout):
            failed = {rule["Rule"]["name"] for rule in report["not_compliant"]}
            found.setdefault(pathlib.Path(report["name"]).name, set()).update((name, "") for name in failed)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", type=pathlib.Path, default=ROOT / "target/venvs")
    parser.add_argument("--registry", type=pathlib.Path, action="append", default=[])
    args = parser.parse_args()
    checkov_program, guard_program, control_tower = installed(args.place.resolve())
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "base.json").write_text(json.dumps(base(), indent=1))
        for number, (_, change) in enumerate(FAULTS):
            template = copy.deepcopy(base())
            change(template["Resources"])
            (path / f"fault-{number:02}.json").write_text(json.dumps(template, indent=1))
        found = {"checkov": checkov(checkov_program, folder),
                 "cfn-guard": guard(guard_program, [control_tower, *(it / "rules/aws" for it in args.registry)], folder)}
    print("| fault | checkov | cfn-guard |\n|---|---|---|")
    noticed = dict.fromkeys(found, 0)
    for number, (what, _) in enumerate(FAULTS):
        cells = []
        for tool, files in found.items():
            new = sorted({check for check, _ in files.get(f"fault-{number:02}.json", set()) - files.get("base.json", set())})
            noticed[tool] += bool(new)
            cells.append(", ".join(new) or "nothing")
        print(f"| {what} | {' | '.join(cells)} |")
    for tool, count in noticed.items():
        print(f"{tool}: {count} of {len(FAULTS)} noticed; without a fault {len(found[tool].get('base.json', set()))} checks fail",
              file=sys.stderr)


if __name__ == "__main__":
    main()
