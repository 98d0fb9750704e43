"""What the API asks of the alerting engine without letting it act."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from domain.rule_settings import RuleSettings, RuleWish
from projections.alerting.acting import Action
from projections.alerting.explain import Explanation, Watched
from projections.alerting.replay import Bucket


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """How a rule stood at a moment. For a rule on each error without an error being named,
    `explanation` is None and `errors` are those nearest to the condition.

    `looked_at_from` is the position after which the log was gone through."""

    rule_id: UUID
    settings: RuleSettings
    version: int
    position: int
    at: datetime
    looked_at_from: int
    explanation: Explanation | None = None
    errors: Sequence[Watched] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would have done over a period, in order, and its value over time."""

    settings: RuleSettings
    steps: Sequence[Action]
    series: Sequence[Bucket]


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A rule over a period of the log: positions after `first - 1` up to `last`; and what the
    stored rule would have done, where one was named."""

    since: datetime
    until: datetime
    first: int
    last: int
    wished: Outcome
    stored: Outcome | None = None


class Trials(Protocol):
    """Rules tried on the past. Nothing is sent and nothing written.

    Raises Unavailable while the log is away or as many trials are running as may run at a time."""

    async def explain(
        self, rule_id: UUID, at: int | datetime | None, error_id: UUID | None, seen_by: str
    ) -> Explained:
        """How a rule stood at a position or time; None: now. `seen_by` is the application whose
        rules may be seen, or "*".

        Raises NotFound for a rule that was not there to see, Invalid("at") for a moment that has
        not come, Invalid("error_id") where the rule does not look at each error."""
        ...

    async def preview(
        self,
        wish: RuleWish,
        rule_id: UUID | None,
        since: datetime | None,
        until: datetime | None,
        seen_by: str,
    ) -> Preview:
        """What a rule would have done; over the last 24 hours unless told otherwise. With a
        `rule_id`, what `wish` leaves out is as that rule has it.

        Raises NotFound for a rule that is not there to see, Invalid for a period that is none, is
        too long or holds too much, and for what makes no rule."""
        ...
