"""A check at start, in milliseconds, that the verifier still judges as it should."""

from __future__ import annotations

from harness.errors import HarnessError
from harness.verify.judge import verify
from harness.verify.judgement import Verdict


class VerifierBroken(HarnessError):
    """The verifier misjudges a case that it must not; nothing may be scored with it."""


_CASES = (
    ("42", r"so \boxed{42}", "correct"),
    ("42", r"so \boxed{41}", "wrong"),
    (r"28\%", r"\boxed{28 percent}", "correct"),
    (r"\frac{1}{2}", r"\boxed{0.5}", "correct"),
    (r"\frac{\sqrt{3}}{3}", r"\boxed{1/\sqrt3}", "correct"),
    (r"\sqrt{2}-1", r"\boxed{\frac{1}{1+\sqrt2}}", "correct"),  # many digits by mpmath
    (r"\sqrt{2}-1", r"\boxed{0.41421356237}", "wrong"),
    (r"x \in [1,2)", r"\boxed{1 \le x < 2}", "correct"),
    ("2x+z=1", r"\boxed{1}", "wrong"),
    ("1", "there is nothing", "no_answer"),
    ("42", "The answer is not 42.", "wrong"),
    ("106", r"\boxed{\text{one hundred and six}}", "correct"),
)


def self_test() -> None:
    """Check that no dependency is missing or broken.

    Raises:
        VerifierBroken: If a known case gets another verdict, or mpmath cannot be imported.
    """
    for gold, text, wanted in _CASES:
        found = verify(text, gold)
        if found.verdict is not Verdict(wanted):
            raise VerifierBroken(
                f"the verifier judged {text!r} against {gold!r} {found.verdict} and not {wanted} "
                f"({found.why}); reinstall mpmath"
            )
