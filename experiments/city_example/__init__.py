"""The document's own code: a two-layer network that predicts shares by squared error, on real flows.

Claim:    trained as the document has it, about three outputs of four are no shares. The allocation operator as last
          layer makes all of them shares, at the same squared error; but what that error says of the city is little: by
          regret both are worse than an even split. Trained on the city's effect F instead, the same network leaves
          about half as many vehicles waiting beyond the least possible.
Command:  attnjax run city_example --preset paper
Cost:     about 2 minutes, 1.2 GB; float32 on CPU.

As stated in *City* §5.2: two linear layers with a rectifier between them, mean squared error, Adam at 0.001, 100
epochs, batches of 32, loss on training and test data after each epoch.
Not as stated: where the document has undefined data, these are flows of the signals of Cologne's RESCO maps: vehicles
that reach each approach in a window, from the routes at the speed limits. The network sees one window and predicts the
split of the cycle's green for the next; the target is the exact optimum for the flows that came (ERRATA, City-4).
Windows of training end before those of test begin.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each draws parameters and the order of rows anew.
        seeds: how many.
        maps: whose signals, RESCO's names.
        window: seconds over which flows are counted.
        stride: seconds from one window's begin to the next's.
        training: seconds of the hour in which windows of training lie; those of test lie in the rest.
        cycle: seconds of the signals' cycle.
        lost: seconds lost in it for each approach.
        least: seconds of green that each approach gets at least.
        saturation: vehicles per second and lane.
        hidden: the network's width.
        epochs: passes over the rows.
        batch_size: rows per step.
        learning_rate: of Adam.
    """

    seed: int = 0
    seeds: int = 10
    maps: tuple[str, ...] = ("cologne1", "cologne3", "cologne8")
    window: int = 300
    stride: int = 30
    training: int = 2400
    cycle: float = 90.0
    lost: float = 4.0
    least: float = 5.0
    saturation: float = 0.5
    hidden: int = 64
    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if min(self.seeds, self.epochs, self.stride, self.hidden, self.batch_size) < 1 or not self.maps:
            fail("city_example", expected="at least one of each", got=str(self), advice="Mend the settings.")
        if not 2 * self.window <= self.training <= 3600 - 2 * self.window:
            fail(
                "city_example",
                expected="room for a window and the next, in training and in the rest of the hour",
                got=f"windows of {self.window} s and {self.training} s of training",
                advice="Take shorter windows.",
            )


EXPERIMENT = Experiment(
    name="city_example",
    title="The document's shares of a city",
    question="Are the outputs of City §5.2's network shares, and what do its errors cost in waiting vehicles?",
    source="City §3.1, §4.2, §5.2",
    config=Config,
    presets={
        "smoke": Config(seeds=2, maps=("cologne1",), stride=60, epochs=30, batch_size=8),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=0.5, memory_gb=0.8), "paper": Cost(minutes=2, memory_gb=1.2)},
    run=lazily("experiments.city_example.compute:run"),
    tables=lazily("experiments.city_example.show:tables"),
    figures=lazily("experiments.city_example.show:figures"),
    data=("resco-cologne",),
    order=61,
)
