"""``manage.py hook``."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from catalog.models import Hook
from tests.factories.hooks import deliver, make_hook, push
from tests.factories.world import make_source

pytestmark = [pytest.mark.django_db, pytest.mark.req("R019")]


def run(*args: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("hook", *args, "--json", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_webhook_from_the_command_line() -> None:
    make_source("shop", type="git", target="https://github.com/acme/shop.git")
    (made,) = run("add", "acme", "--provider", "github", "--source", "shop")
    assert made["url"].endswith(f"/api/catalog/v1/hooks/{made['id']}")
    hook = Hook.objects.get(name="acme")
    assert deliver(hook, push("https://github.com/acme/shop.git"), secret=made["secret"]).status_code == 202
    (listed,) = run("list")
    assert (listed["name"], listed["sources"], listed["enabled"]) == ("acme", ["shop"], True)
    assert "secret" not in listed
    (delivery,) = run("deliveries", "acme")
    assert delivery["verdict"] == "queued"
    (again,) = run("replay", str(delivery["id"]))
    assert again["targets"] == delivery["targets"], "the job that waits already"
    (rotated,) = run("rotate", "acme", "--overlap", "0")
    assert rotated["secret"] != made["secret"]
    assert deliver(hook, {}, event="ping", secret=made["secret"]).status_code == 401
    assert run("remove", "acme") == [{"name": "acme", "deliveries": 2}]


def test_the_text_says_what_to_do_at_the_host() -> None:
    out = StringIO()
    call_command("hook", "add", "acme", "--provider", "gitlab", "--secret-ref", "env:GITLAB_HOOK", stdout=out)
    text = out.getvalue()
    assert "Secret: env:GITLAB_HOOK" in text
    assert "1. Settings, Webhooks" in text


@pytest.mark.parametrize(
    "args",
    [
        ("remove", "nobody"),
        ("deliveries", "nobody"),
        ("replay", "7"),
        ("rotate", "nobody"),
        ("add", "one", "--provider", "github", "--source", "nobody"),
        ("add", "one", "--provider", "github", "--secret-ref", "plainly"),
    ],
)
def test_what_is_not_there_is_said(args: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*args)


def test_names_are_taken_once() -> None:
    make_hook(name="one")
    with pytest.raises(CommandError, match="already a webhook named one"):
        run("add", "one", "--provider", "github")
