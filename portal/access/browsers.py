"""Words for what a browser says about itself."""

from __future__ import annotations

# The order matters: most browsers name those that they descend from as well.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_DEVICES = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_words(agent: str) -> str:
    """``Firefox on Linux``; what is not known is called a browser, and a device is left out."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "A browser")
    device = next((name for mark, name in _DEVICES if mark in agent), "")
    return f"{browser} on {device}" if device else browser
