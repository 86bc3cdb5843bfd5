"""A folder of descriptors that a test writes and a source reads."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import orjson
from django.apps import apps

from catalog.bench.faults.consistency import contradictions
from catalog.models import Entity, Kind, Problem, Relation, Source, Sync
from catalog.services.sources import create_source, request_sync
from portal.access.viewer import Viewer
from portal.jobs.models import Job, Schedule
from portal.jobs.running import run_job

SYSTEM = Viewer.system("test")


def component(name: str, owner: str = "platform", extra: str = "", **spec: str) -> str:
    """One Component as YAML; ``extra`` are further lines of metadata."""
    lines = [f"  {key}: {value}" for key, value in spec.items()]
    metadata = "".join(f"\n  {line}" for line in extra.splitlines() if line)
    return (
        f"apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}{metadata}\nspec:\n"
        f"  type: service\n  lifecycle: production\n  owner: {owner}\n" + "\n".join(lines) + "\n"
    )


def location(name: str, *targets: str, presence: str = "") -> str:
    listed = "".join(f"    - {target}\n" for target in targets)
    optional = f"  presence: {presence}\n" if presence else ""
    head = f"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  name: {name}\n"
    return f"{head}spec:\n{optional}  targets:\n{listed}"


class Folder:
    """Files on disk, the source that reads them, and what the catalog makes of it."""

    def __init__(self, path: Path, name: str = "folder") -> None:
        self.path = path
        self.name = name
        self.source: Source | None = None
        path.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, *documents: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("---\n".join(dedent(d) for d in documents))

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def sync(self, **values: Any) -> dict[str, Any]:
        """Read the folder; returns the result of the job, which has to succeed."""
        job = self.try_sync(**values)
        assert job.state == Job.State.SUCCEEDED, job.error
        assert job.result is not None
        return dict(job.result)

    def try_sync(self, force: bool = False, **values: Any) -> Job:
        if self.source is None:
            kinds = list(Kind.objects.unrestricted("test").values_list("name", flat=True))
            self.source = create_source(
                actor=SYSTEM,
                name=self.name,
                target=str(self.path),
                type=Source.Type.FILE,
                pattern="**/*.yaml",
                registered_by=Source.RegisteredBy.COMMAND,
                **{"allowed_kinds": kinds, **values},
                sync=False,
            )
        job = request_sync(actor=SYSTEM, source=self.source, force=force)
        run_job(job.pk)
        return Job.objects.unrestricted("test").get(pk=job.pk)

    @property
    def last_sync(self) -> Sync:
        return Sync.objects.unrestricted("test").filter(source=self.source).latest("started_at")

    @property
    def problems(self) -> list[Problem]:
        return list(Problem.objects.unrestricted("test").filter(source=self.source))


KEPT = frozenset(
    (
        "Kind", "KindVersion", "AnnotationDefinition", "TagDefinition", "DataVersion", "AttributeKey",
        "AttributeValue",
    )
)  # fmt: skip
FIRST = (
    "Tombstone",
    "BulkItem",
    "BulkOperation",
    "Alias",
    "EntityAttribute",
    "Relation",
    "EntityDocument",
    "Entity",
)


def forget_catalog() -> None:
    """Delete every row that readings and writes of earlier examples left, and their jobs; kinds and words stay."""
    Entity.objects.update(parent=None)
    models = {model.__name__: model for model in apps.get_app_config("catalog").get_models()}
    rest = sorted(models.keys() - KEPT - set(FIRST) - {"Source"})
    found: list[Any] = [models[name] for name in (*FIRST, *rest, "Source")]
    for model in (*found, Job, Schedule):
        model.objects.unrestricted("test").all().delete()


def entity(ref: str) -> Entity:
    return Entity.objects.unrestricted("test").select_related("document").get(ref=ref)


def exists(ref: str) -> bool:
    return Entity.objects.unrestricted("test").filter(ref=ref).exists()


def document(ref: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(entity(ref).document.text)
    return found


def shown_relations(ref: str) -> list[tuple[str, str]]:
    return [(r["type"], r["targetRef"]) for r in document(ref)["relations"]]


def assert_catalog_is_consistent() -> None:
    """Whatever was published, and in whichever order: documents, rows, relations and attributes say the same."""
    found = list(contradictions())
    assert found == [], found  # said, as pytest does not rewrite this module


def declared_by(row: Entity) -> list[tuple[str, str]]:
    """Relations of an entity that its own document declares."""
    own = Relation.objects.unrestricted("test").filter(origin=row, source_ref=row.ref)
    return list(own.values_list("type", "target_ref"))
