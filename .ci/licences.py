#!/usr/bin/env python3
"""Fails when a dependency's licence is not one that this project allows."""
import json
import re
import subprocess
import sys

ALLOWED = {
    "MIT", "MIT-0", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0", "Zlib",
    "Unicode-3.0", "Unicode-DFS-2016", "CC0-1.0", "0BSD", "BSL-1.0", "Unlicense",
}


def allowed(expression):
    """An SPDX expression, with `OR` before `AND` as in SPDX's grammar read naively on one level."""
    text = expression.replace("/", " OR ").replace(" WITH LLVM-exception", "")
    tokens = re.findall(r"\(|\)|[\w.\-+]+", text)

    def either():
        value = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = both() or value
        return value

    def both():
        value = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = one() and value
        return value

    def one():
        token = tokens.pop(0)
        if token == "(":
            value = either()
            tokens.pop(0)
            return value
        return token in ALLOWED

    return either()


metadata = json.loads(subprocess.check_output(
    ["cargo", "metadata", "--format-version", "1", "--locked",
     "--filter-platform", "x86_64-unknown-linux-gnu"]))
bad = []
for package in metadata["packages"]:
    licence = package.get("license") or ""
    if not licence or not allowed(licence):
        bad.append(f'{package["name"]} {package["version"]}: {licence or "no licence stated"}')
print(f'{len(metadata["packages"])} packages')
if bad:
    sys.exit("not allowed:\n  " + "\n  ".join(sorted(bad)))
