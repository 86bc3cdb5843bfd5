"""How many examples the property tests that store things try: all in CI, a third of them beside one's work.

``pytest --hypothesis-profile=all`` tries all, as ``.ci/run`` does.
"""

from __future__ import annotations

from hypothesis import settings

#: The profile, which tests/conftest.py registers: Hypothesis asks for it before it reads any test.
ALL = "all"


def examples(number: int) -> int:
    """``number`` in CI, a third of it elsewhere."""
    return number if settings.get_current_profile_name() == ALL else -(-number // 3)
