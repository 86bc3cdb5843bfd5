"""The recorded answers of a stock Backstage, held against a fresh server of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
OWN_DATABASE = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")


@pytest.mark.slow
@pytest.mark.shared
def test_the_recorded_reads_and_writes_of_stock_are_answered_alike(shared_dir: Path) -> None:
    """Both parts in one test: the kit's file servers have fixed ports."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN_DATABASE}
    command = [sys.executable, str(RUN), "--kit", str(shared_dir / "conformance"), "--patience", "60"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1_500, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
