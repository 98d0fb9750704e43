"""What the routes of small lists share: which page is wanted, and whose application it is."""

from __future__ import annotations

from typing import Any, TypedDict

from msgspec import UnsetType

from api.call import Call
from api.failures import BadRequest
from api.operations import Parameter
from api.query import DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT, MAX_OFFSET, Parameters, app_of
from domain.failures import Forbidden
from domain.vocabulary import ANY_APP
from projections.paging import ListPage, Wanted

OFFSET = Parameter(
    "offset",
    {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
    "How many to skip; not together with `cursor`.",
    0,
)


class Frame(TypedDict):
    """What every page says of itself. `page` = offset div limit + 1."""

    total: int
    page: int
    limit: int
    offset: int
    next_cursor: str | None


def wanted_page(read: Parameters) -> Wanted:
    """The page that a query string asks for; problems are left with `read`."""
    wanted = Wanted(
        limit=read.integer("limit", 1, MAX_LIMIT, DEFAULT_LIMIT),
        offset=read.integer("offset", 0, MAX_OFFSET, 0),
        cursor=read.text("cursor", MAX_CURSOR),
    )
    if wanted.cursor is not None and wanted.offset:
        read.wrong("cursor", "continues a list from where it was: leave offset out")
    return wanted


def frame(page: ListPage[Any], wanted: Wanted) -> Frame:
    """What a page says of itself."""
    return Frame(
        total=page.total,
        page=wanted.offset // wanted.limit + 1,
        limit=wanted.limit,
        offset=wanted.offset,
        next_cursor=page.next_cursor,
    )


async def chosen_app(call: Call, in_body: str | UnsetType) -> str:
    """The application that a new thing belongs to: the key's own, or the one that body or query
    name; "*" for all, where the key may act on all.

    Raises Forbidden for another key's application, BadRequest for an unknown one or for two."""
    if isinstance(in_body, str) and not (in_body.strip() and len(in_body) <= 100):
        raise BadRequest.field("app", "must have 1 to 100 characters, and not only blanks")
    in_query = app_of(call.scope["query_string"])
    named = in_query if isinstance(in_body, UnsetType) else in_body
    if in_query is not None and in_query != named:
        raise BadRequest.field("app", "is one in the body and another one in the query")
    if named == ANY_APP:
        if call.auth.app != ANY_APP:
            raise Forbidden(f"the key belongs to the application {call.auth.app!r}")
        return ANY_APP
    return await call.parts.applications.for_report(call.auth, named)
