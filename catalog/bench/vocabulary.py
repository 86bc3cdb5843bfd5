"""The words that generated catalogs are made of."""

from __future__ import annotations

SUBJECTS = (
    "account", "address", "agreement", "alert", "asset", "audit", "basket", "billing", "budget", "calendar",
    "campaign", "card", "carrier", "catalogue", "claim", "contract", "courier", "credit", "customer", "customs",
    "delivery", "depot", "discount", "document", "driver", "fleet", "forecast", "fraud", "identity", "invoice",
    "journey", "ledger", "loyalty", "menu", "order", "parcel", "payment", "policy", "price", "product",
    "refund", "return", "roster", "route", "stock", "supplier", "ticket", "warehouse",
)  # fmt: skip
ROLES = (
    "api", "gateway", "worker", "portal", "sync", "router", "engine", "importer", "exporter", "planner",
    "matcher", "console", "relay", "scheduler", "checker", "notifier", "index", "archiver", "validator", "resolver",
    "reporter", "adapter", "collector", "mapper",
)  # fmt: skip
PURPOSES = (
    "Owns the rules, so that nobody else has to know them.",
    "Started as a cron job in one team and is now used by six.",
    "Reads the change stream and keeps a view that is fast to ask.",
    "Everything it does can be repeated, because sometimes it is.",
    "Talks to the vendor so that the rest of the company does not.",
    "Answers in under 40 ms or not at all.",
    "The old one is still running beside it until the end of the quarter.",
    "Small, boring and paged twice last year.",
    "Two regions, active on both, with a runbook for the day they disagree.",
    "Its data is rebuilt every night from the warehouse.",
    "Has a public contract; ask before you change a field.",
    "Written during an incident, tested since.",
)
COMPONENT_TYPES = (
    "service",
    "website",
    "library",
    "worker",
    "data-pipeline",
    "mobile-app",
    "tool",
    "ml-model",
)
COMPONENT_TYPE_WEIGHTS = (52, 14, 12, 11, 5, 3, 2, 1)
LIFECYCLES = ("production", "experimental", "deprecated")
LIFECYCLE_WEIGHTS = (80, 12, 8)
RESOURCE_TYPES = (
    "database", "cache", "queue", "topic", "bucket", "search-index", "kubernetes-cluster", "feature-store",
)  # fmt: skip
# The last part of a resource's name, one for each type.
RESOURCE_SUFFIXES = ("db", "cache", "queue", "events", "files", "index", "cluster", "features")
API_SUFFIXES = ("api", "admin-api", "partner-api", "public-api", "internal-api", "batch-api")
TAGS = (
    "java", "kotlin", "go", "python", "typescript", "rust", "kafka", "grpc", "rest", "postgresql",
    "redis", "pci", "personal-data", "customer-facing", "batch", "multi-region", "legacy", "ml", "tier-1", "tier-2",
    "internal", "partners", "audited", "c++", "c#", "shared",
)  # fmt: skip
SYSTEM_NOUNS = (
    "checkout", "fulfilment", "onboarding", "pricing", "settlement", "reporting", "tracking", "planning",
    "messaging", "search", "compliance", "telemetry", "scheduling", "returns", "contracts", "insights",
)  # fmt: skip
DOMAIN_NOUNS = ("sales", "logistics", "finance", "people", "risk", "marketing", "operations", "platform")
TEAM_NOUNS = (
    "atlas", "birch", "cedar", "delta", "ember", "fjord", "granite", "harbour", "indigo", "juniper",
    "kestrel", "lantern", "meadow", "nimbus", "orchard", "pebble", "quartz", "river", "summit", "tundra",
    "umber", "velvet", "willow", "zephyr",
)  # fmt: skip
FIRST_NAMES = (
    "alma", "bo", "carin", "dario", "edda", "femi", "gita", "hugo", "ida", "jonas",
    "kaya", "lars", "mina", "noor", "otto", "petra", "quinn", "rosa", "sami", "tilde",
    "ugo", "vera", "wim", "yara", "zeno",
)  # fmt: skip
LAST_NAMES = (
    "adler", "berg", "castro", "dahl", "eriks", "fischer", "grant", "hansen", "ito", "jensen",
    "kowal", "lindt", "moreau", "nowak", "okafor", "park", "quist", "rossi", "silva", "thorn",
    "ueda", "vance", "weber", "young", "zhou",
)  # fmt: skip
# 17 of 20 repositories live in the default namespace.
NAMESPACES = ("default",) * 17 + ("payments", "data", "edge")
