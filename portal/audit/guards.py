"""Triggers that keep the audit table append-only whoever asks the database, past all code of ours.

A record changes once, when the sealer places it: position and digest of a row that has none yet. A record goes only
when a boundary (a signed ``Checkpoint`` of that kind) says that everything up to it may; retention writes one first.
The database cannot check the signature, ``verify`` does: a boundary that somebody made up is found.

The triggers look at rows, so that TRUNCATE, which the flush between tests uses on PostgreSQL, passes; checkpoints show
it. SQLite loses the triggers of a table that a migration rebuilds: such a migration calls ``install`` again.
"""

from __future__ import annotations

from typing import Any

TABLE, BOUNDARIES = "audit_auditevent", "audit_checkpoint"
UPDATE, DELETE = "audit_no_update", "audit_no_delete"
KEPT = (
    *("id", "at", "actor", "verb", "object_type", "object_id", "object_name"),
    *("before", "after", "note", "request_id", "address"),
)
_BOUNDARY = f"COALESCE((SELECT MAX(position) FROM {BOUNDARIES} WHERE kind = 'boundary'), 0)"  # noqa: S608  (our own names)
_REFUSED = "audit records are append-only"


def _changed(differs: str) -> str:
    """The condition under which an update is refused."""
    return " OR ".join(
        ["OLD.position IS NOT NULL", "NEW.position IS NULL", *(f"OLD.{c} {differs} NEW.{c}" for c in KEPT)]
    )


_POSTGRESQL = {
    UPDATE: f"CREATE TRIGGER {UPDATE} BEFORE UPDATE ON {TABLE} FOR EACH ROW"
    f" WHEN ({_changed('IS DISTINCT FROM')}) EXECUTE FUNCTION audit_refuse()",
    DELETE: f"CREATE TRIGGER {DELETE} BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
}
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.position <= {_BOUNDARY} THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'insufficient_privilege';
END $$
"""
_SQLITE = {
    UPDATE: f"CREATE TRIGGER {UPDATE} BEFORE UPDATE ON {TABLE} WHEN {_changed('IS NOT')}"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    DELETE: f"CREATE TRIGGER {DELETE} BEFORE DELETE ON {TABLE}"
    f" WHEN OLD.position IS NULL OR OLD.position > {_BOUNDARY}"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
}


def install(connection: Any, *names: str) -> None:
    """Make the triggers, or those named; what is there already is made anew."""
    remove(connection, *names)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_FUNCTION)
        made = _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
        for name in names or made:
            cursor.execute(made[name])


def remove(connection: Any, *names: str) -> None:
    """Take the triggers away, or those named."""
    where = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for name in names or (UPDATE, DELETE):
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{where}")


def missing(connection: Any) -> list[str]:
    """Triggers that should be there and are not, or are switched off."""
    found = (
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled <> 'D'"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(found, [TABLE])
        there = {name for (name,) in cursor.fetchall()}
    return [name for name in (UPDATE, DELETE) if name not in there]
