"""Reading junctions, lanes and phases from a loaded simulation into padded arrays."""

from typing import Any

import numpy as np

from attnjax.envs.sumo.backend import Backend
from attnjax.envs.sumo.observation import Layout
from attnjax.envs.sumo.scenario import Scenario
from attnjax.envs.sumo.signals import green_phases, lanes_served, yellow_between
from attnjax.errors import fail


def read_layout(sumo: Backend, scenario: Scenario) -> Layout:
    """What a controller may know of a network before the first vehicle.

    Args:
        sumo: with the scenario loaded.
        scenario: for the seconds of decision and yellow.

    Returns:
        All signals with at least two green phases, in SUMO's order.

    Raises:
        UserError: if there is no such signal.
    """
    light = sumo.api.trafficlight
    programs = {name: _program(light, name) for name in light.getIDList()}
    junctions = [name for name, (states, _) in programs.items() if len(states) > 1]
    if not junctions:
        fail(
            f"SUMO on {scenario.name}",
            expected="a signal with two green phases to choose from",
            got=f"{len(programs)} signals without",
            advice="Check the <tlLogic> of the road network.",
        )
    links = {name: light.getControlledLinks(name) for name in junctions}
    lanes = {name: tuple(dict.fromkeys(link[0][0] for link in links[name] if link)) for name in junctions}
    behind = {
        name: tuple(
            tuple(dict.fromkeys(part[1] for link in links[name] for part in link if part[0] == lane))
            for lane in lanes[name]
        )
        for name in junctions
    }
    most_phases = max(len(programs[name][0]) for name in junctions)
    most_lanes = max(len(lanes[name]) for name in junctions)
    shape = len(junctions), most_phases, most_lanes
    lane_mask, phase_mask = np.zeros((shape[0], shape[2]), bool), np.zeros(shape[:2], bool)
    green, protected = np.zeros(shape, bool), np.zeros(shape, bool)
    loses, plan = np.zeros((*shape[:2], shape[1]), bool), np.zeros(shape[:2])
    length, limit = np.zeros(lane_mask.shape), np.zeros(lane_mask.shape)
    neighbours = np.zeros((*lane_mask.shape, shape[0]), bool)
    home = {lane: place for place, name in enumerate(junctions) for lane in lanes[name]}
    for junction, name in enumerate(junctions):
        states, seconds = programs[name]
        own, count = lanes[name], len(programs[name][0])
        number = {lane: place for place, lane in enumerate(own)}
        lane_of_link = [number[link[0][0]] if link else -1 for link in links[name]]
        tables = lanes_served(states, lane_of_link, len(own))
        green[junction, :count, : len(own)], protected[junction, :count, : len(own)] = tables
        lane_mask[junction, : len(own)], phase_mask[junction, :count] = True, True
        plan[junction, :count] = seconds
        for one, before in enumerate(states):
            for other, after in enumerate(states):
                loses[junction, one, other] = yellow_between(before, after) is not None
        for place, lane in enumerate(own):
            length[junction, place] = sumo.api.lane.getLength(lane)
            limit[junction, place] = sumo.api.lane.getMaxSpeed(lane)
            for target in behind[name][place]:
                if target in home:
                    neighbours[junction, place, home[target]] = True
    return Layout(
        junctions=tuple(junctions),
        lanes=tuple(lanes[name] for name in junctions),
        behind=tuple(behind[name] for name in junctions),
        states=tuple(programs[name][0] for name in junctions),
        lane_mask=lane_mask,
        phase_mask=phase_mask,
        green=green,
        protected=protected,
        loses=loses,
        plan=plan,
        length=length,
        speed_limit=limit,
        links=neighbours,
        decision=scenario.decision,
        yellow=scenario.yellow,
    )


def _program(light: Any, name: str) -> tuple[tuple[str, ...], list[float]]:
    """A signal's green phases, and the seconds that its own program gives each."""
    phases = light.getAllProgramLogics(name)[0].phases
    states = tuple(green_phases([phase.state for phase in phases]))
    return states, [sum(phase.duration for phase in phases if phase.state == state) for state in states]
