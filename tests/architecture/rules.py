"""Rules for files of the tree that no linter knows. Each returns what breaks it, as ``path:line: what``."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

MAX_LINES = 500
_COUNTED = {".py", ".js", ".css", ".html"}
_EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
_TEXT_BYTES = 2_000_000

# Written in two parts, so that this file does not break its own rule.
_MACHINE = re.compile(
    r"(?<![\w.])/(?:wor" + r"k|roo" + r"t|far" + r"m|Use" + r"rs|hom" + r"e)/\w"
    r"|registry\.npm" + r"js\.org|pypi\.or" + r"g/simple|pythonhos" + r"ted\.org|(?:extra-)?index-u" + r"rl\b"
    r"|\"resolv" + r"ed\": \"http"
)
_SILENCED = re.compile(
    r"#\s*(?:noqa(?::\s*[A-Z]+[0-9]+(?:\s*,\s*[A-Z]+[0-9]+)*)?"
    r"|type:\s*ignore(?:\[[\w\s,-]*\])?"
    r"|pragma:\s*no cover)(?P<rest>[^\n]*)"
)
_SKIP = re.compile(r"(?:pytest\.(?:mark\.)?|unittest\.)(?:skip|skipif|skipIf|xfail|importorskip)\b")
_WORDS = re.compile(r"[A-Za-z]{2,}.*[A-Za-z]{2,}")


def tracked_files(root: Path) -> dict[str, str]:
    """Path -> text of every text file that Git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    found = {}
    for name in listed.decode().split("\0"):
        path = root / name
        if not name or not path.is_file() or path.stat().st_size > _TEXT_BYTES:
            continue
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            found[name] = data.decode(errors="replace")
    return found


def long_files(files: Mapping[str, str], exempt: Mapping[str, str]) -> list[str]:
    """Files of code over 500 lines, unless ``exempt`` gives a reason; and exemptions that no longer need one."""
    broken = []
    for name, text in files.items():
        path = PurePosixPath(name)
        if path.suffix not in _COUNTED or "migrations" in path.parts:
            continue
        lines = text.count("\n")
        if lines > MAX_LINES and not exempt.get(name):
            broken.append(f"{name}: {lines} lines; split it behind a small public face")
        if lines <= MAX_LINES and name in exempt:
            broken.append(f"{name}: {lines} lines; take it off the list of exemptions")
    return broken + [f"{name}: exempt, but not there" for name in exempt if name not in files]


def empty_names(files: Iterable[str]) -> list[str]:
    """Modules and folders whose name says nothing."""
    return [
        f"{name}: name it by what it holds"
        for name in files
        if _EMPTY_NAMES.intersection(PurePosixPath(name).with_suffix("").parts)
    ]


def machine_places(files: Mapping[str, str], exempt: Mapping[str, str]) -> list[str]:
    """Paths of one machine and addresses of package registries."""
    return [
        f"{name}:{number}: {found[0]!r} is true on one machine only"
        for name, text in files.items()
        if name not in exempt
        for number, line in enumerate(text.splitlines(), 1)
        if (found := _MACHINE.search(line))
    ]


def silenced_without_reason(files: Mapping[str, str]) -> list[str]:
    """``noqa``, ``type: ignore``, skips and their like that do not say why on their line."""
    broken = []
    for name, text in files.items():
        if not name.endswith(".py"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if (found := _SILENCED.search(line)) and not _WORDS.search(found["rest"]):
                broken.append(f"{name}:{number}: say why on the line: {line.strip()}")
            elif (found := _SKIP.search(line)) and not re.search(r"reason=|#\s*\w+|skip\(f?[\"']\w", line):
                broken.append(f"{name}:{number}: give a reason: {line.strip()}")
    return broken


def environment_names(files: Mapping[str, str]) -> dict[str, str]:
    """Environment variable -> file that reads it, for settings (``env.str("X")``) and code (``os.environ``)."""
    names: dict[str, str] = {}
    for path, text in files.items():
        if not path.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            arguments: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if owner == "env" or (
                    owner in {"os.environ", "environ", "os"}
                    and node.func.attr in {"get", "getenv", "setdefault"}
                ):
                    arguments = node.args[:1]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"os.environ", "environ"}:
                arguments = [node.slice]
            for argument in arguments:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    names.setdefault(argument.value, path)
    return names


def undocumented(names: Mapping[str, str], page: str) -> list[str]:
    """Variables that the code reads and the page does not list, and the other way round.

    The page lists a variable as the first cell of a table row, in backticks.
    """
    listed = set(re.findall(r"^\|\s*`([A-Z][A-Z0-9_]+)`", page, re.MULTILINE))
    return [f"{path}: {name} is not on the page" for name, path in names.items() if name not in listed] + [
        f"{name} is on the page, but nothing reads it" for name in sorted(listed - set(names))
    ]


def direct_imports(files: Mapping[str, str], folders: Iterable[str], forbidden: Iterable[str]) -> list[str]:
    """Imports of ``forbidden`` modules (or what is below them) in files below ``folders``."""
    broken = []
    below = tuple(f"{folder.rstrip('/')}/" for folder in folders)
    for path, text in files.items():
        if not path.startswith(below) or not path.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            broken += [
                f"{path}:{node.lineno}: an engine does not know {module}"
                for name in names
                for module in forbidden
                if f"{name}.".startswith(f"{module}.")
            ]
    return broken


def dependencies_without_reason(root: Path, page: str) -> list[str]:
    """Packages that requirements or package.json name and the page does not, and the other way round."""
    asked: set[str] = set()
    for path in root.glob("requirements/*.in"):
        for line in path.read_text().splitlines():
            if found := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line):
                asked.add(found[0])
    packages = json.loads((root / "package.json").read_text())
    asked |= set(packages.get("dependencies", {})) | set(packages.get("devDependencies", {}))
    given = set(re.findall(r"^\|\s*(@?[A-Za-z0-9][\w./-]*)\s*\|", page, re.MULTILINE)) - {"package"}
    return [f"{name} has no reason in docs/dependencies.md" for name in sorted(asked - given)] + [
        f"{name} is in docs/dependencies.md, but nothing asks for it" for name in sorted(given - asked)
    ]
