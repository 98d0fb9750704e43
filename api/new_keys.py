"""Secrets that are shown once: new API keys and invitation tokens, each 32 random bytes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from domain.permissions import Permission


def new_key(permissions: Sequence[str]) -> str:
    """A new API key: `ei_...` for one that only reports, else `sk_live_...`."""
    kind = "ei" if tuple(permissions) == (Permission.INGEST,) else "sk_live"
    return f"{kind}_{secrets.token_urlsafe(32)}"


def new_token() -> str:
    """A new invitation token."""
    return secrets.token_urlsafe(32)
