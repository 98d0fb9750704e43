"""What the routes of /api/settings/api-keys say of themselves."""

from __future__ import annotations

from typing import Any

from api.operations import MIN_POSITION, AsOf, Body, Operation, Reply
from api.settings_schemas import ApiKeyListBody, ApiKeyRequest, NewApiKeyBody
from domain.permissions import Permission

_KEY: dict[str, Any] = {
    "id": "0d9f3c1e-6a0b-4d0e-8f5a-3f1f7c2b9a10",
    "name": "Development Key",
    "key_preview": "sk_****7890",
    "permissions": ["read"],
    "expires_at": "2035-12-31T23:59:59Z",
    "created_at": "2025-08-29T12:00:00Z",
    "app": "*",
}
_LISTED = {**_KEY, "last_used": "2025-08-29T12:30:00Z", "member_id": None, "role": None}
_NEW = {**_KEY, "api_key": "sk_live_3q2-7wQ0mZ0bWf0c9Yl1oJr8e5tXvK2uHs4dGa6n7890"}

LIST_API_KEYS = Operation(
    summary="List API keys",
    tag="settings",
    permission=Permission.ADMIN,
    description=(
        "Expired keys stay in the list, revoked ones leave it. A key of one application sees that "
        "application's keys."
    ),
    parameters=(MIN_POSITION,),
    replies={200: Reply("The keys.", ApiKeyListBody, example={"api_keys": [_LISTED]})},
    failures=(400,),
    as_of=AsOf(("api_keys",)),
)

CREATE_API_KEY = Operation(
    summary="Create an API key",
    tag="settings",
    permission=Permission.ADMIN,
    description=(
        "The answer holds the key itself, this once: only its hash is kept. It works everywhere "
        "within a second. No key holds more than the one that asks for it."
    ),
    body=Body(
        ApiKeyRequest,
        {
            "reader": {"name": "Development Key", "permissions": ["read"]},
            "until a day": {
                "name": "CI",
                "permissions": ["read", "write"],
                "expires_at": "2035-12-31T23:59:59Z",
                "app": "default",
            },
        },
    ),
    replies={201: Reply("The key, shown once.", NewApiKeyBody, example=_NEW, position=True)},
    failures=(400, 413, 415),
)

REVOKE_API_KEY = Operation(
    summary="Revoke an API key",
    tag="settings",
    permission=Permission.ADMIN,
    description=(
        "It stops working everywhere within a second, for good. Revoking it again changes "
        "nothing. Only an owner revokes the key of an owner."
    ),
    replies={204: Reply("It works no more.", position=True)},
    failures=(400, 404),
)
