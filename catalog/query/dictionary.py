"""Keys and values of the attribute index as the integers that stand for them."""
# ruff: noqa: S608  (tables are our own words; what was asked travels beside the text as values)

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from catalog.models.attribute import NO_VALUE
from catalog.query.conditions import (
    FEW,
    Among,
    Condition,
    Contains,
    Has,
    Related,
    StartsWith,
    Valued,
    leaves,
)
from catalog.query.memory import memory
from catalog.query.scope import Scope
from catalog.query.sql import Sql, concat, fetch, join, one_of

UID, NAME, TITLE = "metadata.uid", "metadata.name", "metadata.title"
#: Paths that are answered from columns of ``Entity`` and never need the index.
#: These are never empty and hold the very value.
ENTITY_COLUMNS = {"kind": "kind", "metadata.namespace": "namespace", NAME: "name"}
#: Columns that hold the value where it is an ordinary text, and nothing where it is empty, a number or a list.
TEXT_COLUMNS = {"spec.type": "type", "spec.lifecycle": "lifecycle"}
RELATION = "relations."
#: Relations whose smallest target an entity has in a column: key, relation type, column.
RELATION_COLUMNS = {"ownedby": ("ownedBy", "owner_ref"), "partof": ("partOf", "system_ref")}


def _types_of(table: str) -> str:
    """One step of an index for each type, instead of every relation."""
    return (
        f"SELECT MIN(type) FROM {table} UNION ALL SELECT (SELECT MIN(r.type) FROM {table} r WHERE r.type > "
    )


# Types that only past versions have belong to it, for questions about the past.
_TYPES = Sql(
    f"WITH RECURSIVE t(type) AS ({_types_of('catalog_relation')} t.type) FROM t WHERE t.type IS NOT NULL), "
    f"p(type) AS ({_types_of('catalog_revisionrelation')} p.type) FROM p WHERE p.type IS NOT NULL) "
    "SELECT type FROM t WHERE type IS NOT NULL UNION SELECT type FROM p WHERE type IS NOT NULL"
)

# What is looked up: a "key", a "value", or a target of one of RELATION_COLUMNS.
Word = tuple[str, str]


def is_indexed(key: str) -> bool:
    """Whether ``key`` is asked of the attribute index."""
    return key not in ENTITY_COLUMNS and key != UID and not key.startswith(RELATION)


def _is_about_relations(leaf: Condition) -> bool:
    match leaf:
        case Related():
            return True
        case Has(key) | Valued(key) | StartsWith(key) | Among(key):
            return key.startswith(RELATION)
        case Contains(keys):
            return any(key.startswith(RELATION) for key in keys)
        case _:
            return False


def _related(leaf: Condition) -> Iterator[Word]:
    """Targets of which ``is_in_column`` may be asked."""
    match leaf:
        case Related(kind, targets) if targets is not None:
            pass
        case Among(key, targets) if key.startswith(RELATION):
            kind = key.removeprefix(RELATION)
        case _:
            return
    if kind in RELATION_COLUMNS and len(targets) <= FEW:
        yield from ((kind, target) for target in targets)


def is_storable(text: str) -> bool:
    """PostgreSQL keeps no NUL, so nothing stored has one and asking would be an error."""
    return "\0" not in text


class Dictionary:
    """What the keys and values of one question are called.

    Args:
        version: gives the number of the last publication, under which the process remembers what was found.
        scope: what the viewer may see.
        past: the questions are about other tables than those of now.
    """

    def __init__(self, version: Callable[[], int | None], scope: Scope, *, past: bool = False) -> None:
        self._version = version
        self.scope = scope
        self._past = past
        self._known: dict[Word, tuple[int, ...]] = {}
        self._types: dict[str, list[str]] | None = None

    def learn(self, conditions: Iterable[Condition], keys: Iterable[str] = ()) -> None:
        """Look up what ``conditions`` compare, and ``keys`` (to count or sort by). At most one statement each for
        the attribute index and for relations.
        """
        related = False
        wanted: set[Word] = set()
        for key in keys:
            if key.startswith(RELATION):
                related = True
            elif key != UID:
                wanted.add(("key", key))
        for condition in conditions:
            for leaf in leaves(condition):
                related = related or _is_about_relations(leaf)
                if not self._past:
                    wanted.update(_related(leaf))
                match leaf:
                    case Has(key) | Valued(key) | StartsWith(key) if is_indexed(key):
                        wanted.add(("key", key))
                    case Among(key, values) if is_indexed(key):
                        wanted.add(("key", key))
                        wanted.update(("value", value) for value in values)
                    case Contains(contained):
                        wanted.update(("key", key) for key in contained if is_indexed(key))
                    case _:
                        pass
        missing = wanted - self._known.keys()
        if missing:
            self._look_up(missing)
        if related and self._types is None:
            self._look_up_types()

    def key(self, name: str) -> int | None:
        """The number of a key, or None where no entity has it."""
        numbers = self._known[("key", name)]
        return numbers[0] if numbers else None

    def value(self, lower: str) -> tuple[int, ...]:
        """The numbers of all writings of a value."""
        return self._known[("value", lower)]

    def types(self, lower: str) -> list[str]:
        """All writings of a relation type."""
        return (self._types or {}).get(lower, [])

    def is_in_column(self, kind: str, targets: Sequence[str]) -> bool:
        """Whether the entities with a relation to one of ``targets`` are those that have it in the column of
        ``RELATION_COLUMNS``: none has it beside another one, and no other entity declares it.
        """
        if kind not in RELATION_COLUMNS or self.types(kind) != [RELATION_COLUMNS[kind][0]]:
            return False
        return all(self._known.get((kind, target)) == (0,) for target in targets)

    def _look_up_types(self) -> None:
        version = self._version()
        known = memory.get(version, _TYPES)
        if known is None:
            known = {}
            for (written,) in fetch(_TYPES):
                known.setdefault(written.lower(), []).append(written)
            memory.put(version, _TYPES, known, 100 * len(known))
        self._types = known

    def _look_up(self, missing: set[Word]) -> None:
        version = self._version()
        strange = []
        for word in missing:
            known = memory.get(version, word)
            if known is None:
                strange.append(word)
            else:
                self._known[word] = known
        found: dict[Word, list[int]] = {word: [] for word in strange}
        statement = _statement([word for word in strange if is_storable(word[1])])
        for sort, text, number in fetch(statement) if statement else ():
            found[sort, text].append(number)
        for word, numbers in found.items():
            self._known[word] = tuple(sorted(numbers))
            memory.put(version, word, self._known[word], len(word[1]))


def _statement(words: Sequence[Word]) -> Sql | None:
    names = [text for sort, text in words if sort == "key"]
    values = [text for sort, text in words if sort == "value"]
    parts = []
    if names:
        parts.append(concat("SELECT 'key', name, id FROM catalog_attributekey WHERE ", one_of("name", names)))
    if values:
        asked = concat(
            "SELECT 'value', lower, id FROM catalog_attributevalue WHERE ", one_of("lower", values)
        )
        parts.append(concat(asked, f" AND id <> {NO_VALUE}"))
    for sort, text in words:
        if sort in RELATION_COLUMNS:
            written, column = RELATION_COLUMNS[sort]
            # Every entity with a target in the column has a relation to it, so that equal numbers are the same rows.
            besides = (
                "SELECT %s, %s, (SELECT COUNT(*) FROM catalog_relation WHERE type = %s AND target_ref = %s) "
                f"- (SELECT COUNT(*) FROM catalog_entity WHERE {column} = %s)"
            )
            parts.append(Sql(besides, (sort, text, written, text, text)))
    return join("UNION ALL", parts) if parts else None
