"""What a training is asked for, what it is made of and what it gives back: frozen values only."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import pyarrow as pa

from models.metrics import Metrics
from models.split import Split
from sluice.declare.operate import EVENT_TIME, KnowledgeTime
from sluice.errors import DeclarationError
from sluice.scoring import Calibration, Float32s, Float64s, Input, Int64s, ModelSpec

ALL = "*"
"""The fallback segment: every row."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One way to learn: dense layers of these widths before the logit (none: logistic regression), and how to fit."""

    name: str
    hidden: tuple[int, ...] = ()
    learning_rate: float = 0.005
    decay: float = 0.3
    """Decoupled weight decay of the kernels, times the learning rate at each step."""
    epochs: int = 10
    steps: int = 32
    """The fewest steps per epoch; more when a step would exceed `batch` rows."""
    batch: int = 4096
    max_rows: int = 150_000
    """Beyond it genuine rows are sampled, and weigh more in return; frauds are all kept."""


LOGISTIC = Algorithm("logistic", learning_rate=0.1, decay=1e-2)
NETWORK = Algorithm("network", hidden=(64, 32))


@dataclass(frozen=True, slots=True)
class Variant:
    """One model to make per segment; shuffled labels make one that must never serve."""

    name: str = "candidate"
    seed: int = 0
    shuffle_labels: bool = False


SHUFFLED = Variant("shuffled", seed=1, shuffle_labels=True)
"""The control: it has learnt nothing, and has to be caught."""


@dataclass(frozen=True, slots=True)
class DecisionShare:
    """A decision label for the most suspicious share of traffic."""

    label: str
    share: float


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """A training, completely: the same request gives the same weights to the bit, on any number of workers.

    `table` is an Arrow table or the paths of parquet files with `event_id`, `event_time` (microseconds), `segment`,
    `label`, the card's key and every input; its labels are mature. Without a Ray address it runs on this machine alone.
    """

    pipeline: str
    table: pa.Table | tuple[str, ...]
    inputs: tuple[Input, ...]
    split: Split
    card: str
    segments: tuple[str, ...]
    data_version: str
    definition_hash: str
    code_version: str
    tracking_uri: str
    store: Path
    """Where MLflow's artefacts and unpacked models live."""
    knowledge: KnowledgeTime = EVENT_TIME
    """What the vectors of the table know: everything that is known today, or what had arrived by the time of each."""
    yardstick: str | None = None
    """The input whose ranking alone every model should beat, such as the amount."""
    variants: tuple[Variant, ...] = (Variant(),)
    algorithms: tuple[Algorithm, ...] = (LOGISTIC, NETWORK)
    decisions: tuple[DecisionShare, ...] = (DecisionShare("review", 0.01), DecisionShare("block", 0.002))
    seed: int = 7
    refit: bool = False
    """Whether the winner is fitted again on every row up to the end of the test before it is registered."""
    ray_address: str | None = None
    workers: int = 2
    cpus_per_worker: float = 0.5
    lock_file: Path | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the one who asks wants every registered version to say."""
    done: frozenset[tuple[str, str]] = frozenset()
    """Segments and variants that are left out, as a run before has registered them."""

    def __post_init__(self) -> None:
        if self.split.validation is None and len(self.algorithms) > 1:
            raise DeclarationError(
                "without a validation part nothing can choose between algorithms",
                where="TrainingRequest.algorithms",
                next_step="give one algorithm, or a split with a validation part",
            )
        for kind, names in (("segment", self.segments), ("variant", [each.name for each in self.variants])):
            if not names or len(set(names)) != len(names):
                raise DeclarationError(
                    f"{kind}s {list(names)}", where="TrainingRequest", allowed="one or more, each once"
                )

    @property
    def identity(self) -> str:
        """What decides a model beside its segment and variant, as a hash: runs of the same make the same."""
        told = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _APART}
        return hashlib.sha256(repr(told).encode()).hexdigest()


_APART = frozenset(
    {"table", "segments", "variants", "tracking_uri", "store", "ray_address", "workers", "cpus_per_worker"}
    | {"lock_file", "tags", "done"}
)
"""Fields that say where and how much, and not what comes out; the table is named by its version."""


@dataclass(frozen=True, slots=True)
class Job:
    """One model to fit: a variant of a segment, by one algorithm."""

    segment: str
    variant: Variant
    algorithm: Algorithm

    @property
    def candidate(self) -> tuple[str, str]:
        """The segment and variant that this job competes for."""
        return self.segment, self.variant.name

    def entropy(self, seed: int) -> list[int]:
        """The seed of everything random in this job, the same wherever it runs."""
        return [seed, self.variant.seed, zlib.crc32(self.segment.encode()), zlib.crc32(self.algorithm.name.encode())]


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker is told: the same for all of them, whatever their number."""

    inputs: tuple[Input, ...]
    jobs: tuple[Job, ...]
    shards: tuple[str, ...]
    seed: int
    refit: bool


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What a fit found: the flat parameters of the dense layers, and the constants of the input treatment."""

    parameters: Float32s
    constants: tuple[Float32s, ...]
    """Typical size, centre and factor of the numbers, in the order of `Preparation`'s weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One algorithm's model of one segment and variant, and its probabilities of the held-out rows."""

    job: Job
    weights: Weights
    calibration: Calibration
    rows: Int64s
    """Which rows of the sorted table the probabilities belong to."""
    probabilities: Float64s
    validation_average_precision: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """The winner of one segment and variant as files: LiteRT for serving, a Keras archive for the registry."""

    job: Job
    litert: bytes
    keras: bytes
    weights_hash: str
    calibration: Calibration
    parity: float
    """The greatest difference between LiteRT's and Keras' probability of any test row."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a worker group gives back; every worker knows the same."""

    fitted: tuple[Fitted, ...]
    exported: tuple[Exported, ...]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A registered model: where it is, what it is and how good it was on the test part."""

    name: str
    segment: str
    variant: str
    version: int
    run_id: str
    folder: Path
    spec: ModelSpec
    metrics: Mapping[str, Metrics]
    """By algorithm, `yardstick` being the ranking by one input alone."""
    parity: float

    @property
    def test(self) -> Metrics:
        """The metrics of the algorithm that won."""
        return self.metrics[self.spec.algorithm]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A segment and variant that got no model of its own, and why; the fallback serves it."""

    segment: str
    variant: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training made and what it left out, and the seconds of its stages."""

    models: tuple[TrainedModel, ...]
    skipped: tuple[Skipped, ...] = field(default=())
    seconds: Mapping[str, float] = field(default_factory=dict)
