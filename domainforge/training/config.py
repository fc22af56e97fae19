"""The settings of training; the control student is trained with the same."""

from typing import Literal

from pydantic import Field

from domainforge.stage import Settings, transport_field


class Mixture(Settings):
    """How often each kind of row is seen in one epoch."""

    documents: float = Field(
        2.0, ge=0, description="Times each passage of the documents themselves is seen per epoch."
    )
    examples: float = Field(
        1.0, ge=0, description="Times each example that the teacher wrote is seen per epoch."
    )
    replay: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of an epoch's tokens that are general rows (`split.replay`), against "
        "forgetting everything else; 0: none.",
    )


class TrainConfig(Settings):
    """Training the student."""

    student: str = Field(
        "embedded",
        description="The model to train: `embedded` (SmolLM2-135M-Instruct, offline), a folder "
        "with safetensors, or a Hub id.",
    )
    method: Literal["lora", "full"] = Field(
        "lora", description="`lora` trains small adapters and merges them; `full` every weight."
    )
    loss_on: Literal["answers", "turns"] = Field(
        "answers",
        description="What of a chat the loss counts: the assistant's `answers`, or all `turns`, so "
        "that what questions say is learned too. That pays where they say more than the answers do "
        "(instruction modelling, arXiv 2405.14394), as with `cloze`.",
    )
    epochs: float = Field(4, gt=0, description="Passes over the mixture.")
    mixture: Mixture = Field(
        default_factory=Mixture, description="Documents against examples, and general rows."
    )
    learning_rate: float = Field(5e-4, gt=0, description="Peak learning rate (AdamW, cosine).")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="Part of the steps that warms up.")
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay.")
    lora_rank: int = Field(32, ge=1, description="Rank of the adapters.")
    lora_alpha: int = Field(64, ge=1, description="Scale of the adapters (alpha / rank).")
    sequence_tokens: int = Field(
        512, ge=32, description="Length of a packed sequence; longer rows are cut into pieces."
    )
    sequences_per_step: int = Field(
        1, ge=1, description="Packed sequences per optimiser step (gradient accumulation)."
    )
    checks_per_epoch: int = Field(
        2, ge=1, description="Validation checks, and checkpoints, per epoch."
    )
    patience_checks: int | None = Field(
        None,
        ge=1,
        description="Stop after this many checks without a better validation loss; none: never.",
    )
    keep_best: bool = Field(
        True, description="Keep the checkpoint with the best validation loss, not the last."
    )
    threads: int | None = transport_field(
        None, "CPU threads; none: OMP_NUM_THREADS, or as many as there are cores.", ge=1
    )
