"""Our own paths, described: a module for each that would be too long beside its views."""
