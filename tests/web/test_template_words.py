"""The template tags: icons, ages, safe links."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.web.templatetags.callboard import age, ago, duration, icon, initials, out_link, safe_href, status

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=1), "just now"),
        (timedelta(seconds=40), "40 s ago"),
        (timedelta(minutes=2, seconds=30), "2 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=6), "6 d ago"),
        (timedelta(days=100), "3 mo ago"),
        (timedelta(days=900), "2 y ago"),
        (timedelta(minutes=-10), "in 10 min"),
    ],
)
def test_an_age_is_said_in_one_unit(before: timedelta, text: str) -> None:
    assert age(NOW - before, NOW) == text


def test_ago_carries_the_exact_time_with_its_zone() -> None:
    html = ago(datetime(2026, 11, 20, 9, 4, 5, tzinfo=UTC))
    assert 'datetime="2026-11-20T09:04:05+00:00"' in html
    assert 'title="20 November 2026, 09:04:05 UTC"' in html


def test_ago_says_never_for_nothing_and_shows_text_that_is_no_date() -> None:
    assert ago(None) == "never"
    assert ago("soon") == "soon"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (12, "12 s"), (200, "3 min 20 s"), (120, "2 min"), (3900, "1 h 5 min"), (None, "")],
)
def test_a_duration_has_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "good",
    [
        "https://example.org/a?b=c#d",
        "http://localhost:8000",
        "mailto:desk@example.org",
    ],
)
def test_an_ordinary_address_is_followed(good: str) -> None:
    assert safe_href(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "/admin/",
        "?tab=raw",
        "#top",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "http:evil",
        "https:///nohost",
        "mailto:",
        "evil.example/path",
        "http://[::1",
        "",
        None,
        7,
    ],
)
def test_an_address_a_browser_must_not_follow_is_never_linked(bad: object) -> None:
    assert safe_href(bad) == ""
    assert "<a " not in out_link(bad, "title")


@given(st.text())
def test_whatever_is_linked_begins_with_an_allowed_scheme_or_stays_here(text: str) -> None:
    href = safe_href(text)
    assert href == "" or href.lower().startswith(("http://", "https://", "mailto:"))


def test_titles_of_links_are_escaped() -> None:
    html = out_link('https://example.org/?a=1&b="2"', "<b>x</b>")
    assert "<b>" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert '"2"' not in html


def test_an_icon_name_from_data_cannot_break_out() -> None:
    assert "#unknown" in icon('"><script>')
    assert '<span class="sr">Service</span>' in icon("service", label="Service")


def test_a_status_always_has_its_word_and_shape() -> None:
    html = status("bad", "Failing <now>")
    assert "#bad" in html
    assert "Failing &lt;now&gt;" in html


@pytest.mark.parametrize(
    ("name", "text"), [("Maren Holt", "MH"), ("bookings", "Bo"), ("port-ops", "PO"), ("", "?"), ("…", "?")]
)
def test_initials(name: str, text: str) -> None:
    assert initials(name) == text
