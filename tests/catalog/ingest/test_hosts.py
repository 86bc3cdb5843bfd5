"""Addresses and source code hosts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.ingest.hosts import Host, Hosts
from catalog.ingest.urls import host_of, is_url, join_url, split_url

HOSTS = Hosts(
    [
        Host("git.example.com:3000", "gitea", "http://git.example.com:3000"),
        Host("gerrit.example.com", "gerrit", "https://gerrit.example.com"),
        Host("bb.example.com", "bitbucketServer"),
        Host("ghe.example.com", "github"),
        Host("code.example.com", "gitea", "https://code.example.com/git"),
    ]
)

GITHUB = "https://github.com/o/r/blob/main/d/c.yaml"
GITLAB = "https://gitlab.com/g/s/p/-/blob/main/d/c.yaml"
OLD_GITLAB = "https://gitlab.com/g/p/blob/main/d/c.yaml"
CLOUD = "https://bitbucket.org/w/r/src/main/d/c.yaml"
SERVER = "https://bb.example.com/projects/P/repos/r/browse/d/c.yaml?at=main"
AZURE = "https://dev.azure.com/org/proj/_git/repo?path=%2Fd%2Fc.yaml&version=GBmain"
GITEA = "http://git.example.com:3000/o/r/src/branch/main/d/c.yaml"
GERRIT = "https://gerrit.example.com/plugins/gitiles/a/b/+/refs/heads/main/d/c.yaml"
OTHER = "https://files.example.com/d/c.yaml"


@pytest.mark.parametrize(
    ("url", "edit", "source"),
    [
        (GITHUB, "https://github.com/o/r/edit/main/d/c.yaml", "https://github.com/o/r/tree/main/d/"),
        (
            GITHUB.replace("blob", "tree"),
            "https://github.com/o/r/edit/main/d/c.yaml",
            "https://github.com/o/r/tree/main/d/",
        ),
        (
            "https://ghe.example.com/o/r/blob/x/c.yaml",
            "https://ghe.example.com/o/r/edit/x/c.yaml",
            "https://ghe.example.com/o/r/tree/x/",
        ),
        (GITLAB, "https://gitlab.com/g/s/p/-/edit/main/d/c.yaml", "https://gitlab.com/g/s/p/-/blob/main/d/"),
        (OLD_GITLAB, OLD_GITLAB, "https://gitlab.com/g/p/blob/main/d/"),
        (CLOUD, f"{CLOUD}?mode=edit&at=main", "https://bitbucket.org/w/r/src/main/d/"),
        (SERVER, SERVER.partition("?")[0], "https://bb.example.com/projects/P/repos/r/browse/d/?at=main"),
        (AZURE, AZURE, "https://dev.azure.com/org/proj/_git/repo?path=%2Fd%2F&version=GBmain"),
        (
            GITEA,
            "http://git.example.com:3000/o/r/_edit/main/d/c.yaml",
            "http://git.example.com:3000/o/r/src/branch/main/d/",
        ),
        (
            GERRIT,
            "https://gerrit.example.com/admin/repos/edit/repo/a%2Fb/branch/refs/heads/main/file/d/c.yaml",
            "https://gerrit.example.com/plugins/gitiles/a/b/+/refs/heads/main/d/",
        ),
        (OTHER, None, None),
        ("not an address", None, None),
    ],
)
def test_edit_and_source_addresses_are_derived_from_the_file(
    url: str, edit: str | None, source: str | None
) -> None:
    assert HOSTS.edit_url(url) == edit
    assert HOSTS.source_url(url) == source


def test_a_fixed_commit_cannot_be_edited() -> None:
    url = f"https://github.com/o/r/blob/{'0123456789abcdef' * 2}01234567/c.yaml"
    assert HOSTS.edit_url(url) is None
    assert HOSTS.source_url(url) is not None


@pytest.mark.parametrize(
    ("url", "root"),
    [
        (GITHUB, "https://github.com/o/r/tree/main/"),
        (GITLAB, "https://gitlab.com/g/s/p/-/blob/main/"),
        (OLD_GITLAB, "https://gitlab.com/g/p/blob/main/"),
        (CLOUD, "https://bitbucket.org/w/r/src/main/"),
        (GITEA, "http://git.example.com:3000/o/r/src/branch/main/"),
        (GERRIT, "https://gerrit.example.com/plugins/gitiles/a/b/+/refs/heads/main/"),
        (OTHER, "https://files.example.com/"),
    ],
)
def test_a_rooted_target_begins_at_the_root_of_the_repository(url: str, root: str) -> None:
    assert HOSTS.resolve("/x/y.yaml", url) == f"{root}x/y.yaml"


def test_a_rooted_target_keeps_the_query_where_the_ref_is_in_it() -> None:
    assert (
        HOSTS.resolve("/x.yaml", SERVER) == "https://bb.example.com/projects/P/repos/r/browse/x.yaml?at=main"
    )
    azure = HOSTS.resolve("/x.yaml", AZURE)
    assert azure == "https://dev.azure.com/org/proj/_git/repo?path=%2Fx.yaml&version=GBmain"
    assert (
        HOSTS.resolve("../y.yaml", AZURE)
        == "https://dev.azure.com/org/proj/_git/repo?path=%2Fy.yaml&version=GBmain"
    )


@pytest.mark.parametrize("url", [GITHUB, GITLAB, CLOUD, SERVER, AZURE, GITEA, GERRIT, OTHER])
def test_an_absolute_target_stays(url: str) -> None:
    target = "https://elsewhere.example.com/a.yaml?b=c"
    assert HOSTS.resolve(target, url) == target


def test_on_github_also_absolute_targets_become_tree_addresses() -> None:
    assert (
        HOSTS.resolve("https://github.com/a/b/blob/x/c.yaml", GITHUB)
        == "https://github.com/a/b/tree/x/c.yaml"
    )


def test_a_file_address_is_taken_apart() -> None:
    file = HOSTS.file(GITLAB)
    assert file is not None
    assert (file.repository, file.ref, file.path) == ("g/s/p", "main", "d/c.yaml")
    assert file.clone_url == "https://gitlab.com/g/s/p.git"
    below = HOSTS.file("https://code.example.com/git/o/r/src/tag/v1/a%20b.yaml")
    assert below is not None
    assert (below.repository, below.ref, below.path) == ("o/r", "v1", "a b.yaml")
    assert below.clone_url == "https://code.example.com/git/o/r.git"
    server = HOSTS.file(SERVER)
    assert server is not None and (server.repository, server.ref) == ("P/r", "main")
    assert HOSTS.file(OTHER) is None and HOSTS.file("https://github.com/") is None


@pytest.mark.parametrize("path", ["../x", "a/%2e%2e/x", "%2E./x", "..%2f..%2fx", "a\\..\\x"])
def test_a_path_that_leads_out_of_the_repository_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="leads out"):
        HOSTS.file(f"https://github.com/o/r/blob/main/{path}")


def test_repositories_are_compared_without_case_and_unknown_hosts_pass() -> None:
    assert HOSTS.same_repository(GITHUB, "https://github.com/O/R/raw/other/x.txt")
    assert not HOSTS.same_repository(GITHUB, "https://github.com/o/other/blob/main/x.txt")
    assert not HOSTS.same_repository(GITHUB, GITLAB)
    assert HOSTS.same_repository(GITHUB, "https://raw.githubusercontent.com/x/y/main/z")
    assert HOSTS.same_repository(OTHER, GITHUB)


# Recorded from Node's URL class.
NODE_JOINS = [
    ("./a b.yaml", "https://h/x/y.yaml", "https://h/x/a%20b.yaml"),
    ("./{a,b}/c.yaml", "https://h/x/y.yaml", "https://h/x/%7Ba,b%7D/c.yaml"),
    ("./ü.yaml", "https://h/x/y.yaml", "https://h/x/%C3%BC.yaml"),
    ("../../../a", "https://h/x/y.yaml", "https://h/a"),
    ("", "https://h/x/y.yaml?q#f", "https://h/x/y.yaml?q"),
    ("a//b/./c/../d", "https://H.com:443/x/", "https://h.com/x/a//b/d"),
    ("%2e%2e/a", "https://h/x/y/z", "https://h/x/a"),
    ("a\\b", "https://h/x/y", "https://h/x/a/b"),
    ('a^|`"<>[]b', "https://h/x/y", "https://h/x/a^|%60%22%3C%3E[]b"),
    ("a\tb\nc", "https://h/x", "https://h/abc"),
    ("?q", "https://h/x", "https://h/x?q"),
    ("#f", "https://h/x", "https://h/x#f"),
    ("//o/p", "https://h/x", "https://o/p"),
    ("a", "ssh://git@h/o/r/x", "ssh://git@h/o/r/a"),
    ("./x:y", "https://h/", "https://h/x:y"),
]
NODE_URLS = {
    True: [
        "mailto:a@b",
        "javascript:alert(1)",
        "https:///x",
        "https:foo",
        "http://[::1]",
        "http://a:80",
        "ftp://x",
        "file:///x",
        "file:",
        "x:",
        "x://",
        "x:y",
        "http://0x1",
        "http://1.2.3",
        "http://user:p@h",
        "a:b",
        "http://ü",
        "https://example.com:",
        "http://a..b",
        "http://.",
        "http://-a",
        "http://a_b",
        "http://a,b",
        "https://%41",
        "data:,",
        "urn:x",
        "https://x:0443",
        "http://1e3",
        "foo://",
        "foo:///x",
        "C:\\x",
        "tel:+1",
        "http://localhost:3000/x",
        "https://{{host}}/x",
        "slack://channel?team=1",
        "http:\\\\x\\y",
    ],
    False: [
        "nope",
        "/docs",
        "https://",
        "http://[::1",
        "http://a:99999",
        "http://a:b",
        "http://%zz",
        "http://a%20b",
        "http://ex<ample",
        "http://1.2.3.4.5",
        "http://256.1.1.1",
        "http://@",
        "http://u@",
        "//x",
        "1a:b",
        "+a:b",
        "http://a|b",
        "http://a^b",
        "foo://a|b",
        "foo://[",
        "foo://a:b",
        "http://a%00b",
        "http:",
        "http:/",
        "http:?",
        "ws:",
        "foo://u@",
        "foo://:80",
        "http://:80",
        "http://x::1",
        "http://a.1",
        "http://a.0x",
        "http://a.b.09",
        "",
        "not a url",
        "http://a b",
        "x://a b",
        "https://${{ x }}/y",
    ],
}


@pytest.mark.parametrize(("relative", "base", "joined"), NODE_JOINS)
def test_addresses_are_joined_as_node_joins_them(relative: str, base: str, joined: str) -> None:
    assert join_url(base, relative) == joined


def test_addresses_are_recognised_as_node_recognises_them() -> None:
    for expected, texts in NODE_URLS.items():
        assert [text for text in texts if is_url(text) != expected] == []
    assert is_url(" https://x ") and is_url("ht\ntp://x") and is_url("http://a/ b") and is_url("x:a b")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_address_functions(text: str) -> None:
    is_url(text)
    host_of(text)
    HOSTS.edit_url(text)
    joined = join_url("https://h/x/y?z", text)
    assert split_url(joined)[0] == "https"
    assert json.dumps(joined).isascii()


@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_relative_target_never_leaves_its_host(text: str) -> None:
    if not is_url(text) and not text.lstrip().replace("\\", "/").startswith("//"):
        assert host_of(HOSTS.resolve(text, OTHER)) == "files.example.com"


def test_an_address_without_a_host_has_no_relatives() -> None:
    with pytest.raises(ValueError, match="not an absolute address"):
        HOSTS.resolve("./a.yaml", "/srv/catalog-info.yaml")
    with pytest.raises(ValueError, match="not an absolute address"):
        HOSTS.resolve("./a.yaml", "mailto:a@b")
