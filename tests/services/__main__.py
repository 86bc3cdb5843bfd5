"""``python -m tests.services COMMAND...`` runs a command with a real PostgreSQL and Redis.

Sets ``DATABASE_URL`` and ``REDIS_URL`` for it and ends with its status. Where one of the two is not installed it
says so and leaves the command out (status 0), unless ``CALLBOARD_REQUIRE_SERVICES=1`` makes that a failure. With
``--or-embedded`` before the command it runs there on SQLite and the embedded broker instead.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.services.servers import postgresql, postgresql_folder, redis_program, redis_server

OR_EMBEDDED = "--or-embedded"


def main(command: list[str]) -> int:
    embedded = command[0] == OR_EMBEDDED
    command = command[1:] if embedded else command
    missing = [
        name
        for name, found in (("PostgreSQL", postgresql_folder()), ("redis-server", redis_program()))
        if found is None
    ]
    if missing:
        required = os.environ.get("CALLBOARD_REQUIRE_SERVICES") == "1"
        outcome = "that is a failure here" if required else "SQLite instead" if embedded else "left out"
        print(f"{' and '.join(missing)} not installed: {outcome}.", flush=True)
        if embedded and not required:
            return subprocess.run(command, check=False).returncode
        return 1 if required else 0
    with postgresql() as database_url, redis_server() as redis_url:
        env = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
        return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Name the command to run: python -m tests.services pytest tests/jobs")
    sys.exit(main(sys.argv[1:]))
