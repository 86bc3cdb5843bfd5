"""Templates of extensions, each in a box of its own: what breaks in one breaks nothing around it."""

from __future__ import annotations

from typing import Any

import structlog
from django import template
from django.template import loader
from django.template.context import Context
from django.utils.safestring import SafeString, mark_safe

from portal.plugins.producing import OUTCOMES

FAILED = SafeString('<p class="dim">This part of the page failed. The rest is fine.</p>')
log = structlog.get_logger(__name__)
register = template.Library()


@register.simple_tag(takes_context=True)
def extension(context: Context, template_name: str, key: str, **values: Any) -> SafeString:
    """Like ``include``, but it cannot break the page: ``{% extension card.template card.full_key it=card.context %}``.

    Args:
        template_name: of the extension; may be missing or raise.
        key: full key, for log and metrics.
        values: further variables for that template.
    """
    try:
        found = loader.get_template(template_name)
        with context.push(**values):
            inner: Any = found  # of Django's own engine, which this tag belongs to
            return mark_safe(inner.template.render(context))  # noqa: S308  (a template escapes what it renders)
    except Exception:
        # A third party's template, with any defect: its own place says so, the page itself is fine.
        log.exception("extension_failed", extension=key, template=template_name)
        OUTCOMES.labels(key, "failed").inc()
        return FAILED
