"""Secrets out of the parts of one report, before it becomes a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import msgspec

from api.failures import BadRequest
from api.json_text import rewritten
from domain.error_group import NULL
from domain.scrubbing import Scrubber


class Cleaner:
    """Scrubs the parts of one report and counts what it took out."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self.count = 0

    def text(self, text: str) -> str:
        """A text without its secrets."""
        cleaned, found = self._scrubber.text(text)
        self.count += found
        return cleaned

    def optional(self, text: str | None, scrub: Callable[[str], tuple[str, int]]) -> str | None:
        """A text that may be absent."""
        if text is None:
            return None
        cleaned, found = scrub(text)
        self.count += found
        return cleaned

    def json(self, field: str, raw: msgspec.Raw | None) -> msgspec.Raw:
        """A JSON value without its secrets, otherwise whole; NULL where there is none."""
        if raw is None:
            return NULL
        try:
            cleaned, found = rewritten(raw, self._scrubber.value)
        except ValueError as error:
            raise BadRequest.field(field, f"cannot be kept: {error}") from None
        self.count += found
        return cleaned

    def tags(self, tags: dict[str, str] | None) -> dict[str, str] | None:
        """Tags without their secrets."""
        if not tags:
            return tags
        cleaned, found = self._scrubber.value(tags)
        self.count += found
        return cast("dict[str, str]", cleaned)
