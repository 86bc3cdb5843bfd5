"""Webhooks for people: the address to paste, how to set it up, what deliveries came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from catalog.models import Hook, HookDelivery
from catalog.presenters.sync_job import changes_in_words
from portal.jobs.models import Job

LEVELS = {
    HookDelivery.Verdict.QUEUED: "ok",
    HookDelivery.Verdict.NOTHING: "idle",
    HookDelivery.Verdict.PING: "ok",
    HookDelivery.Verdict.NOTICE: "warn",
    HookDelivery.Verdict.UNREADABLE: "bad",
}
#: Where the address goes at each host, in the words of its pages.
_STEPS = {
    Hook.Provider.GITHUB: (
        "Settings, Webhooks, Add webhook, on a repository or the whole organisation.",
        "Payload URL: the address of this webhook. Content type: application/json. Secret: the secret of this webhook.",
        "Choose “Just the push event”; add “Repositories” to hear of renames.",
    ),
    Hook.Provider.GITLAB: (
        "Settings, Webhooks, on a project or group; administrators may use a system hook.",
        "URL: the address of this webhook. Secret token: its secret, or the same as signing token where your version"
        " has one.",
        "Trigger: Push events, and Tag push events where a source reads a tag.",
    ),
    Hook.Provider.GITEA: (
        "Settings, Webhooks, Add webhook, Gitea (or Forgejo), on a repository or organisation.",
        "Target URL: the address of this webhook. POST, application/json. Secret: the secret of this webhook.",
        "Trigger on: push events.",
    ),
    Hook.Provider.BITBUCKET: (
        "Repository settings, Webhooks, Add webhook.",
        "URL: the address of this webhook. Secret: the secret of this webhook; deliveries without one are refused.",
        "Triggers: repository push.",
    ),
    Hook.Provider.GENERIC: (
        "Send a POST with JSON: {\"repository\": \"https://…\", \"branch\": \"main\"} or {\"source\": \"name\"}.",
        "Header X-Callboard-Signature: sha256= and the HMAC-SHA256 of the body in hex; or the headers of Standard"
        " Webhooks.",
        "Header X-Callboard-Delivery: an id of its own for each delivery, so that a repetition is known as one.",
    ),
}  # fmt: skip


def hook_address(hook: Hook) -> str:
    """The address to which the host sends."""
    return f"{settings.CALLBOARD_BASE_URL}{reverse('catalog-v1:deliver', args=[hook.pk])}"


def setup_steps(provider: str) -> tuple[str, ...]:
    """What to do at the host, step by step."""
    return _STEPS[Hook.Provider(provider)]


@dataclass(frozen=True, slots=True)
class TargetView:
    """A source that a delivery was about, and what came of reading it."""

    name: str
    url: str
    level: str
    outcome: str
    job_url: str


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery in the list. ``replay_url`` is empty where the viewer may not."""

    id: int
    delivery_id: str
    attempt: int
    actor: str
    event: str
    received_at: datetime
    level: str
    verdict: str
    message: str
    repository: str
    branch: str
    commit: str
    duplicates: int
    targets: list[TargetView]
    replay_url: str


def delivery_view(delivery: HookDelivery, jobs: Mapping[str, Job], *, may_replay: bool) -> DeliveryView:
    """A delivery with the jobs that it queued, as far as they are still known."""
    return DeliveryView(
        id=delivery.pk,
        delivery_id=delivery.delivery_id,
        attempt=delivery.attempt,
        actor=delivery.actor.partition(":")[2],
        event=delivery.event,
        received_at=delivery.received_at,
        level=LEVELS[HookDelivery.Verdict(delivery.verdict)],
        verdict=delivery.get_verdict_display(),
        message=delivery.message,
        repository=delivery.repository,
        branch=delivery.branch,
        commit=delivery.commit,
        duplicates=delivery.duplicates,
        targets=[_target(target, jobs) for target in delivery.targets],
        replay_url=reverse("catalog:hook-replay", args=[delivery.pk]) if may_replay else "",
    )


def _target(target: Mapping[str, Any], jobs: Mapping[str, Job]) -> TargetView:
    source = reverse("catalog:source", args=[target["source"]])
    job = jobs.get(target["job"])
    if not target["job"]:
        return TargetView(target["name"], source, "idle", "not read", "")
    if job is None:
        return TargetView(target["name"], source, "idle", "read; the job is no longer kept", "")
    level, outcome = job_in_words(job)
    return TargetView(target["name"], source, level, outcome, reverse("jobs:job", args=[job.pk]))


def job_in_words(job: Job) -> tuple[str, str]:
    """Level and a few words for a job that reads a source."""
    result = job.result or {}
    if job.state == Job.State.SUCCEEDED and result.get("state") != "failed":
        return ("warn" if result.get("problems") else "ok"), changes_in_words(result)
    return {
        Job.State.QUEUED: ("wait", "waits for a worker"),
        Job.State.RUNNING: ("run", "reading now"),
        Job.State.CANCELLED: ("idle", "cancelled"),
    }.get(Job.State(job.state), ("bad", "could not be read"))
