"""One machine, embedded: SQLite, file broker, random keys kept in the data folder. What ``make up`` runs.

The keys begin with ``local-``, a mark that production settings refuse.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import warnings

from portal.settings.base import *  # noqa: F403  (settings stand on base by design)
from portal.settings.base import BASE_DIR, CALLBOARD_FILE_ROOTS, CALLBOARD_KEYS, DATA_DIR, SECRET_KEY, env


def _local_secrets() -> dict[str, str]:
    """Keys of this data folder, made on first use. Creation is exclusive, so two processes agree on one set."""
    path = DATA_DIR / "secrets.json"
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    made = {
        "secret_key": "local-" + secrets.token_urlsafe(48),
        "key": "local-1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    draft = DATA_DIR / f"secrets.{os.getpid()}.tmp"
    try:
        if not path.exists():
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as f:
                json.dump(made, f)
            os.link(draft, path)  # fails where another process was first; then its keys count
    except FileExistsError:
        pass  # read below
    finally:
        draft.unlink(missing_ok=True)
    found: dict[str, str] = json.loads(path.read_text())
    return found


_keys = _local_secrets()
SECRET_KEY = SECRET_KEY or _keys["secret_key"]
CALLBOARD_KEYS = CALLBOARD_KEYS or [_keys["key"]]
CALLBOARD_LOCAL = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
CALLBOARD_FILE_ROOTS = [*CALLBOARD_FILE_ROOTS, BASE_DIR / "deploy" / "demo"]
CALLBOARD_LOG_FORMAT = env.str("CALLBOARD_LOG_FORMAT", "text")
LOGGING = {"format": CALLBOARD_LOG_FORMAT, "level": env.str("CALLBOARD_LOG_LEVEL", "INFO")}
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# The one web process is an ASGI server, and whitenoise hands it files as ordinary iterators: fine on one machine.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
