"""An Atom feed (RFC 4287)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

_ATOM = "http://www.w3.org/2005/Atom"
#: When nothing has happened yet.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
#: Characters that XML cannot hold.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One change.

    Attributes:
        id: an address or URN that this change keeps and no other has.
        url: absolute, of the page about it.
    """

    id: str
    title: str
    url: str
    summary: str
    updated: datetime
    published: datetime
    category: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed; ``url`` is where people look at the same, ``self_url`` where it is read from."""

    id: str
    title: str
    url: str
    self_url: str
    entries: Sequence[FeedEntry]

    @property
    def updated(self) -> datetime:
        return max((entry.updated for entry in self.entries), default=_NEVER)


def change_id(uid: uuid.UUID, at: datetime) -> str:
    """The same for the same change of the same entity, on every machine."""
    return uuid.uuid5(uid, at.astimezone(UTC).isoformat()).urn


def _text(value: str) -> str:
    return _ILLEGAL.sub("\ufffd", value)


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def as_atom(feed: Feed) -> bytes:
    """The feed as XML."""
    root = Element("feed", xmlns=_ATOM)
    SubElement(root, "id").text = _text(feed.id)
    SubElement(root, "title").text = _text(feed.title)
    SubElement(root, "updated").text = _time(feed.updated)
    SubElement(root, "link", rel="self", type="application/atom+xml", href=_text(feed.self_url))
    SubElement(root, "link", rel="alternate", type="text/html", href=_text(feed.url))
    SubElement(SubElement(root, "author"), "name").text = "Callboard"
    SubElement(root, "generator").text = "Callboard"
    for entry in feed.entries:
        node = SubElement(root, "entry")
        SubElement(node, "id").text = entry.id
        SubElement(node, "title").text = _text(entry.title)
        SubElement(node, "link", rel="alternate", type="text/html", href=_text(entry.url))
        SubElement(node, "updated").text = _time(entry.updated)
        SubElement(node, "published").text = _time(entry.published)
        SubElement(node, "summary").text = _text(entry.summary)
        if entry.category:
            SubElement(node, "category", term=_text(entry.category))
    return tostring(root, encoding="utf-8", xml_declaration=True)
