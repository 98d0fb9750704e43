"""How often Python looks for garbage that only its collector can find."""

from __future__ import annotations

import gc

_NEW_OBJECTS = 20_000
_OF_EACH = 20


def collect_seldom() -> None:
    """Let the collector look less often than it does by default, for a process that handles events
    by the page or the batch.

    Those are thousands of objects which live together, and go together when the last reference to
    them goes. At every 700 new ones the collector looked at them all and found nothing: a quarter
    of a worker's time.
    """
    gc.set_threshold(_NEW_OBJECTS, _OF_EACH, _OF_EACH)
