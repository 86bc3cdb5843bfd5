"""The shape of names, labels, tags and links (catalog format, field formats)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from catalog.ingest.problems import Fix, Problem, pointer, shorten, yaml_text
from catalog.ingest.urls import is_url

_SUFFIX = re.compile(r"[A-Za-z0-9]{1,63}\Z")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}\Z")
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_LABEL = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*\Z")
_TAG = re.compile(r"[a-z0-9:+#]+(?:-[a-z0-9:+#]+)*\Z")

_NAME_SHAPE = (
    "a string that is sequences of [a-zA-Z0-9] separated by any of [-_.], at most 63 characters in total"
)
_NAMESPACE_SHAPE = "a string that is sequences of [a-z0-9] separated by [-], at most 63 characters in total"
_TAG_SHAPE = "a string that is sequences of [a-z0-9:+#] separated by [-], at most 63 characters in total"
_KEY_SHAPE = (
    "a valid prefix and/or suffix: a name of [a-zA-Z0-9] separated by any of [-_.], at most 63 characters,"
    " alone or after a lower case domain and a slash"
)


def is_dns_label(text: str) -> bool:
    """1 to 63 lower-case letters and digits, with hyphens inside."""
    return len(text) <= 63 and _LABEL.match(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """DNS labels with dots between, 253 characters at most."""
    return len(text) <= 253 and all(map(is_dns_label, text.split(".")))


@lru_cache(maxsize=512)
def is_api_version(text: str) -> bool:
    """``v1`` or ``domain/v1``."""
    prefix, slash, suffix = text.rpartition("/")
    return _SUFFIX.match(suffix) is not None and (not slash or is_dns_subdomain(prefix))


def is_kind(text: str) -> bool:
    """A letter, then letters and digits, 63 at most."""
    return _KIND.match(text) is not None


def is_name(text: str) -> bool:
    """Letters and digits, with any run of ``-``, ``_`` and ``.`` inside, 63 at most."""
    return _NAME.match(text) is not None


@lru_cache(maxsize=4096)
def is_key(text: str) -> bool:
    """Of a label or annotation: a name, or a domain, a slash and a name."""
    prefix, slash, name = text.rpartition("/")
    return _NAME.match(name) is not None and (not slash or is_dns_subdomain(prefix))


@lru_cache(maxsize=4096)
def is_tag(text: str) -> bool:
    """Groups of ``a-z 0-9 : + #`` with single hyphens between, 63 at most."""
    return len(text) <= 63 and _TAG.match(text) is not None


def check_formats(entity: dict[str, Any]) -> list[Problem]:
    """All violations of the field formats, in stock's order.

    Values of another type than the field has are left to the structural schema.

    Args:
        entity: with the namespace filled in.
    """
    problems: list[Problem] = []
    metadata = entity["metadata"]
    if not is_api_version(entity["apiVersion"]):
        problems.append(
            _bad(
                "api-version",
                "apiVersion",
                entity["apiVersion"],
                "a valid prefix and/or suffix",
                pointer("apiVersion"),
            )
        )
    if not is_kind(entity["kind"]):
        shape = "a string that is a letter followed by [a-zA-Z0-9], at most 63 characters in total"
        problems.append(
            _bad("kind", "kind", entity["kind"], shape, pointer("kind"), corrected_name(entity["kind"], ""))
        )
    if not is_name(metadata["name"]):
        problems.append(
            _bad(
                "name",
                "metadata.name",
                metadata["name"],
                _NAME_SHAPE,
                "/metadata/name",
                corrected_name(metadata["name"]),
            )
        )
    if not is_dns_label(metadata["namespace"]):
        corrected = corrected_name(metadata["namespace"].lower()).replace(".", "-").replace("_", "-")
        problems.append(
            _bad(
                "namespace",
                "metadata.namespace",
                metadata["namespace"],
                _NAMESPACE_SHAPE,
                "/metadata/namespace",
                corrected,
            )
        )
    labels, annotations = metadata.get("labels"), metadata.get("annotations")
    if isinstance(labels, dict):
        for key, value in labels.items():
            if not is_key(key):
                problems.append(_bad_key("label", "labels", key))
            if isinstance(value, str) and value and not is_name(value):
                path = pointer("metadata", "labels", key)
                problems.append(
                    _bad("label-value", f"labels.{key}", value, _NAME_SHAPE, path, corrected_name(value))
                )
    if isinstance(annotations, dict):
        problems.extend(_bad_key("annotation", "annotations", key) for key in annotations if not is_key(key))
    tags = metadata.get("tags")
    if isinstance(tags, list):
        for index, tag in enumerate(tags):
            if isinstance(tag, str) and tag and not is_tag(tag):
                path = pointer("metadata", "tags", index)
                problems.append(_bad("tag", f"tags.{index}", tag, _TAG_SHAPE, path, corrected_tag(tag)))
    links = metadata.get("links")
    if isinstance(links, list):
        for index, link in enumerate(links):
            if isinstance(link, dict):
                problems.extend(_check_link(index, link))
    return problems


def _check_link(index: int, link: dict[str, Any]) -> Iterator[Problem]:
    url = link.get("url")
    if isinstance(url, str) and url and not is_url(url):
        corrected = f"https://{url}" if re.match(r"[\w-]+(\.[\w-]+)+([/:?#]|\Z)", url) else ""
        yield _bad(
            "link-url",
            f"links.{index}.url",
            url,
            "a string that is a valid url",
            pointer("metadata", "links", index, "url"),
            corrected,
        )
    for name in ("title", "icon"):
        value = link.get(name)
        if isinstance(value, str) and value and not value.strip():
            yield _bad(
                f"link-{name}",
                f"links.{index}.{name}",
                value,
                "a string that is not blank",
                pointer("metadata", "links", index, name),
            )


def corrected_tag(text: str) -> str:
    """The nearest valid tag (``Node.js`` gives ``node-js``); empty when nothing is left."""
    plain = _without_accents(text).lower()
    return re.sub(r"[^a-z0-9:+#]+", "-", plain).strip("-")[:63].rstrip("-")


def corrected_name(text: str, gap: str = "-") -> str:
    """The nearest valid name (``My Service`` gives ``My-Service``); empty when nothing is left."""
    return re.sub(r"[^A-Za-z0-9_.-]+", gap, _without_accents(text)).strip("-_.")[:63].rstrip("-_.")


def _without_accents(text: str) -> str:
    return "".join(
        c for c in unicodedata.normalize("NFKD", text.replace("ß", "ss")) if not unicodedata.combining(c)
    )


def _bad(rule: str, field: str, value: str, shape: str, path: str, corrected: str = "") -> Problem:
    return Problem(
        f"catalog.format.{rule}",
        f'"{field}" is not valid; expected {shape} but found {shorten(value)}',
        path,
        shorten(value),
        remedy=f"Write {corrected}." if corrected else f"Write {shape}.",
        fix=Fix("replace", yaml_text(corrected)) if corrected else None,
    )


def _bad_key(rule: str, field: str, key: str) -> Problem:
    prefix, slash, name = key.rpartition("/")
    corrected = f"{prefix.lower()}{slash}{corrected_name(name)}"
    return Problem(
        f"catalog.format.{rule}-key",
        f'"{field}.{key}" is not valid; expected {_KEY_SHAPE} but found {shorten(key)}',
        pointer("metadata", field, key),
        shorten(key),
        remedy=f"Write {corrected} as the key." if is_key(corrected) else f"Write {_KEY_SHAPE}.",
        at_key=True,
        fix=Fix("replace", yaml_text(corrected)) if is_key(corrected) else None,
    )
