"""What a decision or a rule can refuse, with stable codes. Nothing here knows HTTP."""

from __future__ import annotations


class DomainError(Exception):
    """A refusal with a reason for people and a `code` for programs; codes never change."""

    code = "refused"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotFound(DomainError):
    """The thing asked for does not exist, or no longer does."""

    code = "not_found"


class Forbidden(DomainError):
    """The actor may not do this."""

    code = "forbidden"


class Conflict(DomainError):
    """The current state does not allow this."""

    code = "conflict"


class AlreadyExists(Conflict):
    """The id or name is taken."""

    code = "already_exists"


class Invalid(DomainError):
    """A value breaks a rule. `field` names it in the client's words."""

    code = "invalid"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Unavailable(Exception):
    """A part that is needed is away or full; the same request may work later. Not a refusal.

    `part` is "postgres", "redis", "projections" or "queue"; `retry_after` is in seconds.
    """

    def __init__(self, part: str, reason: str, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.part = part
        self.reason = reason
        self.retry_after = retry_after
