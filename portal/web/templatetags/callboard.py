"""The words of the house's templates: icons, ages, safe links, people. Loaded everywhere (settings, builtins)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

register = template.Library()

SAFE_SCHEMES = frozenset({"http", "https", "mailto"})
_NAME = re.compile(r"^[a-z0-9-]+$")
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (86_400 * 61, 86_400, "d"))
_STATUS_ICONS = {
    "ok": "ok",
    "warn": "warn",
    "bad": "bad",
    "run": "run",
    "wait": "clock",
    "unknown": "unknown",
    "exempt": "exempt",
}


@register.simple_tag
def icon(name: str, size: str = "", label: str = "", **attrs: str) -> SafeString:
    """One icon of the sprite.

    Args:
        name: id in ``static/web/icons.svg``; anything that is not a plain id falls back to ``unknown``.
        size: ``sm``, ``lg`` or further classes such as ``spin``.
        label: words for a screen reader where no text stands beside the icon; else the icon is hidden from it.
        attrs: ``s`` gives ``data-s``, the state.
    """
    name = name if name and _NAME.match(name) else "unknown"
    state = format_html(' data-s="{}"', attrs["s"]) if attrs.get("s") else ""
    svg = format_html(
        '<svg class="i{}"{} aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {size}" if size else "",
        state,
        static("web/icons.svg"),
        name,
    )
    return format_html('{}<span class="sr">{}</span>', svg, label) if label else svg


@register.simple_tag
def status(state: str, text: str, pill: bool = False) -> SafeString:
    """A word with its state: icon shape, word, colour.

    Args:
        state: ok, warn, bad, run, wait, idle, unknown or exempt.
        pill: as a pill with a ground of its own.
    """
    return format_html(
        '<span class="status{}" data-s="{}">{}{}</span>',
        " pill" if pill else "",
        state,
        icon(_STATUS_ICONS.get(state, "idle"), "spin" if state == "run" else ""),
        text,
    )


def age(then: datetime, now: datetime | None = None) -> str:
    """How long ago, in one unit: ``just now``, ``40 s ago``, ``2 h ago``, ``6 d ago``, ``3 mo ago``, ``2 y ago``."""
    seconds = ((now or timezone.now()) - then).total_seconds()
    future, seconds = seconds < -1, abs(seconds)
    if seconds < 5:
        return "just now"
    for limit, unit, word in _STEPS:
        if seconds < limit:
            text = f"{int(seconds // unit)} {word}"
            break
    else:
        months = int(seconds // (86_400 * 30.44))
        text = f"{months} mo" if months < 24 else f"{months // 12} y"
    return f"in {text}" if future else f"{text} ago"


@register.simple_tag
def ago(then: datetime | str | None, never: str = "never") -> SafeString | str:
    """``<time>`` with the age as text and the exact time with its zone on hover; takes a datetime or ISO 8601."""
    if isinstance(then, str):
        text = then
        try:
            then = datetime.fromisoformat(text)
        except ValueError:
            return text
    if then is None:
        return never
    if timezone.is_naive(then):
        then = then.replace(tzinfo=UTC)
    local = timezone.localtime(then)
    exact = f"{local.day} {local:%B %Y, %H:%M:%S} {local.tzname() or 'UTC'}"
    return format_html('<time datetime="{}" title="{}">{}</time>', then.isoformat(), exact, age(then))


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as a person says them: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``1 h 5 min``."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


@register.filter
def safe_href(value: Any) -> str:
    """The address when a browser may follow it (http, https, mailto), else an empty text.

    A path without a host is refused too: in data that somebody else wrote it would lead into our own pages.

    Browsers drop tabs, line ends and leading control characters before they look for the scheme, so a value that
    holds any of them is refused rather than repaired.
    """
    text = str(value or "").strip(" ")
    if not text or any(ord(ch) <= 0x20 or ord(ch) == 0x7F for ch in text) or "\\" in text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    if parts.scheme.lower() not in SAFE_SCHEMES:
        return ""
    if parts.scheme.lower() == "mailto":
        return text if parts.path else ""
    return text if parts.netloc else ""


@register.simple_tag
def out_link(url: Any, title: Any = "", symbol: str = "", css: str = "ref") -> SafeString:
    """A link from data that somebody else wrote. An unsafe address is shown as text, never linked."""
    href = safe_href(url)
    text = conditional_escape(title or url or "")
    lead = icon(symbol) if symbol else ""
    if not href:
        return format_html(
            '<span class="{} off" title="Only http, https and mailto are linked">{}<span>{}</span></span>',
            css,
            lead,
            text,
        )
    return format_html(
        '<a class="{}" href="{}" rel="noopener noreferrer nofollow">{}<span>{}</span></a>',
        css,
        href,
        lead,
        text,
    )


@register.filter
def initials(name: Any) -> str:
    """One or two letters for an avatar: ``Maren Holt`` gives ``MH``, ``bookings`` gives ``Bo``."""
    words = [w for w in re.split(r"[\s._@/-]+", str(name or "")) if w and w[0].isalnum()]
    if not words:
        return "?"
    if len(words) == 1:
        return words[0][:2].capitalize()
    return (words[0][0] + words[1][0]).upper()


@register.simple_tag
def avatar(name: Any, team: bool = False, size: str = "") -> SafeString:
    """The initials of a person (round) or a team (square). Pictures of other sites are never loaded."""
    css = " ".join(filter(None, ["av", "team" if team else "", size]))
    return format_html('<span class="{}" aria-hidden="true">{}</span>', css, initials(name))


@register.simple_tag
def plural(count: int, one: str, many: str = "") -> str:
    """``1 entity``, ``3 entities``: the number, a space and the fitting word (default: the word with an s)."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


@register.filter
def thousands(count: int | None) -> str:
    """12400 as ``12,400``."""
    return "" if count is None else f"{count:,}"
