"""One of everything that a page may show, and the people who look at it."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from catalog.models import (
    Alias,
    AnnotationDefinition,
    BulkItem,
    BulkOperation,
    Entity,
    Hook,
    HookDelivery,
    Kind,
    Problem,
    Quarantine,
    Revision,
    Source,
    Sync,
    TagDefinition,
    Tombstone,
)
from portal.access.models import BrowserSession, Membership, Principal, Rule, Token, User
from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.audit.services import record, seal
from portal.connections.models import Connection
from portal.core.crypto import encrypt
from portal.events.models import Delivery, Event, Subscription
from portal.events.services import publish
from portal.events.services import seal as seal_events
from portal.jobs.models import Job, Schedule
from tests.factories.access import (
    BrowserSessionFactory,
    GroupFactory,
    MembershipFactory,
    PrincipalFactory,
    StaffFactory,
    TokenFactory,
    UserFactory,
)
from tests.factories.catalog import document, store
from tests.factories.connections import ConnectionFactory
from tests.factories.events import DeliveryFactory, SubscriptionFactory
from tests.factories.jobs import JobFactory, ScheduleFactory


@dataclass
class World:
    """Rows by what they are; ``tokens`` are the texts that clients send."""

    member: User
    staff: User
    entity: Entity
    source: Source
    sync: Sync
    problem: Problem
    tombstone: Tombstone
    revision: Revision
    alias: Alias
    quarantine: Quarantine
    operation: BulkOperation
    kind: Kind
    annotation: AnnotationDefinition
    tag: TagDefinition
    principal: Principal
    membership: Membership
    rule: Rule
    session: BrowserSession
    token: Token
    job: Job
    schedule: Schedule
    event: Event
    subscription: Subscription
    delivery: Delivery
    connection: Connection
    hook: Hook
    hook_delivery: HookDelivery
    audit: AuditEvent
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def places(self) -> dict[str, object]:
        """What stands in braces in the addresses of ``tests/access/matrix.py``."""
        return {
            "source": self.source.pk,
            "uid": self.entity.uid,
            "hook": self.hook.pk,
            "operation": self.operation.pk,
            "subscription": self.subscription.pk,
            "letter": self.delivery.pk,
            "job": self.job.pk,
        }

    @property
    def viewer(self) -> Viewer:
        return Viewer(actor=f"user:{self.staff.username}", user_id=self.staff.pk, is_staff=True)


def make_source(name: str = "team-a", **values: object) -> Source:
    """A registered source that was never read."""
    target = f"https://git.acme.example/{name}/catalog-info.yaml"
    defaults = {
        "target": target,
        "entity_ref": f"location:default/generated-{name}",
        "state": Sync.State.PARTIAL,
    }
    return Source.objects.create(name=name, **{**defaults, **values})


def make_problem(source: Source, number: int = 1, **values: object) -> Problem:
    """A problem of a source, at a line of its own."""
    now = timezone.now()
    defaults = {
        "fingerprint": f"{number:040}",
        "rule": "catalog.schema.required",
        "message": "/spec must have required property 'owner'",
        "remedy": "Add owner.",
        "url": f"{source.target}#{number}",
        "line": number,
        "entity_ref": "component:default/shop",
        "first_seen_at": now,
        "last_seen_at": now,
    }
    return Problem.objects.create(source=source, **{**defaults, **values})


def make_sync(source: Source, **values: object) -> Sync:
    """A reading that is over."""
    now = timezone.now()
    defaults = {"state": Sync.State.DONE, "actor": "system:test", "started_at": now, "finished_at": now}
    return Sync.objects.create(source=source, **{**defaults, **values})


def make_delivery(hook: Hook, number: int = 1, **values: object) -> HookDelivery:
    """A push that was about nothing here."""
    defaults = {
        "delivery_id": f"delivery-{number}",
        "event": "push",
        "received_at": timezone.now(),
        "verdict": HookDelivery.Verdict.NOTHING,
        "message": "No source that this webhook may read is in acme/shop.",
        "repository": "acme/shop",
        "branch": "main",
        "headers": {"x-github-event": "push"},
        "body": zlib.compress(b"{}"),
    }
    return HookDelivery.objects.create(hook=hook, **{**defaults, **values})


def make_tombstone(source: Source, name: str = "kiosk", **values: object) -> Tombstone:
    """A component that its source no longer declares."""
    now = timezone.now()
    ref = f"component:default/{name}"
    entity = document(name, spec={"type": "service"})
    entity["metadata"].update(uid="6f8e4d63-1b8a-4b56-9d6e-0c7e4f0a1b2c", etag="1")
    named = {
        "ref": ref,
        "uid": entity["metadata"]["uid"],
        "kind": "component",
        "namespace": "default",
        "name": name,
    }
    revision = Revision.objects.create(
        **named,
        number=1,
        label=name,
        etag="1",
        source_id=source.pk,
        source_name=source.name,
        url="",
        created_at=now,
        since=now,
        until=now,
        end=Tombstone.Reason.UNDECLARED,
        text=json.dumps(entity),
    )
    defaults = {
        **named,
        "revision": revision,
        "reason": Tombstone.Reason.UNDECLARED,
        "source_name": source.name,
        "removed_at": now,
        "keep_until": now + timedelta(days=30),
    }
    return Tombstone.objects.create(source=source, **{**defaults, **values})


def make_operation(**values: object) -> BulkOperation:
    """Fields of one entity that were set, by a job that is over."""
    now = timezone.now()
    defaults = {
        "verb": BulkOperation.Verb.SET,
        "state": BulkOperation.State.DONE,
        "change": {"spec": {"owner": "team-a"}},
        "selection": {"refs": ["component:default/shop"]},
        "actor": "user:maren",
        "finished_at": now,
        "total": 1,
    }
    operation = BulkOperation.objects.create(**{**defaults, **values})
    BulkItem.objects.create(
        operation=operation,
        position=0,
        ref="component:default/shop",
        subject="6f8e4d63-1b8a-4b56-9d6e-0c7e4f0a1b2d",
        outcome=BulkItem.Outcome.DONE,
        effect=BulkItem.Effect.CHANGED,
        before_number=1,
        after_number=2,
    )
    return operation


def make_quarantine(source: Source, count: int = 40, **values: object) -> Quarantine:
    """Removals that wait for a decision."""
    refs = sorted(f"component:default/c{n}" for n in range(count))
    defaults = {
        "refs": refs,
        "digest": "d",
        "count": count,
        "total": count + 1,
        "sync_id": 1,
        "created_at": timezone.now(),
    }
    return Quarantine.objects.create(source=source, **{**defaults, **values})


def make_world() -> World:
    """One of everything, with the shipped kinds that the database has anyway."""
    member, staff = UserFactory(username="member"), StaffFactory(username="curator", is_superuser=True)
    texts = {"member": "cb_member", "staff": "cb_staff"}
    TokenFactory(user=member, text=texts["member"])
    token = TokenFactory(user=staff, text=texts["staff"], expires_at=timezone.now() + timedelta(days=3))
    team = GroupFactory(ref="group:default/shop-team", title="Shop team")
    principal = PrincipalFactory(ref="user:default/member", user=member)
    shop = document(
        "shop",
        spec={"type": "service", "lifecycle": "production", "owner": "shop-team"},
        relations=[("ownedBy", "group:default/shop-team"), ("partOf", "system:default/store")],
    )
    entity = store([shop, document("shop-team", kind="Group", spec={"type": "team", "children": []})])[0]
    source = make_source()
    Entity.objects.update(source=source)
    record(actor="user:curator", verb="catalog.source.created", target=source, after={"name": source.name})
    publish(events=[("catalog.source.synced", source.name, {"added": 1})])
    seal()
    seal_events()
    subscription = SubscriptionFactory(name="portal search", user=staff)
    now = timezone.now()
    tombstone = make_tombstone(source)
    hook = Hook(name="acme", provider=Hook.Provider.GITHUB)
    hook.sealed_secret = encrypt(b"the secret of the world", context=f"catalog.hook:{hook.pk}")
    hook.save()
    return World(
        member=member,
        staff=staff,
        entity=entity,
        source=source,
        sync=make_sync(source),
        problem=make_problem(source),
        tombstone=tombstone,
        revision=tombstone.revision,
        alias=Alias.objects.create(ref="component:default/stall", entity=entity, created_at=now),
        quarantine=make_quarantine(source),
        operation=make_operation(),
        kind=Kind.objects.get(name="Component"),
        annotation=AnnotationDefinition.objects.order_by("key")[0],
        tag=TagDefinition.objects.create(name="java"),
        principal=principal,
        membership=MembershipFactory(member=principal, group=team),
        rule=Rule.objects.unrestricted("a test's world").get(shipped="owners-act"),
        session=BrowserSessionFactory(user=member),
        token=token,
        job=JobFactory(
            subject="team-a", state=Job.State.FAILED, finished_at=now, error={"message": "It is away."}
        ),
        schedule=ScheduleFactory(),
        event=Event.objects.get(),
        subscription=subscription,
        delivery=DeliveryFactory(subscription=subscription, state=Delivery.State.DEAD),
        connection=ConnectionFactory(credential="env:GIT_TOKEN"),
        hook=hook,
        hook_delivery=make_delivery(hook),
        audit=AuditEvent.objects.get(),
        tokens=texts,
    )
