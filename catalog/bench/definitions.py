"""API definitions that look like real ones, put together from pieces."""

from __future__ import annotations

from collections.abc import Callable

_HEAD = """\
openapi: 3.0.3
info:
  title: {title}
  version: {major}.{minor}.0
  description: Operations on {noun}s. Times are UTC, amounts are in cents.
servers:
  - url: https://api.example.com/{noun}s/v{major}
paths:
"""
# One block for each resource below the noun, about 650 characters.
_PATHS = """\
  /{noun}s/{{id}}/{part}s:
    parameters:
      - {{ name: id, in: path, required: true, schema: {{ type: string, format: uuid }} }}
    get:
      operationId: list{Part}s
      summary: All {part}s of a {noun}, newest first
      parameters:
        - {{ name: limit, in: query, schema: {{ type: integer, minimum: 1, maximum: 200, default: 50 }} }}
      responses:
        '200':
          description: One page
          content:
            application/json:
              schema: {{ type: array, items: {{ $ref: '#/components/schemas/{Noun}' }} }}
    post:
      operationId: add{Part}
      summary: Add one {part}
      responses:
        '201': {{ description: Added }}
        '409': {{ description: It is there already }}
"""
_SHORT_PATH = """\
  /{noun}s/{{id}}:
    get:
      operationId: get{Noun}
      parameters:
        - {{ name: id, in: path, required: true, schema: {{ type: string, format: uuid }} }}
      responses:
        '200': {{ description: The {noun} }}
        '404': {{ description: No such {noun} }}
"""
_SCHEMAS = """\
components:
  schemas:
    {Noun}:
      type: object
      required: [id, state]
      properties:
        id: {{ type: string, format: uuid }}
        state: {{ type: string, enum: [open, held, closed] }}
        updatedAt: {{ type: string, format: date-time }}
"""
_PARTS = ("item", "note", "event", "approval", "price", "document", "label", "member")


def openapi(noun: str, title: str, dice: Callable[[], float]) -> str:
    """An OpenAPI 3.0 document as YAML text, 0.7 to 3 kB, about 1.3 kB on average.

    Args:
        noun: what the API is about, lower case, such as ``order``.
        title: the title in the document.
        dice: gives numbers from 0 to 1.
    """
    capital = noun.capitalize()
    text = _HEAD.format(title=title, noun=noun, major=1 + int(dice() * 4), minor=int(dice() * 20))
    text += _SHORT_PATH.format(noun=noun, Noun=capital)
    throw = dice()
    first = int(dice() * len(_PARTS))
    for step in range(0 if throw < 0.45 else 1 if throw < 0.82 else 2 if throw < 0.95 else 3):
        part = _PARTS[(first + step) % len(_PARTS)]
        text += _PATHS.format(noun=noun, Noun=capital, part=part, Part=part.capitalize())
    return text + _SCHEMAS.format(Noun=capital)
