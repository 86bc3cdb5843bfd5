"""What a delivery says, in one form for all hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs

import orjson

from portal.core.errors import InputError

Kind = Literal["push", "ping", "moved", "gone", "other"]
MOST_CHANGES = 1_000
#: Headers of a delivery that are kept with it; never one that proves who sent it.
KEPT_HEADERS = (
    "content-type", "x-github-event", "x-gitlab-event", "x-gitlab-instance", "x-gitea-event", "x-forgejo-event",
    "x-event-key", "x-callboard-event",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A branch or tag that was pushed. ``commit`` is empty where it was deleted or nobody says."""

    name: str
    is_tag: bool = False
    commit: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class PushEvent:
    """What happened to a repository.

    Attributes:
        kind: ``moved`` for renamed and transferred, ``gone`` for deleted, ``other`` for what concerns nothing here.
        event: the host's word for it.
        repository: for people.
        addresses: all under which the host knows it (of a moved one: the former ones as well).
        default_branch: empty where the host does not say.
        changes: what was pushed.
        sources: names or ids of sources to read, which only a generic hook may say.
        moved_to: the address of a moved repository.
    """

    kind: Kind
    event: str
    repository: str = ""
    addresses: tuple[str, ...] = ()
    default_branch: str = ""
    changes: tuple[Change, ...] = ()
    sources: tuple[str, ...] = ()
    moved_to: str = ""


def read_payload(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The object that a delivery carries: JSON, or a form with JSON in its field ``payload``.

    Raises:
        InputError: it is neither.
    """
    if headers.get("content-type", "").partition(";")[0].strip() == "application/x-www-form-urlencoded":
        try:
            body = parse_qs(body.decode(), max_num_fields=20)["payload"][0].encode()
        except (UnicodeDecodeError, KeyError, ValueError):
            raise _unreadable("has no field payload") from None
    try:
        payload = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise _unreadable(f"is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise _unreadable("is not an object")
    return payload


def _unreadable(what: str) -> InputError:
    return InputError(
        f"The body of the delivery {what}.",
        code="catalog.hook.payload",
        remedy="Let the host send JSON.",
    )


def text_at(value: Any, *path: str) -> str:
    """The text at a path of nested objects; empty where there is none, or something that no database takes."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and "\0" not in value else ""


def objects_at(value: Any, *path: str) -> list[dict[str, Any]]:
    """The objects in the list at a path, at most :data:`MOST_CHANGES`."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    listed = value if isinstance(value, list) else []
    return [each for each in listed[:MOST_CHANGES] if isinstance(each, dict)]


def change_of(ref: str, commit: str, *, deleted: bool = False) -> Change:
    """A change of a full ref name such as ``refs/heads/main``. A commit of zeros says that it was deleted."""
    is_tag = ref.startswith("refs/tags/")
    name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    gone = deleted or (bool(commit) and not commit.strip("0"))
    return Change(name[:255], is_tag, "" if gone else commit[:64], gone)
