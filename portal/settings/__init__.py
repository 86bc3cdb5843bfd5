"""Settings: ``local`` (embedded, one machine), ``production`` (by environment) and ``test``; all stand on ``base``."""
