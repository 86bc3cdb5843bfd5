"""Who may do what with entities: rules as data, ownership, and nothing that a document could change."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.access import ENTITY
from catalog.actions import EDIT, REFRESH, UNREGISTER
from catalog.models import Entity, Source
from portal.access import standing
from portal.access.models import AccessVersion, Principal, Rule, User
from portal.access.services import link_person, sync_principals, viewer_of_user
from portal.access.services.principals import PersonData
from portal.access.services.rules import delete_rule, install_rules, save_rule
from portal.access.viewer import ANONYMOUS, CURATE, VIEW, Viewer
from portal.audit.models import AuditEvent
from portal.core.errors import ConflictError, InputError, NotFoundError
from portal.core.remember import remembering
from tests.factories.access import (
    GroupFactory,
    MembershipFactory,
    PrincipalFactory,
    StaffFactory,
    UserFactory,
)
from tests.factories.catalog import document, store
from tests.factories.sources import Folder

SYSTEM = Viewer.system("test")
pytestmark = pytest.mark.django_db


def seen(viewer: Viewer, action: str = VIEW) -> set[str]:
    return set(Entity.objects.visible_to(viewer, action).values_list("name", flat=True))


def rule(name: str, *, who: list[Principal] | None = None, **values: Any) -> Rule:
    given = {"actions": [VIEW], "resource": ENTITY, **values}
    given.setdefault("audience", "chosen" if who else "everyone")
    return save_rule(actor=SYSTEM, rule=None, values={"name": name, **given}, principals=who)


def switch_off(key: str) -> None:
    row = Rule.objects.unrestricted("test").get(shipped=key)
    save_rule(actor=SYSTEM, rule=row, values={"enabled": False})


@pytest.fixture
def maren() -> Viewer:
    """A member of one team, below a department."""
    user: User = UserFactory(username="maren")
    person = PrincipalFactory(ref="user:default/maren", user=user)
    team = GroupFactory(ref="group:default/pay")
    MembershipFactory(member=person, group=team)
    MembershipFactory(member=team, group=GroupFactory(ref="group:default/finance"))
    return viewer_of_user(user)


@pytest.fixture
def catalog() -> list[Entity]:
    return store(
        [
            document(
                "till", relations=[("ownedBy", "group:default/pay")], labels={"tier": "1"}, tags=["pci"]
            ),
            document("ledger", relations=[("ownedBy", "group:default/finance")]),
            document("shop", relations=[("ownedBy", "group:default/web")], spec={"type": "website"}),
            document("orphan"),
        ]
    )


ALL = {"till", "ledger", "shop", "orphan"}


@pytest.mark.usefixtures("catalog")
@pytest.mark.req("R118")
def test_out_of_the_box_everybody_sees_owners_act_and_curators_do_everything(maren: Viewer) -> None:
    stranger = viewer_of_user(UserFactory())
    curator = viewer_of_user(StaffFactory())
    assert seen(ANONYMOUS) == set()
    assert seen(stranger) == seen(maren) == seen(curator) == ALL
    for action in (EDIT, REFRESH, UNREGISTER):
        assert seen(stranger, action) == set()
        assert seen(maren, action) == {"till", "ledger"}, "also what the department above owns"
        assert seen(curator, action) == ALL
    assert seen(maren, CURATE) == set()
    assert seen(curator, CURATE) == ALL


@pytest.mark.usefixtures("catalog")
def test_what_no_rule_allows_is_not_seen_and_rules_add_up(maren: Viewer) -> None:
    switch_off("everyone-views")
    assert seen(maren) == set()
    rule("Own things", expression="entity.owned")
    assert seen(maren) == {"till", "ledger"}
    rule("Websites", expression="entity.type == 'website'")
    assert seen(maren) == {"till", "ledger", "shop"}
    assert seen(ANONYMOUS) == set(), "everybody is everybody who is signed in"
    root: User = UserFactory(is_superuser=True)
    assert seen(viewer_of_user(root)) == ALL, "who administers needs no rule"


@pytest.mark.usefixtures("catalog")
def test_a_rule_that_denies_wins_also_over_curators_and_owners(maren: Viewer) -> None:
    rule("No card data", effect="deny", actions=[VIEW, EDIT], expression="'pci' in entity.tags")
    curator = viewer_of_user(StaffFactory())
    assert seen(maren) == seen(curator) == ALL - {"till"}
    assert seen(maren, EDIT) == {"ledger"}
    assert seen(maren, REFRESH) == {"ledger"}, "what is not seen is not acted on"


@pytest.mark.usefixtures("catalog")
def test_a_rule_that_denies_what_has_a_label_says_nothing_of_what_has_none(maren: Viewer) -> None:
    rule("Not tier one", effect="deny", expression="entity.labels['tier'] == '1'")
    assert seen(maren) == ALL - {"till"}
    rule("Only tier one", effect="deny", expression="!(entity.labels['tier'] == '1')")
    assert seen(maren) == ALL - {"till"}, "a label that is not there is neither equal nor unequal"


@pytest.mark.usefixtures("catalog")
def test_a_rule_is_about_members_of_the_chosen_groups_and_of_those_below(maren: Viewer) -> None:
    switch_off("everyone-views")
    finance = Principal.objects.unrestricted("test").get(ref="group:default/finance")
    stranger = viewer_of_user(UserFactory())
    rule("Finance sees the shop", who=[finance], expression="entity.name == 'shop'")
    assert seen(maren) == {"shop"}
    assert seen(stranger) == set()
    Principal.objects.filter(pk=finance.pk).update(active=False)
    assert seen(maren) == set(), "a group that no source names any more passes nothing on"


@pytest.mark.usefixtures("catalog")
def test_rules_end_by_themselves_and_when_they_are_switched_off(maren: Viewer) -> None:
    switch_off("everyone-views")
    made = rule("For a while", expires_at=timezone.now() + timedelta(hours=1))
    assert seen(maren) == ALL
    save_rule(actor=SYSTEM, rule=made, values={"expires_at": timezone.now() - timedelta(seconds=1)})
    assert seen(maren) == set()
    save_rule(actor=SYSTEM, rule=made, values={"expires_at": None})
    assert seen(maren) == ALL
    delete_rule(actor=SYSTEM, rule=made)
    assert seen(maren) == set()


@pytest.mark.usefixtures("catalog")
def test_a_token_reaches_no_further_than_its_scopes(maren: Viewer) -> None:
    from dataclasses import replace

    reading = replace(maren, scopes=frozenset({VIEW}))
    assert seen(reading) == ALL
    assert seen(reading, EDIT) == set()
    writing = replace(maren, scopes=frozenset({CURATE}))
    assert seen(writing) == set()
    assert seen(writing, EDIT) == {"till", "ledger"}


@pytest.mark.usefixtures("catalog")
def test_a_rule_that_cannot_be_understood_any_more_allows_nothing_and_denies_all(maren: Viewer) -> None:
    made = rule("Old", effect="deny", expression="entity.name == 'nothing'")
    assert seen(maren) == ALL
    Rule.objects.filter(pk=made.pk).update(expression="entity.gone == 'x'")
    assert seen(maren) == set()
    Rule.objects.filter(pk=made.pk).update(effect="allow")
    assert seen(maren) == ALL, "the shipped rule still does"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"expression": "entity.nme == 'x'"}, "access.rule.expression"),
        ({"expression": "entity.tags.exists(t, t == 'x')"}, "access.rule.expression"),
        ({"actions": ["fly"]}, "access.rule.action"),
        ({"actions": []}, "access.rule.action"),
        ({"audience": "chosen"}, "access.rule.nobody"),
        ({"name": " "}, "access.rule.name"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(values: dict[str, Any], code: str) -> None:
    made = rule("Good")
    before = AuditEvent.objects.unrestricted("test").count()
    with pytest.raises(InputError) as caught:
        save_rule(actor=SYSTEM, rule=made, values=values)
    assert caught.value.code == code
    stored = Rule.objects.unrestricted("test").get(pk=made.pk)
    assert (stored.name, stored.actions, stored.audience, stored.expression) == (
        "Good",
        [VIEW],
        "everyone",
        "",
    )
    assert AuditEvent.objects.unrestricted("test").count() == before
    with pytest.raises(ConflictError):
        rule("Good")
    with pytest.raises(NotFoundError):
        rule("Else", resource="no.such")


def test_shipped_rules_come_once_keep_what_was_changed_and_are_not_deleted() -> None:
    from catalog.access import SHIPPED

    switch_off("owners-act")
    install_rules(SHIPPED)
    rows = Rule.objects.unrestricted("test").exclude(shipped="")
    assert sorted(rows.values_list("shipped", "enabled")) == [
        ("curators-act", True),
        ("everyone-views", True),
        ("owners-act", False),
    ]
    with pytest.raises(ConflictError):
        delete_rule(actor=SYSTEM, rule=rows.get(shipped="owners-act"))


def test_every_change_of_a_rule_is_recorded_with_before_and_after() -> None:
    made = rule("Tier one", expression="entity.labels['tier'] == '1'")
    save_rule(actor=SYSTEM, rule=made, values={"enabled": False})
    delete_rule(actor=SYSTEM, rule=made)
    found = AuditEvent.objects.unrestricted("test").filter(object_type="access.rule", object_name="Tier one")
    changed = {event.verb: (event.before, event.after) for event in found}
    assert changed["access.rule.created"][1]["expression"] == "entity.labels['tier'] == '1'"
    before, after = changed["access.rule.changed"]
    assert (before["enabled"], after["enabled"]) == (True, False)
    assert changed["access.rule.deleted"][0]["name"] == "Tier one"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("catalog")
def test_a_change_holds_at_once_here_and_in_every_other_process(maren: Viewer) -> None:
    standing.forget_standing()
    assert seen(maren) == ALL
    switch_off("everyone-views")
    assert seen(maren) == set()
    # As another process does it: past this one's memory.
    Rule.objects.filter(shipped="everyone-views").update(enabled=True)
    assert seen(maren) == set()
    AccessVersion.objects.filter(pk=1).update(number=F("number") + 1)
    assert seen(maren) == ALL


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("catalog")
def test_who_somebody_is_is_read_once_after_each_change(
    maren: Viewer, django_assert_num_queries: Any
) -> None:
    standing.forget_standing()
    assert seen(maren, EDIT) == {"till", "ledger"}
    with (
        remembering(),
        django_assert_num_queries(3),
    ):  # the number of the last change, that of the last publication, the question
        seen(maren, EDIT)
    link_person(actor=SYSTEM, user=User.objects.get(username="maren"), ref="user:default/other")
    assert seen(maren, EDIT) == set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("catalog")
def test_memberships_that_a_source_brings_hold_at_once(maren: Viewer) -> None:
    standing.forget_standing()
    assert "shop" not in seen(maren, EDIT)
    people = [PersonData("group", "group:default/web"), PersonData("user", "user:default/maren")]
    pairs = [("user:default/maren", "group:default/web")]
    sync_principals(actor=SYSTEM, source="directory", principals=people, memberships=pairs)
    assert "shop" in seen(maren, EDIT)
    sync_principals(actor=SYSTEM, source="directory", principals=people, memberships=[])
    assert "shop" not in seen(maren, EDIT)


# --- what is owned through systems and domains

SYSTEM_TEXT = (
    "apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata: {{name: {name}}}\n"
    "spec: {{owner: {owner}{more}}}\n"
)
DOMAIN_TEXT = (
    "apiVersion: backstage.io/v1alpha1\nkind: Domain\nmetadata: {{name: {name}}}\nspec: {{owner: {owner}}}\n"
)
PART = (
    "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\n"
    "spec: {{type: service, lifecycle: production, owner: web, system: {system}}}\n"
)


@pytest.fixture
def folders(tmp_path: Path, settings: Any) -> tuple[Folder, Folder]:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    return Folder(tmp_path / "one", "one"), Folder(tmp_path / "two", "two")


def test_owners_of_a_system_or_domain_own_what_belongs_to_it(
    folders: tuple[Folder, Folder], maren: Viewer
) -> None:
    one, _ = folders
    one.write(
        "a.yaml",
        DOMAIN_TEXT.format(name="money", owner="pay"),
        SYSTEM_TEXT.format(name="books", owner="web", more=", domain: money"),
        SYSTEM_TEXT.format(name="cards", owner="pay", more=""),
        SYSTEM_TEXT.format(name="else", owner="web", more=""),
        PART.format(name="in-books", system="books"),
        PART.format(name="in-cards", system="cards"),
        PART.format(name="in-else", system="else"),
    )
    one.sync()
    assert seen(maren, EDIT) == {"money", "books", "cards", "in-books", "in-cards"}


def test_nobody_owns_anything_through_a_system_that_another_source_declares(
    folders: tuple[Folder, Folder], maren: Viewer
) -> None:
    """Else whoever declares a system that others only name would own what names it."""
    one, two = folders
    one.write("a.yaml", PART.format(name="victim", system="missing"))
    one.sync()
    two.write("b.yaml", SYSTEM_TEXT.format(name="missing", owner="pay", more=""))
    two.sync()
    assert seen(maren, EDIT) == {"missing"}
    Source.objects.filter(name="two").update(may_define_people=True)
    two.write("b.yaml", SYSTEM_TEXT.format(name="missing", owner="pay", more="") + "# trusted now\n")
    two.write("c.yaml", SYSTEM_TEXT.format(name="other", owner="pay", more=""))
    two.sync()
    assert seen(maren, EDIT) == {"missing", "other", "victim"}, "a source that is trusted with people is"


def test_no_document_makes_anybody_an_owner_of_what_it_does_not_declare(
    folders: tuple[Folder, Folder], maren: Viewer
) -> None:
    one, two = folders
    one.write("a.yaml", PART.format(name="victim", system="shop"))
    one.write("d.yaml", SYSTEM_TEXT.format(name="shop", owner="web", more=", domain: trade"))
    one.sync()
    two.write(
        "b.yaml",
        DOMAIN_TEXT.format(name="trade", owner="pay"),  # named there, declared here
        "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: web}\n"
        "spec: {type: team, children: [], members: [maren]}\n",
        "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: maren}\nspec: {memberOf: [web]}\n",
        "apiVersion: backstage.io/v1alpha1\nkind: API\nmetadata: {name: bait}\n"
        "spec: {type: openapi, lifecycle: production, owner: pay, definition: x}\n",
    )
    two.sync()
    assert seen(maren, EDIT) == {"trade", "bait"}


@pytest.mark.database("postgresql")
def test_an_entitys_scope_is_remembered_as_a_text_of_the_catalog_alone(maren: Viewer) -> None:
    from catalog.query.scope import scope_of

    rule("Pci", effect="deny", expression="'pci' in entity.tags")
    assert scope_of(maren).key is not None
    assert connection.vendor == "postgresql"


# --- what belongs to entities


CANARY = "canary-4711"


@pytest.fixture
def hidden(folders: tuple[Folder, Folder]) -> None:
    """An entity that only its owners see, with a word in every text; one that never became one, and one that went."""
    one, two = folders
    secret = (
        "apiVersion: backstage.io/v1alpha1\nkind: Component\n"
        f"metadata: {{name: {CANARY}, title: {CANARY}, description: {CANARY}, tags: [{CANARY}],\n"
        f"  labels: {{x: {CANARY}}}, annotations: {{a.b/c: {CANARY}}}}}\n"
        f"spec: {{type: {CANARY}, lifecycle: {CANARY}, owner: pay}}\n"
    )
    gone = secret.replace(f"name: {CANARY}", f"name: {CANARY}-gone")
    one.write("a.yaml", PART.format(name="plain", system="shop"))
    two.write("b.yaml", secret, gone, secret.replace(f"name: {CANARY}", f"name: {CANARY}_{'x' * 64}"))
    one.sync()
    two.sync()
    two.write(
        "b.yaml",
        secret.replace("kind: Component", "kind: Component # again"),
        secret.replace("spec:", "spe:"),
    )
    two.write("b.yaml", secret.replace(f"title: {CANARY}", f"title: {CANARY} new"))
    two.sync()
    rule(
        "Cards are for their owners",
        effect="deny",
        expression="entity.name.startsWith('canary') && !entity.owned",
    )


@pytest.mark.usefixtures("hidden")
@pytest.mark.req("R121")
def test_nothing_of_a_hidden_entity_is_in_any_row_that_may_be_seen(maren: Viewer) -> None:
    stranger = viewer_of_user(UserFactory())
    models = [m for m in apps.get_app_config("catalog").get_models() if hasattr(m.objects, "visible_to")]  # type: ignore[attr-defined]  # every model has one
    spoken = set()
    for model in models:
        rows: Any = model._default_manager
        for row in rows.visible_to(maren).values():
            if CANARY in repr(row):
                spoken.add(model.__name__)
        for row in rows.visible_to(stranger).values():
            assert CANARY not in repr(row), model.__name__
    assert {"Entity", "Revision", "Tombstone", "EntityDocument", "Relation"} <= spoken, (
        "its owners see all of it"
    )


@pytest.mark.usefixtures("hidden", "maren")
@pytest.mark.parametrize(
    "address",
    [
        "/", "/catalog/", "/catalog/problems/", "/catalog/references/", "/catalog/conflicts/", "/catalog/health/",
        "/catalog/sources/", "/catalog/feed.atom", "/catalog/?at={now}", "/catalog/default/component/plain/",
        "/api/catalog/entities", "/api/catalog/entities/by-query?limit=50",
        "/api/catalog/entity-facets?facet=spec.type&facet=metadata.tags&facet=metadata.labels.x&facet=metadata.name",
        "/api/catalog/v1/entities?limit=50", "/api/catalog/v1/entities?limit=50&at={now}",
        "/api/events/v1/events?limit=200",
        "/api/catalog/v1/health-report", "/api/catalog/v1/references", "/api/catalog/v1/conflicts",
        "/api/catalog/locations",
    ],
)  # fmt: skip
def test_no_page_or_answer_speaks_of_a_hidden_entity(address: str, client: Client) -> None:
    asked = address.format(now=quote(timezone.now().isoformat()))

    def body(username: str, **values: Any) -> str:
        client.force_login(
            User.objects.filter(username=username).first() or UserFactory(username=username, **values)
        )
        answer = client.get(asked)
        assert answer.status_code == 200, answer.content[:300]
        parts: Any = answer.streaming_content if answer.streaming else [answer.content]
        return b"".join(parts).decode()

    assert CANARY not in body("stranger")
    if "events" not in address:  # rows of the outbox have a place only once the sealer came by
        assert (
            CANARY in body("root", is_superuser=True, is_staff=True)
            or "plain" in address
            or "?" not in address
        )


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    "address",
    [
        "/catalog/default/component/{name}/", "/catalog/default/component/{name}/history/",
        "/catalog/by-ref/component:default/{name}", "/api/catalog/entities/by-name/component/default/{name}",
        "/api/catalog/entities/by-name/component/default/{name}/ancestry",
        "/api/catalog/v1/entities/component:default/{name}",
    ],
)  # fmt: skip
def test_hidden_and_absent_are_told_apart_by_nothing(address: str, client: Client) -> None:
    client.force_login(UserFactory(username="stranger"))
    client.get(address.format(name="whatever"))  # what a session reads once
    answers = []
    for name in (CANARY, CANARY[::-1]):
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(address.format(name=name))
        text = (answer.content.decode() + answer.headers.get("Location", "")).replace(name, "NAME")
        text = re.sub(r'value="[A-Za-z0-9]{64}"|[0-9a-f-]{20,}', "RANDOM", text)
        answers.append((answer.status_code, text, len(asked)))
    assert answers[0] == answers[1]
    assert answers[0][0] in (404, 302)
