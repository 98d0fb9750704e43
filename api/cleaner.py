"""Secrets out of the parts of one report, before it becomes a command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import msgspec

from api.failures import BadRequest
from api.json_text import rewritten
from domain.occurrence import NULL
from domain.scrubbing import Scrubber


class Cleaner:
    """Scrubs the parts of one report and counts what it took out.

    One look at all `texts` and `json` together tells of most reports that nothing is to be found:
    then no part is looked at by itself. A stack trace is not among them, being the same in many
    reports, which the scrubber remembers."""

    def __init__(
        self, scrubber: Scrubber, texts: Iterable[str], json: Iterable[msgspec.Raw | None]
    ) -> None:
        self._scrubber = scrubber
        self.count = 0
        written = [str(raw, "utf-8") for raw in json if raw is not None]
        self._innocent = not (
            any("\\" in text for text in written) or scrubber.suspects(*texts, *written)
        )

    def text(self, text: str) -> str:
        """One of the texts without its secrets."""
        if self._innocent:
            return text
        cleaned, found = self._scrubber.text(text)
        self.count += found
        return cleaned

    def url(self, url: str | None) -> str | None:
        """One of the texts that is a URL, or absent."""
        if url is None or (self._innocent and "%" not in url):
            return url
        cleaned, found = self._scrubber.url(url)
        self.count += found
        return cleaned

    def stack_trace(self, text: str | None) -> str | None:
        """A stack trace without its secrets."""
        if text is None:
            return None
        cleaned, found = self._scrubber.text(text)
        self.count += found
        return cleaned

    def json(self, field: str, raw: msgspec.Raw | None) -> msgspec.Raw:
        """One of the JSON values without its secrets, otherwise whole; NULL where there is none."""
        if raw is None or raw == NULL:
            return NULL
        change = _nothing if self._innocent else self._scrubber.value
        try:
            cleaned, found = rewritten(raw, change)
        except ValueError as error:
            raise BadRequest.field(field, f"cannot be kept: {error}") from None
        self.count += found
        return cleaned

    def tags(self, tags: dict[str, str] | None) -> dict[str, str] | None:
        """Tags, whose names and values are among the texts, without their secrets."""
        if not tags or self._innocent:
            return tags
        cleaned, found = self._scrubber.value(tags)
        self.count += found
        return cast("dict[str, str]", cleaned)


def _nothing(value: object) -> tuple[object, int]:
    return value, 0
