"""Memorisation probes: how well a model writes the second half of test problems from the first."""

from __future__ import annotations

import pydantic

from harness.costs import Count, Frozen

Proportion = pydantic.Field(ge=0, le=1)


class Probe(Frozen, allow_inf_nan=False):
    """What came of one test set; `harness.stage.probe` says how it is done.

    ROUGE-L is the F-measure of the longest common subsequence of words (Lin 2004), a share of 1.
    """

    task: str
    n: Count  # problems that are long enough to be halved, of those that were looked at
    exact: Count  # of them, those whose second half was written word by word
    rouge_l: float = Proportion  # mean of ROUGE-L with the problem's own second half
    rouge_l_other: float = Proportion  # the same with the second half of the next problem
    rouge_l_sd: float = pydantic.Field(ge=0)  # over problems, of the difference of the two

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Probe:
        if self.exact > self.n:
            raise ValueError(f"{self.task}: more halves written than the {self.n} that were asked")
        return self


class Probed(Probe):
    """A probe with its 95 % intervals over problems."""

    exact_low: float
    exact_high: float
    difference: float  # rouge_l less rouge_l_other
    low: float
    high: float
