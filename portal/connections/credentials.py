"""From a reference to the secret, at the moment it is used. Nothing here keeps or logs one.

``env:NAME``        a variable of the process, but none of Callboard's own or of its databases
``file:PATH``       a file below ``CALLBOARD_CREDENTIAL_DIR`` (such as /run/secrets)
``vault:PATH#KEY``  a field of a secret in Vault or OpenBao, read over its HTTP API (version 1 or 2 of the KV engine)
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

from portal.connections.hosts import place_of
from portal.core.egress import EgressPolicy
from portal.core.errors import CallboardError, InputError, NotFoundError
from portal.core.http import Client, HttpStatusError, check_url

MAX_BYTES = 64 * 1024
VAULT_SECONDS = 5.0
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# Whoever may write a connection must not read Callboard's own secrets by sending them to a host of their own.
_OWN = re.compile(r"(?i)(CALLBOARD_(?!CREDENTIAL_).*|DATABASE_URL|REDIS_URL|PG.*|VAULT_.*|DJANGO_.*)")
_VAULT = re.compile(r"(?P<path>[A-Za-z0-9_.-]+(/[A-Za-z0-9_. -]+)+)#(?P<key>[A-Za-z0-9_.-]+)")


class CredentialError(CallboardError):
    """A reference leads to no usable secret. The message never contains the secret."""

    status, default_code = 502, "connections.credential"


def check_reference(reference: str) -> None:
    """Whether a reference has a form that can be resolved.

    Raises:
        InputError: it has not, or names what it may not.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "env" and _ENV.fullmatch(rest):
        if _OWN.fullmatch(rest):
            raise InputError(
                f"{rest} belongs to Callboard itself and is no credential for a host.",
                code="connections.credential.own",
                remedy="Use a variable of its own, such as GITHUB_TOKEN or CALLBOARD_CREDENTIAL_GITHUB.",
            )
        return
    if scheme == "file" and rest and "\0" not in rest:
        return
    if (
        scheme == "vault"
        and (found := _VAULT.fullmatch(rest))
        and not {".", ".."} & set(found["path"].split("/"))
    ):
        return
    raise InputError(
        f"{scheme[:20]}:… is no reference to a credential." if scheme in ("env", "file", "vault") else
        "That is no reference to a credential; the secret itself must not be stored here.",
        code="connections.credential.reference",
        remedy="Write env:NAME, file:PATH or vault:PATH#KEY.",
    )  # fmt: skip


def resolve_credential(reference: str) -> str:
    """The secret behind a reference, without spaces and line ends around it.

    Raises:
        InputError: not a reference.
        CredentialError: nothing is there, it is empty, too large or not text.
        ServiceUnavailableError, TimedOutError, EgressRefusedError: Vault cannot be reached.
    """
    check_reference(reference)
    scheme, _, rest = reference.partition(":")
    read = {"env": _from_environment, "file": _from_file, "vault": _from_vault}[scheme]
    secret = read(rest).strip()
    if not secret:
        raise CredentialError(f"The credential {reference} is empty.", remedy="Put the secret there.")
    return secret


def _from_environment(name: str) -> str:
    if name not in os.environ:
        raise CredentialError(
            f"The environment variable {name} is not set.",
            remedy="Set it for the web and the worker processes.",
        )
    return os.environ[name]


def _from_file(name: str) -> str:
    root = Path(settings.CALLBOARD_CREDENTIAL_DIR).resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise CredentialError(
            f"The file {name} is outside of the folder for credentials.",
            code="connections.credential.outside",
            remedy="Name a file below CALLBOARD_CREDENTIAL_DIR.",
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise CredentialError(
                f"The file {name} is larger than {MAX_BYTES} bytes.", remedy="Name the right file."
            )
        return content.decode()
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise CredentialError(
            f"The credential file {name} could not be read: {reason}.",
            remedy="Put it below CALLBOARD_CREDENTIAL_DIR, readable for the processes of Callboard.",
        ) from error
    except UnicodeDecodeError:
        raise CredentialError(
            f"The credential file {name} is not text.", remedy="Name the right file."
        ) from None


def _from_vault(rest: str) -> str:
    path, _, key = rest.partition("#")
    address, token = settings.CALLBOARD_VAULT_URL.rstrip("/"), _vault_token()
    if not address:
        raise CredentialError(
            "No Vault is configured.", remedy="Set CALLBOARD_VAULT_URL and CALLBOARD_VAULT_TOKEN_FILE."
        )
    check_url(address)
    headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
    if settings.CALLBOARD_VAULT_NAMESPACE:
        headers["X-Vault-Namespace"] = settings.CALLBOARD_VAULT_NAMESPACE
    policy = EgressPolicy.from_settings().plus(place_of(address)[0])
    try:
        with Client(policy, timeout=VAULT_SECONDS, max_bytes=MAX_BYTES) as client:
            body = client.get(f"{address}/v1/{quote(path)}", headers=headers, max_redirects=0).json()
    except NotFoundError:
        raise CredentialError(
            f"Vault has nothing at {path}.", remedy="Check the path, with data/ in it for KV 2."
        ) from None
    except HttpStatusError as error:
        if error.http_status not in (400, 401, 403):
            raise
        raise CredentialError(
            f"Vault refused to show {path} (status {error.http_status}).",
            remedy="Give its token a policy that may read it.",
        ) from None
    data = body.get("data") if isinstance(body, dict) else None
    if (
        isinstance(data, dict) and isinstance(data.get("data"), dict) and "metadata" in data
    ):  # version 2 wraps once more
        data = data["data"]
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise CredentialError(
            f"The secret at {path} in Vault has no field {key}.", remedy="Check the name after #."
        )
    return value


def _vault_token() -> str:
    name = settings.CALLBOARD_VAULT_TOKEN_FILE
    try:
        return Path(name).read_text().strip() if name else os.environ.get("VAULT_TOKEN", "")
    except OSError as error:
        raise CredentialError(
            f"The token for Vault could not be read from {name}.", remedy="Check CALLBOARD_VAULT_TOKEN_FILE."
        ) from error
