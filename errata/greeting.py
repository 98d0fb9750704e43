"""What `errata up` says when everything answers."""

from __future__ import annotations

import sys

from errata.http_server import reachable
from infra.settings import Settings

DEVELOPMENT_KEY = "test-api-key"


def greet(settings: Settings, owner_key: str | None) -> None:
    """Print where the instance answers and what to try first; an owner's key is shown here once."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    address = reachable(settings.host)
    url = f"http://{f'[{address}]' if ':' in address else address}:{settings.port}"
    key = owner_key or (None if settings.production else DEVELOPMENT_KEY)
    lines = [("API", url), ("Documents", f"{url}/docs")]
    if "default" in (settings.sources["database_url"], settings.sources["redis_url"]):
        lines.append(("Data", str(settings.data_dir.resolve())))
    if key:
        lines.append(("Owner key" if owner_key else "Key", key))
    text = Text()
    for name, value in lines:
        text.append(f"{name:<11}", style="dim").append(f"{value}\n")
    if owner_key:
        text.append("Keep the owner key: it cannot be shown again.\n", style="bold yellow")
    text.append("\nCtrl-C stops everything.", style="dim")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print(Panel(text, title="Errata is up", title_align="left", expand=False))
    # Outside the frame, so that it can be copied.
    console.print(f"Try:\n{_first_request(url, key or 'YOUR-KEY')}", soft_wrap=True, markup=False)


def _first_request(url: str, key: str) -> str:
    return (
        f"curl {url}/api/errors -H 'X-API-Key: {key}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        """  -d '{"message": "Hello from Errata", "source": "curl"}'"""
    )
