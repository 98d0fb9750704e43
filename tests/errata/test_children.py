"""Children end with their parent, are restarted when they die, and are stopped with patience."""

import subprocess
import sys
from pathlib import Path

from tests.waiting import eventually

PROJECT = Path(__file__).parents[2]

PARENT = """
import os, signal, sys, threading, time
from errata.children import Child, stop_children, until_told
from errata.supervisor import Supervisor
from infra.logs import configure_logging
from infra.settings import load_settings

configure_logging(load_settings({}))

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # whole lines, whoever else writes

def wait_for_stop():
    until_told(lambda stop: stop.wait())

def ignore_stop():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("ready")
    time.sleep(60)

def fail():
    raise ValueError("broken")

def dies_at_once():
    os._exit(3)
"""


def parent(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT + script],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(script: str) -> list[str]:
    process = parent(script)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return said.splitlines()


def test_a_child_dies_with_a_parent_that_is_killed() -> None:
    process = parent(
        "child = Child('x', ignore_stop); child.start(); say(child.pid); time.sleep(60)"
    )
    assert process.stdout is not None
    said = {process.stdout.readline().strip() for _ in range(2)}
    (pid,) = said - {"ready"}
    process.kill()
    process.communicate(timeout=30)

    def gone() -> bool:
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or ") Z " in status.read_text()

    assert eventually(gone)


def test_work_that_was_told_to_stop_ends_in_order() -> None:
    said = output(
        "child = Child('x', wait_for_stop); child.start(); time.sleep(0.3)\n"
        "child.signal(signal.SIGTERM)\n"
        "while (how := child.ended()) is None: time.sleep(0.01)\n"
        "say(how)"
    )
    assert said == ["exit code 0"]


def test_work_that_fails_ends_the_process_with_1() -> None:
    said = output(
        "child = Child('x', lambda: until_told(lambda stop: fail())); child.start()\n"
        "while (how := child.ended()) is None: time.sleep(0.01)\n"
        "say(how)"
    )
    assert said == ["exit code 1"]


def test_a_child_that_does_not_stop_is_killed_when_patience_ends() -> None:
    said = output(
        "child = Child('x', ignore_stop); child.start(); time.sleep(0.5)\n"
        "started = time.monotonic(); stop_children([child], 0.3)\n"
        "say(child.pid, 0.3 <= time.monotonic() - started < 1)"
    )
    assert said == ["ready", "None True"]


def test_the_pauses_before_a_restart_grow() -> None:
    said = output(
        "deaths = []\n"
        "supervisor = Supervisor([Child('x', dies_at_once)], lambda pid: None)\n"
        "supervisor.start()\n"
        "while len(deaths) < 4:\n"
        "    deaths += [time.monotonic() for _ in supervisor.tend()]; time.sleep(0.005)\n"
        "say(*(round(b - a, 3) for a, b in zip(deaths, deaths[1:])))"
    )
    pauses = [float(pause) for pause in said[0].split()]
    assert all(due <= found < 1.5 * due for due, found in zip((0.2, 0.4, 0.8), pauses, strict=True))


def test_ctrl_c_is_left_to_the_parent() -> None:
    said = output(
        "child = Child('x', wait_for_stop); child.start(); time.sleep(0.3)\n"
        "child.signal(signal.SIGINT); child.signal(signal.SIGHUP); time.sleep(0.3)\n"
        "say(child.ended()); stop_children([child], 1.0)"
    )
    assert said == ["None"]
