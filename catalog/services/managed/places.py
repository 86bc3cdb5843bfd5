"""Sources of type ``managed``: made when somebody first writes, never read from outside."""

from __future__ import annotations

from catalog.exceptions import SourceTakenError
from catalog.models import Source
from catalog.services.sources import create_source
from portal.access.viewer import Viewer
from portal.core.errors import ConflictError

DEFAULT_NAME = "Callboard"
REASON = "which source keeps what is written here"


def managed_source(*, actor: Viewer, name: str = DEFAULT_NAME) -> Source:
    """The source of type ``managed`` of this name, made now where there is none.

    Raises:
        ConflictError: another type of source has the name, or the source is switched off.
    """
    rows = Source.objects.unrestricted(REASON).filter(name=name)
    source = rows.first()
    if source is None:
        try:
            source = create_source(
                actor=actor,
                target=name,
                name=name,
                type=Source.Type.MANAGED,
                registered_by=Source.RegisteredBy.API,
                sync=False,
                interval=0,
            )
        except SourceTakenError:  # made by somebody else just now
            source = rows.first()
            if source is None:
                raise
    if source.type != Source.Type.MANAGED:
        raise ConflictError(
            f"The source {name} is read from {source.target}; nothing can be written into it.",
            code="catalog.write.not-managed",
            remedy="Name another source with ?source=, or leave it out.",
        )
    if not source.enabled:
        raise ConflictError(
            f"The source {name} is switched off.",
            code="catalog.write.disabled",
            remedy="Have a platform admin enable it.",
        )
    return source
