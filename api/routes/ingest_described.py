"""What the routes of /api/v1/ingest say of themselves."""

from __future__ import annotations

from api.ingest_schemas import EXAMPLE, AcceptedBody, IngestRequest, IngestTestBody
from api.operations import MIN_POSITION, Body, Operation, Reply
from domain.permissions import Permission

INGEST = Operation(
    summary="Send a batch of events",
    tag="ingest",
    permission=Permission.INGEST,
    description=(
        "1 to 1,000 events, at most 16 MiB after decompression, stored together or not at all. "
        "They are on disk before the answer. Each event's `id` makes retries safe: what was "
        "stored before is accepted again and stored once. All events belong to the application "
        "of the key; a key of all applications may send for any one of them. Errors are grouped "
        "by `code` where one is given, else by type, message and stack trace."
    ),
    body=Body(IngestRequest, {"batch": EXAMPLE}),
    replies={
        200: Reply(
            "All events are stored.",
            AcceptedBody,
            enveloped=False,
            example={"success": True, "accepted": 1},
            position=True,
        )
    },
    failures=(400, 413, 415, 503),
)

TEST_KEY = Operation(
    summary="Test a key",
    tag="ingest",
    permission=Permission.INGEST,
    description="Which application the key reports for; of a key of all, `default`.",
    parameters=(MIN_POSITION,),
    replies={
        200: Reply(
            "The key works.",
            IngestTestBody,
            enveloped=False,
            example={"success": True, "appId": "test-app", "appName": "Test Application"},
        )
    },
    failures=(400, 404, 503),
)
