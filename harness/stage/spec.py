"""What passes between a bench and a stage: `stage.json` goes in, `result.json` comes out.

Every key is declared here and nowhere else. A stage's identity is all that can change its result;
the bench names the stage by the digest of it. The rest of a spec says where files lie and how the
work is done.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic

from harness.errors import StageError, UsageError
from harness.files import json_sha256, read_json, write_atomically
from harness.plugin.scored_rows import ScoredRows
from harness.probes import Probe
from harness.records import Caps, Cost, Environment, Frozen, Score, Status
from harness.tasks.guard import Closed
from harness.tasks.protocols import score_name
from harness.verify import Conventions
from harness.verify.extraction.extract import Form

SCHEMA = 1
MOST_STEPS = 1_000_000  # that are planned for where the caps say nothing of a step
Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16"]
Engine = Literal["hf", "vllm"]
Kind = Literal["train", "generate", "judge", "probe"]


class _File(Frozen):
    schema_version: int = SCHEMA

    def write(self, path: Path) -> None:
        write_atomically(path, self.to_json())


# -- what a stage's result depends on -------------------------------------------------------------


class Base(Frozen):
    """The model that a stage starts from: what another stage left, or one that is given."""

    stage: str | None = None
    model: str | None = None  # the digest of a folder, or Hub id and revision


class Common(Frozen):
    """What every stage depends on that runs a model."""

    device: Device
    threads: int | None  # of torch on a CPU
    dtype: Dtype  # of matrix products; the weights that are trained are float32
    packages: dict[str, str]  # distribution -> version
    harness: str  # digest of the harness's code that runs in a stage
    engine: Engine  # what generates


class Source(Frozen):
    """The plug-in that a trainer comes from."""

    name: str
    distribution: str
    version: str
    source_sha256: str


class Share(Frozen):
    """The caps of one stage of a chain."""

    caps: Caps
    rest: bool  # whether they are less what the earlier stages of the chain spent
    fill: bool = False  # whether it is to train until they are spent


class TrainIdentity(Common):
    """What a trained checkpoint depends on."""

    base: Base
    trainer: str
    plugin: Source
    options: dict[str, Any]
    teacher: str | None
    data: dict[str, str]  # task -> digest, as in `traces`
    traces: dict[str, str]
    longest: int | None  # characters of a row
    limit: int | None  # rows of each task
    held_out: str  # sha256 of the training problems that are left out; empty where none are
    gpus: int  # the processes of the stage
    accelerate: str | None  # sha256 of the configuration's file
    protocol: str
    max_new_tokens: int
    verifier: str
    seed: int
    budget: Share


class _Scored(Frozen):
    task: str
    digest: str  # of the task
    protocol: str  # with its version
    max_new_tokens: int
    limit: int | None  # the first so many problems
    samples: int  # answers to each problem

    @property
    def name(self) -> str:
        return score_name(self.task, self.protocol)


class GeneratedScore(_Scored):
    """A task under a protocol, as its answers depend on it."""

    temperature: float
    top_p: float
    columns: dict[str, Any] | None  # under `lm_eval:<task>`: what its documents are made of


class GenerateIdentity(Common):
    """What the answers of one checkpoint depend on."""

    base: Base
    scores: tuple[GeneratedScore, ...]
    batch_size: int


class JudgedScore(_Scored):
    """A task under a protocol, as the verdicts on its answers depend on it."""

    version: int  # of the task
    ranking: bool
    form: Form
    conventions: Conventions


class JudgeIdentity(Frozen):
    """What the verdicts on the answers of one checkpoint depend on."""

    answers: str  # the stage that generated them
    scores: tuple[JudgedScore, ...]
    verifier: str
    harness: str  # digest of the harness's code that runs in a stage


class ProbedTask(Frozen):
    """The problems of a task that a probe halves."""

    task: str
    digest: str  # of the task
    limit: int  # the first so many problems


class ProbeIdentity(Common):
    """What a memorisation probe of one model depends on."""

    base: Base
    tasks: tuple[ProbedTask, ...]
    batch_size: int


Identity = TrainIdentity | GenerateIdentity | JudgeIdentity | ProbeIdentity


def digest(identity: Identity) -> str:
    """Return the sha256 that names a stage."""
    return json_sha256(identity.model_dump(mode="json"))


# -- stage.json -----------------------------------------------------------------------------------


class TrainPaths(Frozen):
    """Where a training stage finds its models, rows (JSONL) and configuration."""

    base_model: Path
    teacher: Path | None
    train: Path
    holdout: Path
    traces: Path | None
    accelerate: Path | None


class TrainCompute(Frozen):
    """How a training stage runs, as far as that cannot change its result."""

    save_every: int  # steps between training checkpoints
    save_minutes: float  # between them; whichever is over first, and neither where it is 0
    micro_batch_size: int | None
    gradient_checkpointing: bool
    compile: bool = False
    stage_seconds: float
    shared_gpu: bool
    network: bool = False  # whether it may be used


class TrainSpec(_File):
    """What a training stage is to do."""

    kind: Literal["train"] = "train"
    attempts: int
    identity: TrainIdentity
    paths: TrainPaths
    sha256: dict[str, str]  # of the files of rows: train, holdout and perhaps traces
    closed: Closed  # where test problems are
    compute: TrainCompute
    caps: Caps  # what is left of the chain's budget
    sealed: str | None = None  # of the stage that left the base model (`manifest.seal`)
    conventions: dict[str, Conventions]  # task -> how the reward reads its answers
    name: str  # of the run, for experiment trackers
    report_to: tuple[str, ...]


class GeneratePaths(Frozen):
    """Where a generating stage finds its model, and what a trained one is compared with.

    That is the board's start model, and its teacher where one is at hand.
    """

    base_model: Path
    start: Path | None = None  # None for a model that is scored as it is
    teacher: Path | None = None


class GenerateSpec(_File):
    """What a generating stage is to do."""

    kind: Literal["generate"] = "generate"
    attempts: int
    identity: GenerateIdentity
    paths: GeneratePaths
    rows: tuple[ScoredRows, ...]  # of each score
    sealed: str | None = None  # of the stage that left the model
    # that generate, each on a GPU of its own where there are GPUs; the answers are the same
    processes: int = 1


class JudgeSpec(_File):
    """What a judging stage is to do."""

    kind: Literal["judge"] = "judge"
    attempts: int
    identity: JudgeIdentity
    rows: tuple[ScoredRows, ...]  # of each score
    answers: Path  # the folder that the generating stage left
    sealed: str | None = None  # of that stage
    workers: int  # of the verifier


class ProbeSpec(_File):
    """What a probing stage is to do."""

    kind: Literal["probe"] = "probe"
    attempts: int
    identity: ProbeIdentity
    paths: GeneratePaths
    rows: tuple[ScoredRows, ...]  # of each task
    sealed: str | None = None  # of the stage that left the model


StageSpec = TrainSpec | GenerateSpec | JudgeSpec | ProbeSpec


# -- result.json and error.json -------------------------------------------------------------------


class TrainResult(_File):
    """What came of training, beside the checkpoint."""

    cost: Cost
    notes: dict[str, Any]  # the trainer's
    remarks: dict[str, Any] = pydantic.Field(default={})  # the host's (`remarks.NAMES`)
    environment: Environment
    step_flops: tuple[float, ...] = ()  # counted in all, after each of the last two steps


class GenerateResult(_File):
    """What came of generating, beside the answers."""

    own: dict[str, dict[str, float]]  # score -> lm-eval's own metrics
    notes: dict[str, Any]
    seconds: float
    environment: Environment
    weights: str = ""  # digest of the model's tensors (`weights.Contents.digest`)
    from_teacher: float = 0.0  # share of tensors that are the teacher's (`taken_from`)
    toward_teacher: float = 0.0  # how far the weights moved to the teacher's (`toward`)


class JudgeResult(_File):
    """What came of judging, beside the judged answers."""

    scores: tuple[Score, ...]
    cpu_seconds: float | None = None  # of the verifier


class ProbeResult(_File):
    """What came of a memorisation probe; no text of it is kept."""

    probes: tuple[Probe, ...]
    environment: Environment


class Failure(_File):
    """Why a stage failed, in one line."""

    status: Status
    error: str
    elsewhere: bool = False  # whether the node is to blame, so that another one may do it


Result = TrainResult | GenerateResult | JudgeResult | ProbeResult
_Model = TypeVar("_Model", bound=_File)
_SPEC: pydantic.TypeAdapter[StageSpec] = pydantic.TypeAdapter(
    Annotated[StageSpec, pydantic.Field(discriminator="kind")]
)


def read_spec(folder: Path) -> StageSpec:
    """Return what the stage of a folder is to do; see `read`."""
    return _checked(folder / "stage.json", _SPEC.validate_python)


def read(path: Path, model: type[_Model]) -> _Model:
    """Return the content of a file that was written as `model`.

    Raises:
        StageError: If the file is missing, broken or of another version.
    """
    return _checked(path, model.model_validate)


def _checked(path: Path, validate: Callable[[Any], _Model]) -> _Model:
    again = f"remove {path.parent} and run the same command again"
    try:
        content = read_json(path)
        version = content.get("schema_version")
        if version != SCHEMA:
            raise StageError(f"{path} has schema {version}, this harness reads {SCHEMA}; {again}")
        return validate(content)
    except UsageError as error:
        raise StageError(f"{error}; {again}") from None
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StageError(f"{path}: {where}: {first['msg']}; {again}") from None
    except (ValueError, AttributeError):
        raise StageError(f"{path} is not a JSON object; {again}") from None
