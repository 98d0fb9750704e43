"""One action for many errors: its body, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args
from uuid import UUID

import msgspec

from api.answers import Problem
from api.failures import BadRequest
from api.json_text import bad_escape, check_text
from api.schemas import BulkAction, BulkOutcome, BulkRequest, BulkStatus
from domain.error_group import DeleteError, ReopenError, ResolveError
from domain.failures import NotFound

MOST_IDS = 100


@dataclass(frozen=True)
class Action:
    """What is decided for each error, and how it stands afterwards."""

    command: type[ResolveError] | type[ReopenError] | type[DeleteError]
    status: BulkStatus


ACTIONS: Mapping[BulkAction, Action] = {
    "resolve": Action(ResolveError, "resolved"),
    "reopen": Action(ReopenError, "open"),
    "delete": Action(DeleteError, "deleted"),
}


class _Fields(msgspec.Struct, frozen=True):
    action: object = None
    ids: object = None


def read_bulk(body: bytes) -> BulkRequest:
    """What a body asks for. Raises BadRequest, with a Problem for each field that is wrong."""
    check_text(body)
    problem = bad_escape(body)
    if problem:
        raise BadRequest(f"the body {problem}")
    try:
        fields = msgspec.json.decode(body, type=_Fields)
    except msgspec.ValidationError:
        raise BadRequest("the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    problems: list[Problem] = []
    action = _action(fields.action, problems)
    ids = _ids(fields.ids, problems)
    if problems:
        raise BadRequest.of(problems)
    return BulkRequest(action, ids)


def _action(given: object, problems: list[Problem]) -> BulkAction:
    if given not in get_args(BulkAction):
        known = ", ".join(get_args(BulkAction))
        problems.append(Problem("action", f"must be one of {known}"))
    return cast("BulkAction", given)


def _ids(given: object, problems: list[Problem]) -> list[UUID]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_IDS:
        problems.append(Problem("ids", f"must be a list of 1 to {MOST_IDS} UUIDs"))
        return []
    ids: list[UUID] = []
    for index, item in enumerate(given):
        try:
            ids.append(msgspec.convert(item, UUID))
        except msgspec.ValidationError:
            problems.append(Problem(f"ids[{index}]", "must be a UUID"))
    return ids


def outcome_of(action: Action, error_id: UUID, end: int | BaseException) -> BulkOutcome:
    """What became of one error. Raises whatever is not about this error alone."""
    if isinstance(end, NotFound):
        return BulkOutcome(error_id, "not_found")
    if isinstance(end, BaseException):
        raise end
    return BulkOutcome(error_id, action.status)
