"""Who may see which events: the room that owns a type says how its subjects are narrowed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from portal.access.viewer import VIEW, Viewer

#: Of these subjects, the ones that the viewer may see. Called with a batch; one statement for all of them, please.
Visible = Callable[[Viewer, Collection[str]], Collection[str]]


class Described(Protocol):
    """What an event is known by."""

    @property
    def type(self) -> str: ...

    @property
    def subject(self) -> str: ...


class EventTypes:
    """Types of events by prefix. A type that nobody registered is for staff only."""

    def __init__(self) -> None:
        self._visible: dict[str, Visible] = {}

    def register(self, prefix: str, *, visible: Visible) -> None:
        """Say who sees the events of a type and of all types below it.

        Args:
            prefix: such as ``catalog.entity``: that type, and ``catalog.entity.changed`` and the like.
            visible: given a viewer and subjects, returns those that the viewer may see.
        """
        self._visible[prefix.rstrip(".")] = visible

    def rule_for(self, type: str) -> Visible | None:
        """The rule of the longest registered prefix; None for types of nobody."""
        parts = type.split(".")
        for length in range(len(parts), 0, -1):
            rule = self._visible.get(".".join(parts[:length]))
            if rule is not None:
                return rule
        return None

    def visible(self, viewer: Viewer, events: Sequence[Described]) -> list[bool]:
        """For each event whether ``viewer`` may see it. Asks each rule once."""
        if viewer.is_system:
            return [True] * len(events)
        if not viewer.allows(VIEW):
            return [False] * len(events)
        asked: dict[Visible, set[str]] = {}
        rules = [self.rule_for(event.type) for event in events]
        for rule, event in zip(rules, events, strict=True):
            if rule is not None:
                asked.setdefault(rule, set()).add(event.subject)
        answers = {rule: frozenset(rule(viewer, subjects)) for rule, subjects in asked.items()}
        return [
            viewer.is_staff if rule is None else event.subject in answers[rule]
            for rule, event in zip(rules, events, strict=True)
        ]


def everyone(viewer: Viewer, subjects: Collection[str]) -> Collection[str]:
    """For types that everybody signed in may see."""
    return subjects


event_types = EventTypes()
