"""Exports: whole lists, in pieces, that can be read again."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import Entity
from catalog.query import EntityQuery
from catalog.services.exports import export as module
from catalog.services.exports import export_entities
from catalog.services.exports.descriptors import Descriptors
from catalog.services.exports.tables import csv_line
from catalog.services.sources import delete_source
from portal.audit.models import AuditEvent
from portal.core.errors import InputError
from portal.core.yaml import load_documents
from tests.factories.catalog import document as made
from tests.factories.catalog import store
from tests.factories.sources import SYSTEM, Folder, component, document, location


def exported(format: str, *, fields: tuple[str, ...] = (), **question: Any) -> bytes:
    query = EntityQuery(SYSTEM, **{"order": "label", **question})
    _, pieces = export_entities(actor=SYSTEM, query=query, format=format, fields=fields, question="kind=x")
    return b"".join(pieces)


@pytest.mark.django_db
def test_ndjson_has_the_documents_as_the_catalog_hands_them_out() -> None:
    store([made("b", title="Zulu"), made("a"), made("c", kind="API")])

    lines = exported("ndjson", include={"kind": ["component"]}).splitlines()

    assert [orjson.loads(line)["metadata"]["name"] for line in lines] == ["a", "b"]
    stored = {e.ref: e.document.text for e in Entity.objects.unrestricted("test").select_related("document")}
    assert lines[0].decode() == stored["component:default/a"]
    assert exported("ndjson", fields=("metadata.name",), include={"kind": ["api"]}) == (
        b'{"metadata":{"name":"c"}}\n'
    )


@pytest.mark.django_db
def test_json_is_one_list() -> None:
    assert exported("json") == b"[]"
    store([made("a"), made("b")])
    assert [d["metadata"]["name"] for d in orjson.loads(exported("json"))] == ["a", "b"]


@pytest.mark.django_db
def test_a_table_has_sensible_columns_or_those_that_were_asked_for() -> None:
    store(
        [
            made(
                "a",
                title="A, the first",
                tags=["java", "web"],
                description="Two\nlines",
                spec={"type": "service", "lifecycle": "production", "ports": [1, 2], "deep": {"x": True}},
                relations=[("ownedBy", "group:default/team"), ("partOf", "system:default/store")],
            )
        ]
    )

    head, row = csv.reader(io.StringIO(exported("csv").decode()))
    values = dict(zip(head, row, strict=True))
    assert values["ref"] == "component:default/a"
    assert (values["title"], values["tags"], values["description"]) == (
        "A, the first",
        "java, web",
        "Two\nlines",
    )
    assert (values["owner"], values["system"]) == ("group:default/team", "system:default/store")
    assert (values["type"], values["lifecycle"], values["state"]) == ("service", "production", "active")

    fields = ("metadata.name", "spec.ports", "spec.deep.x", "spec.nothing")
    assert list(csv.reader(io.StringIO(exported("csv", fields=fields).decode()))) == [
        ["ref", *fields],
        ["component:default/a", "a", "[1,2]", "true", ""],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=cmd"])
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_line([text]).decode(), newline=""))
    assert row == [f"'{text}"]


@pytest.mark.parametrize("text", ["-1.5", "+3", "a=b", "", "2 - 1"])
def test_numbers_and_other_texts_stay_as_they_are(text: str) -> None:
    assert list(csv.reader(io.StringIO(csv_line([text, "x"]).decode()))) == [[text, "x"]]


@pytest.mark.django_db
def test_lists_are_read_in_batches_and_what_changes_meanwhile_is_told_as_it_is_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    entities = store([made(f"c{n}") for n in range(6)])
    count, pieces = export_entities(
        actor=SYSTEM, query=EntityQuery(SYSTEM, order="label"), format="ndjson", question=""
    )
    first = next(pieces)

    gone, renamed = entities[3], entities[4]
    Entity.objects.unrestricted("test").filter(pk=gone.pk).delete()
    Entity.objects.filter(pk=renamed.pk).update(label="a")  # its place in the list is another now
    store([made("c9")])

    names = [orjson.loads(line)["metadata"]["name"] for line in b"".join([first, *pieces]).splitlines()]
    assert names == ["c0", "c1", "c2", "c4", "c5"]
    assert count == 6


@pytest.mark.req("R123")
@pytest.mark.django_db
def test_every_export_is_audited() -> None:
    store([made("a"), made("b")])

    exported("csv", fields=("spec.type",))

    event = AuditEvent.objects.get(verb="catalog.entities.exported")
    assert event.actor == SYSTEM.actor
    assert event.after == {"format": "csv", "question": "kind=x", "fields": ["spec.type"], "entities": 2}


@pytest.mark.django_db
def test_what_cannot_be_exported_is_refused() -> None:
    with pytest.raises(InputError, match="no format"):
        exported("xlsx")
    with pytest.raises(InputError, match="whole"):
        exported("yaml", fields=("spec",))


# --- descriptors that can be read again


@pytest.mark.django_db(transaction=True)
def test_exported_descriptors_declare_the_same_entities(tmp_path: Path, settings: Any) -> None:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    folder = Folder(tmp_path / "one", "one")
    folder.write("root.yaml", location("all", "./parts/a.yml"))
    folder.write(
        "parts/a.yml",
        component(
            "shop",
            extra='title: "yes"\ndescription: |\n  Two\n  lines\ntags: [java]',
            dependsOn="[component:till]",
        ),
        component("till", extra="annotations:\n  example.org/on-call: '0o17'"),
    )
    folder.write(
        "people.yaml",
        "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: platform\n"
        "spec:\n  type: team\n  children: []\n",
    )
    folder.sync()
    refs = ["component:default/shop", "component:default/till", "group:default/platform"]
    before = {ref: document(ref) for ref in refs}
    text = exported("yaml").decode()
    assert "kind: Location" not in text
    assert folder.source is not None
    delete_source(actor=SYSTEM, source=folder.source)
    assert not Entity.objects.unrestricted("test").exists()

    again = Folder(tmp_path / "two", "two")
    again.write("all.yaml", text)
    again.sync()

    assert [problem.rule for problem in again.problems] == ["catalog.annotation.unknown"]
    own = Entity.objects.unrestricted("test").exclude(kind="location")
    assert sorted(own.values_list("ref", flat=True)) == refs
    for ref in refs:
        assert written(document(ref)) == written(before[ref])


def written(found: dict[str, Any]) -> dict[str, Any]:
    """A document without what names its place and number."""
    for name in ("uid", "etag"):
        del found["metadata"][name]
    for name in ("managed-by-location", "managed-by-origin-location"):
        del found["metadata"]["annotations"][f"backstage.io/{name}"]
    return found


@pytest.mark.django_db
def test_addresses_that_the_catalog_made_of_the_place_are_left_out_and_those_of_the_author_stay() -> None:
    place = "url:https://github.com/acme/shop/blob/main/catalog-info.yaml"
    added = {
        "backstage.io/managed-by-location": place,
        "backstage.io/managed-by-origin-location": place,
        "backstage.io/view-url": "https://github.com/acme/shop/blob/main/catalog-info.yaml",
        "backstage.io/edit-url": "https://github.com/acme/shop/edit/main/catalog-info.yaml",
    }
    own = {"backstage.io/source-location": "url:https://elsewhere.example/", "example.org/a": "b"}

    found = Descriptors(locations=False).descriptor(made("a", annotations={**added, **own}))

    assert found["metadata"]["annotations"] == own
    assert "relations" not in found
    assert list(found) == ["apiVersion", "kind", "metadata", "spec"]


TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc"))),
    st.sampled_from(
        ["yes", "on", "null", "~", "1e3", "0o17", "0x1f", "1_000", "12:30:00", "2024-01-01", ".inf", "=", "<<",
         "- a", "a: b", "#", "a\nb", "a\n", "\na", " a\n b ", "'", '"', "%x", "@x", "`x", "|", ">", "!", "&a", "*a"]
    ),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        TEXTS,
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.none(),
        st.floats(-1e6, 1e6).map(lambda f: f + 0.5),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3))
def test_every_value_reads_back_as_it_was(spec: dict[str, Any]) -> None:
    descriptors = Descriptors.__new__(Descriptors)  # its hosts come from the database
    descriptors.locations, descriptors.hosts = False, None  # type: ignore[assignment]  # not asked without a place

    text = descriptors.document("component", orjson.dumps(made("a", spec=spec)).decode())

    (found,) = load_documents(text)
    assert found.value["spec"] == spec
