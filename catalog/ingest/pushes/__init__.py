"""What Git hosts send: is it theirs, what happened, and which addresses it is about. Nothing here reads a table."""
