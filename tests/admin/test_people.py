"""People, identities and tokens are written through their services; what these refuse comes back in the form."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from portal.access.models import Membership, Principal, Token, User
from portal.access.services import viewer_of_token
from portal.audit.models import AuditEvent
from tests.admin.looking import CONFIRMED, errors_of, last, said_in, verbs
from tests.factories.world import World


def test_a_person_is_created_with_a_password_that_works_and_appears_nowhere(
    world: World, curator: Client
) -> None:
    data = {
        "username": "maren",
        "full_name": "Maren Holt",
        "email": "maren@example.org",
        "password": "callboard-4711",
    }
    answer = curator.post("/admin/access/user/add/", data)
    assert answer.status_code == 302
    person = User.objects.get(username="maren")
    assert (person.first_name, person.last_name, person.is_staff) == ("Maren", "Holt", False)
    assert Client().login(username="maren", password="callboard-4711")
    assert verbs() == ["access.user.created"]
    assert "4711" not in json.dumps([last().before, last().after])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({"username": "Curator"}, "already a person named Curator"),
        ({"username": "new", "password": "short"}, "too short"),
        ({"username": "with space"}, "valid username"),
    ],
)
def test_a_person_that_cannot_be_is_refused_in_the_form(
    world: World, curator: Client, data: dict[str, str], what: str
) -> None:
    assert what in errors_of(curator.post("/admin/access/user/add/", data))
    assert verbs() == []


def test_a_change_of_a_person_records_what_changed(world: World, curator: Client) -> None:
    data = {"username": "member", "first_name": "Elif", "last_name": "", "email": world.member.email}
    assert (
        curator.post(f"/admin/access/user/{world.member.pk}/change/", {**data, "is_active": "on"}).status_code
        == 302
    )
    assert last().verb == "access.user.changed"
    assert (last().before, last().after) == ({"first_name": ""}, {"first_name": "Elif"})


def test_nobody_locks_themselves_out(world: World, curator: Client) -> None:
    data = {
        "username": "curator",
        "first_name": "",
        "last_name": "",
        "email": world.staff.email,
        "is_active": "on",
    }
    answer = curator.post(f"/admin/access/user/{world.staff.pk}/change/", data)
    assert "lock yourself out" in errors_of(answer)
    world.staff.refresh_from_db()
    assert world.staff.is_staff


def test_only_a_superuser_makes_superusers(world: World, curator: Client) -> None:
    User.objects.filter(pk=world.staff.pk).update(is_superuser=False)
    data = {
        "username": "member",
        "first_name": "",
        "last_name": "",
        "email": world.member.email,
        "is_active": "on",
    }
    curator.post(f"/admin/access/user/{world.member.pk}/change/", {**data, "is_superuser": "on"})
    world.member.refresh_from_db()
    assert not world.member.is_superuser


def test_deactivating_people_ends_their_sessions_and_tokens(world: World, curator: Client) -> None:
    browser = Client()
    browser.force_login(world.member)
    data = {"action": "deactivate", "_selected_action": [world.member.pk]}
    assert "1 deactivated" in said_in(curator.post("/admin/access/user/", data, follow=True))
    assert browser.get("/catalog/").status_code == 302
    assert viewer_of_token(world.tokens["member"]) is None
    assert last().verb == "access.user.changed"


def test_a_new_password_is_asked_for_in_a_dialog(world: World, curator: Client) -> None:
    url = f"/admin/access/user/{world.member.pk}/new-password/"
    assert b'type="password"' in curator.get(url).content
    assert b"too short" in curator.post(url, {**CONFIRMED, "password": "x"}, follow=True).content
    answer = curator.post(url, {**CONFIRMED, "password": "callboard-4711"}, headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == f"/admin/access/user/{world.member.pk}/change/"
    assert Client().login(username="member", password="callboard-4711")
    assert last().verb == "access.user.password_set" and "4711" not in json.dumps(last().after)


def test_identities_and_memberships_made_by_hand_are_recorded(world: World, curator: Client) -> None:
    data = {
        "kind": "group",
        "ref": "group:default/new",
        "title": "New",
        "email": "",
        "user": "",
        "source": "admin",
    }
    assert curator.post("/admin/access/principal/add/", {**data, "active": "on"}).status_code == 302
    group = Principal.objects.get(ref="group:default/new")
    again = curator.post("/admin/access/principal/add/", {**data, "active": "on"})
    assert "already exists" in errors_of(again)
    data = {"member": world.principal.pk, "group": group.pk, "source": "admin"}
    assert curator.post("/admin/access/membership/add/", data).status_code == 302
    made = Membership.objects.get(group=group)
    assert curator.post(f"/admin/access/membership/{made.pk}/delete/", {"post": "yes"}).status_code == 302
    assert verbs() == ["access.principal.created", "access.membership.created", "access.membership.deleted"]


# --------------------------------------------------------------------------------------------------------------- tokens


def test_the_text_of_a_token_is_shown_once_and_works(world: World, curator: Client) -> None:
    data = {"user": world.member.pk, "name": "CI", "scopes": ["view"], "expires_at_0": "", "expires_at_1": ""}
    answer = curator.post("/admin/access/token/add/", data)
    token = Token.objects.get(name="CI")
    text = answer.context["text"]
    assert (
        answer.status_code == 200
        and text in answer.content.decode()
        and "no-store" in answer["Cache-Control"]
    )
    viewer = viewer_of_token(text)
    assert viewer is not None and viewer.user_id == world.member.pk and viewer.scopes == frozenset(["view"])
    for page in ("/admin/access/token/", f"/admin/access/token/{token.pk}/change/"):
        assert text not in curator.get(page).content.decode()
    assert verbs() == ["access.token.created", "access.token.used"]
    assert text not in json.dumps(list(AuditEvent.objects.values("object_name", "before", "after", "note")))


def test_a_token_that_would_have_expired_is_refused_in_the_form(world: World, curator: Client) -> None:
    past = timezone.now() - timedelta(days=1)
    data = {
        "user": world.member.pk,
        "name": "CI",
        "expires_at_0": f"{past:%Y-%m-%d}",
        "expires_at_1": "08:00:00",
    }
    assert "expired already" in errors_of(curator.post("/admin/access/token/add/", data))


def test_a_token_is_revoked_from_its_page_and_from_the_list(world: World, curator: Client) -> None:
    url = f"/admin/access/token/{world.token.pk}/revoke/"
    assert curator.get(url).status_code == 200
    assert Token.objects.get(pk=world.token.pk).revoked_at is None, "asking is not doing"
    curator.post(url, CONFIRMED)
    assert Token.objects.get(pk=world.token.pk).revoked_at is not None
    assert "revoked already" in said_in(curator.post(url, CONFIRMED, follow=True))
    other = Token.objects.exclude(pk=world.token.pk).get()
    data = {"action": "revoke_chosen", "_selected_action": [other.pk, world.token.pk]}
    assert "1 revoked" in said_in(curator.post("/admin/access/token/", data, follow=True))
    assert verbs() == ["access.token.revoked", "access.token.revoked"]
