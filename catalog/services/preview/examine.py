"""From a comparison to what people want to know of it: documents side by side, conflicts, references to nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

import orjson

from catalog.diff import Change, diff_documents
from catalog.ingest.collected import Collected, Declared
from catalog.ingest.final import final_document
from catalog.models import Contender, Entity, Relation, Source
from catalog.services.preview.report import (
    Claim,
    Conflict,
    EntityChange,
    Finding,
    HeldBack,
    Place,
    Reference,
    RelationChange,
    Report,
)
from catalog.services.problems import problem_fingerprint
from catalog.services.publishing.plan import Plan, Row, chunks
from catalog.services.removals import Held
from portal.access.viewer import Viewer

Pair = tuple[str, str]


class Examination:
    """Looks at one comparison for one person; only what that person may see is told.

    Args:
        source: whose comparison it is; need not be saved.
        path_of: path of a sent file by its address, or an empty text.
    """

    def __init__(
        self,
        actor: Viewer,
        source: Source,
        found: Collected,
        plan: Plan,
        held: Held | None,
        path_of: Callable[[str], str],
    ) -> None:
        self.actor = actor
        self.source = source
        self.found = found
        self.plan = plan
        self.held = held
        self.path_of = path_of
        self.renamed = [(row, declared) for row, declared in plan.updates if row.ref != declared.ref]
        #: Entities whose own document is written: stored row (None for new ones) and declaration.
        self.written: list[tuple[Row | None, Declared]] = [
            *((None, declared) for declared in plan.inserts),
            *plan.updates,
        ]
        self.leaving = {row.ref for row in plan.removed} | {row.ref for row, _ in self.renamed}
        self.counted = {ref: d for ref, d in found.declared.items() if ref not in plan.lost}
        self.by_source: dict[str, set[Pair]] = defaultdict(set)
        for declared in self.counted.values():
            for ref, kind, target in declared.relations:
                self.by_source[ref].add((kind, target))

    def report(self) -> Report:
        """Everything there is to say."""
        found = self.found
        report = Report(
            source=self.source.name,
            target=self.source.target,
            files=found.files,
            documents=found.documents,
            unread=found.unread.get("", ""),
        )
        documents = self._stored_documents([row.id for row, _ in self.written if row is not None])
        touched = self._relation_changes_of()
        others = self._relations_of_others({d.ref for _, d in self.written} | touched)
        report.entities = list(self._entities(documents, others))
        report.relations = self._relation_changes(touched, others)
        report.conflicts = list(self._conflicts())
        report.dangling, report.mended = self._references()
        # A sync keeps one record of what is wrong twice in one place.
        once = {
            problem_fingerprint(problem, ref): (problem, ref) for problem, ref in reversed(found.problems)
        }
        report.problems = [
            Finding(
                problem, ref, Place(problem.url, self.path_of(problem.url), problem.document, problem.line)
            )
            for problem, ref in reversed(once.values())
        ]
        if self.held is not None:
            report.held = HeldBack(self.held.refs, self.held.total)
        shown = sum(e.what in ("appear", "change", "move", "rename") for e in report.entities)
        report.unchanged = len(self.counted) - shown
        return report

    # --- entities

    def _entities(
        self, documents: dict[int, dict[str, Any]], others: dict[str, set[Pair]]
    ) -> Iterator[EntityChange]:
        plan = self.plan
        takeovers = {row.ref for row, _ in plan.updates if row.source_id != self.source.pk}
        for row, declared in self.written:
            place = self._place(declared)
            title = _title(declared.entity)
            new = self._document(declared, others)
            if row is None:
                yield EntityChange("appear", declared.ref, place, title, document=new)
                continue
            old = documents.get(row.id)
            changes = self._differences(old, new, declared) if old is not None else []
            renamed = row.ref != declared.ref
            yield EntityChange(
                "rename" if renamed else "change",
                declared.ref,
                place,
                title,
                changes=changes,
                before=row.ref if renamed else "",
                why="It comes from another source now." if declared.ref in takeovers else "",
            )
        for row, declared in plan.moved:
            back = row.state != Entity.State.ACTIVE
            if row.url != declared.url or back:
                yield EntityChange(
                    "move",
                    declared.ref,
                    self._place(declared),
                    _title(declared.entity),
                    before=row.url if row.url != declared.url else "",
                    why="It is found again." if back else "",
                )
        heirs = self._heirs()
        for row in plan.removed:
            yield EntityChange("remove", row.ref, self._stored_place(row), why=heirs.get(row.ref, ""))
        for row, why in plan.missing:
            yield EntityChange("missing", row.ref, self._stored_place(row), why=why)
        for row, problem in plan.failed:
            yield EntityChange("fail", row.ref, self._stored_place(row), why=problem.message)

    def _place(self, declared: Declared) -> Place:
        return Place(declared.url, self.path_of(declared.url), declared.document, declared.line)

    def _stored_place(self, row: Row) -> Place:
        return Place(row.url, self.path_of(row.url), row.document_index, row.line)

    def _stored_documents(self, ids: list[int]) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        for part in chunks(ids):
            rows = Entity.objects.visible_to(self.actor).filter(pk__in=part)
            for key, text in rows.values_list("pk", "document__text"):
                found[key] = _comparable(orjson.loads(text))
        return found

    def _document(self, declared: Declared, others: dict[str, set[Pair]]) -> dict[str, Any]:
        relations = self.by_source[declared.ref] | others.get(declared.ref, set())
        text, _ = final_document(declared.entity, uid="", relations=relations)
        return _comparable(orjson.loads(text))

    @staticmethod
    def _differences(old: dict[str, Any], new: dict[str, Any], declared: Declared) -> list[Change]:
        """Fields that hold references have no order, whichever kind they belong to."""
        targets = {target for ref, _, target in declared.relations if ref == declared.ref}
        spec = new.get("spec")
        fields = [
            ("spec", name)
            for name, value in (spec.items() if targets and isinstance(spec, dict) else ())
            if isinstance(value, list) and value and all(_names_one(item, targets) for item in value)
        ]
        return diff_documents(old, new, unordered=fields)

    def _heirs(self) -> dict[str, str]:
        """Of what goes: which other source declares it too, and gets it next."""
        found: dict[str, str] = {}
        for part in chunks(sorted(row.ref for row in self.plan.removed)):
            rows = Contender.objects.visible_to(self.actor).filter(entity_ref__in=part)
            rows = rows.exclude(source=self.source.pk).order_by("source__priority", "id")
            for ref, name in rows.values_list("entity_ref", "source__name"):
                found.setdefault(ref, f"{name} declares it too and gets it then.")
        return found

    # --- relations of others

    def _relation_changes_of(self) -> set[str]:
        """Other entities that relations are taken from or given to."""
        ids = [row.id for row, _ in self.written if row is not None] + [row.id for row in self.plan.removed]
        old: set[tuple[str, str, str, str]] = set()
        names = {row.id: declared.ref for row, declared in self.written if row is not None}
        for part in chunks(ids):
            rows = Relation.objects.visible_to(self.actor).filter(origin_id__in=part)
            for origin, ref, kind, target in rows.values_list(
                "origin_id", "source_ref", "type", "target_ref"
            ):
                old.add((names.get(origin, ""), ref, kind, target))
        new = {(d.ref, *relation) for _, d in self.written for relation in d.relations}
        own = {d.ref for _, d in self.written}
        return {ref for _, ref, _, _ in old ^ new} - own - self.leaving

    def _relations_of_others(self, refs: set[str]) -> dict[str, set[Pair]]:
        """What these entities show because of declarations that this reading does not touch."""
        found: dict[str, set[Pair]] = defaultdict(set)
        for part in chunks(sorted(refs)):
            rows = Relation.objects.visible_to(self.actor).filter(source_ref__in=part)
            for ref, kind, target, origin in rows.values_list(
                "source_ref", "type", "target_ref", "origin__ref"
            ):
                if origin not in self.counted and origin not in self.leaving:
                    found[ref].add((kind, target))
        return found

    def _relation_changes(self, touched: set[str], others: dict[str, set[Pair]]) -> list[RelationChange]:
        changes = []
        for part in chunks(sorted(touched)):
            rows = Entity.objects.visible_to(self.actor).filter(ref__in=part).order_by("ref")
            for ref, text in rows.values_list("ref", "document__text"):
                before = {(r["type"], r["targetRef"]) for r in orjson.loads(text).get("relations", ())}
                after = self.by_source.get(ref, set()) | others.get(ref, set())
                if before != after:
                    added, removed = tuple(sorted(after - before)), tuple(sorted(before - after))
                    changes.append(RelationChange(ref, added, removed))
        return changes

    # --- conflicts

    def _conflicts(self) -> Iterator[Conflict]:
        plan, found = self.plan, self.found
        taken = [(row, declared) for row, declared in plan.updates if row.source_id != self.source.pk]
        names = self._sources(
            {row.source_id for _, row in plan.conflicts} | {row.source_id for row, _ in taken}
        )
        for declared, row in plan.conflicts:
            name, priority = names.get(row.source_id, ("", None))
            why = _why_it_stays(name, priority, self.source.priority)
            winner = Claim(name, self._stored_place(row) if name else Place(""))
            yield Conflict(declared.ref, winner, Claim(self.source.name, self._place(declared)), False, why)
        for row, declared in taken:
            if row.source_id is None:
                continue  # nobody declares it any more, so nobody loses it
            name, priority = names.get(row.source_id, ("", None))
            loser = Claim(name, self._stored_place(row) if name else Place(""))
            why = f"This source has priority {self.source.priority}"
            why += f", {name} only {priority}." if name else ", the other one a larger number."
            yield Conflict(declared.ref, Claim(self.source.name, self._place(declared)), loser, True, why)
        for rival in found.rivals:
            if rival.same_file:
                continue
            first, stored = found.declared.get(rival.ref), plan.rows.get(rival.ref)
            if first is not None:
                keeper = self._place(first)
            else:  # the first one fails, and keeps its place all the same
                keeper = self._stored_place(stored) if stored is not None else Place("")
            place = Place(rival.url, self.path_of(rival.url), rival.document, rival.line)
            why = "Within one source the file that is read first keeps it."
            yield Conflict(
                rival.ref, Claim(self.source.name, keeper), Claim(self.source.name, place), False, why
            )

    def _sources(self, ids: set[UUID | None]) -> dict[UUID | None, tuple[str, int]]:
        rows = Source.objects.visible_to(self.actor).filter(pk__in=[key for key in ids if key])
        return {key: (name, priority) for key, name, priority in rows.values_list("pk", "name", "priority")}

    # --- references to nothing

    def _references(self) -> tuple[list[Reference], list[Reference]]:
        """Those that the change makes, and those that it mends."""
        before = self._stored_references()
        after: dict[tuple[str, str, str], Declared | None] = {}
        for _, declared in self.written:
            for ref, kind, target in declared.relations:
                if ref == declared.ref:
                    after[ref, kind, target] = declared
        rewritten = {declared.ref for _, declared in self.written} | {
            row.ref for row, _ in self.written if row is not None
        }
        for key in before:
            if key[0] not in rewritten and key[0] not in self.leaving:
                after[key] = None
        there = self._existing({target for _, _, target in (*before, *after)})
        appearing = {d.ref for d in self.plan.inserts} | {d.ref for _, d in self.renamed}
        there_then = (there - self.leaving) | appearing
        led_nowhere = {key for key in before if key[2] not in there}
        leads_nowhere = {key for key in after if key[2] not in there_then}
        places = self._places({key[0] for key in led_nowhere | leads_nowhere})

        def listed(keys: Iterable[tuple[str, str, str]]) -> list[Reference]:
            return [
                Reference(*key, here=after.get(key) is not None or key[0] in rewritten, place=places[key[0]])
                for key in sorted(keys)
                if key[0] in places
            ]

        mended = {key for key in led_nowhere - leads_nowhere if key[0] not in self.leaving}
        return listed(leads_nowhere - led_nowhere), listed(mended)

    def _stored_references(self) -> set[tuple[str, str, str]]:
        """Stored references that the change could touch: of what it writes, and to what comes and goes."""
        rows = Relation.objects.visible_to(self.actor)
        found: set[tuple[str, str, str]] = set()
        ids = [row.id for row, _ in self.written if row is not None]
        ends = sorted(self.leaving | {d.ref for d in self.plan.inserts} | {d.ref for _, d in self.renamed})
        questions = [rows.filter(origin_id__in=part) for part in chunks(ids)]
        questions += [rows.filter(target_ref__in=part) for part in chunks(ends)]
        for question in questions:
            for ref, kind, target, origin in question.values_list(
                "source_ref", "type", "target_ref", "origin__ref"
            ):
                if ref == origin:
                    found.add((ref, kind, target))
        return found

    def _existing(self, refs: set[str]) -> set[str]:
        found: set[str] = set()
        for part in chunks(sorted(refs)):
            found.update(
                Entity.objects.visible_to(self.actor).filter(ref__in=part).values_list("ref", flat=True)
            )
        return found

    def _places(self, refs: set[str]) -> dict[str, Place]:
        """Where entities are declared, of those that may be seen."""
        places = {d.ref: self._place(d) for _, d in self.written if d.ref in refs}
        for part in chunks(sorted(refs - places.keys())):
            rows = Entity.objects.visible_to(self.actor).filter(ref__in=part)
            for ref, url, document, line in rows.values_list("ref", "url", "document_index", "line"):
                places[ref] = Place(url, self.path_of(url), document, line)
        return places


def _comparable(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what the catalog numbers it by."""
    for name in ("uid", "etag"):
        document["metadata"].pop(name, None)
    return document


def _title(entity: dict[str, Any]) -> str:
    return str(entity["metadata"].get("title") or entity["metadata"]["name"])


def _names_one(item: Any, targets: set[str]) -> bool:
    """Whether a text is the reference of one of these, written in short or in full."""
    return isinstance(item, str) and any(
        target == item.lower() or target.endswith((f":{item.lower()}", f"/{item.lower()}"))
        for target in targets
    )


def _why_it_stays(name: str, priority: int | None, ours: int) -> str:
    if priority is None:
        return "Another source has it."
    if priority < ours:
        return f"{name} has priority {priority}, this source only {ours}."
    return f"{name} has the same priority and was there first."
