"""What a caller says about the version it has seen (RFC 9110, conditional requests)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.exceptions import PreconditionRequiredError
from portal.core.errors import InputError, PreconditionFailedError

ANY = "*"
_TAGS = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*')


@dataclass(frozen=True, slots=True)
class Precondition:
    """The two conditions of a write. A condition is ``None`` where it was not named, ``("*",)`` for any version.

    Attributes:
        match: etags of which one has to be the present one.
        none_match: etags of which none may be the present one; ``("*",)`` only creates.
    """

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None

    @classmethod
    def of_headers(cls, if_match: str | None, if_none_match: str | None) -> Precondition:
        """As the headers say; a weak etag never matches, as nothing here is weak.

        Raises:
            InputError: a header is no list of etags.
        """
        return cls(_tags("If-Match", if_match), _tags("If-None-Match", if_none_match))

    @property
    def is_given(self) -> bool:
        return self.match is not None or self.none_match is not None

    def check(self, ref: str, etag: str | None) -> None:
        """Hold the conditions against the present etag; None where nothing is there.

        Raises:
            PreconditionFailedError: with the present etag in ``details``.
        """
        if self.match is not None and (etag is None or not {ANY, etag} & set(self.match)):
            raise _failed(ref, etag)
        if self.none_match is not None and etag is not None and {ANY, etag} & set(self.none_match):
            raise _failed(ref, etag)

    def require(self, ref: str, etag: str) -> None:
        """Raises PreconditionRequiredError where none was given."""
        if not self.is_given:
            raise PreconditionRequiredError(
                f"{ref} is there already, and the request does not say which version of it was seen.",
                remedy=f'Send If-Match: "{etag}" (the present version), or If-Match: * for any.',
                details={"etag": etag},
            )


#: Nothing said.
NO_CONDITION = Precondition()
#: Any version will do.
ANY_VERSION = Precondition(match=(ANY,))


def _failed(ref: str, etag: str | None) -> PreconditionFailedError:
    if etag is None:
        return PreconditionFailedError(
            f"{ref} is not there (any more).",
            code="catalog.write.changed",
            remedy="Leave If-Match out to create it.",
            details={"etag": None},
        )
    return PreconditionFailedError(
        f"{ref} is another version by now.",
        code="catalog.write.changed",
        remedy="Read it again, apply your change to that, and send its etag as If-Match.",
        details={"etag": etag},
    )


def _tags(header: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    if text.strip() == ANY:
        return (ANY,)
    tags = []
    for part in text.split(","):
        found = _TAGS.fullmatch(part)
        if found is None:
            raise InputError(
                f"{header} holds {part.strip()[:60]!r}, which is no etag.",
                code="api.etag",
                remedy='Write it in quotes: "5f2c…", or send *.',
            )
        if not found[1]:
            tags.append(found[2])
    return tuple(tags)


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether a reader has this version already; for reading, weak etags are as good."""
    if if_none_match is None:
        return False
    found = (_TAGS.fullmatch(part) for part in if_none_match.split(","))
    return if_none_match.strip() == ANY or any(tag is not None and tag[2] == etag for tag in found)
