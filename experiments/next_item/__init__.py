"""What will this user watch next: the attention model against what a practitioner would try first.

Asks:     whether at full ranking nDCG@10 is at least that of EASE on the same split, by time and at random. No paper
          record is committed yet.
Command:  attnjax run next_item --preset paper
Cost:     about 90 minutes, 3 GB; float32 on CPU.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily

SPLITS = ("time", "random")
VARIANTS = ("allocation", "softmax", "no_links")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each draws splits, targets and initial parameters anew.
        seeds: how many.
        users: at most so many of the data set's first.
        splits: what is held out of each user, "time" for the last item and "random" for any.
        variants: of the model, see `compute.py`; "allocation" is compared with all else.
        space: the settings that are tried for the baselines: "full" or "small".
        at: the cut-off of nDCG, hit rate and coverage.
        features: the model's width.
        window: how many of the last events its encoder reads.
        ahead: how many events are hidden at once in training.
        recent: by time, among how many of the last events the first hidden one is drawn.
        draws: how often each user comes up in an epoch.
        batch_size: users per step.
        max_epochs: at most so many epochs.
        patience: epochs without improvement that are waited for.
        time_rate: the learning rate of AdamW where the split is by time.
        random_rate: where it is random, and EASE leaves little to learn.
        weight_decay: of AdamW, on kernels and embeddings.
        dropout: in the encoder.
        unknown_rate: the share of items and categories hidden by number in training.
    """

    seed: int = 0
    seeds: int = 10
    users: int = 943
    splits: tuple[str, ...] = SPLITS
    variants: tuple[str, ...] = VARIANTS
    space: str = "full"
    at: int = 10
    features: int = 32
    window: int = 50
    ahead: int = 5
    recent: int = 60
    draws: int = 8
    batch_size: int = 64
    max_epochs: int = 16
    patience: int = 4
    time_rate: float = 3e-3
    random_rate: float = 3e-4
    weight_decay: float = 1e-3
    dropout: float = 0.2
    unknown_rate: float = 0.05

    def __post_init__(self) -> None:
        if min(self.seeds, self.at, self.ahead, self.recent, self.draws) < 1 or self.users < 50:
            fail(
                "next_item",
                expected="seeds, at, ahead, recent and draws of at least 1, and users of at least 50",
                got=str(self),
                advice="Fewer users say nothing of a catalogue of 1,682.",
            )
        for what, named, known in (("splits", self.splits, SPLITS), ("variants", self.variants, VARIANTS)):
            if not named or not set(named) <= set(known) or (what == "variants" and "allocation" not in named):
                fail(
                    "next_item",
                    expected=f"{what} among {', '.join(known)}, allocation among the variants",
                    got=str(named),
                    advice="Leave them out for all.",
                )
        if self.space not in ("full", "small"):
            fail("next_item", expected="space to be full or small", got=repr(self.space), advice="Leave it out.")


EXPERIMENT = Experiment(
    name="next_item",
    title="What next",
    question="Is what a user will watch next found better by learned attention than by what is simpler?",
    source="Metaverse §3.2, steps 1 to 4",
    config=Config,
    presets={
        "smoke": Config(
            seeds=1, users=200, variants=VARIANTS[:1], space="small", features=16, window=20, draws=2, max_epochs=3
        ),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=1, memory_gb=1.5), "paper": Cost(minutes=90, memory_gb=3)},
    run=lazily("experiments.next_item.compute:run"),
    tables=lazily("experiments.next_item.show:tables"),
    figures=lazily("experiments.next_item.show:figures"),
    data=("movielens-100k", "movielens-titles"),
    order=12,
)
