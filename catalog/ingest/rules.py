"""Which kinds a source may bring (catalog format, allow rules)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.errors import InputError


@dataclass(frozen=True, slots=True)
class AllowRule:
    """Kinds that are allowed, everywhere or from some origins.

    Args:
        kinds: pairs of a kind and a ``spec.type``, lower case; an empty type stands for all.
        origins: pairs of a location type and a test of its target; None for every origin.
    """

    kinds: frozenset[tuple[str, str]]
    origins: tuple[tuple[str, re.Pattern[str] | None], ...] | None = None


class AllowRules:
    """An entity is allowed when one of the rules allows it.

    Args:
        rules: see :class:`AllowRule`.
    """

    def __init__(self, rules: Iterable[AllowRule]) -> None:
        self.rules = tuple(rules)

    @classmethod
    def from_config(cls, items: Iterable[Mapping[str, Any]]) -> AllowRules:
        """Rules in the form of ``catalog.rules``.

        Args:
            items: ``{"allow": ["Kind", {"kind": "Kind", "spec.type": "x"}], "locations": [{"type": "url",
                "exact": "..."}, {"type": "url", "pattern": "https://example.com/**"}]}``

        Raises:
            InputError: another form, or a location with both ``exact`` and ``pattern``.
        """
        return cls(_rule(item) for item in items)

    @classmethod
    def of_kinds(cls, names: Iterable[str]) -> AllowRules:
        """These kinds, from everywhere."""
        return cls([AllowRule(frozenset((name.lower(), "") for name in names))])

    @classmethod
    def default(cls, registry: KindRegistry) -> AllowRules:
        """Every kind that its definition allows by default, Locations of type ``file`` not."""
        return cls.of_kinds(kind.name for kind in registry.kinds.values() if kind.default_allowed)

    def as_json(self) -> list[Any]:
        """The rules as plain values; the same for rules that are written the same, in whichever order of kinds."""
        return [
            [
                sorted(rule.kinds),
                None
                if rule.origins is None
                else [(type, test and test.pattern) for type, test in rule.origins],
            ]
            for rule in self.rules
        ]

    def allows(self, entity: Mapping[str, Any], origin: LocationRef) -> bool:
        """Whether an entity may come from an origin; letter case does not count.

        A Location of type ``file`` is only allowed where the rules say so with ``spec.type``, or from an origin that
        is a file itself.
        """
        kind = str(entity.get("kind", "")).lower()
        spec = entity.get("spec")
        spec_type = str(spec.get("type", "")).lower() if isinstance(spec, Mapping) else ""
        wanted = {(kind, spec_type)}
        if kind != "location" or spec_type != "file" or origin.type == "file":
            wanted.add((kind, ""))
        return any(not wanted.isdisjoint(rule.kinds) and _matches(rule, origin) for rule in self.rules)


def _matches(rule: AllowRule, origin: LocationRef) -> bool:
    if rule.origins is None:
        return True
    return any(
        kind == origin.type and (test is None or test.fullmatch(origin.target)) for kind, test in rule.origins
    )


def _rule(item: Mapping[str, Any]) -> AllowRule:
    kinds: set[tuple[str, str]] = set()
    allow = item.get("allow")
    if not isinstance(allow, list):
        raise _bad("an allow rule needs a list allow")
    for entry in allow:
        if isinstance(entry, str):
            kinds.add((entry.lower(), ""))
        elif isinstance(entry, Mapping) and isinstance(entry.get("kind"), str):
            kinds.add((entry["kind"].lower(), str(entry.get("spec.type") or "").lower()))
        else:
            raise _bad(f"{entry!r} is neither a kind nor a mapping with a kind")
    if item.get("locations") is None:
        return AllowRule(frozenset(kinds))
    origins: list[tuple[str, re.Pattern[str] | None]] = []
    for place in item["locations"]:
        if not isinstance(place, Mapping) or not isinstance(place.get("type"), str):
            raise _bad("a location of an allow rule needs a type")
        if "exact" in place and "pattern" in place:
            raise _bad("a location of an allow rule has either exact or pattern")
        test = None
        if "exact" in place:
            test = re.compile(re.escape(place["exact"]))
        elif "pattern" in place:
            test = glob_pattern(place["pattern"])
        origins.append((place["type"], test))
    return AllowRule(frozenset(kinds), tuple(origins))


def glob_pattern(glob: str) -> re.Pattern[str]:
    """A glob as a pattern for the whole text, without regard to letter case.

    ``*`` and ``?`` stop at slashes, ``**`` as a whole path segment does not, ``{a,b}`` and ``[ab]`` choose.
    """
    out: list[str] = []
    position, depth = 0, 0
    while position < len(glob):
        char = glob[position]
        if glob.startswith("**/", position) and (position == 0 or glob[position - 1] == "/"):
            out.append("(?:[^/]+/)*")
            position += 3
            continue
        if glob[position:] == "**" and (position == 0 or glob[position - 1] == "/"):
            out.append(".*")
            break
        if char == "*":
            while glob.startswith("*", position + 1):
                position += 1
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and (end := glob.find("]", position + 2)) > 0:
            inside = glob[position + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]")
            position = end
        elif char == "{" and "}" in glob[position:]:
            out.append("(?:")
            depth += 1
        elif char == "}" and depth:
            out.append(")")
            depth -= 1
        elif char == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(char))
        position += 1
    try:
        return re.compile("".join(out), re.IGNORECASE)
    except re.error as error:
        raise _bad(f"the pattern {glob} cannot be read: {error}") from error


def _bad(message: str) -> InputError:
    return InputError(
        message, code="catalog.rules", remedy="See the allow rules in the documentation of sources."
    )
