"""The conformance kit: what a plug-in's own tests call to check that it keeps the contract.

    from harness.testing import check_trainer

    def test_it_keeps_the_contract(tmp_path):
        check_trainer("mine", tmp_path)

Everything runs through the real bench, its processes and its scoring, on the embedded tiny model
and a few of its problems, on a CPU and without a network. What does not conform is raised as one
AssertionError that lists all of it.
"""

from __future__ import annotations

from harness.testing.tasks import check_board, check_task
from harness.testing.trainers import Kit, check_trainer

__all__ = ["Kit", "check_board", "check_task", "check_trainer"]
