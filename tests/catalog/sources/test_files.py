from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalog.ingest.sources import Limits, UnreadableError
from catalog.refs import LocationRef
from portal.core.errors import InputError, NotAllowedError, NotFoundError, TooLargeError
from tests.catalog.sources.places import again, session


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "roots"
    (folder / "services" / "a").mkdir(parents=True)
    (folder / "services" / ".hidden").mkdir()
    (folder / "services" / "node_modules").mkdir()
    for path in ("catalog-info.yaml", "services/a/catalog-info.yml", "services/.hidden/catalog-info.yaml"):
        (folder / path).write_text(f"path: {path}\n")
    (folder / "services/node_modules/catalog-info.yaml").write_text("no")
    (folder / "services/other.yaml").write_text("other")
    return folder


def file(target: object) -> LocationRef:
    return LocationRef("file", str(target))


def test_a_file_is_read(tmp_path: Path, root: Path) -> None:
    found = session(tmp_path).read(file(root / "catalog-info.yaml"))
    assert found.data == b"path: catalog-info.yaml\n"
    assert found.url == f"{root}/catalog-info.yaml"
    assert found.version.startswith("stat:")
    assert len(found.digest) == 64


def test_a_folder_stands_for_the_descriptors_below_it(tmp_path: Path, root: Path) -> None:
    found = session(tmp_path).expand(file(root))
    assert [place.target.removeprefix(f"{root}/") for place in found] == [
        "catalog-info.yaml",
        "services/.hidden/catalog-info.yaml",
        "services/a/catalog-info.yml",
    ]


def test_a_folder_with_a_pattern_of_its_own(tmp_path: Path, root: Path) -> None:
    assert session(tmp_path).expand(file(root), pattern="services/*.yaml") == [
        file(root / "services/other.yaml")
    ]


def test_a_pattern_stands_for_its_matches(tmp_path: Path, root: Path) -> None:
    found = session(tmp_path).expand(file(f"{root}/services/**/catalog-info.*"))
    assert [Path(place.target).parent.name for place in found] == [".hidden", "a"]


def test_a_relative_target_starts_at_the_roots(tmp_path: Path, root: Path) -> None:
    reading = session(tmp_path)
    assert reading.expand(file("./services/other.yaml")) == [file(root / "services/other.yaml")]
    assert len(reading.expand(file("services/*/catalog-info.yml"))) == 1
    assert reading.read(file("catalog-info.yaml")).data
    assert reading.read(file(f"file://{root}/catalog-info.yaml")).data


@pytest.mark.parametrize("name", ["nope.yaml", "nope", "catalog-info.yaml/x", "nope/*.yaml"])
def test_what_is_not_there_is_not_found(tmp_path: Path, root: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        session(tmp_path).expand(file(root / name))
    with pytest.raises(NotFoundError):
        session(tmp_path).read(file(root / name))


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "../outside.yaml",
        "{root}/../outside.yaml",
        "{root}/../*.yaml",
        "/",
        "/*",
        "{root}x/a.yaml",
        "file:///etc/passwd",
        "{root}/services/../../outside.yaml",
    ],
)
def test_nothing_outside_of_the_roots_is_read(tmp_path: Path, root: Path, target: str) -> None:
    (tmp_path / "outside.yaml").write_text("secret")
    place = file(target.replace("{root}", str(root)))
    with pytest.raises(NotAllowedError, match="not below a folder"):
        session(tmp_path).read(place)
    with pytest.raises(NotAllowedError):
        session(tmp_path).expand(place)


def test_without_roots_nothing_is_read(tmp_path: Path, root: Path) -> None:
    with pytest.raises(NotAllowedError, match="not below a folder"):
        session(tmp_path, file_roots=[]).read(file(root / "catalog-info.yaml"))


@pytest.mark.parametrize("target", ["", "a\0b"])
def test_what_is_not_a_path_is_refused(tmp_path: Path, root: Path, target: str) -> None:
    with pytest.raises(InputError):
        session(tmp_path).read(file(target))


def test_links_are_followed_inside_the_roots_only(tmp_path: Path, root: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "catalog-info.yaml").write_text("secret")
    (root / "linked.yaml").symlink_to(outside / "catalog-info.yaml")
    (root / "linked-folder").symlink_to(outside)
    (root / "inside.yaml").symlink_to("services/other.yaml")
    (root / "loop.yaml").symlink_to("loop.yaml")
    reading = session(tmp_path)
    assert reading.read(file(root / "inside.yaml")).data == b"other"
    for name in ("linked.yaml", "linked-folder/catalog-info.yaml"):
        with pytest.raises(NotAllowedError):
            reading.read(file(root / name))
    with pytest.raises((UnreadableError, NotFoundError)):
        reading.read(file(root / "loop.yaml"))
    found = {place.target for place in reading.expand(file(root), pattern="**/*.yaml")}
    assert {str(root / name) for name in ("linked.yaml", "inside.yaml", "loop.yaml")} < found
    assert not [target for target in found if "linked-folder" in target]


def test_a_root_may_itself_be_a_link(tmp_path: Path, root: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    reading = session(tmp_path, file_roots=[tmp_path / "alias"])
    assert reading.read(file(tmp_path / "alias" / "catalog-info.yaml")).data
    assert len(reading.expand(file(tmp_path / "alias"))) == 3


def test_what_is_neither_file_nor_folder_is_refused_without_waiting(tmp_path: Path, root: Path) -> None:
    os.mkfifo(root / "pipe.yaml")
    with pytest.raises(InputError, match="not a file"):
        session(tmp_path).read(file(root / "pipe.yaml"))
    with pytest.raises(InputError, match="not a file"):
        session(tmp_path).read(file(root / "services"))


def test_a_huge_file_is_refused(tmp_path: Path, root: Path) -> None:
    (root / "big.yaml").write_bytes(b"x" * 2000)
    with pytest.raises(TooLargeError, match="more than 1000 bytes"):
        session(tmp_path, limits=Limits(file_bytes=1000)).read(file(root / "big.yaml"))


def test_a_file_without_permission_is_unreadable_not_missing(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object) -> int:  # file modes do not stop the root user, who runs many a CI
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(UnreadableError, match="permission denied"):
        session(tmp_path).read(file(root / "catalog-info.yaml"))


def test_an_unchanged_folder_is_known_without_reading_a_file(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = session(tmp_path)
    for place in first.expand(file(root)):
        first.read(place)
    second = again(first, tmp_path)
    opened: list[object] = []
    monkeypatch.setattr(os, "open", lambda *args, **options: opened.append(args))
    assert second.version(file(root)) == first.composite_version() != ""
    assert not opened
    assert second.reads == 0


@pytest.mark.parametrize("change", ["edit", "add", "remove", "same-size"])
def test_any_change_of_a_folder_is_noticed(tmp_path: Path, root: Path, change: str) -> None:
    first = session(tmp_path)
    for place in first.expand(file(root)):
        first.read(place)
    path = root / "catalog-info.yaml"
    if change == "edit":
        path.write_text("changed: yes\n")
    elif change == "add":
        (root / "services" / "catalog-info.yaml").write_text("new")
    elif change == "remove":
        path.unlink()
    else:
        replaced = tmp_path / "draft"
        replaced.write_bytes(path.read_bytes().upper())
        replaced.replace(path)
    assert again(first, tmp_path).version(file(root)) is None


def test_a_pattern_of_its_own_is_remembered(tmp_path: Path, root: Path) -> None:
    first = session(tmp_path)
    for place in first.expand(file(root), pattern="**/*.yaml"):
        first.read(place)
    assert again(first, tmp_path).version(file(root)) == first.composite_version()
    (root / "new.yaml").write_text("new")
    assert again(first, tmp_path).version(file(root)) is None


def test_a_file_that_appears_is_noticed(tmp_path: Path, root: Path) -> None:
    first = session(tmp_path)
    with pytest.raises(NotFoundError):
        first.read(file(root / "later.yaml"))
    assert again(first, tmp_path).version(file(root / "later.yaml")) == first.composite_version()
    (root / "later.yaml").write_text("here")
    assert again(first, tmp_path).version(file(root / "later.yaml")) is None
