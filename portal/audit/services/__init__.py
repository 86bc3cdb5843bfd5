"""Write, seal, verify, sign, give out and forget the audit record."""

from portal.audit.services.chain import seal
from portal.audit.services.checkpoints import keep_checkpoints, make_checkpoint, write_checkpoints
from portal.audit.services.recording import record
from portal.audit.services.retention import forget_old_records
from portal.audit.services.verifying import Verdict, verify

__all__ = [
    "Verdict",
    "forget_old_records",
    "keep_checkpoints",
    "make_checkpoint",
    "record",
    "seal",
    "verify",
    "write_checkpoints",
]
