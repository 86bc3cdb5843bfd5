"""The third-party package of this folder, built and installed as anybody would install it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.plugins import producing
from portal.plugins.loading import load_plugins
from portal.plugins.registry import registry

PACKAGE = Path(__file__).parent / "package"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed in it."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
    ]
    command += ["--no-build-isolation", "--no-index", "--target", str(folder), str(PACKAGE)]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture
def third_party(installed: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package loaded into this process beside what is there already, and gone afterwards."""
    monkeypatch.syspath_prepend(str(installed))
    importlib.invalidate_caches()
    template_settings = settings.TEMPLATES[0]
    folders = [*template_settings["DIRS"], installed / "callboard_example" / "templates"]
    settings.TEMPLATES = [{**template_settings, "DIRS": folders}]
    before, plugins = set(registry._plugin_of), list(registry.plugins)
    registry.forget_switches()
    load_plugins()
    yield
    registry.remove(set(registry._plugin_of) - before)
    registry.plugins[:] = plugins
    registry.forget_switches()
    producing.forget_values()
    for name in [name for name in sys.modules if name.startswith("callboard_example")]:
        del sys.modules[name]
