"""Which function of an original source a place is in: what source maps do not tell.

A map's `names` are those of single tokens, and only where a minifier changed them. But most maps
carry the sources themselves, and there the answer stands: tree-sitter reads TypeScript and
JavaScript, errors or not, and the query below says how a function comes to its name.

Sources are read with a deadline, for a hostile one can make any parser slow: where it passes, the
source has no functions that we know.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from functools import cache
from operator import itemgetter
from pathlib import PurePosixPath

import tree_sitter_typescript
from tree_sitter import Language, Node, Parser, Point, Query, QueryCursor

MAX_SOURCE = 300_000
"""Characters of the longest source that is read."""

MAX_DEPTH = 300
"""Of the tree, to which functions are looked for. Deeper trees are no work of people, and the
time a query takes grows with the square of their depth."""

SECONDS = 0.5
"""How long one source is parsed."""

MAX_NAME = 200

_ENCODING = "utf-16-le"
"""Columns of source maps count UTF-16 units, and points of the tree count bytes: two a unit."""

_UNIT = 2
_CHUNK = 65_536

_TYPESCRIPT = (".ts", ".mts", ".cts")
_SCRIPTS = (*_TYPESCRIPT, ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".es6", "")

# Later patterns know a better name than earlier ones.
_QUERY = """
[(arrow_function) (function_expression) (generator_function)] @function

(pair key: (_) @name value: [(arrow_function) (function_expression) (generator_function)] @function)
(assignment_expression left: (_) @name
  right: [(arrow_function) (function_expression) (generator_function)] @function)
(assignment_pattern left: (identifier) @name
  right: [(arrow_function) (function_expression) (generator_function)] @function)
(variable_declarator name: (identifier) @name
  value: [(arrow_function) (function_expression) (generator_function)] @function)
(public_field_definition name: (_) @name
  value: [(arrow_function) (function_expression) (generator_function)] @function)
(method_definition name: (_) @name) @function

(class_declaration name: (_) @class body: (class_body [
  (method_definition name: (_) @name) @function
  (public_field_definition name: (_) @name
    value: [(arrow_function) (function_expression)] @function)
]))
(abstract_class_declaration name: (_) @class body: (class_body [
  (method_definition name: (_) @name) @function
  (public_field_definition name: (_) @name
    value: [(arrow_function) (function_expression)] @function)
]))
(class name: (_) @class body: (class_body [
  (method_definition name: (_) @name) @function
  (public_field_definition name: (_) @name
    value: [(arrow_function) (function_expression)] @function)
]))

(function_declaration name: (_) @name) @function
(generator_function_declaration name: (_) @name) @function
(function_expression name: (_) @name) @function
(generator_function name: (_) @name) @function
"""

_Place = tuple[int, int]
"""Line and column, from 0; columns in UTF-16 units."""


class Functions:
    """The functions of one source. `known` is False where it could not be read."""

    def __init__(self, spans: dict[tuple[_Place, _Place], str | None], *, known: bool) -> None:
        self._spans = sorted(spans.items())
        self._starts = [start for (start, _), _ in self._spans]
        self.known = known

    def __len__(self) -> int:
        return len(self._spans)

    def name_at(self, line: int, column: int) -> str | None:
        """The name of the innermost function around a place; None outside of any, and for one
        that has no name."""
        place = (line, column)
        for at in range(bisect_right(self._starts, place) - 1, -1, -1):
            (_, end), name = self._spans[at]
            if place < end:
                return name
        return None


def functions_of(file: str, source: str | None) -> Functions:
    """The functions of a source; `file` tells its language."""
    suffix = PurePosixPath(file.partition("?")[0]).suffix.lower()
    if source is None or suffix not in _SCRIPTS or len(source) > MAX_SOURCE:
        return Functions({}, known=False)
    text = source.encode(_ENCODING, "surrogatepass")
    deadline = time.monotonic() + SECONDS
    late = False

    def is_late(*_: object) -> bool:
        nonlocal late
        late = late or time.monotonic() > deadline
        return late

    def read(offset: int, _: Point) -> bytes:
        return text[offset : offset + _CHUNK]

    language, query = _language(suffix in _TYPESCRIPT)
    try:
        tree = Parser(language).parse(read, encoding="utf16le", progress_callback=is_late)
    except ValueError:
        if not late:
            raise
    if late:
        return Functions({}, known=False)
    cursor = QueryCursor(query)
    cursor.set_max_start_depth(MAX_DEPTH)
    spans: dict[tuple[_Place, _Place], str | None] = {}
    for _, found in sorted(cursor.matches(tree.root_node), key=itemgetter(0)):
        node = found["function"][0]
        span = (_place(node.start_point), _place(node.end_point))
        spans[span] = _name(found, text)
    return Functions(spans, known=True)


def _place(point: Point) -> _Place:
    return point.row, point.column // _UNIT


def _name(found: dict[str, list[Node]], text: bytes) -> str | None:
    if "name" not in found:
        return None
    name = _text(found["name"][0], text)
    if "class" not in found:
        return name
    class_name = _text(found["class"][0], text)
    return f"new {class_name}" if name == "constructor" else f"{class_name}.{name}"


def _text(node: Node, text: bytes) -> str:
    words = text[node.start_byte : node.end_byte].decode(_ENCODING, "replace").split()
    return " ".join(words).strip("'\"")[:MAX_NAME]


@cache
def _language(typescript: bool) -> tuple[Language, Query]:
    # The grammar with JSX reads JavaScript too; plain TypeScript has casts that look like JSX.
    grammar = tree_sitter_typescript
    language = Language(grammar.language_typescript() if typescript else grammar.language_tsx())
    return language, Query(language, _QUERY)
