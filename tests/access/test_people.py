"""People, their identities, groups and tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from portal.access.models import Membership, Principal, Token, User
from portal.access.selectors import groups_of, person_ref
from portal.access.services import (
    PersonData,
    create_token,
    create_user,
    link_person,
    revoke_token,
    set_password,
    sync_principals,
    update_user,
    viewer_of_token,
    viewer_of_user,
)
from portal.access.viewer import ANONYMOUS, Viewer
from portal.audit.models import AuditEvent
from portal.core.errors import ConflictError, InputError, NotFoundError
from tests.factories.access import (
    GroupFactory,
    MembershipFactory,
    PrincipalFactory,
    StaffFactory,
    TokenFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
ADMIN = Viewer(actor="user:admin", user_id=999_999, is_staff=True)


# --------------------------------------------------------------------------------------------------------------- people


def test_a_person_keeps_the_same_external_id_whatever_they_are_called() -> None:
    person = create_user(actor=ADMIN, username="maren", full_name="Maren Holt")
    external_id = person.external_id
    update_user(actor=ADMIN, user=person, changes={"username": "m.holt"})
    person.refresh_from_db()
    assert (person.username, person.external_id) == ("m.holt", external_id)
    assert not person.has_usable_password()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "x" * 151}, "username"),
        ({"username": "maren", "email": "nowhere"}, "email"),
        ({"username": "maren", "password": "1234567890"}, "password"),
        ({"username": "maren", "full_name": "M " + "x" * 200}, "last_name"),
    ],
)
def test_a_person_that_does_not_fit_is_refused_with_the_field(values: dict[str, str], field: str) -> None:
    with pytest.raises(InputError) as refused:
        create_user(actor=ADMIN, **values)  # type: ignore[arg-type]  # texts by name
    assert refused.value.details["field"] == field
    assert not User.objects.exists()


def test_two_people_do_not_differ_by_letter_case_only() -> None:
    create_user(actor=ADMIN, username="maren")
    with pytest.raises(ConflictError):
        create_user(actor=ADMIN, username="Maren")
    other = create_user(actor=ADMIN, username="elif")
    with pytest.raises(ConflictError):
        update_user(actor=ADMIN, user=other, changes={"username": "MAREN"})


def test_a_change_that_changes_nothing_is_not_recorded() -> None:
    person = create_user(actor=ADMIN, username="maren")
    update_user(actor=ADMIN, user=person, changes={"username": "maren", "is_staff": False})
    assert list(AuditEvent.objects.values_list("verb", flat=True)) == ["access.user.created"]
    with pytest.raises(InputError):
        update_user(actor=ADMIN, user=person, changes={"password": "x"})
    person.pk = 4711
    with pytest.raises(NotFoundError):
        update_user(actor=ADMIN, user=person, changes={"is_staff": True})


def test_a_password_can_be_taken_away() -> None:
    person = create_user(actor=ADMIN, username="maren", password="callboard-4711")
    set_password(actor=ADMIN, user=person, password=None)
    person.refresh_from_db()
    assert not person.has_usable_password()


# --------------------------------------------------------------------------------------------------------------- groups


def _viewer(person: User) -> Viewer:
    return viewer_of_user(person)


def test_a_member_of_a_group_is_a_member_of_its_parents(django_assert_num_queries: Any) -> None:
    person = UserFactory()
    identity = PrincipalFactory(user=person)
    team, tribe, company = (
        GroupFactory(ref=f"group:default/{n}", title=n) for n in ("team", "tribe", "company")
    )
    MembershipFactory(member=identity, group=team)
    MembershipFactory(member=team, group=tribe)
    MembershipFactory(member=tribe, group=company)
    GroupFactory()
    with django_assert_num_queries(1):
        found = groups_of(_viewer(person))
    assert found == [
        ("group:default/company", "company"),
        ("group:default/team", "team"),
        ("group:default/tribe", "tribe"),
    ]
    assert person_ref(_viewer(person)) == identity.ref
    assert groups_of(ANONYMOUS) == [] and person_ref(ANONYMOUS) == ""


def test_groups_in_a_circle_come_once_each() -> None:
    person = UserFactory()
    a, b = GroupFactory(title="a"), GroupFactory(title="b")
    MembershipFactory(member=PrincipalFactory(user=person), group=a)
    MembershipFactory(member=a, group=b)
    MembershipFactory(member=b, group=a)
    assert [title for _, title in groups_of(_viewer(person))] == ["a", "b"]


def test_a_group_that_no_source_names_any_more_passes_nothing_on() -> None:
    person = UserFactory()
    gone, above = GroupFactory(active=False), GroupFactory()
    MembershipFactory(member=PrincipalFactory(user=person), group=gone)
    MembershipFactory(member=gone, group=above)
    assert groups_of(_viewer(person)) == []


def _people(*names: str) -> list[PersonData]:
    return [PersonData("user", f"user:default/{name}", name.title()) for name in names]


def test_a_trusted_source_defines_exactly_what_it_names() -> None:
    team = [PersonData("group", "group:default/team", "Team")]
    pairs = [("user:default/maren", "group:default/team"), ("user:default/nobody", "group:default/team")]
    counts = sync_principals(
        actor=ADMIN, source="hr", principals=[*_people("maren", "elif"), *team], memberships=pairs
    )
    assert counts == {"principals": 3, "deactivated": 0, "memberships": 1, "removed": 0}
    counts = sync_principals(actor=ADMIN, source="hr", principals=[*_people("maren"), *team], memberships=[])
    assert counts == {"principals": 0, "deactivated": 1, "memberships": 0, "removed": 1}
    assert not Principal.objects.get(ref="user:default/elif").active, "its row stays: others refer to it"
    again = sync_principals(actor=ADMIN, source="hr", principals=[*_people("maren"), *team], memberships=[])
    assert again == dict.fromkeys(again, 0)
    assert AuditEvent.objects.count() == 2, "nothing changed the third time"


def test_a_source_leaves_the_identities_and_memberships_of_others_alone() -> None:
    mine = PrincipalFactory(ref="user:default/maren", title="Maren", source="admin")
    byhand = MembershipFactory(
        member=mine, group=GroupFactory(ref="group:default/team", source="admin"), source="admin"
    )
    sync_principals(
        actor=ADMIN, source="hr", principals=_people("maren"), memberships=[(mine.ref, "group:default/team")]
    )
    sync_principals(actor=ADMIN, source="hr", principals=[], memberships=[])
    mine.refresh_from_db()
    assert (mine.title, mine.active) == ("Maren", True)
    assert list(Membership.objects.values_list("pk", flat=True)) == [byhand.pk]


def test_a_person_is_linked_to_one_identity() -> None:
    person = UserFactory()
    link_person(actor=ADMIN, user=person, ref="user:default/old")
    link_person(actor=ADMIN, user=person, ref="user:default/new")
    assert list(Principal.objects.filter(user=person).values_list("ref", flat=True)) == ["user:default/new"]


# --------------------------------------------------------------------------------------------------------------- tokens


@pytest.mark.req("R125")
def test_the_text_of_a_token_is_nowhere_in_the_database() -> None:
    token, text = create_token(actor=ADMIN, user=UserFactory(), name="CI")
    assert text.startswith("cb_") and len(text) > 40
    stored = Token.objects.filter(pk=token.pk).values().get()
    assert text not in str(stored) and text.startswith(stored["prefix"])
    assert text not in str(list(AuditEvent.objects.values()))


@pytest.mark.req("R125")
@pytest.mark.parametrize("how", ["unknown", "expired", "revoked", "disabled person"])
def test_a_token_that_counts_no_more_opens_nothing(how: str) -> None:
    token = TokenFactory(text="cb_text", expires_at=timezone.now() + timedelta(hours=1))
    assert viewer_of_token("cb_text") is not None
    if how == "revoked":
        revoke_token(actor=ADMIN, token=token)
    if how == "disabled person":
        update_user(actor=ADMIN, user=token.user, changes={"is_active": False})
    later = timezone.now() + timedelta(hours=2 if how == "expired" else 0, seconds=2)
    with time_machine.travel(later):
        assert viewer_of_token("cb_other" if how == "unknown" else "cb_text") is None


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a", "scopes": ["fly"]},
        {"name": "a", "expires_at": timezone.now() - timedelta(1)},
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        create_token(actor=ADMIN, user=UserFactory(), **values)
    assert not Token.objects.exists()


def test_the_use_of_a_token_is_noted_once_a_minute(django_assert_num_queries: Any) -> None:
    token = TokenFactory(text="cb_text")
    now = timezone.now()
    for seconds, noted in ((0, 0), (30, 0), (61, 61)):
        with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
            viewer_of_token("cb_text")
        token.refresh_from_db()
        assert token.last_used_at == now + timedelta(seconds=noted)
    # The token, and whether today's use is in the audit record, which nobody remembers inside a transaction.
    with django_assert_num_queries(2), time_machine.travel(now + timedelta(seconds=90), tick=False):
        viewer_of_token("cb_text")


def test_everybody_sees_their_own_tokens_and_staff_sees_all() -> None:
    mine, other = TokenFactory(), TokenFactory()
    assert list(Token.objects.visible_to(_viewer(mine.user))) == [mine]
    assert set(Token.objects.visible_to(_viewer(StaffFactory()))) == {mine, other}
    assert not Token.objects.visible_to(_viewer(mine.user), "curate").exists()
    assert not Token.objects.visible_to(ANONYMOUS).exists()


def test_a_token_says_in_the_record_that_it_was_a_token() -> None:
    token = TokenFactory(user=UserFactory(username="maren"), text="cb_0123456789")
    viewer = viewer_of_token("cb_0123456789")
    assert (
        viewer is not None and viewer.actor == "user:maren (token cb_012345)" and viewer.token_id == token.pk
    )
