"""The words of each host."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from catalog.ingest.pushes.events import (
    Change,
    Kind,
    PushEvent,
    change_of,
    objects_at,
    read_payload,
    text_at,
)
from portal.core.errors import InputError

Headers = Mapping[str, str]
LONGEST_ID = 200


def read_event(provider: str, headers: Headers, body: bytes) -> PushEvent:
    """What a delivery says.

    Args:
        provider: value of ``Hook.Provider``.
        headers: with names in lower case.

    Raises:
        InputError: the body cannot be read, or says of a push neither where nor what.
    """
    return _READERS[provider](headers, read_payload(headers, body))


def event_name(headers: Headers) -> str:
    """The host's word for what happened, as far as its headers say it."""
    names = (
        "x-github-event",
        "x-gitea-event",
        "x-forgejo-event",
        "x-gitlab-event",
        "x-event-key",
        "x-callboard-event",
    )
    return next((headers[name] for name in names if headers.get(name)), "")[:100]


def delivery_id(provider: str, headers: Headers, body: bytes) -> str:
    """What tells one delivery from another; made up where the host says nothing.

    GitLab's event id is shared by events that follow from one another, so the body is part of it there.
    """
    names = {
        "github": ("x-github-delivery",),
        "gitea": ("x-gitea-delivery", "x-forgejo-delivery"),
        "gitlab": ("webhook-id", "idempotency-key"),
        "bitbucket": ("x-request-uuid", "x-request-id"),
        "generic": ("webhook-id", "x-callboard-delivery"),
    }[provider]
    given = next((headers[name].strip() for name in names if headers.get(name, "").strip()), "")
    if not given and provider == "gitlab" and headers.get("x-gitlab-event-uuid"):
        given = f"{headers['x-gitlab-event-uuid']}:{hashlib.sha256(body).hexdigest()[:32]}"
    if len(given) > LONGEST_ID:
        given = hashlib.sha256(given.encode()).hexdigest()
    return given or f"unnamed:{uuid.uuid4()}"


def _known(*addresses: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address for address in addresses if address))


def _at_path(address: str, known_path: str, path: str) -> str:
    """``address`` of the repository ``known_path`` with another path in its place; empty where that is not in it."""
    before, found, after = address.rpartition(known_path) if known_path else ("", "", "")
    return f"{before}{path}{after}" if found and path else ""


def _moved(event: str, name: str, former: str, addresses: Iterable[str]) -> PushEvent:
    now = _known(*addresses)
    before = _known(*(_at_path(address, name, former) for address in now))
    return PushEvent("moved", event, former or name, _known(*before, *now), moved_to=now[0] if now else name)


def _push(
    event: str, repository: str, addresses: tuple[str, ...], default: str, changes: list[Change]
) -> PushEvent:
    changes = [change for change in changes if change.name]
    if not addresses or not changes:
        raise InputError(
            f"The {event} does not say {'what was pushed' if addresses else 'to which repository'}.",
            code="catalog.hook.payload",
            remedy="Check that the hook is of the right host.",
        )
    return PushEvent("push", event, repository or addresses[0], addresses, default, tuple(changes))


# ---------------------------------------------------------------------------------------------------- GitHub and Gitea


def _github(headers: Headers, payload: dict[str, Any]) -> PushEvent:
    event = event_name(headers) or "push"
    repository = payload.get("repository")
    name = text_at(repository, "full_name")
    addresses = _known(*(text_at(repository, key) for key in ("clone_url", "ssh_url", "html_url")))
    if event == "ping":
        return PushEvent("ping", event, name, addresses)
    if event == "push":
        change = change_of(
            text_at(payload, "ref"), text_at(payload, "after"), deleted=payload.get("deleted") is True
        )
        return _push(event, name, addresses, text_at(repository, "default_branch"), [change])
    action = text_at(payload, "action")
    said = f"{event} {action}".strip()
    if event == "repository" and action == "deleted":
        return PushEvent("gone", said, name, addresses)
    if event == "repository" and action in ("renamed", "transferred"):
        owner, _, short = name.partition("/")
        changes = payload.get("changes")
        former_owner = text_at(changes, "owner", "from", "user", "login") or text_at(
            changes, "owner", "from", "organization", "login"
        )
        former = f"{former_owner or owner}/{text_at(changes, 'repository', 'name', 'from') or short}"
        return _moved(said, name, former, addresses)
    return PushEvent("other", said, name, addresses)


# -------------------------------------------------------------------------------------------------------------- GitLab


def _gitlab(headers: Headers, payload: dict[str, Any]) -> PushEvent:
    event = text_at(payload, "object_kind") or text_at(payload, "event_name") or event_name(headers)
    project = payload.get("project")
    name = text_at(project, "path_with_namespace")
    addresses = _known(*(text_at(project, key) for key in ("git_http_url", "git_ssh_url", "web_url")))
    default = text_at(project, "default_branch")
    if event in ("push", "tag_push"):
        change = change_of(text_at(payload, "ref"), text_at(payload, "after"))
        return _push(event, name, addresses, default, [change])
    if event == "repository_update":
        pushed = [change_of(text_at(c, "ref"), text_at(c, "after")) for c in objects_at(payload, "changes")]
        return _push(event, name, addresses, default, pushed)
    if event in ("project_rename", "project_transfer", "project_destroy"):
        path = text_at(payload, "path_with_namespace")
        instance = headers.get("x-gitlab-instance", "").rstrip("/")
        here = [f"{instance}/{path}"] if instance and path else []
        if event == "project_destroy":
            return PushEvent("gone", event, path, tuple(here))
        return _moved(event, path, text_at(payload, "old_path_with_namespace"), here)
    return PushEvent("other", event, name, addresses)


# ----------------------------------------------------------------------------------------------------------- Bitbucket


def _bitbucket(headers: Headers, payload: dict[str, Any]) -> PushEvent:
    event = event_name(headers) or text_at(payload, "eventKey")
    if event == "diagnostics:ping":
        return PushEvent("ping", event)
    if event.startswith("repo:") and ("push" in payload or text_at(payload, "repository", "full_name")):
        return _bitbucket_cloud(event, payload)
    return _bitbucket_server(event, payload)


def _bitbucket_cloud(event: str, payload: dict[str, Any]) -> PushEvent:
    repository = payload.get("repository")
    name, page = text_at(repository, "full_name"), text_at(repository, "links", "html", "href")
    addresses = _known(page, f"git@bitbucket.org:{name}.git" if name else "")
    if event == "repo:push":
        return _push(event, name, addresses, text_at(repository, "mainbranch", "name"), [
            Change(
                (text_at(change, "new", "name") or text_at(change, "old", "name"))[:255],
                is_tag="tag" in (text_at(change, "new", "type"), text_at(change, "old", "type")),
                commit=text_at(change, "new", "target", "hash")[:64],
                deleted=change.get("new") is None,
            )
            for change in objects_at(payload, "push", "changes")
        ])  # fmt: skip
    if event == "repo:deleted":
        return PushEvent("gone", event, name, addresses)
    former = text_at(payload, "changes", "full_name", "old")
    if event == "repo:updated" and former:
        return _moved(event, name, former, addresses)
    return PushEvent("other", event, name, addresses)


def _server_name(repository: Any) -> str:
    key, slug = text_at(repository, "project", "key"), text_at(repository, "slug")
    return f"{key}/{slug}" if key and slug else slug


def _server_addresses(repository: Any) -> tuple[str, ...]:
    clones = [text_at(link, "href") for link in objects_at(repository, "links", "clone")]
    pages = [
        text_at(link, "href").removesuffix("/browse") for link in objects_at(repository, "links", "self")
    ]
    return _known(*clones, *pages)


def _bitbucket_server(event: str, payload: dict[str, Any]) -> PushEvent:
    if event == "repo:modified":
        old, new = payload.get("old"), payload.get("new")
        former, name = _server_name(old), _server_name(new)
        now = _server_addresses(new)
        before = _known(
            *(_at_path(a.lower(), name.lower(), former.lower()) for a in now), *_server_addresses(old)
        )
        kind: Kind = "moved" if former != name else "other"
        return PushEvent(kind, event, former, _known(*before, *now), moved_to=now[0] if now else name)
    repository = payload.get("repository")
    name, addresses = _server_name(repository), _server_addresses(repository)
    if event == "repo:refs_changed":
        return _push(event, name, addresses, "", [
            Change(
                text_at(change, "ref", "displayId")[:255],
                is_tag=text_at(change, "ref", "type") == "TAG",
                commit="" if text_at(change, "type") == "DELETE" else text_at(change, "toHash")[:64],
                deleted=text_at(change, "type") == "DELETE",
            )
            for change in objects_at(payload, "changes")
        ])  # fmt: skip
    return PushEvent("gone" if event == "repo:deleted" else "other", event, name, addresses)


# ------------------------------------------------------------------------------------------------------------- generic


def _generic(headers: Headers, payload: dict[str, Any]) -> PushEvent:
    event = event_name(headers) or text_at(payload, "event") or "push"
    if event == "ping":
        return PushEvent("ping", event)
    given = payload.get("source", payload.get("sources"))
    named = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    sources = tuple(name for name in named[:100] if isinstance(name, str) and name and "\0" not in name)
    address, branch = text_at(payload, "repository"), text_at(payload, "branch")
    if sources:
        return PushEvent("push", event, address, sources=sources)
    change = change_of(text_at(payload, "ref") or branch, text_at(payload, "commit"))
    if not change.name:  # a bare "something changed there" is about whichever branch is read
        if not address:
            raise InputError(
                "The delivery names neither a repository nor a source.",
                code="catalog.hook.payload",
                remedy='Send {"repository": "https://…", "branch": "main"} or {"source": "name"}.',
            )
        return PushEvent("push", event, address, (address,), changes=(Change("", commit=change.commit),))
    return _push(event, address, _known(address), text_at(payload, "default_branch"), [change])


_READERS: dict[str, Callable[[Headers, dict[str, Any]], PushEvent]] = {
    "github": _github,
    "gitea": _github,
    "gitlab": _gitlab,
    "bitbucket": _bitbucket,
    "generic": _generic,
}
