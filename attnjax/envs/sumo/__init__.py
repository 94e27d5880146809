"""Real traffic: SUMO under a controller, by the protocol of RESCO, every run in a process of its own.

    from attnjax.envs.sumo import Greedy, Job, resco_scenario, run_episodes

    scenario = resco_scenario("cologne1")
    episodes = run_episodes([Job(scenario, Greedy(), seed) for seed in range(10)], processes=2)

or, with the controller here, `RemoteSimulation`. SUMO comes with the extra `city`; this package imports without it.
SUMO is neither pure nor in JAX, so a run has methods that observe and act in place of `attnjax.envs.Environment`.
"""

from attnjax.envs.sumo.measures import Measures
from attnjax.envs.sumo.observation import Layout, Observation
from attnjax.envs.sumo.players import (
    Actuated,
    CyclicShares,
    FixedPlan,
    Greedy,
    MaxPressure,
    NetPlan,
    Rolling,
    SparseShares,
)
from attnjax.envs.sumo.processes import (
    Controller,
    Failure,
    Job,
    RemoteSimulation,
    SimulationError,
    run_episodes,
)
from attnjax.envs.sumo.scenario import Scenario, resco_scenario, sumo_seeds
from attnjax.envs.sumo.simulation import Episode, Simulation

__all__ = [
    "Actuated",
    "Controller",
    "CyclicShares",
    "Episode",
    "Failure",
    "FixedPlan",
    "Greedy",
    "Job",
    "Layout",
    "MaxPressure",
    "Measures",
    "NetPlan",
    "Observation",
    "RemoteSimulation",
    "Rolling",
    "Scenario",
    "Simulation",
    "SimulationError",
    "SparseShares",
    "resco_scenario",
    "run_episodes",
    "sumo_seeds",
]
