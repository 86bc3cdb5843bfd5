from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from django.conf import settings

from portal.core.context import request_id
from portal.observability import logs


@pytest.fixture(autouse=True)
def _ordinary_logs_afterwards() -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()
    logs.configure(settings.LOGGING)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[object]:
    """Reads what was logged since the last time, as JSON."""
    logs.configure({"format": "json", "level": "INFO"})
    capsys.readouterr()
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_logger(lines) -> None:
    structlog.get_logger("portal.x").info("source read", files=3)
    (line,) = lines()
    assert line.pop("time").endswith("Z")
    assert line == {"event": "source read", "files": 3, "level": "info", "logger": "portal.x"}


def test_the_standard_library_logs_in_the_same_form(lines) -> None:
    logging.getLogger("somebody.else").warning("slow answer from %s", "git.example.com")
    (line,) = lines()
    assert line["event"] == "slow answer from git.example.com"
    assert (line["level"], line["logger"]) == ("warning", "somebody.else")


def test_the_request_id_and_what_was_bound_are_on_every_line(lines) -> None:
    token = request_id.set("req-12345678")
    try:
        logs.bind(user="7")
        structlog.get_logger("a").info("one")
        logging.getLogger("b").info("two")
    finally:
        request_id.reset(token)
    assert [(line["request_id"], line["user"]) for line in lines()] == [("req-12345678", "7")] * 2


def test_a_line_of_several_lines_stays_one_line(lines, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("a").info("first\nsecond", path="/x\r\n{}")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_exception_keeps_its_traceback(lines) -> None:
    try:
        raise LookupError("not in the table")
    except LookupError:
        structlog.get_logger("a").exception("sync failed")
    (line,) = lines()
    assert "LookupError: not in the table" in line["exception"]


@pytest.mark.parametrize(
    "values",
    [
        {"password": "hunter22"},
        {"headers": {"Authorization": "Bearer hunter22hunter22"}},
        {"note": "sent Authorization: Bearer hunter22hunter22"},
        {"url": "https://maren:hunter22@git.example.com/x.git"},
        {"url": "https://api.example.com/x?access_token=hunter22&b=1"},
        {"items": [{"api_key": "hunter22"}]},
        {"client_secret": "hunter22", "tokens": ["hunter22"]},
        {"key": "-----BEGIN PRIVATE KEY-----\nhunter22\n-----END PRIVATE KEY-----"},
        {"text": "cb_hunter22hunter22hunter22 and ghp_hunter22hunter22hunter22"},
        {"error": ValueError("postgresql://callboard:hunter22@db/x refused")},
    ],
)
def test_no_secret_reaches_the_log(
    lines, capsys: pytest.CaptureFixture[str], values: dict[str, object]
) -> None:
    structlog.get_logger("a").info("something", **values)
    written = capsys.readouterr().err
    assert "hunter22" not in written
    assert logs.MASK in written


def test_a_secret_in_a_traceback_is_masked(lines, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ConnectionError("redis://:hunter22@cache:6379 refused")
    except ConnectionError:
        logging.getLogger("a").exception("no broker")
    assert "hunter22" not in capsys.readouterr().err


@pytest.mark.parametrize("key", ["token_count", "commit", "token_id", "author"])
def test_what_only_sounds_like_a_secret_stays(lines, key: str) -> None:
    structlog.get_logger("a").info("x", **{key: "12"})
    assert lines()[0][key] == "12"


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"format": "text", "level": "INFO"})
    structlog.get_logger("portal.x").info("source read", files=3, password="hunter22")
    written = capsys.readouterr().err
    assert "source read" in written
    assert "files=3" in written
    assert "hunter22" not in written


def test_levels_are_set_for_all_and_for_single_loggers(lines) -> None:
    logs.configure({"format": "json", "level": "WARNING", "loggers": {"portal.loud": "DEBUG"}})
    structlog.get_logger("portal.quiet").info("no")
    logging.getLogger("portal.quiet").info("no")
    structlog.get_logger("portal.loud").debug("yes")
    try:
        assert [line["event"] for line in lines()] == ["yes"]
    finally:
        logging.getLogger("portal.loud").setLevel(logging.NOTSET)


def test_configuring_twice_writes_once(lines) -> None:
    logs.configure({"format": "json", "level": "INFO"})
    logging.getLogger("a").info("once")
    assert len(lines()) == 1


def test_an_unknown_format_is_refused_with_the_ones_that_exist() -> None:
    with pytest.raises(ValueError, match="json or text"):
        logs.configure({"format": "xml", "level": "INFO"})
