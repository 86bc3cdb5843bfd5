"""What somebody owns: what names them or a group of theirs, and what belongs to a system or domain that does.

Documents say who owns them, and nothing else about permission. So inheritance stays inside one source: a system that
somebody else's source declares makes its owner no owner of what merely names it. Sources that may define people are
trusted with the whole catalog.
"""
# ruff: noqa: S608  (tables and columns are our own words; values travel beside the text)

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from catalog.query.conditions import NOTHING, Column, Condition, Keys, Stands, all_of, any_of
from catalog.query.memory import entities_version, memory
from catalog.query.sql import Sql, concat, fetch, one_of, uid_text

#: Systems within domains within domains; more than any company has, and the end of a circle.
DEEPEST = 20


def owned_by(refs: Sequence[str]) -> Condition:
    """Entities that one of these references owns. Remembered until the next publication; two statements.

    Args:
        refs: a person and their groups, canonical.
    """
    if not refs:
        return NOTHING
    key = ("owned", tuple(refs))
    version = entities_version()
    known: Condition | None = memory.get(version, key)
    if known is None:
        known = _read(list(refs))
        memory.put(version, key, known, 60 * len(refs) + 200)
    return known


def _read(refs: list[str]) -> Condition:
    parts: list[Condition] = [Stands("owner_ref", tuple(refs))]
    trusted: list[str] = []
    by_source: dict[str, list[str]] = defaultdict(list)
    for ref, source, is_trusted in fetch(_inherited(refs)):
        if is_trusted:
            trusted.append(ref)
        elif source is not None:
            by_source[uid_text(source)].append(ref)
    if trusted:
        parts += [Stands("system_ref", tuple(trusted)), Stands("ref", tuple(trusted))]
    for source, found in sorted(by_source.items()):
        inside = any_of(Stands("system_ref", tuple(found)), Stands("ref", tuple(found)))
        parts.append(all_of(Column("source", (source,)), inside))
    if more := [number for (number,) in fetch(_further(refs))]:
        parts.append(Keys(tuple(more)))
    return any_of(*parts)


def _inherited(refs: list[str]) -> Sql:
    """Systems and domains of these owners, and those within their domains: reference, source, whether it is trusted."""
    start = concat(
        "WITH RECURSIVE own(id, ref, source_id, depth) AS (SELECT e.id, e.ref, e.source_id, 0 FROM catalog_entity e "
        "WHERE e.kind IN ('system', 'domain') AND ",
        one_of("e.owner_ref", refs),
    )
    return concat(
        start,
        # A part says itself what it is part of, and in the same source unless that of the whole is trusted.
        " UNION SELECT p.id, p.ref, p.source_id, own.depth + 1 FROM own "
        "JOIN catalog_source o ON o.id = own.source_id "
        "JOIN catalog_relation r ON r.type = 'partOf' AND r.target_ref = own.ref "
        "JOIN catalog_entity p ON p.id = r.origin_id AND p.ref = r.source_ref AND p.kind IN ('system', 'domain') "
        f"WHERE own.depth < {DEEPEST:d} AND (o.may_define_people OR p.source_id = own.source_id)) "
        "SELECT DISTINCT own.ref, own.source_id, s.may_define_people FROM own "
        "LEFT JOIN catalog_source s ON s.id = own.source_id ORDER BY own.ref",
    )


def _further(refs: list[str]) -> Sql:
    """Keys of entities that have one of these as an owner beside the one in their column, by their own document."""
    return concat(
        "SELECT DISTINCT e.id FROM catalog_relation r JOIN catalog_entity e ON e.id = r.origin_id "
        "AND e.ref = r.source_ref WHERE r.type = 'ownedBy' AND r.target_ref <> e.owner_ref AND ",
        one_of("r.target_ref", refs),
    )
