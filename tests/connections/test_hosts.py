from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.connections.hosts import PUBLIC_HOSTS, HostConfig, below, place_of, usual_api_url
from portal.core.http import basic


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://GitHub.com/Acme/repo", ("github.com", "/Acme/repo")),
        ("https://git.acme.example:8443/acme", ("git.acme.example:8443", "/acme")),
        ("https://git.acme.example:443/acme", ("git.acme.example", "/acme")),
        ("https://git.acme.example./acme", ("git.acme.example", "/acme")),
        ("ssh://git@git.acme.example/acme/repo.git", ("git.acme.example", "/acme/repo.git")),
        ("ssh://git@git.acme.example:7999/acme/repo.git", ("git.acme.example:7999", "/acme/repo.git")),
        ("git@github.com:acme/repo.git", ("github.com", "/acme/repo.git")),
        ("https://user:secret@github.com/acme", ("github.com", "/acme")),
        ("https://github.com//acme///repo", ("github.com", "/acme/repo")),
        ("https://github.com/acme%2Frepo", ("github.com", "/acme/repo")),
        ("https://github.com/acme/../other", ("github.com", "")),
        ("https://github.com/acme/%2e%2e/other", ("github.com", "")),
        ("https://github.com/acme\\..\\other", ("github.com", "")),
        ("https://github.com:99999/acme", ("", "")),
        ("https://[broken/acme", ("", "")),
        ("not an address", ("", "")),
        ("", ("", "")),
    ],
)
def test_the_place_of_an_address_is_its_host_and_its_decoded_path(url: str, place: tuple[str, str]) -> None:
    assert place_of(url) == place


@given(st.text())
def test_any_text_has_a_place_or_none_and_never_one_that_climbs(text: str) -> None:
    host, path = place_of(text)
    assert host or not path
    assert ".." not in path.split("/")


def test_a_prefix_ends_at_a_whole_segment() -> None:
    assert below("/acme", "/acme")
    assert below("/acme/", "/acme")
    assert below("/ACME/repo", "/acme")
    assert below("/acme/repo", "/")
    assert not below("/acme-labs", "/acme")
    assert not below("/", "/acme")


def test_each_kind_of_host_gets_the_header_it_wants() -> None:
    def config(**values: str) -> HostConfig:
        return HostConfig("git.acme.example", credential=lambda: "s3cret", **values)  # type: ignore[arg-type]  # texts

    assert config(kind="github").authorization() == "Bearer s3cret"
    assert config(kind="gitlab").authorization() == "Bearer s3cret"
    assert config(kind="gitea").authorization() == "token s3cret"
    assert config(kind="azure").authorization() == basic("", "s3cret")
    assert config(kind="bitbucket", username="maren").authorization() == basic("maren", "s3cret")
    assert config(kind="plain", username="maren").authorization() == basic("maren", "s3cret")
    assert HostConfig("github.com").authorization() is None


def test_a_host_never_shows_its_credential_when_it_is_printed() -> None:
    assert "s3cret" not in repr(HostConfig("github.com", credential=lambda: "s3cret"))


def test_a_host_without_prefixes_allows_everything() -> None:
    assert HostConfig("github.com").allows("/anything")
    assert HostConfig("github.com", allowed_prefixes=("/acme",)).allows("/acme/repo")
    assert not HostConfig("github.com", allowed_prefixes=("/acme",)).allows("/other")


def test_only_a_host_that_may_be_private_opens_itself_to_egress(settings: object) -> None:
    settings.CALLBOARD_EGRESS_ALLOW = ["10.0.0.0/8"]  # type: ignore[attr-defined]  # pytest-django's settings
    assert HostConfig("git.corp", allow_private=True).egress().allowed == ("10.0.0.0/8", "git.corp")
    assert HostConfig("git.corp").egress().allowed == ("10.0.0.0/8",)


def test_the_usual_api_addresses_follow_from_the_kind() -> None:
    assert usual_api_url("github", "github.com", "https://github.com") == "https://api.github.com"
    assert (
        usual_api_url("github", "ghe.acme.example", "https://ghe.acme.example")
        == "https://ghe.acme.example/api/v3"
    )
    assert (
        usual_api_url("gitlab", "gl.acme.example", "https://gl.acme.example")
        == "https://gl.acme.example/api/v4"
    )
    assert usual_api_url("plain", "files.acme.example", "https://files.acme.example") == ""
    assert {host.host for host in PUBLIC_HOSTS} == {
        "github.com",
        "gitlab.com",
        "bitbucket.org",
        "dev.azure.com",
    }
