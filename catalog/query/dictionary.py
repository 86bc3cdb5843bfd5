"""Keys and values of the attribute index as the integers that stand for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from catalog.models import AttributeKey, AttributeValue
from catalog.models.attribute import NO_VALUE
from catalog.query.conditions import Among, Condition, Contains, Has, StartsWith, Valued, leaves
from catalog.query.memory import memory

#: Paths that are answered from columns of ``Entity`` and never need the index.
ENTITY_COLUMNS = {"kind": "kind", "metadata.namespace": "namespace", "metadata.name": "name"}
UID = "metadata.uid"
RELATION = "relations."


def is_indexed(key: str) -> bool:
    """Whether ``key`` is asked of the attribute index."""
    return key not in ENTITY_COLUMNS and key != UID and not key.startswith(RELATION)


def is_storable(text: str) -> bool:
    """PostgreSQL keeps no NUL, so nothing stored has one and asking would be an error."""
    return "\0" not in text


@dataclass(slots=True)
class Dictionary:
    """What the keys and values of one question are called; asked for once, at most two statements.

    Args:
        version: of the catalog (``entities_version``); what was found is remembered under it.
    """

    version: int | None
    keys: dict[str, int | None] = field(default_factory=dict)
    values: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def learn(self, conditions: Iterable[Condition], keys: Iterable[str] = ()) -> None:
        """Look up what ``conditions`` compare, and ``keys`` (to count or sort by)."""
        wanted_keys = {key for key in keys if key != UID and not key.startswith(RELATION)}
        wanted_values: set[str] = set()
        for condition in conditions:
            for leaf in leaves(condition):
                match leaf:
                    case Has(key) | Valued(key) | StartsWith(key) if is_indexed(key):
                        wanted_keys.add(key)
                    case Among(key, values) if is_indexed(key):
                        wanted_keys.add(key)
                        wanted_values.update(values)
                    case Contains(contained):
                        wanted_keys.update(filter(is_indexed, contained))
                    case _:
                        pass
        self._learn_keys(wanted_keys)
        self._learn_values(wanted_values)

    def key(self, name: str) -> int | None:
        """The number of a key, or None where no entity has it."""
        return self.keys.get(name)

    def value(self, lower: str) -> tuple[int, ...]:
        """The numbers of all writings of a value."""
        return self.values.get(lower, ())

    def _learn_keys(self, names: set[str]) -> None:
        missing = []
        for name in names - self.keys.keys():
            known = memory.get(self.version, ("key", name))
            if known is None:
                missing.append(name)
            else:
                self.keys[name] = known[0]
        askable = [name for name in missing if is_storable(name)]
        found = (
            dict(AttributeKey.objects.filter(name__in=askable).values_list("name", "id")) if askable else {}
        )
        for name in missing:
            self.keys[name] = found.get(name)
            memory.put(self.version, ("key", name), (found.get(name),), len(name))

    def _learn_values(self, texts: set[str]) -> None:
        missing = []
        for text in texts - self.values.keys():
            known = memory.get(self.version, ("value", text))
            if known is None:
                missing.append(text)
            else:
                self.values[text] = known
        askable = [text for text in missing if is_storable(text)]
        found: dict[str, list[int]] = {}
        if askable:
            rows = AttributeValue.objects.filter(lower__in=askable).exclude(id=NO_VALUE)
            for lower, number in rows.values_list("lower", "id"):
                found.setdefault(lower, []).append(number)
        for text in missing:
            self.values[text] = tuple(sorted(found.get(text, ())))
            memory.put(self.version, ("value", text), self.values[text], len(text))
