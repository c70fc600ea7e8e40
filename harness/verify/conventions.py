"""The named options of a task: how its benchmark wants an answer to be judged."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UsageError


class Conventions(BaseModel):
    """How one benchmark wants answers judged; the defaults suit GSM8K and MATH.

    Every option exists because published graders differ on it; `docs/verifier.md` gives an
    example of each. Two equal `Conventions` always give equal verdicts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    percent: Literal["either", "value", "number"] = Field(
        default="either",
        description="`p%` on one side only: `either` takes it as p/100 or as p, `value` as p/100 "
        "alone, `number` as p alone. `p%` on both sides always compares p with p.",
    )
    units: Literal["ignore", "match", "problem"] = Field(
        default="ignore",
        description="A unit on one side only: `ignore` drops it, `match` makes the answer wrong. "
        "`problem` is `ignore`, but where the problem asks for a unit ('in meters') a gold answer "
        "without one has that unit. Two known units of one kind are converted under all three.",
    )
    letters: Literal["names", "units"] = Field(
        default="names",
        description="A bare letter behind a value, as in `5m`: `names` takes it as a variable, "
        "`units` as a unit (m, s, h, g, l). A letter in a text command is a unit under both.",
    )
    copies: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="An answer that is an expression of the problem's own text which nobody "
        "evaluated, where the gold answer is another: `refuse` calls it wrong. It needs the "
        "problem; without one nothing is refused.",
    )
    order: Literal["any", "given"] = Field(
        default="any",
        description="Whether a comma list of values may come in any order. Tuples never may.",
    )
    relative: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Relative tolerance on a number, measured on the gold. 0 is exact.",
    )
    absolute: float = Field(
        default=0.0, ge=0.0, description="Absolute tolerance on a number. 0 is exact."
    )
    rounding: Literal["exact", "gold", "either", "problem"] = Field(
        default="exact",
        description="`exact`: a decimal equals a value only exactly. `gold`: an answer is right if "
        "it rounds to a decimal gold at the gold's own places. `either`: as `gold`, or a decimal "
        "answer of at least three significant digits to which the gold rounds. `problem`: where "
        "the problem states a rounding ('to the nearest tenth'), an answer counts that agrees with "
        "the gold at that place; where it states none, as `exact`.",
    )
    locale: Literal["auto", "point", "comma"] = Field(
        default="auto",
        description="The decimal mark. `auto`: a point, and a comma where the gold is a decimal "
        "number and the answer cannot be one otherwise.",
    )
    names: Literal["free", "match"] = Field(
        default="free",
        description="`f(x) = E` against `y = E`: `free` compares E, `match` wants the same name.",
    )
    intervals: Literal["sets", "strict"] = Field(
        default="sets",
        description="`0 < x < 1` against `(0, 1)`: `sets` takes them as equal, `strict` does not.",
    )
    shape: Literal["free", "strict"] = Field(
        default="free",
        description="A column or row vector against a tuple of the same entries: `free` takes them "
        "as equal, `strict` does not.",
    )
    degrees: Literal["convert", "strict"] = Field(
        default="convert",
        description="`30^\\circ` against `\\pi/6`: `convert` takes them as equal.",
    )
    precedence: Literal["form", "last"] = Field(
        default="form",
        description="An answer in the protocol's own form and a phrase such as 'the final answer "
        "is' behind it: `form` takes the first, `last` what stands last.",
    )
    sampling: Literal["accept", "refuse"] = Field(
        default="accept",
        description="Two expressions that nothing proves equal, but that agree to many digits at "
        "random points: `accept` takes them as equal and says 'probably equal', `refuse` does not.",
    )
    fallback: Literal["any", "committed", "form"] = Field(
        default="any",
        description="Where an answer is looked for when the protocol's own form is missing: `any` "
        "ends at the last number or formula, `committed` at a phrase such as 'the answer is', "
        "`form` looks nowhere else.",
    )

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            known = ", ".join(type(self).model_fields)
            raise UsageError(f"convention {where!r}: {first['msg']}; known: {known}") from None


DEFAULT = Conventions()
