"""Streets: a model of lanes, queues and signals in pure JAX, differentiable, and an environment made of it.

    streets = make_streets(read_road_network(net), read_demand(rou, network), begin=25200, end=28800)
    simulate(streets, street_parameters(streets), network_plan(streets)).delay      # seconds per vehicle

`network` holds the structure, `parameters` the numbers that calibration looks for, `signals` turns shares into green
windows, `dynamics` moves on by one second, `simulation` by many, and `environment` lets an agent share out the green.
"""

from attnjax.envs.traffic.environment import Traffic, TrafficState
from attnjax.envs.traffic.network import Streets, make_streets
from attnjax.envs.traffic.parameters import StreetParameters, street_parameters
from attnjax.envs.traffic.signals import Plan, make_plan, network_plan
from attnjax.envs.traffic.simulation import Summary, departures, simulate

__all__ = [
    "Plan",
    "StreetParameters",
    "Streets",
    "Summary",
    "Traffic",
    "TrafficState",
    "departures",
    "make_plan",
    "make_streets",
    "network_plan",
    "simulate",
    "street_parameters",
]
