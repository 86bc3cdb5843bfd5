"""Which sources a push is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q

from catalog.ingest.pushes.addresses import Place, place_in, repository_key
from catalog.ingest.pushes.events import Change, PushEvent
from catalog.ingest.sources.reach import known_hosts
from catalog.models import Hook, Source, SourceFile
from portal.connections.selectors import host_configs
from portal.core.querysets import GuardedQuerySet

REASON = "a push is looked up for the system"
# Characters that stand for themselves in every writing of an address.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._~/")


@dataclass(slots=True)
class Match:
    """Sources by what a push means to them, each in order of their keys.

    Attributes:
        read: they follow what was pushed.
        elsewhere: they read that repository, at another branch, tag or commit.
        off: they would follow it, but are switched off.
        unknown: names that the delivery gave and nobody has.
    """

    read: list[Source] = field(default_factory=list)
    elsewhere: list[Source] = field(default_factory=list)
    off: list[Source] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[Source]:
        return [*self.read, *self.off, *self.elsewhere]


def sources_of(hook: Hook, event: PushEvent) -> Match:
    """The sources that a hook may read and that a push is about. At most four statements.

    Of a repository that moved or went, all sources that read it, whatever their branch.
    """
    allowed = Source.objects.unrestricted(REASON)
    if hook.limited:
        allowed = allowed.filter(pk__in=hook.sources.through.objects.filter(hook=hook).values("source"))
    if event.sources:
        return _named(allowed, event.sources)
    keys = {key for address in event.addresses if (key := repository_key(address))}
    if not keys:
        return Match()
    hosts = known_hosts(host_configs())
    found: dict[UUID, bool] = {}  # whether it follows the push
    sources = {
        source.pk: source
        for source in allowed.exclude(type=Source.Type.FILE).filter(_mentions("target", keys)).order_by("pk")
    }
    for source in sources.values():
        place = place_in(source.target, keys, hosts)
        if place is not None:
            place = Place(source.branch) if source.type == Source.Type.GIT and source.branch else place
            found[source.pk] = _follows(place, event)
    # Locations of other sources lead into the repository as well.
    files = SourceFile.objects.unrestricted(REASON).filter(_mentions("url", keys), source__in=allowed)
    sure = [key for key, follows in found.items() if follows]
    for reader, url in (
        files.exclude(source__in=sure).order_by("source").values_list("source", "url").iterator()
    ):
        if not found.get(reader) and (place := place_in(url, keys, hosts)) is not None:
            found[reader] = _follows(place, event)
    more = allowed.filter(pk__in=found.keys() - sources.keys())
    sources.update((source.pk, source) for source in more)
    return _sorted(sources, found)


def _sorted(sources: dict[UUID, Source], found: dict[UUID, bool]) -> Match:
    match = Match()
    for key in sorted(found):
        if key not in sources:
            continue  # it went a moment ago
        source = sources[key]
        if not found[key]:
            match.elsewhere.append(source)
        elif source.enabled:
            match.read.append(source)
        else:
            match.off.append(source)
    return match


def _named(allowed: GuardedQuerySet[Source], names: tuple[str, ...]) -> Match:
    ids = []
    for name in names:
        try:
            ids.append(UUID(name))
        except ValueError:
            continue
    rows = list(allowed.filter(Q(name__in=names) | Q(pk__in=ids)).order_by("pk"))
    known = {row.name for row in rows} | {str(row.pk) for row in rows}
    return Match(
        read=[row for row in rows if row.enabled],
        off=[row for row in rows if not row.enabled],
        unknown=[name for name in names if name not in known and name.lower() not in known],
    )


def _mentions(column: str, keys: set[str]) -> Q:
    """Rows that may be about one of the repositories: cheap, and never too few. ``place_in`` decides."""
    condition = Q(pk__in=[])
    for key in keys:
        path = key.removeprefix("file://")
        path = path if key.startswith("file://") else path[path.find("/") :]
        if not set(path.casefold()) <= _PLAIN:
            return Q()  # it may be written in several ways
        # In the short form git@host:acme/shop no slash stands before the path.
        condition |= Q((f"{column}__icontains", path.lstrip("/")))
    return condition


def _follows(place: Place, event: PushEvent) -> bool:
    if event.kind != "push":
        return True
    return any(_is_about(place, change, event.default_branch) for change in event.changes)


def _is_about(place: Place, change: Change, default_branch: str) -> bool:
    if change.deleted:
        return False
    if not change.name or place.ref is None:  # one of the two does not know the branch: reading it will tell
        return not change.is_tag
    if place.follows_default:
        # A host that does not say which branch that is: an unchanged repository is soon seen to be one.
        return not change.is_tag and default_branch in ("", change.name)
    return place.is_at(change.name)
