"""References to secrets. Vault is a small server of ours that answers as its HTTP API documents, not the product."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from portal.connections.credentials import CredentialError, check_reference, resolve_credential
from portal.core.errors import InputError, ServiceUnavailableError
from tests.services.http_server import Reply, Seen, Server, serving


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "ghp_abcdef",
        "env:",
        "env:A B",
        "env:A=B",
        "file:",
        "file:a\0b",
        "vault:x",
        "vault:secret/data/x",
        "vault:../x#k",
        "vault:secret/../sys/raw#k",
        "vault:secret/data/x?version=1#k",
        "https://vault/x",
        "ENV:TOKEN",
    ],
)
def test_what_is_no_reference_is_refused_without_repeating_it(reference: str) -> None:
    with pytest.raises(InputError) as refused:
        check_reference(reference)
    assert refused.value.remedy == "Write env:NAME, file:PATH or vault:PATH#KEY."
    assert "ghp_abcdef" not in refused.value.message


@pytest.mark.parametrize(
    "name",
    ["CALLBOARD_SECRET_KEY", "callboard_keys", "DATABASE_URL", "REDIS_URL", "PGPASSWORD", "VAULT_TOKEN"],
)
def test_the_secrets_of_callboard_itself_are_no_credentials_for_a_host(name: str) -> None:
    with pytest.raises(InputError, match="belongs to Callboard itself"):
        resolve_credential(f"env:{name}")


def test_a_variable_is_read_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_CREDENTIAL_GITHUB", " s3cret\n")
    assert resolve_credential("env:CALLBOARD_CREDENTIAL_GITHUB") == "s3cret"
    monkeypatch.setenv("CALLBOARD_CREDENTIAL_GITHUB", "rotated")
    assert resolve_credential("env:CALLBOARD_CREDENTIAL_GITHUB") == "rotated"
    monkeypatch.setenv("CALLBOARD_CREDENTIAL_GITHUB", " ")
    with pytest.raises(CredentialError, match="is empty"):
        resolve_credential("env:CALLBOARD_CREDENTIAL_GITHUB")
    monkeypatch.delenv("CALLBOARD_CREDENTIAL_GITHUB")
    with pytest.raises(CredentialError, match="is not set"):
        resolve_credential("env:CALLBOARD_CREDENTIAL_GITHUB")


@pytest.fixture
def secrets(tmp_path: Path, settings: Any) -> Path:
    settings.CALLBOARD_CREDENTIAL_DIR = tmp_path / "secrets"
    (tmp_path / "secrets" / "..data").mkdir(parents=True)
    (tmp_path / "secrets" / "..data" / "github").write_text("s3cret\n")
    (tmp_path / "secrets" / "github").symlink_to(Path("..data") / "github")  # as Kubernetes mounts secrets
    (tmp_path / "outside").write_text("not yours")
    (tmp_path / "secrets" / "escape").symlink_to(tmp_path / "outside")
    return tmp_path / "secrets"


def test_a_file_below_the_folder_is_read(secrets: Path) -> None:
    assert resolve_credential("file:github") == "s3cret"
    assert resolve_credential(f"file:{secrets / 'github'}") == "s3cret"


@pytest.mark.parametrize("name", ["../outside", "escape", "/etc/passwd", "a/../../outside"])
def test_a_file_outside_of_the_folder_is_refused_also_through_a_link(secrets: Path, name: str) -> None:
    with pytest.raises(CredentialError, match="outside of the folder"):
        resolve_credential(f"file:{name}")


def test_a_file_that_is_not_there_not_text_or_huge_says_so(secrets: Path) -> None:
    (secrets / "binary").write_bytes(b"\xff\xfe\x00")
    (secrets / "huge").write_bytes(b"x" * 70_000)
    for name, what in (
        ("nothing", "no such file"),
        ("binary", "is not text"),
        ("huge", "larger than"),
        ("..data", "directory"),
    ):
        with pytest.raises(CredentialError, match=what):
            resolve_credential(f"file:{name}")


KV2 = {"data": {"data": {"token": "s3cret", "number": 5}, "metadata": {"version": 3}}}
KV1 = {"data": {"token": "s3cret-1"}}


def _vault(seen: Seen) -> Reply:
    if seen.headers.get("x-vault-token") != "vault-token":
        return Reply(403, b'{"errors": ["permission denied"]}')
    pages: dict[str, Any] = {
        "/v1/secret/data/github": KV2, "/v1/kv1/github": KV1, "/v1/secret/data/list": {"data": []},
        "/v1/secret/data/space%20in%20it": KV2,
    }  # fmt: skip
    if seen.path == "/v1/sealed/x":
        return Reply(503, b'{"errors": ["Vault is sealed"]}')
    body = pages.get(seen.path)
    return Reply(404, b'{"errors": []}') if body is None else Reply(200, json.dumps(body).encode())


@pytest.fixture
def vault(settings: Any, tmp_path: Path) -> Any:
    (tmp_path / "token").write_text("vault-token\n")
    settings.CALLBOARD_VAULT_TOKEN_FILE = str(tmp_path / "token")
    with serving(_vault) as server:
        settings.CALLBOARD_VAULT_URL = f"http://127.0.0.1:{server.port}/"
        yield server


def test_a_secret_comes_out_of_both_versions_of_vaults_engine(vault: Server, settings: Any) -> None:
    settings.CALLBOARD_VAULT_NAMESPACE = "platform"
    assert resolve_credential("vault:secret/data/github#token") == "s3cret"
    assert resolve_credential("vault:kv1/github#token") == "s3cret-1"
    assert resolve_credential("vault:secret/data/space in it#token") == "s3cret"
    assert vault.seen[0].headers["x-vault-namespace"] == "platform"


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("vault:secret/data/nothing#token", "has nothing at secret/data/nothing"),
        ("vault:secret/data/github#password", "has no field password"),
        ("vault:secret/data/github#number", "has no field number"),
        ("vault:secret/data/list#token", "has no field token"),
    ],
)
def test_what_vault_does_not_have_is_said_by_name(vault: Server, reference: str, what: str) -> None:
    with pytest.raises(CredentialError, match=what):
        resolve_credential(reference)


def test_a_vault_that_refuses_is_told_from_one_that_is_sealed_or_gone(
    vault: Server, settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(ServiceUnavailableError):
        resolve_credential("vault:sealed/x#token")
    (tmp_path / "token").write_text("wrong")
    with pytest.raises(CredentialError, match="refused to show secret/data/github"):
        resolve_credential("vault:secret/data/github#token")
    settings.CALLBOARD_VAULT_TOKEN_FILE = str(tmp_path / "gone")
    with pytest.raises(CredentialError, match="token for Vault could not be read"):
        resolve_credential("vault:secret/data/github#token")


def test_without_a_vault_the_reference_says_what_to_set(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CALLBOARD_VAULT_URL = settings.CALLBOARD_VAULT_TOKEN_FILE = ""
    monkeypatch.delitem(os.environ, "VAULT_TOKEN", raising=False)
    with pytest.raises(CredentialError) as missing:
        resolve_credential("vault:secret/data/github#token")
    assert "CALLBOARD_VAULT_URL" in missing.value.remedy
