"""What Git hosts send: one name for a repository, signatures as each host makes them, events in one form."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.ingest.hosts import Host, Hosts
from catalog.ingest.pushes.addresses import Place, place_in, repository_key
from catalog.ingest.pushes.providers import delivery_id, read_event
from catalog.ingest.pushes.signatures import is_signed, plain_signature, standard_keys, standard_signature
from portal.core.errors import InputError

pytestmark = pytest.mark.req("R019")
SECRET = "a secret of sixteen or more"
HOSTS = Hosts([Host("git.acme.example", "gitea"), Host("bb.acme.example", "bitbucketServer")])

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,12}(\.[A-Za-z0-9]{1,4})?", fullmatch=True).filter(
    lambda name: not name.lower().endswith(".git")
)
hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z][a-z0-9]{1,5}){1,2}", fullmatch=True)
WRITINGS = (
    "https://{host}/{path}",
    "https://{host}/{path}.git",
    "https://{host}/{path}.git/",
    "https://{host}:443/{path}/",
    "http://{host}/{path}",
    "http://{host}:80/{path}.git",
    "https://someone@{host}/{path}.git",
    "HTTPS://{upper}/{path}",
    "ssh://git@{host}/{path}.git",
    "ssh://{host}:22/{path}",
    "git@{host}:{path}.git",
    "git@{upper}:{path}/",
    "  https://{host}//{path}\n",
)


@given(host=hosts, parts=st.lists(names, min_size=2, max_size=3))
def test_every_writing_of_an_address_is_one_repository(host: str, parts: list[str]) -> None:
    path = "/".join(parts)
    keys = {repository_key(form.format(host=host, upper=host.upper(), path=path)) for form in WRITINGS}
    assert keys == {f"{host}/{path.lower()}"}


@given(host=hosts, one=st.lists(names, min_size=2, max_size=3), other=st.lists(names, min_size=2, max_size=3))
def test_two_repositories_are_never_taken_for_one(host: str, one: list[str], other: list[str]) -> None:
    same = "/".join(one).lower() == "/".join(other).lower()
    keys = {repository_key(f"https://{host}/{'/'.join(parts)}.git") for parts in (one, other)}
    assert (len(keys) == 1) is same


@given(host=hosts, parts=st.lists(names, min_size=2, max_size=2), port=st.integers(1024, 65_000))
def test_an_unusual_port_is_part_of_the_name(host: str, parts: list[str], port: int) -> None:
    path = "/".join(parts)
    assert repository_key(f"https://{host}:{port}/{path}") == f"{host}:{port}/{path.lower()}"
    assert repository_key(f"https://{host}:{port}/{path}") != repository_key(f"https://{host}/{path}")


@given(st.text(max_size=60))
def test_whatever_is_sent_as_an_address_breaks_nothing(text: str) -> None:
    assert isinstance(repository_key(text), str)
    assert place_in(text, {"github.com/acme/shop"}, HOSTS) is None or "shop" in text.lower()


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("ssh://git@ssh.github.com:443/acme/shop.git", "github.com/acme/shop"),
        ("https://git.acme.example./Acme/Shop", "git.acme.example/acme/shop"),
        ("https://bücher.example/a/b", "xn--bcher-kva.example/a/b"),
        ("file:///srv/Git/shop.git/", "file:///srv/Git/shop"),
        ("https://git.acme.example/", ""),
        ("https://git.acme.example/a/../b", ""),
        ("shop", ""),
    ],
)
def test_unusual_addresses(address: str, key: str) -> None:
    assert repository_key(address) == key


@pytest.mark.parametrize(
    ("url", "repository", "place"),
    [
        ("https://github.com/acme/shop/blob/main/catalog-info.yaml", "https://github.com/Acme/shop", "main"),
        ("https://github.com/acme/shop", "git@github.com:acme/shop.git", ""),
        ("https://git.acme.example/acme/shop/src/branch/dev/a.yaml", "https://git.acme.example/acme/shop", "dev"),
        ("https://bb.acme.example/projects/ACME/repos/shop/browse/a.yaml?at=refs%2Fheads%2Fdev",
         "https://bb.acme.example/scm/acme/shop.git", "dev"),
        ("https://plain.example/acme/shop.git/a/b.yaml?ref=dev", "https://plain.example/acme/shop.git", "dev"),
        ("https://plain.example/acme/shop.git", "ssh://git@plain.example/acme/shop", ""),
        ("https://plain.example/acme/shop/raw/main/a.yaml", "https://plain.example/acme/shop", None),
        ("file:///srv/shop/a.yaml?ref=dev", "file:///srv/shop", "dev"),
    ],
)  # fmt: skip
def test_an_address_leads_into_a_repository_at_a_branch(url: str, repository: str, place: str | None) -> None:
    found = place_in(url, {repository_key(repository)}, HOSTS)
    assert found is not None
    assert found.ref == place
    assert place_in(url, {repository_key("https://github.com/acme/shop-2")}, HOSTS) is None
    assert place_in(url, {repository_key("https://plain.example/acme/sho")}, HOSTS) is None


def test_a_branch_with_slashes_is_found_in_an_address_that_does_not_say_where_it_ends() -> None:
    place = place_in("https://github.com/acme/shop/blob/team/one/a.yaml", {"github.com/acme/shop"}, HOSTS)
    assert place is not None
    assert place.is_at("team/one")
    assert place.is_at("team")
    assert not place.is_at("team/two")
    assert not Place("main").is_at("mai")
    assert not Place("0" * 40).is_at("0" * 40), "a commit never moves"


# ---------------------------------------------------------------------------------------------------------- signatures

BODY = b'{"ref":"refs/heads/main"}'
NOW = 1_700_000_000.0


def _standard(secret: str, *, at: float = NOW, body: bytes = BODY) -> dict[str, str]:
    key = list(standard_keys(secret))[-1]
    stamp = str(int(at))
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,bm8= {standard_signature('msg_1', stamp, body, key)}",
    }


def _headers(provider: str, secret: str, body: bytes = BODY) -> dict[str, str]:
    digest = plain_signature(body, secret)
    return {
        "github": {"x-hub-signature-256": f"sha256={digest}"},
        "gitea": {"x-gitea-signature": digest},
        "bitbucket": {"x-hub-signature": f"sha256={digest}"},
        "gitlab": {"x-gitlab-token": secret},
        "generic": {"x-callboard-signature": f"sha256={digest}"},
    }[provider]


PROVIDERS = ("github", "gitea", "bitbucket", "gitlab", "generic")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_delivery_counts_with_the_right_secret_only(provider: str) -> None:
    right = _headers(provider, SECRET)
    assert is_signed(provider, right, BODY, [SECRET], now=NOW)
    assert is_signed(provider, right, BODY, ["the new one, set a moment ago", SECRET], now=NOW)
    assert not is_signed(provider, _headers(provider, "another secret here"), BODY, [SECRET], now=NOW)
    assert not is_signed(provider, {}, BODY, [SECRET], now=NOW)
    assert not is_signed(provider, dict.fromkeys(right, ""), BODY, [SECRET], now=NOW)
    assert not is_signed(provider, right, BODY, [], now=NOW)
    assert not is_signed(provider, _headers(provider, ""), BODY, [""], now=NOW)
    if provider != "gitlab":  # whose token says nothing about the body
        assert not is_signed(provider, right, BODY + b" ", [SECRET], now=NOW)


def test_the_digest_of_github_is_the_one_that_its_documentation_shows() -> None:
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": f"sha256={digest}"}
    assert is_signed("github", headers, b"Hello, World!", ["It's a Secret to Everybody"], now=NOW)


@pytest.mark.parametrize("provider", ["gitlab", "generic"])
def test_standard_webhooks_are_taken_while_they_are_fresh(provider: str) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert is_signed(provider, _standard(secret), BODY, [secret], now=NOW)
    assert not is_signed(provider, _standard(secret), b"{}", [secret], now=NOW)
    assert not is_signed(provider, _standard(secret, at=NOW - 301), BODY, [secret], now=NOW)
    assert not is_signed(provider, _standard(secret, at=NOW + 301), BODY, [secret], now=NOW)
    broken = _standard(secret) | {"webhook-timestamp": "soon"}
    assert not is_signed(provider, broken, BODY, [secret], now=NOW)
    assert not is_signed("github", _standard(secret), BODY, [secret], now=NOW), "GitHub does not sign so"


def test_the_signature_of_standard_webhooks_is_that_of_its_specification() -> None:
    key = list(standard_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))[-1]
    made = standard_signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}', key)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


# -------------------------------------------------------------------------------------------------------------- events

GITHUB = {
    "full_name": "acme/shop",
    "clone_url": "https://github.com/acme/shop.git",
    "ssh_url": "git@github.com:acme/shop.git",
    "html_url": "https://github.com/acme/shop",
    "default_branch": "main",
}
GITLAB = {
    "path_with_namespace": "acme/shop",
    "git_http_url": "https://gitlab.com/acme/shop.git",
    "git_ssh_url": "git@gitlab.com:acme/shop.git",
    "web_url": "https://gitlab.com/acme/shop",
    "default_branch": "main",
}
CLOUD = {"full_name": "acme/shop", "links": {"html": {"href": "https://bitbucket.org/acme/shop"}}}
SERVER = {
    "slug": "shop",
    "project": {"key": "ACME"},
    "links": {
        "clone": [
            {"href": "ssh://git@bb.acme.example:7999/acme/shop.git", "name": "ssh"},
            {"href": "https://bb.acme.example/scm/acme/shop.git", "name": "http"},
        ],
        "self": [{"href": "https://bb.acme.example/projects/ACME/repos/shop/browse"}],
    },
}
COMMIT, ZEROS = "a" * 40, "0" * 40


def _event(provider: str, headers: dict[str, str], payload: Any) -> Any:
    return read_event(provider, headers, json.dumps(payload).encode())


PUSHES: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("github", {"x-github-event": "push"}, {"ref": "refs/heads/main", "after": COMMIT, "repository": GITHUB}),
    ("gitea", {"x-gitea-event": "push"}, {"ref": "refs/heads/main", "after": COMMIT, "repository": GITHUB}),
    ("gitlab", {"x-gitlab-event": "Push Hook"},
     {"object_kind": "push", "ref": "refs/heads/main", "after": COMMIT, "project": GITLAB}),
    ("gitlab", {"x-gitlab-event": "System Hook"},
     {"event_name": "repository_update", "project": GITLAB, "changes": [{"ref": "refs/heads/main", "after": COMMIT}]}),
    ("bitbucket", {"x-event-key": "repo:push"}, {"repository": CLOUD, "push": {"changes": [
        {"old": None, "new": {"type": "branch", "name": "main", "target": {"hash": COMMIT}}}]}}),
    ("bitbucket", {"x-event-key": "repo:refs_changed"}, {"eventKey": "repo:refs_changed", "repository": SERVER,
     "changes": [{"ref": {"displayId": "main", "type": "BRANCH"}, "toHash": COMMIT, "type": "UPDATE"}]}),
    ("generic", {}, {"repository": "https://github.com/acme/shop", "branch": "main", "commit": COMMIT}),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "headers", "payload"), PUSHES, ids=lambda value: str(value)[:40])
def test_a_push_says_repository_branch_and_commit(
    provider: str, headers: dict[str, str], payload: dict[str, Any]
) -> None:
    event = _event(provider, headers, payload)
    assert event.kind == "push"
    assert [(c.name, c.commit, c.is_tag, c.deleted) for c in event.changes] == [
        ("main", COMMIT, False, False)
    ]
    assert event.addresses
    assert all(repository_key(address).endswith("shop") for address in event.addresses)


@pytest.mark.parametrize(
    ("provider", "headers", "payload"),
    [
        ("github", {"x-github-event": "push"},
         {"ref": "refs/heads/x", "after": ZEROS, "deleted": True, "repository": GITHUB}),
        ("gitlab", {}, {"object_kind": "push", "ref": "refs/heads/x", "after": ZEROS, "project": GITLAB}),
        ("bitbucket", {"x-event-key": "repo:push"},
         {"repository": CLOUD, "push": {"changes": [{"old": {"type": "branch", "name": "x"}, "new": None}]}}),
        ("bitbucket", {"x-event-key": "repo:refs_changed"}, {"repository": SERVER, "changes": [
            {"ref": {"displayId": "x", "type": "BRANCH"}, "toHash": ZEROS, "type": "DELETE"}]}),
    ],
)  # fmt: skip
def test_a_deleted_branch_is_known_as_one(
    provider: str, headers: dict[str, str], payload: dict[str, Any]
) -> None:
    (change,) = _event(provider, headers, payload).changes
    assert (change.name, change.deleted, change.commit) == ("x", True, "")


def test_a_tag_is_no_branch() -> None:
    payload = {"object_kind": "tag_push", "ref": "refs/tags/v1", "after": COMMIT, "project": GITLAB}
    (change,) = _event("gitlab", {}, payload).changes
    assert (change.name, change.is_tag) == ("v1", True)


@pytest.mark.parametrize(
    ("provider", "headers", "payload"),
    [
        ("github", {"x-github-event": "repository"},
         {"action": "renamed", "changes": {"repository": {"name": {"from": "old"}}}, "repository": GITHUB}),
        ("github", {"x-github-event": "repository"},
         {"action": "transferred", "changes": {"owner": {"from": {"user": {"login": "old"}}}}, "repository": GITHUB}),
        ("gitlab", {"x-gitlab-instance": "https://gitlab.com"}, {"event_name": "project_rename",
         "path_with_namespace": "acme/shop", "old_path_with_namespace": "acme/old"}),
        ("bitbucket", {"x-event-key": "repo:updated"},
         {"repository": CLOUD, "changes": {"full_name": {"old": "acme/old", "new": "acme/shop"}}}),
        ("bitbucket", {"x-event-key": "repo:modified"},
         {"old": {"slug": "old", "project": {"key": "ACME"}}, "new": SERVER}),
    ],
)  # fmt: skip
def test_a_moved_repository_is_known_under_its_former_addresses(
    provider: str, headers: dict[str, str], payload: dict[str, Any]
) -> None:
    event = _event(provider, headers, payload)
    assert event.kind == "moved"
    keys = {repository_key(address) for address in event.addresses}
    assert any("old" in key for key in keys)
    assert any(key.endswith("/acme/shop") for key in keys)


def test_a_deleted_repository_a_ping_and_what_does_not_matter() -> None:
    gone = _event("github", {"x-github-event": "repository"}, {"action": "deleted", "repository": GITHUB})
    assert gone.kind == "gone"
    assert _event("github", {"x-github-event": "ping"}, {"zen": "Keep it simple."}).kind == "ping"
    assert _event("bitbucket", {"x-event-key": "diagnostics:ping"}, {"test": True}).kind == "ping"
    assert (
        _event("github", {"x-github-event": "star"}, {"action": "created", "repository": GITHUB}).kind
        == "other"
    )


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"repository": 5, "push": [], "changes": {}}'])
def test_a_body_that_says_nothing_is_said_so(provider: str, body: bytes) -> None:
    headers = {"x-github-event": "push", "x-gitea-event": "push", "x-event-key": "repo:push"}
    try:
        event = read_event(provider, headers, body)
    except InputError as error:
        assert error.code == "catalog.hook.payload"
    else:
        assert event.kind == "other"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["repository", "project", "push", "changes", "ref", "links",
                                                       "new", "old", "object_kind", "sources"]), inner, max_size=4),
                    max_leaves=12))  # fmt: skip
def test_no_body_breaks_a_reader(payload: Any) -> None:
    for provider, headers, _ in PUSHES:
        try:
            read_event(provider, headers, json.dumps(payload).encode())
        except InputError:
            continue


def test_a_form_with_a_payload_is_read_as_json() -> None:
    headers = {"x-github-event": "push", "content-type": "application/x-www-form-urlencoded"}
    body = urlencode({"payload": json.dumps({"ref": "refs/heads/main", "repository": GITHUB})}).encode()
    assert read_event("github", headers, body).changes[0].name == "main"


def test_deliveries_are_told_apart_by_the_name_that_the_host_gives() -> None:
    assert delivery_id("github", {"x-github-delivery": "1"}, b"") == "1"
    assert delivery_id("gitlab", {"webhook-id": "2", "x-gitlab-event-uuid": "u"}, b"") == "2"
    assert delivery_id("bitbucket", {"x-request-id": "3"}, b"") == "3"
    assert delivery_id("generic", {"x-callboard-delivery": "4"}, b"") == "4"
    assert len(delivery_id("github", {"x-github-delivery": "x" * 500}, b"")) <= 200
    one, other = (delivery_id("github", {}, b"") for _ in range(2))
    assert one != other, "without a name nothing can be known as the same"


def test_events_of_gitlab_that_follow_from_one_another_are_not_the_same() -> None:
    headers = {"x-gitlab-event-uuid": "one"}
    assert delivery_id("gitlab", headers, b"a") == delivery_id("gitlab", headers, b"a")
    assert delivery_id("gitlab", headers, b"a") != delivery_id("gitlab", headers, b"b")


def test_a_signed_time_is_compared_with_the_clock() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert is_signed("generic", _standard(secret, at=time.time()), BODY, [secret], now=time.time())
