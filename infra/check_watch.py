"""Which custom checks there are, and when each is due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from uuid import UUID

from domain.check import Check, check_service
from domain.check import decider as check
from domain.check_settings import CheckSettings
from domain.observation import Look
from infra.custom_checks import CheckRunner
from infra.event_store.reader import LogReader


class CheckWatch:
    """Runs every check at its own interval, and reports each look.

    The checks are those the log knows: asked for anew, at a small price, in every turn."""

    def __init__(
        self, reader: LogReader, runner: CheckRunner, report: Callable[[Look], Awaitable[None]]
    ) -> None:
        self._reader = reader
        self._runner = runner
        self._report = report
        self._version: int | None = None
        self._checks: dict[UUID, CheckSettings] = {}
        self._due: dict[UUID, float] = {}
        self._running: dict[UUID, asyncio.Task[None]] = {}

    @property
    def services(self) -> set[str]:
        """The names under which the checks are watched that are switched on."""
        return {check_service(check_id) for check_id in self._checks}

    async def refresh(self) -> bool:
        """Learn which checks there are; whether that has changed. Raises Unavailable."""
        version = await self._reader.kind_version(check.kind)
        if version == self._version:
            return False
        states: list[Check] = await self._reader.states_of(check.kind)
        found = {
            state.check_id: state.settings
            for state in states
            if state.check_id is not None and state.settings is not None and state.settings.enabled
        }
        self._due = {
            check_id: self._due[check_id] if self._checks.get(check_id) == settings else 0.0
            for check_id, settings in found.items()
        }
        self._checks, self._version = found, version
        return True

    def start_due(self) -> None:
        """Begin every check whose time has come, unless it still runs."""
        now = monotonic()
        for check_id, settings in self._checks.items():
            if self._due[check_id] <= now and check_id not in self._running:
                self._due[check_id] = now + settings.interval
                self._running[check_id] = asyncio.create_task(self._run(check_id, settings))

    async def stop(self) -> None:
        """End what runs; begin anew next time."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._version = None
        self._checks, self._due = {}, {}

    async def _run(self, check_id: UUID, settings: CheckSettings) -> None:
        try:
            look = await self._runner.look(check_id, settings)
            if self._checks.get(check_id) == settings:
                await self._report(look)
        finally:
            del self._running[check_id]
