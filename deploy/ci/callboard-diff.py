#!/usr/bin/env python3
"""What would this change do to the catalog? Asks a Callboard, prints the answer, ends with 1 where it objects.

For CI jobs: one file, Python 3.9 or newer, nothing to install. It sends the descriptors of a working tree, and the
files that descriptors name, to ``POST /api/catalog/v1/preview``. Nothing is written there.

    CALLBOARD_URL=https://callboard.example.org CALLBOARD_TOKEN=cb_... \\
        python3 callboard-diff.py --source payments

Exit status: 0 no objections, 1 the catalog objects, 2 it could not be asked.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

# As the server looks: descriptors, and what they name by $text, $json and $yaml.
ENDINGS = (
    ".yaml", ".yml", ".json", ".md", ".txt", ".graphql", ".gql", ".proto", ".raml", ".wsdl", ".xsd", ".avsc",
)  # fmt: skip
SKIPPED = {"node_modules", "__pycache__", "venv"}
LARGEST = 1024 * 1024
FORMATS = ("text", "markdown", "github", "gitlab", "sarif", "json")


class Trouble(Exception):
    """The catalog could not be asked."""


def complain(text: object) -> None:
    sys.stderr.write(f"{text}\n")


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", default=os.environ.get("CALLBOARD_URL", ""), help="or CALLBOARD_URL")
    parser.add_argument("--token-file", default="", help="file with an access token; or CALLBOARD_TOKEN")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--source", default="", help="name or id of the registered source")
    place.add_argument("--target", default="", help="address it would be registered under")
    parser.add_argument("--type", choices=("url", "git"), default="url", help="of the target")
    parser.add_argument("--ref", default="", help="let the server read this branch or commit; sends no files")
    parser.add_argument("--root", default=".", help="folder of the working tree")
    parser.add_argument(
        "--include", action="append", default=[], metavar="GLOB", help="send only these paths"
    )
    parser.add_argument(
        "--changed-since", default="", metavar="REF", help="send only what differs from this commit or branch"
    )
    parser.add_argument("--format", choices=("auto", *FORMATS), default="auto")
    parser.add_argument(
        "--output", default="", help="write the answer to this file, and text to the terminal"
    )
    parser.add_argument("--strict", action="store_true", help="warnings are objections too")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds")
    return parser.parse_args(argv)


def is_wanted(path: str, include: list[str]) -> bool:
    if include:
        return any(fnmatch.fnmatch(path, pattern) for pattern in include)
    return path.lower().endswith(ENDINGS)


def tree(root: Path) -> list[str]:
    """Paths of all files below a folder; hidden folders are left out."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in sorted(names)]
    return found


def changed(root: Path, since: str) -> tuple[list[str], list[str]]:
    """Paths that differ from a commit, and those that are gone. A renamed file is one of each."""
    if since.startswith("-"):
        raise Trouble(f"{since!r} is no commit.")
    command = ["git", "-C", str(root), "diff", "--relative", "--no-renames", "--name-status", "-z"]
    try:
        done = subprocess.run([*command, since, "--"], check=True, capture_output=True)
    except FileNotFoundError:
        raise Trouble("git is not installed, which --changed-since needs.") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise Trouble(f"git cannot compare with {since}: {said}") from None
    words = done.stdout.decode("utf-8", "replace").split("\0")
    present: list[str] = []
    removed: list[str] = []
    for place in range(0, len(words) - 1, 2):
        (removed if words[place].startswith("D") else present).append(words[place + 1])
    return present, removed


def contents(root: Path, paths: list[str]) -> list[dict[str, str]]:
    """What is sent. Links are not followed: they may lead out of the working tree."""
    files = []
    for path in paths:
        file = root / path
        if file.is_symlink() or not file.is_file():
            continue
        if file.stat().st_size > LARGEST:
            complain(f"{path} is larger than 1 MiB and not sent.")
            continue
        try:
            files.append({"path": path, "content": file.read_bytes().decode("utf-8")})
        except UnicodeDecodeError:
            complain(f"{path} is not UTF-8 and not sent.")
    return files


def question(options: argparse.Namespace) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if options.source:
        body["source"] = options.source
    elif options.target:
        body.update(target=options.target, type=options.type)
    if options.ref:
        return {**body, "ref": options.ref}
    root = Path(options.root)
    if not root.is_dir():
        raise Trouble(f"{root} is no folder.")
    if options.changed_since:
        present, removed = changed(root, options.changed_since)
        body["removed"] = [path for path in removed if is_wanted(path, options.include)]
        body["complete"] = False
    else:
        present = tree(root)
    body["files"] = contents(root, [path for path in present if is_wanted(path, options.include)])
    return body


def token(options: argparse.Namespace) -> str:
    if not options.token_file:
        return os.environ.get("CALLBOARD_TOKEN", "").strip()
    try:
        return Path(options.token_file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Trouble(f"The token cannot be read: {error}") from None


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the server that was named and to no other."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def ask(options: argparse.Namespace, renders: list[str]) -> dict[str, Any]:
    server, secret = options.server.rstrip("/"), token(options)
    if not server.startswith(("https://", "http://")):
        raise Trouble("Name the server: --server https://callboard.example.org, or CALLBOARD_URL.")
    if not secret:
        raise Trouble("There is no token: set CALLBOARD_TOKEN, or name a file with --token-file.")
    request = urllib.request.Request(  # noqa: S310  (the scheme was looked at above)
        f"{server}/api/catalog/v1/preview?{'&'.join(f'render={name}' for name in renders)}",
        data=json.dumps(question(options)).encode(),
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=options.timeout) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        raise Trouble(refusal(error)) from None
    except (OSError, ValueError) as error:
        raise Trouble(f"{server} does not answer: {error}") from None


def refusal(error: urllib.error.HTTPError) -> str:
    """What the server said, or its status."""
    try:
        inner = json.load(error)["error"]
        return " ".join(filter(None, (inner["message"], inner.get("remedy"))))
    except (ValueError, KeyError, TypeError):
        return f"The server answers {error.code} {error.reason}."


def chosen_format(options: argparse.Namespace) -> str:
    if options.format != "auto":
        return str(options.format)
    return "github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text"


def main(argv: list[str]) -> int:
    options = arguments(argv)
    form = chosen_format(options)
    summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
    try:
        answer = ask(options, sorted({form, "text", *(["markdown"] if summary else [])}))
        rendered: dict[str, str] = answer["rendered"]
        if options.output:
            Path(options.output).write_text(rendered[form], encoding="utf-8")
        if summary:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(rendered["markdown"])
    except (Trouble, OSError) as trouble:
        complain(trouble)
        return 2
    if form == "github" or options.output:
        sys.stdout.write(rendered["text"])
    if not options.output:
        sys.stdout.write(rendered[form])
    return 1 if answer["verdict"] == "error" or (options.strict and answer["verdict"] == "warning") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
