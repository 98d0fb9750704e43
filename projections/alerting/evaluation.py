"""One evaluation: how a rule, or a rule and one error, stands from instant to instant.

It is looked at when its verdict may have changed, and says when to look again. Between two looks
nothing changes, so looking more often makes no difference.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from domain.alert import AlertFacts
from projections.alerting.rules import Enforced
from projections.alerting.windows import Window

Turn = Literal["triggered", "recovered"]


class Evaluation:
    """What is known between looks, in microseconds since 1970: when the rule came into force
    (`since`), when firing began (None: it does not), the last trigger, since when the condition is
    false while firing. `facts` are the last trigger's. `group` is the error's id as a number, 0 for
    all that the rule watches. `due` is the instant for which a look is arranged.
    """

    __slots__ = (
        "app",
        "due",
        "enforced",
        "facts",
        "false_since",
        "firing_since",
        "group",
        "incident",
        "last_triggered",
        "since",
        "told",
        "triggers",
        "true",
        "windows",
    )

    def __init__(self, enforced: Enforced, since: int, group: int, app: str) -> None:
        self.enforced = enforced
        self.since = since
        self.group = group
        self.app = app
        self.facts: AlertFacts | None = None
        self.windows: tuple[Window, ...] = ()
        self.firing_since: int | None = None
        self.last_triggered: int | None = None
        self.false_since: int | None = None
        self.triggers = 0
        self.told = False
        self.incident: UUID | None = None
        self.due: int | None = None
        self.true = False

    @property
    def order(self) -> tuple[int, int]:
        """In which order evaluations are looked at that are due at once."""
        return (self.enforced.number, self.group)

    def counts(self, now: int) -> list[int]:
        """What each window counts."""
        return [window.count(now) for window in self.windows]

    def verdict(self, now: int, counts: list[int]) -> bool:
        """Whether the condition is true of these counts. Of an error nothing is true without a
        single entry; what holds for nothing at all is false until a whole window was watched."""
        enforced = self.enforced
        if enforced.per_error and not any(counts):
            return False
        truths = [
            clause.limits.hold(count) and not (clause.waits and now < self.since + clause.span)
            for clause, count in zip(enforced.clauses, counts, strict=True)
        ]
        return all(truths) if enforced.both else any(truths)

    def look(self, now: int) -> tuple[Turn | None, int | None]:
        """What happens now, and when to look again if nothing else comes."""
        counts = self.counts(now)
        self.true = self.verdict(now, counts)
        turn = self._turn(now)
        for clause, window, count in zip(self.enforced.clauses, self.windows, counts, strict=True):
            first_of_error = self.enforced.per_error and not count
            window.arm(1 if first_of_error else clause.limits.more(count))
        return turn, self._next(now, counts)

    def over(self, now: int) -> bool:
        """Whether it can be forgotten, as of a look now: of an error of which nothing is left."""
        if not self.enforced.per_error or self.firing_since is not None:
            return False
        return not self._cooling(now) and not any(self.counts(now))

    def cooled(self) -> int | None:
        """When the cooldown ends, or ended; None where nothing was triggered."""
        last = self.last_triggered
        return None if last is None else last + self.enforced.cooldown

    def _cooling(self, now: int) -> bool:
        cooled = self.cooled()
        return cooled is not None and now < cooled

    def _turn(self, now: int) -> Turn | None:
        if self.true:
            self.false_since = None
            if self._cooling(now):
                return None
            self.last_triggered = now
            if self.firing_since is None:
                self.firing_since = now
            self.triggers += 1
            return "triggered"
        if self.firing_since is None:
            return None
        if self.false_since is None:
            self.false_since = now
        return "recovered" if now >= self.false_since + self.enforced.recovery else None

    def recovered(self) -> None:
        """It fires no more. The cooldown goes on."""
        self.firing_since = self.false_since = self.incident = self.facts = None
        self.triggers = 0
        self.told = False

    def _next(self, now: int, counts: list[int]) -> int | None:
        instants: list[int | None] = []
        for clause, window, count in zip(self.enforced.clauses, self.windows, counts, strict=True):
            instants.append(window.next_change(count, clause.limits))
            if clause.waits:
                instants.append(self.since + clause.span)
            ends = window.ends(count) if self.enforced.per_error else None
            if ends is not None:
                instants.append(ends.until + clause.span)
        instants.append(self.cooled())
        if self.false_since is not None:
            instants.append(self.false_since + self.enforced.recovery)
        return min((one for one in instants if one is not None and one > now), default=None)
