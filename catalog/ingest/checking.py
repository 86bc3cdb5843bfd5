"""One entity for itself, checked like those of a source."""

from __future__ import annotations

from typing import Any

from catalog.ingest.problems import Problem
from catalog.ingest.process import process_document
from catalog.ingest.sources import ReadSession
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.errors import CallboardError, NotFoundError


def check_entity(
    entity: dict[str, Any], place: LocationRef, *, session: ReadSession, registry: KindRegistry
) -> list[Problem]:
    """Everything that is wrong with one entity; the targets of a Location are read as well.

    Raises:
        Rejected: with all problems.
    """
    processed = process_document(
        entity,
        location=place,
        origin=place,
        registry=registry,
        hosts=session.hosts,
        read_placeholder=lambda named: session.read(named).data,
    )
    problems = list(processed.warnings)
    for target in processed.targets:
        try:
            for location in session.expand(target):
                session.read(location)
        except CallboardError as error:
            if not (processed.presence == "optional" and isinstance(error, NotFoundError)):
                problems.append(
                    Problem(
                        rule=error.code,
                        message=error.message,
                        remedy=error.remedy,
                        error_name=error.name,
                        path="/spec",
                    )
                )
    return problems
