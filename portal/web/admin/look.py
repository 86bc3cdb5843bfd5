"""The admin in the colours of the portal: the neutrals and the accent of static/web/tokens.css in unfold's names."""

from __future__ import annotations

# unfold draws light pages from 50 to 300 and dark ones from 700 to 950, so both palettes meet in one scale.
COLORS = {
    "base": {
        "50": "#f6f5f2",  # paper
        "100": "#f3f1ed",  # sunken
        "200": "#e5e2dc",  # line
        "300": "#b6b3ad",  # ink-2, dark
        "400": "#98958f",  # ink-3, dark
        "500": "#67635b",  # ink-3, light
        "600": "#514e48",  # ink-2, light
        "700": "#3a3c42",  # line-strong, dark
        "800": "#27292d",  # line, dark
        "900": "#16171a",  # surface, dark
        "950": "#0f1012",  # paper, dark
    },
    "primary": {
        "50": "#f2f7fe",
        "100": "#e7f0fc",  # accent-soft, light
        "200": "#c9dcf6",
        "300": "#a9c6ee",  # accent-line, light
        "400": "#82b4f8",  # accent, dark
        "500": "#82b4f8",  # unfold's links on dark pages
        "600": "#175cb8",  # accent, light; filled buttons
        "700": "#114a98",  # accent-fill-2, light
        "800": "#2c4a77",  # accent-line, dark
        "900": "#17273f",  # accent-soft, dark
        "950": "#101c2e",
    },
    "font": {
        "subtle-light": "#67635b",
        "subtle-dark": "#98958f",
        "default-light": "#514e48",
        "default-dark": "#b6b3ad",
        "important-light": "#1b1a18",
        "important-dark": "#eceae6",
    },
}
#: Whatever the palette cannot say.
STYLESHEET = "admin/callboard.css"
SCRIPT = "admin/callboard.js"
MARK = "web/logo-mark.svg"
