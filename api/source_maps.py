"""Source maps on their way in: from the bytes of a body to file names and the maps' texts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from api.answers import Problem
from api.failures import BadRequest
from api.json_text import MAX_DEPTH, bad_escape, check_encoding, why_malformed
from api.source_map_schemas import MAX_MAPS
from domain.source_maps import MAX_FILE_NAME, MAX_VERSION

_NULL = msgspec.Raw(b"null")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


class Upload(msgspec.Struct, frozen=True):
    """One file's map. `field` is what the body calls it."""

    file_name: str
    text: bytes
    field: str


class Uploads(msgspec.Struct, frozen=True):
    """The maps of one version."""

    app_version: str
    maps: Sequence[Upload]


def read_upload(body: bytes) -> Uploads:
    """The map that a body holds. Raises BadRequest naming every field that is wrong."""
    reading = _Reading(body)
    version, upload = reading.version(), reading.upload(reading.fields, "")
    reading.check()
    return Uploads(version, [upload])


def read_batch(body: bytes) -> Uploads:
    """The 1 to 20 maps that a body holds. Raises BadRequest naming every field that is wrong."""
    reading = _Reading(body)
    version, maps = reading.version(), reading.uploads()
    reading.check()
    return Uploads(version, maps)


class _Reading:
    """Takes one body apart and collects what is wrong with it."""

    def __init__(self, body: bytes) -> None:
        check_encoding(body)
        try:
            self.fields = _fields(body)
        except RecursionError:
            raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels") from None
        except msgspec.ValidationError:
            raise BadRequest("the body must be a JSON object") from None
        except msgspec.DecodeError as error:
            raise BadRequest(f"the body is not JSON: {why_malformed(error)}") from None
        self._problems: list[Problem] = []

    def check(self) -> None:
        """Raises BadRequest with all problems found so far."""
        if self._problems:
            raise BadRequest.of(self._problems)

    def version(self) -> str:
        """The version that the maps are of."""
        return self._name(self.fields, "appVersion", MAX_VERSION)

    def upload(self, fields: dict[str, msgspec.Raw], prefix: str) -> Upload:
        """One map; `prefix` says where in the body it stands."""
        file_name = self._name(fields, "fileName", MAX_FILE_NAME, prefix)
        field = f"{prefix}sourceMap"
        return Upload(file_name, self._string(fields, "sourceMap", prefix).encode(), field)

    def uploads(self) -> list[Upload]:
        """All maps of a batch."""
        raw = self.fields.get("sourceMaps", _NULL)
        try:
            entries = _list(raw)
        except msgspec.MsgspecError:
            problem = "is required" if raw == _NULL else "must be a list of source maps"
            self._wrong("sourceMaps", problem)
            return []
        if not 1 <= len(entries) <= MAX_MAPS:
            self._wrong("sourceMaps", f"must hold 1 to {MAX_MAPS} source maps")
            return []
        found: list[Upload] = []
        for index, entry in enumerate(entries):
            prefix = f"sourceMaps[{index}]."
            try:
                found.append(self.upload(_fields(entry), prefix))
            except msgspec.MsgspecError:
                self._wrong(prefix[:-1], "must be an object with fileName and sourceMap")
        return found

    def _name(self, fields: dict[str, msgspec.Raw], name: str, most: int, prefix: str = "") -> str:
        text = self._string(fields, name, prefix)
        escape = bad_escape(bytes(fields.get(name, _NULL)))
        if escape is not None:
            self._wrong(prefix + name, escape)
        elif text and not (text.strip() and len(text) <= most):
            self._wrong(prefix + name, f"must have 1 to {most} characters, and not only blanks")
        return text

    def _string(self, fields: dict[str, msgspec.Raw], name: str, prefix: str) -> str:
        """A string that must be there; empty after a problem with it."""
        raw = fields.get(name, _NULL)
        if raw == _NULL:
            self._wrong(prefix + name, "is required")
            return ""
        try:
            text = _text(raw)
        except msgspec.MsgspecError:
            self._wrong(prefix + name, "must be a string")
            return ""
        if not text:
            self._wrong(prefix + name, "must not be empty")
        return text

    def _wrong(self, field: str, problem: str) -> None:
        if all(known.field != field for known in self._problems):
            self._problems.append(Problem(field, problem))
