"""Bodies of our own paths that are not plain JSON."""

from __future__ import annotations

from portal.access.api.parsers import JSONParser


class MergePatchParser(JSONParser):
    """``application/merge-patch+json`` (RFC 7396)."""

    media_type = "application/merge-patch+json"
