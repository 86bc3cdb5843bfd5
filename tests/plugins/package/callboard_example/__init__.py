"""A plugin as anybody would write it."""
