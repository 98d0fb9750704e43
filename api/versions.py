"""If-Match: a change that names the version it was made for, so that no update is lost."""

from __future__ import annotations

import re

from api.call import Call
from api.failures import BadRequest
from api.operations import Parameter

IF_MATCH = Parameter(
    "If-Match",
    {"type": "string", "pattern": r'^("[0-9]{1,18}(-[0-9a-f]{16})?"|[0-9]{1,18}|\*)$'},
    "The `version` that was read, bare, in quotes or as `ETag`: 409 where it is no longer the "
    "latest. Without it, or with *, the last change wins.",
    '"3"',
    where="header",
)

_VERSION = re.compile(r'"([0-9]{1,18})(?:-[0-9a-f]{16})?"|([0-9]{1,18})')


def expected_version(call: Call) -> int | None:
    """The version that If-Match names; None for any. Raises BadRequest."""
    text = call.header(b"if-match")
    if text is None or text.strip() == "*":
        return None
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise BadRequest.field("If-Match", 'must be a version such as "3", or *')
    return int(match[1] or match[2])
