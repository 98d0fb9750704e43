"""What each API server process runs: settings from its environment, parts wired, one ASGI app."""

from __future__ import annotations

from litestar import Litestar

from api.app import create_app
from errata.bootstrap import container
from infra.settings import load_settings
from infra.telemetry import configure_logging


def create() -> Litestar:
    """The application, for granian's factory mode."""
    settings = load_settings()
    configure_logging(settings)
    return create_app(container(settings))
