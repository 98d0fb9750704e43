"""What the routes of /api/settings/integrations say of themselves."""

from __future__ import annotations

from typing import Any

from api.operations import MIN_POSITION, AsOf, Body, Operation, Reply
from api.settings_schemas import IntegrationBody, IntegrationListBody, IntegrationRequest
from domain.permissions import Permission

_SLACK: dict[str, Any] = {
    "name": "slack",
    "status": "connected",
    "config": {"webhook_url": "https://hooks.slack.com/****", "channel": "#alerts"},
    "last_test": "2025-08-29T10:30:00Z",
    "reason": None,
}
_EMAIL: dict[str, Any] = {
    "name": "email",
    "status": "configured",
    "config": {
        "smtp_server": "smtp.example.com",
        "from_email": "alerts@example.com",
        "to": ["team@example.com"],
        "tls": "starttls",
    },
    "last_test": None,
    "reason": None,
}
_NONE: dict[str, Any] = {
    "status": "not_configured",
    "config": {},
    "last_test": None,
    "reason": None,
}

_CONFIGS: dict[str, dict[str, Any] | None] = {
    "slack": {"webhook_url": "https://hooks.slack.com/services/T0/B0/x", "channel": "#alerts"},
    "email": {
        "smtp_server": "smtp.example.com:587",
        "from_email": "alerts@example.com",
        "to": ["team@example.com"],
        "username": "alerts",
        "password": "the password",
        "tls": "starttls",
    },
    "webhook": {"url": "https://example.com/hooks/errata", "secret": "the shared secret"},
    "sms": {"apprise_url": "twilio://SID:TOKEN@+15551230000/+15551230001"},
    "none": None,
}

LIST_INTEGRATIONS = Operation(
    summary="List integrations",
    tag="settings",
    permission=Permission.ADMIN,
    description="All there are, configured or not. Secrets are shown as `****`.",
    parameters=(MIN_POSITION,),
    replies={
        200: Reply(
            "The integrations.",
            IntegrationListBody,
            example={
                "integrations": [
                    _SLACK,
                    _EMAIL,
                    {"name": "webhook", **_NONE},
                    {"name": "sms", **_NONE},
                ]
            },
        )
    },
    failures=(400,),
    as_of=AsOf(("integrations",)),
)

GET_INTEGRATION = Operation(
    summary="Get an integration",
    tag="settings",
    permission=Permission.ADMIN,
    description="Configured or not. Secrets are shown as `****`.",
    parameters=(MIN_POSITION,),
    replies={200: Reply("The integration.", IntegrationBody, example=_SLACK)},
    failures=(400, 404),
    as_of=AsOf(("integrations",)),
)

CONFIGURE_INTEGRATION = Operation(
    summary="Configure an integration",
    tag="settings",
    permission=Permission.ADMIN,
    description=(
        "Replaces the configuration as a whole; `null` takes it away. `slack`: webhook_url, "
        "channel. `email`: smtp_server, from_email, to, username, password, tls (starttls, tls, "
        "none). `webhook`: url, and a secret that signs the time and the body with HMAC-SHA256 in "
        "`X-Errata-Timestamp` and `X-Errata-Signature`. Each may be an `apprise_url` instead; "
        "`sms` always is. Other fields are refused. The whole is encrypted before it is stored."
    ),
    body=Body(IntegrationRequest, {name: {"config": config} for name, config in _CONFIGS.items()}),
    replies={200: Reply("The integration.", IntegrationBody, example=_EMAIL, position=True)},
    failures=(400, 404, 413, 415),
)

TEST_INTEGRATION = Operation(
    summary="Send a test message",
    tag="settings",
    permission=Permission.ADMIN,
    description=(
        "Really sends one, which may take up to 10 seconds. `status` tells what became of it, "
        "`reason` why it failed. Private and loopback addresses are refused unless "
        "ALLOW_PRIVATE_TARGETS is on. 409: not configured."
    ),
    replies={200: Reply("The integration.", IntegrationBody, example=_SLACK, position=True)},
    failures=(400, 404, 409),
)
