"""The verifier: one judgement for scores and rewards alike.

`verify` judges one answer in the calling process; `VerifierPool` judges many in guarded
worker processes. Importing this package does not load mpmath.
"""

from __future__ import annotations

from harness.verify.conventions import Conventions
from harness.verify.judge import explain, verify
from harness.verify.judgement import VERIFIER_VERSION, Judgement, Reason, Verdict
from harness.verify.selftest import VerifierBroken, self_test
from harness.verify.workers.pool import VerifierPool

__all__ = [
    "VERIFIER_VERSION",
    "Conventions",
    "Judgement",
    "Reason",
    "Verdict",
    "VerifierBroken",
    "VerifierPool",
    "explain",
    "self_test",
    "verify",
]
