"""What can be asked of an entity, as a small tree of values.

The ``filter=`` grammar, JSON predicates and the portal's filter chips all become this tree; ``compile`` turns it into
SQL. Keys are dotted paths in lower case, values are lower case: that is how the catalog compares (catalog API, what is
searchable). Trees are immutable and hashable, so that an answer can be remembered by the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Has:
    """The key is there, with whatever value (null too)."""

    key: str


@dataclass(frozen=True, slots=True)
class Valued:
    """The key is there with a value that can be compared: neither null nor longer than 200 characters."""

    key: str


@dataclass(frozen=True, slots=True)
class Among:
    """A value of the key is one of these. No values: matches nothing."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartsWith:
    """A value of the key begins with the prefix."""

    key: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Contains:
    """A value of one of the keys contains the term."""

    keys: tuple[str, ...]
    term: str


@dataclass(frozen=True, slots=True)
class Related:
    """There is a relation of this type (lower case); to one of the targets unless these are None."""

    type: str
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """What we know beside the document is one of these; see ``COLUMNS`` and ``DERIVED``."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stands:
    """A column of the entity's own row is one of these; the empty text stands for no value. For rules."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """It is one of these rows."""

    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part matches; no parts match everything."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part matches; no parts match nothing."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not match."""

    part: Condition


Condition = (
    Has | Valued | Among | StartsWith | Contains | Related | Column | Stands | Keys | All | AnyOf | Not
)

#: Parts that one conjunction or disjunction may have; SQLite refuses expressions deeper than a thousand.
WIDEST = 500
#: Targets of a relation that leave few entities.
FEW = 3

EVERYTHING = All(())
NOTHING = AnyOf(())

#: Words of the portal for what Callboard knows of an entity beside its document, and the column that holds it. No
#: document can have such a key: the roots of an entity are fixed.
COLUMNS: Mapping[str, str] = {
    "state": "state",
    "errors": "has_errors",
    "owner": "owner_ref",
    "system": "system_ref",
    "source": "source_id",
}

#: Further words of the portal, for what is worked out of other rows: their values, each entity having one of them.
DERIVED: Mapping[str, tuple[str, str]] = {"refs": ("nothing", "found"), "fresh": ("fresh", "stale")}
#: Those of them that change as time passes.
VOLATILE = frozenset({"fresh"})


def all_of(*parts: Condition) -> Condition:
    """Conjunction without needless nesting."""
    flat: list[Condition] = []
    for part in parts:
        if isinstance(part, All):
            flat.extend(part.parts)
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def any_of(*parts: Condition) -> Condition:
    """Disjunction without needless nesting; values of the same key are put together.

    Putting together keeps a question with a thousand alternatives one comparison with a list.
    """
    flat: list[Condition] = []
    for part in parts:
        if isinstance(part, AnyOf):
            flat.extend(part.parts)
        else:
            flat.append(part)
    together: dict[str, list[str]] = {}
    rest: list[Condition] = []
    for part in flat:
        if isinstance(part, Among):
            together.setdefault(part.key, []).extend(part.values)
        else:
            rest.append(part)
    merged = [*(Among(key, tuple(dict.fromkeys(values))) for key, values in together.items()), *rest]
    return merged[0] if len(merged) == 1 else AnyOf(tuple(merged))


def equals(key: str, *values: str) -> Condition:
    """``key`` (any case) has one of ``values`` (any case)."""
    return Among(key.lower(), tuple(dict.fromkeys(value.lower() for value in values)))


def chosen(name: str, values: Sequence[str]) -> Condition:
    """One of the portal's filters: ``name`` is a word of ``COLUMNS`` or ``DERIVED``, or a key of the document."""
    if name in COLUMNS or name in DERIVED:
        return Column(name, tuple(dict.fromkeys(values)))
    return equals(name, *values)


def selection(include: Mapping[str, Iterable[str]], exclude: Mapping[str, Iterable[str]]) -> Condition:
    """Every key of ``include`` has one of its values, no key of ``exclude`` has any of its."""
    parts: list[Condition] = [chosen(name, tuple(values)) for name, values in include.items()]
    parts += [Not(chosen(name, tuple(values))) for name, values in exclude.items()]
    return all_of(*parts)


def leaves(condition: Condition) -> Iterator[Condition]:
    """Every part that is no combination of others."""
    pending: list[Condition] = [condition]
    while pending:
        part = pending.pop()
        if isinstance(part, All | AnyOf):
            pending.extend(part.parts)
        elif isinstance(part, Not):
            pending.append(part.part)
        else:
            yield part


def is_volatile(condition: Condition) -> bool:
    """Whether its answer may change without a publication."""
    return any(isinstance(leaf, Column) and leaf.name in VOLATILE for leaf in leaves(condition))


def names_relation(condition: Condition) -> bool:
    """Whether everything that fits has a relation to one of a few targets, such as one owner."""
    match condition:
        case All(parts):
            return any(names_relation(part) for part in parts)
        case Related(_, targets):
            return targets is not None and len(targets) <= FEW
        case Among(key, values):
            return key.startswith("relations.") and len(values) <= FEW
        case _:
            return False
