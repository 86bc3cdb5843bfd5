"""What may be done with entities, beside seeing (``VIEW``) and curating (``CURATE``) them."""

from __future__ import annotations

EDIT, REFRESH, UNREGISTER = "edit", "refresh", "unregister"
