"""One source map in memory, ready to be asked. The library reads hostile maps without harm and in
memory that follows from their size; see docs/decisions/ for why this one."""

from __future__ import annotations

from typing import NamedTuple

from symbolic.exceptions import SymbolicError
from symbolic.sourcemap import SourceMapView

from domain.source_map_files import NotASourceMap

_TOKEN_BYTES = 28
_STRING_BYTES = 40

_MOST = 2**32
"""Lines and columns are below."""


class Token(NamedTuple):
    """Where a place of the compiled code comes from; line and column count from 0. `name` is that
    of the token there, where it was changed."""

    source: int
    file: str
    line: int
    column: int
    name: str | None


class ParsedMap:
    """A map. Raises NotASourceMap for a text that is none."""

    def __init__(self, text: bytes) -> None:
        try:
            self._view = SourceMapView.from_json_bytes(text)
            tokens = len(self._view)
        except SymbolicError as error:
            raise NotASourceMap(f"cannot be read as a source map: {error}") from None
        # Two quotes to a string; those within sources count too, so that this is rather too much.
        self.weight = len(text) + tokens * _TOKEN_BYTES + text.count(b'"') // 2 * _STRING_BYTES

    def token(self, line: int, column: int) -> Token | None:
        """What stands at a place of the compiled code, counted from 1; None where no source is
        known for it."""
        if not (1 <= line < _MOST and 1 <= column < _MOST):
            return None
        found = self._view.lookup(line - 1, column - 1)
        # The last token of an earlier line says nothing of this one.
        if found is None or found.dst_line != line - 1 or not found.src:
            return None
        return Token(found.src_id or 0, found.src, found.src_line, found.src_col, found.name)

    def source(self, number: int) -> str | None:
        """The text of a source, where the map carries it."""
        return self._view.get_source_contents(number)
