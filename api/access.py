"""Who may call what: every route with the permission it needs, in one table.

Each route states its permission in its Operation, where the guard reads it; this table is all of
them at one glance, and the tests hold that the two agree and that no route is missing here.
`python -m api.access` prints the table with what each role may do; docs/permissions.md is that
print.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType

from domain.permissions import ROLES, Permission, implied

Route = tuple[str, str]
"""Method and path template."""

NO_KEY = None
INGEST, READ = Permission.INGEST, Permission.READ
WRITE, ADMIN = Permission.WRITE, Permission.ADMIN

ACCESS: Mapping[Route, Permission | None] = MappingProxyType(
    {
        ("GET", "/"): NO_KEY,
        ("GET", "/health"): NO_KEY,
        ("GET", "/health/live"): NO_KEY,
        ("GET", "/health/ready"): NO_KEY,
        ("GET", "/metrics"): NO_KEY,
        ("GET", "/docs"): NO_KEY,
        ("GET", "/docs/openapi.json"): NO_KEY,
        ("POST", "/api/errors"): INGEST,
        ("GET", "/api/errors"): READ,
        ("POST", "/api/errors/bulk"): WRITE,
        ("GET", "/api/errors/{error_id}"): READ,
        ("DELETE", "/api/errors/{error_id}"): WRITE,
        ("PUT", "/api/errors/{error_id}/resolve"): WRITE,
        ("PUT", "/api/errors/{error_id}/reopen"): WRITE,
        ("POST", "/api/errors/{error_id}/mute"): WRITE,
        ("POST", "/api/errors/{error_id}/unmute"): WRITE,
        ("GET", "/api/errors/{error_id}/occurrences"): READ,
        ("POST", "/api/v1/ingest"): INGEST,
        ("GET", "/api/v1/ingest/test"): INGEST,
        ("GET", "/api/stats"): READ,
        ("GET", "/api/analytics/trends"): READ,
        ("GET", "/api/analytics/performance"): READ,
        ("GET", "/api/monitoring/services"): READ,
        ("GET", "/api/monitoring/metrics"): READ,
        ("GET", "/api/monitoring/uptime"): READ,
        ("GET", "/api/monitoring/checks"): READ,
        ("POST", "/api/monitoring/checks"): ADMIN,
        ("GET", "/api/monitoring/checks/{check_id}"): READ,
        ("PUT", "/api/monitoring/checks/{check_id}"): ADMIN,
        ("DELETE", "/api/monitoring/checks/{check_id}"): ADMIN,
        ("GET", "/api/alerts/rules"): READ,
        ("POST", "/api/alerts/rules"): WRITE,
        ("GET", "/api/alerts/rules/{rule_id}"): READ,
        ("PUT", "/api/alerts/rules/{rule_id}"): WRITE,
        ("DELETE", "/api/alerts/rules/{rule_id}"): WRITE,
        ("PUT", "/api/alerts/rules/{rule_id}/silence"): WRITE,
        ("GET", "/api/alerts/rules/{rule_id}/history"): READ,
        ("GET", "/api/alerts/rules/{rule_id}/explain"): READ,
        ("POST", "/api/alerts/rules/preview"): READ,
        ("GET", "/api/alerts/incidents"): READ,
        ("POST", "/api/alerts/incidents"): WRITE,
        ("GET", "/api/alerts/incidents/{incident_id}"): READ,
        ("PUT", "/api/alerts/incidents/{incident_id}"): WRITE,
        ("GET", "/api/settings/api-keys"): ADMIN,
        ("POST", "/api/settings/api-keys"): ADMIN,
        ("DELETE", "/api/settings/api-keys/{key_id}"): ADMIN,
        ("GET", "/api/settings/team"): ADMIN,
        ("POST", "/api/settings/team/invite"): ADMIN,
        ("POST", "/api/settings/team/accept"): NO_KEY,
        ("PUT", "/api/settings/team/{member_id}"): ADMIN,
        ("DELETE", "/api/settings/team/{member_id}"): ADMIN,
        ("GET", "/api/settings/integrations"): ADMIN,
        ("GET", "/api/settings/integrations/{integration}"): ADMIN,
        ("PUT", "/api/settings/integrations/{integration}"): ADMIN,
        ("POST", "/api/settings/integrations/{integration}/test"): ADMIN,
        ("GET", "/api/settings/apps"): ADMIN,
        ("POST", "/api/settings/apps"): ADMIN,
        ("POST", "/api/v1/sourcemaps/upload"): INGEST,
        ("POST", "/api/v1/sourcemaps/upload-batch"): INGEST,
        ("GET", "/api/v1/sourcemaps/list"): INGEST,
        ("DELETE", "/api/v1/sourcemaps/{app_version}"): INGEST,
        ("GET", "/api/errors/{error_id}/history"): READ,
        ("GET", "/api/alerts/rules/{rule_id}/changes"): READ,
        ("GET", "/api/alerts/incidents/{incident_id}/history"): READ,
        ("GET", "/api/monitoring/checks/{check_id}/history"): READ,
        ("GET", "/api/settings/api-keys/{key_id}/history"): ADMIN,
        ("GET", "/api/settings/team/{member_id}/history"): ADMIN,
        ("GET", "/api/settings/integrations/{integration}/history"): ADMIN,
        ("GET", "/api/settings/apps/{app_id}/history"): ADMIN,
        ("GET", "/api/audit/events"): ADMIN,
        ("GET", "/api/admin/diff"): ADMIN,
        ("GET", "/api/admin/consistency"): ADMIN,
        ("GET", "/api/admin/rebuilds"): ADMIN,
        ("POST", "/api/admin/rebuilds"): ADMIN,
        ("POST", "/api/admin/rebuilds/rollback"): ADMIN,
        ("GET", "/api/admin/rebuilds/{rebuild_id}"): ADMIN,
        ("DELETE", "/api/admin/rebuilds/{rebuild_id}"): ADMIN,
        ("GET", "/api/admin/rebuilds/{rebuild_id}/events"): ADMIN,
        ("GET", "/dashboard/api/errors"): READ,
        ("GET", "/dashboard/api/errors/{event_id}"): READ,
        ("GET", "/dashboard/api/trends"): READ,
        ("GET", "/dashboard/api/codes"): READ,
        ("GET", "/dashboard/api/apps"): READ,
    }
)

WITHOUT_KEY: frozenset[Route] = frozenset(
    route for route in ACCESS if route[1].startswith("/dashboard/api/")
)
"""What shows `test-app` to everybody, outside production."""

FOR_ALL_APPS: frozenset[Route] = frozenset(
    {
        ("GET", "/api/settings/team"),
        ("POST", "/api/settings/team/invite"),
        ("PUT", "/api/settings/team/{member_id}"),
        ("DELETE", "/api/settings/team/{member_id}"),
        ("GET", "/api/settings/integrations"),
        ("GET", "/api/settings/integrations/{integration}"),
        ("PUT", "/api/settings/integrations/{integration}"),
        ("POST", "/api/settings/integrations/{integration}/test"),
        ("POST", "/api/settings/apps"),
        ("GET", "/api/admin/diff"),
        ("GET", "/api/admin/consistency"),
        ("GET", "/api/settings/team/{member_id}/history"),
        ("GET", "/api/settings/integrations/{integration}/history"),
        ("POST", "/api/monitoring/checks"),
        ("PUT", "/api/monitoring/checks/{check_id}"),
        ("DELETE", "/api/monitoring/checks/{check_id}"),
        ("GET", "/api/admin/rebuilds"),
        ("POST", "/api/admin/rebuilds"),
        ("POST", "/api/admin/rebuilds/rollback"),
        ("GET", "/api/admin/rebuilds/{rebuild_id}"),
        ("DELETE", "/api/admin/rebuilds/{rebuild_id}"),
        ("GET", "/api/admin/rebuilds/{rebuild_id}/events"),
    }
)
"""What concerns every application, and so refuses the keys of one."""

CALLERS: Mapping[str, frozenset[str] | None] = MappingProxyType(
    {
        **{role: ROLES[role] for role in ("viewer", "developer", "admin", "owner")},
        "ingest key": implied((INGEST,)),
        "no key": None,
    }
)
"""Who calls, and with which permissions; None: nobody that is known."""

_PREAMBLE = """\
# Permissions

Who may call what. Printed by `python -m api.access`; the tests hold it to the routes.

A role is what a member's personal key may do; a key without a member has the permissions it was
given, and `write` includes `ingest`. Without a key, or with one that is unknown, expired or
revoked, the answer is 401; with a key that lacks the permission it is 403.

- A key of one application sees and changes what belongs to that application: a thing of another is
  404, and in no list or number. A request that names another application (`app`, `appId`) is 403.
  Rows marked \\* concern every application and refuse such a key with 403.
- Nobody gives away more than they hold, and only owners invite, change and remove owners. The last
  owner cannot go.
- Outside production, rows of `/dashboard/api` marked (1) answer for `test-app` without a key.
- `POST /api/settings/team/accept` asks for the invitation's token in place of a key.
"""


def allowed(route: Route, permissions: frozenset[str] | None) -> bool:
    """Whether a caller with these permissions (None: without a key) is let in."""
    needed = ACCESS[route]
    return needed is None or (permissions is not None and needed in permissions)


def as_markdown() -> str:
    """The table for people: routes by callers."""
    head = ["method", "path", "needs", *CALLERS]
    lines = [_line(head), _line(["---"] * 3 + [":-:"] * len(CALLERS))]
    for route, needed in ACCESS.items():
        method, path = route
        mark = " \\*" if route in FOR_ALL_APPS else ""
        marks = (_allowance(route, held) for held in CALLERS.values())
        lines.append(_line([method, f"`{path}`{mark}", needed or "no key", *marks]))
    return "\n".join([_PREAMBLE, *lines, ""])


def _allowance(route: Route, held: frozenset[str] | None) -> str:
    if allowed(route, held):
        return "yes"
    return "(1)" if held is None and route in WITHOUT_KEY else ""


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
