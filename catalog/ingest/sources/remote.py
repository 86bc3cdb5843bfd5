"""The catalog of another instance over stock paths: what it lists, whole entities by reference, its locations.

Every answer is a stranger's: sizes, numbers of pages and shapes are checked here, so that nothing that it says can cost
more than a failed reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from catalog.ingest.sources.base import UnreadableError
from catalog.ingest.sources.session import ReadSession
from catalog.refs import DEFAULT_NAMESPACE, LocationRef, canonical
from portal.connections.hosts import place_of
from portal.core.errors import NotFoundError, TooLargeError
from portal.core.http import HttpStatusError, Response

#: Entities on one page of the listing. Stock knows no limit; a page of 1,000 has about 200 kB.
PAGE = 1_000
#: A listing longer than this is no catalog but a loop.
MOST_PAGES = 2_000
MOST_ENTITIES = 200_000
#: Of one question by references: stock's own client asks for 1,000, in a body below the 100 kB its servers take.
CHUNK_REFS = 500
CHUNK_BYTES = 90_000
MOST_LOCATIONS = 20_000
ATTEMPTS = 3
_LISTED_FIELDS = "kind,metadata.namespace,metadata.name,metadata.uid,metadata.etag"
_LONGEST_PART = 63
_LONGEST_CURSOR = 12_000


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the listing.

    Attributes:
        kind: as written there.
        version: of uid and etag; changes when the entity may have. Empty where nobody knows.
    """

    ref: str
    kind: str
    version: str


class RemoteCatalog:
    """Another instance's catalog API. Not for several threads.

    Args:
        base: address of the API, without a slash at the end.
        filters: in stock's grammar; an entity that matches one of them is listed. None for all.

    Attributes:
        requests, bytes: what was asked for and read so far.
        pages: of the listing.
        unreadable: lines of the listing that name no entity.
    """

    def __init__(self, session: ReadSession, base: str, filters: Sequence[str] = ()) -> None:
        self.base = base.rstrip("/")
        self.filters = tuple(filters)
        self.requests = self.bytes = self.pages = self.unreadable = 0
        self._session = session
        self._limit = session.limits.file_bytes + 65_536

    def address(self, ref: str) -> str:
        """Where an entity is to be had there."""
        kind, _, rest = ref.partition(":")
        return (
            f"{self.base}/entities/by-name/{'/'.join(quote(p, safe='') for p in (kind, *rest.split('/', 1)))}"
        )

    def listing(self) -> Iterator[list[Listed]]:
        """Everything that it has, page by page.

        Raises:
            CallboardError: the next page cannot be had; what came before holds.
        """
        cursor: Any = ""
        seen: set[bytes] = set()
        count = 0
        while True:
            asked = [("fields", _LISTED_FIELDS), ("limit", str(PAGE))]
            asked += [("cursor", cursor)] if cursor else [("filter", text) for text in self.filters]
            answer = self._ask("GET", f"/entities/by-query?{urlencode(asked)}")
            items = answer.get("items") if isinstance(answer, dict) else None
            if not isinstance(items, list):
                raise self._strange("/entities/by-query")
            self.pages += 1
            count += len(items)
            yield [listed for item in items if (listed := self._listed(item)) is not None]
            page = answer.get("pageInfo")
            cursor = page.get("nextCursor") if isinstance(page, dict) else ""
            if not cursor:
                return
            if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR:
                raise self._strange("/entities/by-query")
            mark = hashlib.sha1(cursor.encode("utf-8", "replace"), usedforsecurity=False).digest()
            if mark in seen or self.pages >= MOST_PAGES or count >= MOST_ENTITIES:
                raise UnreadableError(
                    f"The listing of {self.base} does not end: {self.pages} pages, {count} entities"
                    f"{', and a page that was there before' if mark in seen else ''}.",
                    code="catalog.remote.endless",
                    remedy="Check that instance, or take a part of it with a filter.",
                )
            seen.add(mark)

    def _listed(self, item: Any) -> Listed | None:
        ref = ref_of(item)
        if not ref:
            self.unreadable += 1
            return None
        return Listed(ref, item["kind"], version_of(item))

    def by_refs(self, refs: Sequence[str], *, brief: bool = False) -> list[Any]:
        """Entities in the order of ``refs``; None for such as it does not have.

        Args:
            brief: only such as match the filters, and only what :func:`version_of` needs.

        Raises:
            TooLargeError: they are too large together.
            CallboardError: they cannot be had just now, or the answer is something else.
        """
        body: dict[str, Any] = {"entityRefs": list(refs)}
        path = "/entities/by-refs"
        if brief:
            body["fields"] = _LISTED_FIELDS.split(",")
            path += f"?{urlencode([('filter', text) for text in self.filters])}" if self.filters else ""
        answer = self._ask("POST", path, content=orjson.dumps(body))
        items = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(items, list) or len(items) != len(refs):
            raise self._strange(path)
        return items

    def locations(self) -> list[LocationRef]:
        """What is registered there, of any type.

        Raises:
            CallboardError: it does not say.
        """
        answer = self._ask("GET", "/locations")
        if not isinstance(answer, list):
            raise self._strange("/locations")
        found = []
        for item in answer[:MOST_LOCATIONS]:
            data = item.get("data") if isinstance(item, dict) else None
            kind, target = (data.get("type"), data.get("target")) if isinstance(data, dict) else (None, None)
            if _is_text(kind, 100) and _is_text(target, 2_000):
                found.append(LocationRef(str(kind), str(target)))
        return found

    def _ask(self, method: str, path: str, content: bytes = b"") -> Any:
        url = f"{self.base}{path}"
        headers = {"content-type": "application/json", "accept": "application/json"}
        self.requests += 1
        if self.bytes > self._session.limits.total_bytes:
            raise UnreadableError(
                f"{self.base} sent more than {self._session.limits.total_bytes} bytes; the rest is not read.",
                code="catalog.remote.total",
                remedy="Take a part of it with a filter.",
            )
        try:
            # Asking by references changes nothing there, so it may be tried again like reading.
            response = self._session.ask(
                method, url, headers=headers, content=content, max_bytes=self._limit, attempts=ATTEMPTS
            )
        except NotFoundError as error:
            raise UnreadableError(
                f"There is no catalog at {self.base}: {error.message}",
                code="catalog.remote.not-found",
                remedy="Write the address of its catalog API, such as https://backstage.example.com/api/catalog.",
            ) from error
        except HttpStatusError as error:
            raise self._said_no(error) from error
        except TooLargeError:
            self.bytes += self._limit
            raise
        self.bytes += len(response.body)
        return self._parsed(response, path)

    def _parsed(self, response: Response, path: str) -> Any:
        try:
            return response.json()
        except HttpStatusError as error:
            raise self._strange(path) from error
        except RecursionError:
            raise TooLargeError(
                f"{response.url} is nested too deeply.",
                code="catalog.remote.too-deep",
                remedy="Flatten it there.",
            ) from None

    def _said_no(self, error: HttpStatusError) -> HttpStatusError | UnreadableError:
        """The same with a remedy for those who look after sources and connections."""
        status, name = error.http_status, self._session.connection_name(self.base)
        if 300 <= status < 400:
            return UnreadableError(
                f"{self.base} sends readers on to another address (status {status}).",
                code="catalog.remote.redirect",
                remedy="Register the address that it leads to; a page for signing in is none.",
            )
        if status not in (401, 403):
            return error
        host = place_of(self.base)[0]
        if not name:
            return UnreadableError(
                f"{self.base} wants a credential (status {status}), and there is no connection for {host}.",
                code="catalog.remote.credential",
                remedy=f"Add one: manage.py connection add NAME --host {host} --credential env:VARIABLE, with a static"
                " token of that instance in the variable.",
            )
        return UnreadableError(
            f"{self.base} refuses the credential of the connection {name} (status {status}).",
            code="catalog.remote.credential",
            remedy=f"Put a static token of that instance that may read its catalog where the connection {name} says,"
            " then choose Check on it.",
        )

    def _strange(self, path: str) -> UnreadableError:
        return UnreadableError(
            f"{self.base}{path.partition('?')[0]} answers unlike the catalog of a Backstage-compatible instance.",
            code="catalog.remote.strange",
            remedy="Check the address: it ends with /api/catalog.",
        )


def ref_of(item: Any) -> str:
    """The canonical reference of what another instance sent; empty where that names no entity."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(metadata, dict):
        return ""
    parts: list[Any] = [
        item.get("kind"),
        metadata.get("namespace") or DEFAULT_NAMESPACE,
        metadata.get("name"),
    ]
    if not all(_is_text(part, _LONGEST_PART) and not {"/", ":"} & set(part) for part in parts):
        return ""
    return canonical(*parts)


def version_of(item: dict[str, Any]) -> str:
    """Of uid and etag of an entity; empty where it does not tell one state from another."""
    uid, etag = item["metadata"].get("uid"), item["metadata"].get("etag")
    return f"{uid or ''}\0{etag}" if etag and isinstance(etag, str) else ""


def in_chunks(refs: Sequence[str]) -> Iterator[list[str]]:
    """Parts that another instance takes in one question."""
    chunk: list[str] = []
    size = 0
    for ref in refs:
        length = len(ref.encode()) + 3  # quotes and comma
        if chunk and (len(chunk) >= CHUNK_REFS or size + length > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(ref)
        size += length
    if chunk:
        yield chunk


def fetched(remote: RemoteCatalog, refs: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """(reference, entity or None), or (reference, error) for one that alone is too much.

    Where the answer for many is too large, halves are asked for, so that one oversized entity costs no other.

    Raises:
        CallboardError: it cannot be asked any further.
    """
    try:
        items = remote.by_refs(refs)
    except TooLargeError as error:
        if len(refs) == 1:
            yield refs[0], error
            return
        half = len(refs) // 2
        yield from fetched(remote, refs[:half])
        yield from fetched(remote, refs[half:])
        return
    yield from zip(refs, items, strict=True)


def _is_text(value: Any, longest: int) -> bool:
    """Whether a value is a text that can be stored: not empty, no NUL, no half characters."""
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
