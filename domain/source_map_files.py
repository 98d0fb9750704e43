"""What a source map must be, and which of them belongs to the file that a frame names.

The file of a frame and the name a map was uploaded under rarely agree to the letter: a frame has
a URL where the uploader knew a path, or only the bundle's name. The rule: of both names, what is
not path is dropped (scheme and host, query and fragment, a leading "~", "." or "/", the ".map" of
an uploaded name). The map belongs to the frame's file when one of the two paths ends with the
other, segment by segment. Of several, the one with the longest common end is taken; where that
leaves a choice, none is, for a wrong place is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

Segments = tuple[str, ...]

VERSION = 3

_SCHEME_AND_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*/?|file:/")
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode


class NotASourceMap(ValueError):
    """The text is no source map; the message says why, to follow a field's name."""


def segments(file: str) -> Segments:
    """The path of a file or URL, in its parts: "https://cdn/x/app.min.js?v=1" is x, app.min.js."""
    plain = file.replace("\\", "/")
    for query in ("?", "#", "//&"):  # the last one opens the query of React Native's bundles
        plain = plain.partition(query)[0]
    found = _SCHEME_AND_HOST.match(plain)
    path = plain[found.end() :] if found else plain
    return tuple(part for part in path.split("/") if part not in ("", ".", "~"))


class PackedMap(msgspec.Struct, frozen=True):
    """A map ready to be kept: the SHA-256 (hex) and size (bytes) of its text, and `body`, which is
    the text deflated."""

    sha256: str
    size: int
    body: bytes


class Candidates:
    """The maps of one version, by the files they may belong to."""

    def __init__(self, contents: Mapping[str, str]) -> None:
        """`contents`: the name a map was uploaded under -> its SHA-256."""
        self._by_last: dict[str, list[tuple[Segments, str]]] = {}
        for name, sha256 in contents.items():
            path = segments(name.removesuffix(".map"))
            if path:
                self._by_last.setdefault(path[-1], []).append((path, sha256))
        self._known: dict[str, str | None] = {}

    def best(self, file: str) -> str | None:
        """The SHA-256 of the map that belongs to a frame's file; None where none or several do."""
        if file not in self._known:
            self._known[file] = self._best(segments(file))
        return self._known[file]

    def _best(self, wanted: Segments) -> str | None:
        found: set[str] = set()
        longest = 0
        for path, sha256 in self._by_last.get(wanted[-1], ()) if wanted else ():
            common = _common_end(wanted, path)
            if common > longest:
                found, longest = {sha256}, common
            elif common == longest:
                found.add(sha256)
        return found.pop() if len(found) == 1 and longest else None


def _common_end(one: Segments, other: Segments) -> int:
    """The length of the shorter path where the longer one ends with it, else 0."""
    shorter = min(len(one), len(other))
    return shorter if one[-shorter:] == other[-shorter:] else 0


def check_source_map(text: bytes) -> None:
    """Raises NotASourceMap for what is no map of version 3, flat or of sections with their maps
    in them. The mappings themselves are read by who resolves with them."""
    try:
        fields = _decode(text)
    except msgspec.ValidationError:
        raise NotASourceMap("must be a JSON object") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotASourceMap(f"is not JSON: {_why(error)}") from None
    if "version" not in fields or _decoded(fields["version"]) != VERSION:
        raise NotASourceMap(f"must have version {VERSION}")
    if "sections" in fields:
        _check_sections(_decoded(fields["sections"]))
    else:
        _check_flat({name: _decoded(raw) for name, raw in fields.items() if name in _FLAT})


_FLAT = ("mappings", "sources", "names", "sourcesContent")


def _check_flat(fields: dict[str, Any]) -> None:
    if not isinstance(fields.get("mappings"), str):
        raise NotASourceMap("must have mappings, which are a string")
    if not _texts(fields.get("sources")):
        raise NotASourceMap("must have sources, which are a list of strings or nulls")
    if not (fields.get("names") is None or _texts(fields["names"])):
        raise NotASourceMap("may have names, which are a list of strings")
    if not (fields.get("sourcesContent") is None or _texts(fields["sourcesContent"])):
        raise NotASourceMap("may have sourcesContent, which is a list of strings or nulls")


def _check_sections(sections: Any) -> None:
    if not isinstance(sections, list):
        raise NotASourceMap("must have sections, which are a list")
    for number, section in enumerate(sections):
        inner = section.get("map") if isinstance(section, dict) else None
        if not isinstance(inner, dict):
            raise NotASourceMap(f"must have the map itself in section {number}, and no URL of it")
        if inner.get("version") != VERSION:
            raise NotASourceMap(f"must have version {VERSION} in section {number}")
        if "sections" not in inner:
            _check_flat(inner)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(one is None or isinstance(one, str) for one in value)


def _decoded(raw: msgspec.Raw) -> Any:
    try:
        return _value(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise NotASourceMap(f"is not JSON: {_why(error)}") from None


def _why(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")
