"""The finished document."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from catalog.ingest.final import final_document

UID = "11111111-1111-4111-8111-111111111111"


def entity(**annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "ü", "namespace": "default", "annotations": annotations},
        "spec": {"b": 1, "a": None},
    }


def test_relations_are_distinct_and_sorted_and_the_authors_order_of_keys_stays() -> None:
    text, etag = final_document(
        entity(), uid=UID, relations=[("b", "x:a/b"), ("a", "z:a/b"), ("b", "x:a/a"), ("a", "z:a/b")]
    )
    assert text == (
        '{"apiVersion":"backstage.io/v1alpha1","kind":"Component","metadata":{"name":"ü","namespace":"default",'
        f'"annotations":{{}},"uid":"{UID}","etag":"{etag}"}},"spec":{{"b":1,"a":null}},"relations":['
        '{"type":"a","targetRef":"z:a/b"},{"type":"b","targetRef":"x:a/a"},{"type":"b","targetRef":"x:a/b"}]}'
    )


def test_the_etag_is_the_hash_of_the_document_with_sorted_keys_before_uid_and_etag() -> None:
    _, etag = final_document(entity(x="y"), uid=UID, relations=[])
    document = {**entity(x="y"), "relations": []}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert etag == hashlib.sha1(text.encode()).hexdigest()
    assert final_document(entity(x="y"), uid="other", relations=[])[1] == etag
    assert final_document(entity(x="z"), uid=UID, relations=[])[1] != etag
    assert final_document(entity(x="y"), uid=UID, relations=[("a", "b:c/d")])[1] != etag


def test_an_authors_etag_is_kept_and_uid_is_not() -> None:
    value = entity()
    value["metadata"].update(uid="written", etag="mine")
    text, etag = final_document(value, uid=UID, relations=[])
    assert etag == "mine"
    assert json.loads(text)["metadata"] == {**value["metadata"], "uid": UID}
    assert value["metadata"]["uid"] == "written"


def test_orphans_are_marked_and_a_failed_processing_is_told() -> None:
    status = {"items": [{"type": "backstage.io/catalog-processing", "level": "error", "message": "x"}]}
    body = json.loads(final_document(entity(a="b"), uid=UID, relations=[], orphan=True, status=status)[0])
    assert body["metadata"]["annotations"] == {"a": "b", "backstage.io/orphan": "true"}
    assert body["status"] == status
    assert "status" not in json.loads(final_document(entity(), uid=UID, relations=[])[0])


def test_an_address_that_would_run_a_script_is_replaced() -> None:
    value = entity(
        **{
            "backstage.io/view-url": " JaVa\nScript:alert(1)",
            "backstage.io/edit-url": "https://x",
            "a": "javascript:x",
        }
    )
    annotations = json.loads(final_document(value, uid=UID, relations=[])[0])["metadata"]["annotations"]
    assert annotations == {
        "backstage.io/view-url": "https://backstage.io/annotation-rejected-for-security-reasons",
        "backstage.io/edit-url": "https://x",
        "a": "javascript:x",
    }
