#!/usr/bin/env python3
"""Prints a CycloneDX 1.5 bill of materials of everything that is linked into the checker and the functions.

It comes from the lock file by way of `cargo metadata`: names, versions, licences, digests, and who depends on whom.
Development dependencies are left out, since nobody receives them.
"""
import json
import subprocess
import tomllib

metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"],
        check=True, capture_output=True,
    ).stdout
)
with open("Cargo.lock", "rb") as lock:
    digests = {
        (package["name"], package["version"]): package.get("checksum")
        for package in tomllib.load(lock)["package"]
    }
packages = {package["id"]: package for package in metadata["packages"]}
edges = {
    node["id"]: sorted(
        dependency["pkg"]
        for dependency in node["deps"]
        if any(kind["kind"] in (None, "build") for kind in dependency["dep_kinds"])
    )
    for node in metadata["resolve"]["nodes"]
}

shipped, waiting = set(), list(metadata["workspace_members"])
while waiting:
    package = waiting.pop()
    if package not in shipped:
        shipped.add(package)
        waiting.extend(edges[package])


def reference(package):
    return f'pkg:cargo/{packages[package]["name"]}@{packages[package]["version"]}'


def component(package):
    found = packages[package]
    digest = digests.get((found["name"], found["version"]))
    shown = {
        "type": "library",
        "bom-ref": reference(package),
        "name": found["name"],
        "version": found["version"],
        "purl": reference(package),
    }
    if found.get("license"):
        shown["licenses"] = [{"expression": found["license"].replace("/", " OR ")}]
    if digest:
        shown["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return shown


order = sorted(shipped, key=reference)
print(json.dumps({
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {"component": {"type": "application", "bom-ref": "checker", "name": "checker"}},
    "components": [component(package) for package in order],
    "dependencies": [
        {"ref": reference(package), "dependsOn": sorted({reference(used) for used in edges[package] if used in shipped})}
        for package in order
    ],
}, indent=1))
