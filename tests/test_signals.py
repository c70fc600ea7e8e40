"""Signals: one line and an exit code of 128 + n, whatever the command was doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import processes
import pytest

NESTED = """
import time
from harness.cli.signals import stopping
with stopping():
    try:
        print("ready", flush=True)
        time.sleep(600)
    except KeyboardInterrupt as error:
        print(error.number, flush=True)
        time.sleep(600)
"""


def started(command, **options) -> subprocess.Popen[str]:
    return processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.promise(
    "A second signal ends a command at once, and one that is ignored when it starts stays ignored"
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_ends_at_once(number):
    process = started([sys.executable, "-c", NESTED])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == f"{number.value}\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number


@pytest.mark.promise(
    "A second signal ends a command at once, and one that is ignored when it starts stays ignored"
)
def test_an_ignored_signal_stays_ignored():
    """As under nohup, or for a shell's background jobs."""
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + NESTED
    )
    process = started([sys.executable, "-c", code])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == f"{signal.SIGTERM.value}\n"
    process.kill()
    process.communicate()


def test_handlers_are_given_back():
    from harness.cli.signals import Stopped, stopping

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped), stopping() as came:
        os.kill(os.getpid(), signal.SIGTERM)
    assert came == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.promise(
    "A signal that ends a bench ends what runs, in one line; the same command continues"
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_says_by_what_it_was_ended(number):
    """A command that waits stands for any."""
    code = (
        "import sys, time, click\nfrom harness.cli import main\n"
        "@main.cli.command()\ndef wait():\n    print('ready', flush=True)\n    time.sleep(600)\n"
        "sys.argv = ['harness', 'wait']\nmain.main()\n"
    )
    process = started([sys.executable, "-c", code])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert errors.strip() == f"harness: ended by {number.name}"
    assert process.returncode == 128 + number
