"""How often a fault is staged, and with which dice."""

from __future__ import annotations

import os
from random import Random

from tests.waiting import FULL


def rounds(full: int, quick: int) -> int:
    """The count of the catalogue where the full form was asked for, else the quick one."""
    return full if FULL else quick


def dice(scenario: str) -> Random:
    """The random numbers of a scenario: the same in every run, unless FAULTS_SEED says other."""
    return Random(f"{scenario} {os.environ.get('FAULTS_SEED', '1')}")
