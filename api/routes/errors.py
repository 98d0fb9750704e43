"""/api/errors: reading errors and changing their standing."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
from litestar import delete, get, post, put

from api.answers import Answer, array, deleted, encode_json, success
from api.applications import for_reading
from api.bulk import ACTIONS, outcome_of, read_bulk
from api.cache import ERROR_LISTS, Computed, cached
from api.call import Call
from api.failures import BadRequest
from api.query import ListQuery, list_query
from api.reading import ERROR_GROUPS, caught_up, up_to_date
from api.routes.errors_described import (
    BULK_CHANGE,
    DELETE_ERROR,
    GET_ERROR,
    LIST_ERRORS,
    REOPEN_ERROR,
    RESOLVE_ERROR,
)
from api.schemas import BulkBody, StandingBody
from domain.error_group import DeleteError, ReopenError, ResolveError
from domain.failures import NotFound
from domain.vocabulary import ANY_APP
from projections.error_groups import ErrorPage


class _Owned(msgspec.Struct):
    app: str


_owned = msgspec.json.Decoder(_Owned).decode


@get("/errors", opt={"operation": LIST_ERRORS})
async def list_errors(request: Call) -> Answer:
    """A page of errors. Their documents are bytes, and go out as they are."""
    query = list_query(request.scope["query_string"])
    app = for_reading(request.auth, query.filter.app)
    query = msgspec.structs.replace(query, filter=msgspec.structs.replace(query.filter, app=app))
    await up_to_date(request, ERROR_GROUPS)
    body = await cached(request, ERROR_LISTS, [ERROR_GROUPS], query, lambda: _list(request, query))
    return success(body)


@get("/errors/{error_id:str}", opt={"operation": GET_ERROR})
async def get_error(request: Call) -> Answer:
    """One error."""
    error_id = request.error_id()
    await up_to_date(request, ERROR_GROUPS)
    document = await request.container.errors.one(error_id)
    if document is None:
        await caught_up(request, ERROR_GROUPS)
        document = await request.container.errors.one(error_id)
    if document is None or not request.auth.may_see(_owned(document).app):
        raise NotFound("no such error")
    return success(document)


@put("/errors/{error_id:str}/resolve", opt={"operation": RESOLVE_ERROR})
async def resolve_error(request: Call) -> Answer:
    """Mark an error as fixed; a resolved one stays as it is."""
    position = await _change(request, ResolveError, request.error_id())
    return success(encode_json(StandingBody("resolved")), position=position)


@put("/errors/{error_id:str}/reopen", opt={"operation": REOPEN_ERROR})
async def reopen_error(request: Call) -> Answer:
    """Take a resolution back; an open error stays as it is."""
    position = await _change(request, ReopenError, request.error_id())
    return success(encode_json(StandingBody("open")), position=position)


@delete("/errors/{error_id:str}", status_code=200, opt={"operation": DELETE_ERROR})
async def delete_error(request: Call) -> Answer:
    """Take an error out of every answer."""
    return deleted(await _change(request, DeleteError, request.error_id()))


@post("/errors/bulk", opt={"operation": BULK_CHANGE})
async def change_errors(request: Call) -> Answer:
    """One action for many errors, committed together; each has its own outcome."""
    wanted = read_bulk(await request.json_body())
    action = ACTIONS[wanted.action]
    ids = list(dict.fromkeys(wanted.ids))
    changes = [_change(request, action.command, error_id) for error_id in ids]
    ended = await asyncio.gather(*changes, return_exceptions=True)
    results = [outcome_of(action, error_id, end) for error_id, end in zip(ids, ended, strict=True)]
    missing = sum(result.status == "not_found" for result in results)
    body = BulkBody(wanted.action, results, len(results) - missing, missing)
    positions = [end for end in ended if isinstance(end, int)]
    return success(encode_json(body), position=max(positions, default=None))


async def _change(
    request: Call,
    change: type[ResolveError] | type[ReopenError] | type[DeleteError],
    error_id: UUID,
) -> int:
    """Change one error; returns the position that covers it.

    Raises NotFound, for errors of other applications too: whose it is, the decision knows."""
    bound = request.auth.app
    command = change(error_id=error_id, app=None if bound == ANY_APP else bound)
    return (await request.container.store.execute(command, request.context)).position


async def _list(request: Call, query: ListQuery) -> Computed:
    page = await _page(request, query)
    if not page.total:
        # Nothing at all may mean that Redis was emptied a moment ago: that is no answer.
        await caught_up(request, ERROR_GROUPS)
        page = await _page(request, query)
    return Computed(_list_body(page, query), settled=page.total > 0)


async def _page(request: Call, query: ListQuery) -> ErrorPage:
    try:
        return await request.container.errors.list(
            query.filter, query.sort, query.limit, query.offset, query.cursor
        )
    except ValueError:
        raise BadRequest.field("cursor", "is not one that this list has given") from None


def _list_body(page: ErrorPage, query: ListQuery) -> bytes:
    return b'{"errors":%b,"total":%d,"page":%d,"limit":%d,"offset":%d,"next_cursor":%b}' % (
        array(page.documents),
        page.total,
        query.offset // query.limit + 1,
        query.limit,
        query.offset,
        encode_json(page.next_cursor),
    )
