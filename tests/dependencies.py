"""Holds the rules of deny.toml on licences, banned crates, duplicate versions and sources.

cargo-deny does the same and more (advisories); it takes minutes to build, so ./check falls back to this where
it is not installed. Reads `cargo metadata` alone: no network.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def metadata(targets):
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    for target in targets:
        command += ["--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def licence_allowed(expression, allowed):
    """Evaluates an SPDX expression (and the older `A/B`) with the allowed licences as true."""
    expression = expression.replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+(?:\s+WITH\s+[^\s()]+)?", expression)
    words = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    python = [words.get(token) or str(re.sub(r"\s+", " ", token) in allowed) for token in tokens]
    # Only the words of the table above and True or False get here.
    return bool(eval(" ".join(python), {"__builtins__": {}}))  # noqa: S307


def matches(spec, package):
    name, _, version = spec.partition("@")
    return package["name"] == name and (not version or (package["version"] + ".").startswith(version + "."))


def main():
    policy = tomllib.loads((ROOT / "deny.toml").read_text())
    found = metadata(policy["graph"]["targets"])
    used = {node["id"] for node in found["resolve"]["nodes"]}
    packages = [package for package in found["packages"] if package["id"] in used]
    problems = []

    allowed = set(policy["licenses"]["allow"])
    for package in packages:
        licence = package["license"] or ""
        if not licence or not licence_allowed(licence, allowed):
            problems.append(f"{package['name']} {package['version']}: licence {licence or 'unknown'!r} is not allowed")

    for rule in policy["bans"]["deny"]:
        for package in packages:
            if matches(rule["crate"], package):
                problems.append(f"{package['name']} {package['version']} is banned: {rule['reason']}")

    versions = defaultdict(set)
    skipped = policy["bans"]["skip"]
    for package in packages:
        if not any(matches(rule["crate"], package) for rule in skipped):
            versions[package["name"]].add(package["version"])
    for name, several in versions.items():
        if len(several) > 1:
            problems.append(f"{name} is there in {len(several)} versions: {', '.join(sorted(several))}")
    for rule in skipped:
        if not any(matches(rule["crate"], package) for package in packages):
            problems.append(f"deny.toml: skip of {rule['crate']} matches nothing")

    for package in packages:
        source = package["source"]
        if source is not None and not source.startswith("registry+"):
            problems.append(f"{package['name']} {package['version']} does not come from the registry: {source}")

    for problem in problems:
        print(problem)
    print(f"{len(packages)} crates: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
