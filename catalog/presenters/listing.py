"""The catalog index as a page shows it: facets, chips, columns, and the addresses behind each of them.

Everything a person chose stands in the address (``Asked``); every link of the page is that address with one change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import quote, urlencode

from catalog.presenters.refs import KindBook, Links
from catalog.presenters.rows import EntityRow
from catalog.query import FacetCount

#: Values of a facet that a page shows, and at most after "more".
SHORT_FACET, LONG_FACET = 8, 200
#: Says "has none" in an address; an owner or system that is named has a colon in it.
NOBODY = "none"
_NO_VALUE = {"owner": "No owner", "system": "No system"}


@dataclass(frozen=True, slots=True)
class FacetField:
    """A facet: its word in the address, its title, and the key that the query counts by."""

    word: str
    title: str
    key: str
    open: bool = False


FACETS = (
    FacetField("kind", "Kind", "kind"),
    FacetField("type", "Type", "spec.type", open=True),
    FacetField("lifecycle", "Lifecycle", "spec.lifecycle", open=True),
    FacetField("owner", "Owner", "owner", open=True),
    FacetField("system", "System", "system"),
    FacetField("tag", "Tag", "metadata.tags", open=True),
    FacetField("namespace", "Namespace", "metadata.namespace"),
    FacetField("source", "Source", "source"),
    FacetField("state", "State", "state"),
    FacetField("errors", "Reading", "errors"),
    FacetField("fresh", "Freshness", "fresh"),
    FacetField("refs", "References", "refs"),
)
BY_WORD = {facet.word: facet for facet in FACETS}
_WORDS = {
    "state": {"active": "Fine", "missing": "Source unreadable", "orphaned": "Orphaned"},
    "errors": {"true": "Last one failed", "false": "Fine"},
    "fresh": {"fresh": "Fresh", "stale": "Stale"},
    "refs": {"nothing": "Points to nothing", "found": "All found"},
}

#: Word in the address to the order of the query, and the title of its column (empty: no column of its own).
SORTS = {
    "name": ("label", "Name"),
    "owner": ("owner", "Owner"),
    "type": ("type", "Type"),
    "lifecycle": ("lifecycle", "Lifecycle"),
    "system": ("system", "System"),
    "updated": ("changed_at", "Changed"),
}
#: Times are read newest first.
_DOWN_FIRST = frozenset({"updated"})
_WIDE = frozenset({"lifecycle", "system"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for.

    Attributes:
        include, exclude: word of a facet to values, as they stand in the address.
        sort: a word of ``SORTS``, with ``-`` in front turned round.
        more: the facet that is shown in full, or empty.
        at: the moment, as it stands in the address; empty for now.
    """

    path: str
    include: Mapping[str, tuple[str, ...]]
    exclude: Mapping[str, tuple[str, ...]]
    text: str = ""
    sort: str = "name"
    more: str = ""
    at: str = ""

    @classmethod
    def of(cls, path: str, query: Mapping[str, Sequence[str]]) -> Asked:
        """Reads the parameters of an address; words nobody knows, empty values and unknown orders are left out."""
        include: dict[str, tuple[str, ...]] = {}
        exclude: dict[str, tuple[str, ...]] = {}
        for facet in FACETS:
            values = [v for v in dict.fromkeys(query.get(facet.word, ())) if v and "\0" not in v]
            taken = tuple(v for v in values if not v.startswith("-"))
            left = tuple(v[1:] for v in values if v.startswith("-") and len(v) > 1)
            if taken:
                include[facet.word] = taken
            if left:
                exclude[facet.word] = left
        sort = next(iter(query.get("sort", ())), "")
        return cls(
            path=path,
            include=include,
            exclude=exclude,
            text=next(iter(query.get("q", ())), "").replace("\0", "").strip()[:200],
            sort=sort if sort.removeprefix("-") in SORTS else "name",
            more=next(iter(query.get("more", ())), ""),
            at=next(iter(query.get("at", ())), "").strip()[:40],
        )

    # --- for the query
    def query_include(self) -> dict[str, list[str]]:
        return {BY_WORD[word].key: _values(word, values) for word, values in self.include.items()}

    def query_exclude(self) -> dict[str, list[str]]:
        return {BY_WORD[word].key: _values(word, values) for word, values in self.exclude.items()}

    @property
    def query_order(self) -> str:
        name = SORTS[self.sort.removeprefix("-")][0]
        return f"-{name}" if self.sort.startswith("-") else name

    # --- for links
    def parameters(self) -> list[tuple[str, str]]:
        """Everything asked for, as pairs."""
        pairs = [(word, v) for word, values in self.include.items() for v in values]
        pairs += [(word, f"-{v}") for word, values in self.exclude.items() for v in values]
        if self.text:
            pairs.append(("q", self.text))
        if self.sort != "name":
            pairs.append(("sort", self.sort))
        if self.at:
            pairs.append(("at", self.at))
        return pairs

    def url(self, **extra: str) -> str:
        encoded = urlencode([*self.parameters(), *((k, v) for k, v in extra.items() if v)])
        return f"{self.path}?{encoded}" if encoded else self.path

    def without(self, word: str, value: str | None = None) -> Asked:
        """The same without one value of a facet, or without the facet."""

        def drop(chosen: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
            rest = {
                w: tuple(v for v in values if w != word or (value is not None and v != value))
                for w, values in chosen.items()
            }
            return {w: values for w, values in rest.items() if values}

        return replace(self, include=drop(self.include), exclude=drop(self.exclude))

    def excluding(self, word: str, value: str) -> Asked:
        left = self.without(word, value)
        return replace(left, exclude={**left.exclude, word: (*left.exclude.get(word, ()), value)})

    def only(self, word: str, value: str) -> Asked:
        left = self.without(word)
        return replace(left, include={**left.include, word: (value,)} if value else left.include)

    @property
    def kind(self) -> str:
        """The one kind the list is about, or empty."""
        kinds = self.include.get("kind", ())
        return kinds[0].lower() if len(kinds) == 1 else ""


def _values(word: str, values: Iterable[str]) -> list[str]:
    return ["" if word in _NO_VALUE and value == NOBODY else value for value in values]


# --- what the templates get


@dataclass(frozen=True, slots=True)
class FacetValue:
    value: str
    label: str
    count: int
    on: bool
    excluded: bool
    exclude_url: str


@dataclass(frozen=True, slots=True)
class Facet:
    key: str
    title: str
    open: bool
    values: list[FacetValue]
    chosen: int
    more: int
    more_url: str
    less_url: str


@dataclass(frozen=True, slots=True)
class Chip:
    """An applied filter.

    Attributes:
        text: what it says after its title; ``short`` says all of it in few words.
        without: the length of the list without it, where that was counted.
    """

    title: str
    text: str
    short: str
    remove_url: str
    without: int | None = None


@dataclass(frozen=True, slots=True)
class KindTab:
    title: str
    url: str
    count: int
    current: bool


@dataclass(frozen=True, slots=True)
class ColumnHead:
    word: str
    title: str
    url: str
    sort: str
    wide: bool
    number: bool


@dataclass(frozen=True, slots=True)
class IndexPage:
    """The whole page."""

    title: str
    description: str
    kind: str
    kinds: list[KindTab]
    text: str
    facets: list[Facet]
    chips: list[Chip]
    columns: list[ColumnHead]
    rows: list[EntityRow]
    count: int
    range_text: str
    is_blank: bool
    add_url: str
    clear_url: str
    next_url: str
    previous_url: str
    url: str
    api_url: str
    exports: list[tuple[str, str]]
    feed_url: str
    kept: list[tuple[str, str]]
    kept_filters: list[tuple[str, str]]
    at: datetime | None = None
    now_url: str = ""
    kept_then: list[tuple[str, str]] = field(default_factory=list)
    act_url: str = ""
    operations_url: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """What values of facets are called."""

    kinds: KindBook
    links: Links
    sources: Mapping[str, str]

    def label(self, word: str, value: str) -> str:
        if not value or (word in _NO_VALUE and value == NOBODY):
            return _NO_VALUE.get(word, "none")
        if word in ("owner", "system"):
            return self.links[value.lower()].title
        if word == "source":
            return self.sources.get(value, value)
        if word == "kind":
            return self.kinds[value.lower()].title
        return _WORDS.get(word, {}).get(value, value)


def merged(word: str, counts: Iterable[FacetCount]) -> dict[str, int]:
    """Counts by the value as filters compare it: writings that differ in case are one, named by the most frequent."""
    together: dict[str, list[FacetCount]] = {}
    for item in counts:
        value = NOBODY if word in _NO_VALUE and not item.value else item.value
        together.setdefault(value.lower(), []).append(FacetCount(value, item.count))
    return {
        max(same, key=lambda item: item.count).value: sum(item.count for item in same)
        for same in together.values()
    }


def shown_values(asked: Asked, word: str, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The values a facet shows: what is chosen first, then the most frequent."""
    chosen = [*asked.include.get(word, ()), *asked.exclude.get(word, ())]
    lower = {value.lower(): (value, count) for value, count in counts.items()}
    first = [lower.get(value.lower(), (value, 0)) for value in chosen]
    taken = {value.lower() for value in chosen}
    rest = sorted(
        ((v, n) for v, n in counts.items() if v.lower() not in taken), key=lambda item: (-item[1], item[0])
    )
    limit = LONG_FACET if asked.more == word else SHORT_FACET
    return [*first, *rest[: max(limit - len(first), 0)]]


def facet(asked: Asked, field: FacetField, counts: Mapping[str, int], names: Names) -> Facet | None:
    """One facet; None where there is nothing to choose."""
    word = field.word
    shown = shown_values(asked, word, counts)
    included = {v.lower() for v in asked.include.get(word, ())}
    excluded = {v.lower() for v in asked.exclude.get(word, ())}
    chosen = len(included) + len(excluded)
    if not shown or (len(counts) < 2 and not chosen):
        return None
    values = [
        FacetValue(
            value=value,
            label=names.label(word, value),
            count=count,
            on=value.lower() in included,
            excluded=value.lower() in excluded,
            exclude_url="" if value.lower() in excluded else asked.excluding(word, value).url(),
        )
        for value, count in shown
    ]
    more = len(counts) - len(shown)
    return Facet(
        key=word,
        title=field.title,
        open=field.open or bool(chosen) or asked.more == word,
        values=values,
        chosen=chosen,
        more=max(more, 0),
        more_url=asked.url(more=word) + f"#facet-{word}" if more > 0 and asked.more != word else "",
        less_url=asked.url() + f"#facet-{word}" if asked.more == word else "",
    )


def chips(asked: Asked, names: Names) -> list[Chip]:
    """Every applied filter with the way to remove it. One kind alone is the list itself, not a filter."""
    found = []
    for word, values in asked.include.items():
        if word != "kind" or not asked.kind:
            words = " or ".join(names.label(word, value) for value in values)
            found.append(Chip(BY_WORD[word].title, f"is {words}", words, asked.without(word).url()))
    for word, values in asked.exclude.items():
        for value in values:
            label = names.label(word, value)
            url = asked.without(word, value).url()
            found.append(Chip(BY_WORD[word].title, f"is not {label}", f"not {label}", url))
    if asked.text:
        quoted = f"“{asked.text}”"
        found.append(Chip("Words", quoted, quoted, replace(asked, text="").url()))
    return found


def unfiltered(asked: Asked) -> list[Asked]:
    """The same question without each chip, in the order of ``chips``."""
    found = [asked.without(word) for word in asked.include if word != "kind" or not asked.kind]
    found += [asked.without(word, value) for word, values in asked.exclude.items() for value in values]
    return [*found, replace(asked, text="")] if asked.text else found


def kind_tabs(asked: Asked, counts: Mapping[str, int], kinds: KindBook) -> list[KindTab]:
    """All, and every kind of which there is something, in the order of the kinds."""
    places = {key: place for place, key in enumerate(kinds)}
    lower = {value.lower(): count for value, count in counts.items()}
    keys = sorted(
        {*lower, *([asked.kind] if asked.kind else [])}, key=lambda k: (places.get(k, len(places)), k)
    )
    base = asked.without("type") if asked.kind else asked
    tabs = [KindTab("All", base.without("kind").url(), sum(lower.values()), "kind" not in asked.include)]
    tabs += [
        KindTab(kinds[k].plural, base.only("kind", k).url(), lower.get(k, 0), k == asked.kind) for k in keys
    ]
    return tabs


def columns(asked: Asked) -> list[ColumnHead]:
    """The heads of the table, each with the order that a click on it gives."""
    now, down = asked.sort.removeprefix("-"), asked.sort.startswith("-")
    heads = []
    for word, (_, title) in SORTS.items():
        turned = not down if word == now else word in _DOWN_FIRST
        heads.append(
            ColumnHead(
                word=word,
                title=title,
                url=replace(asked, sort=f"-{word}" if turned else word).url(),
                sort="" if word != now else "descending" if down else "ascending",
                wide=word in _WIDE,
                number=word == "updated",
            )
        )
    return heads


def export_url(asked: Asked, format: str) -> str:
    """Exactly this list as a file."""
    return "/api/catalog/v1/entities?" + urlencode([*asked.parameters(), ("format", format)])


def feed_url(asked: Asked, path: str) -> str:
    """The changes of this list as a feed, at ``path``; its order is that of a feed."""
    pairs = [pair for pair in asked.parameters() if pair[0] != "sort"]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def api_url(asked: Asked) -> str:
    """The same list from the API, where its grammar can say it; else empty."""
    if asked.at:
        return ""
    keys = {"kind": "kind", "type": "spec.type", "lifecycle": "spec.lifecycle", "owner": "relations.ownedBy",
            "system": "relations.partOf", "tag": "metadata.tags", "namespace": "metadata.namespace"}  # fmt: skip
    values = [v for chosen in asked.include.values() for v in chosen]
    if (
        asked.exclude
        or any(word not in keys for word in asked.include)
        or any("," in v or v == NOBODY for v in values)
    ):
        return ""
    statements = ",".join(f"{keys[word]}={v}" for word, chosen in asked.include.items() for v in chosen)
    pairs = [("filter", statements)] if statements else []
    pairs += (
        [
            ("fullTextFilterTerm", asked.text),
            ("fullTextFilterFields", "metadata.name,metadata.title,metadata.description,metadata.tags"),
        ]
        if asked.text
        else []
    )
    return "/api/catalog/entities/by-query?" + urlencode(
        [*pairs, ("limit", "50")], quote_via=quote, safe="=,:/"
    )
