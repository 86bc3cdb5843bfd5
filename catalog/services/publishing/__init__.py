"""Writing what a reading found: compare outside any transaction, then write only the difference."""

from catalog.services.publishing.publish import Counts, publish
from catalog.services.publishing.withdraw import remove_entity, withdraw_source

__all__ = ["Counts", "publish", "remove_entity", "withdraw_source"]
