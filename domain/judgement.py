"""From looks at services to news about them: one failed look is none, two in a row are.

A service is down since the first of them. Judged is what was said before, so that each turn of
events is news once; who begins to judge knows nothing and says everything once.
"""

from __future__ import annotations

from domain.message import Command
from domain.observation import Look
from domain.service import NoteServiceDown, NoteServiceUp

FAILURES = 2


class Judge:
    """Judges the services that one process looks at."""

    def __init__(self) -> None:
        self._failed: dict[str, list[Look]] = {}
        self._said: dict[str, str] = {}

    def hear(self, look: Look) -> Command | None:
        """What is new with this look, if anything. "unknown" neither accuses nor acquits."""
        if look.status == "unknown":
            return None
        if look.status == "healthy":
            self._failed.pop(look.service, None)
            if not self._says(look.service, "up"):
                return None
            return NoteServiceUp(service=look.service, at=look.at)
        failed = self._failed.setdefault(look.service, [])
        if len(failed) < FAILURES:
            failed.append(look)
        if len(failed) < FAILURES or not self._says(look.service, "down"):
            return None
        first = failed[0]
        return NoteServiceDown(service=look.service, at=first.at, reason=first.reason or "")

    def doubts(self, service: str) -> bool:
        """Whether the last look failed, so that another one soon is worth it."""
        return service in self._failed

    def forget(self, service: str | None = None) -> None:
        """Know nothing of a service any more, or of any."""
        for known in (self._failed, self._said):
            if service is None:
                known.clear()
            else:
                known.pop(service, None)

    def _says(self, service: str, standing: str) -> bool:
        """Say how a service stands; whether that is new."""
        new = self._said.get(service) != standing
        self._said[service] = standing
        return new
