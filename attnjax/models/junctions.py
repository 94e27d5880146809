"""What a signalised junction shows to an allocator, and what keeps its shares safe whatever the allocator says.

j junctions on the leading axes, p phases, l lanes; entries beyond a junction's own are masked and may hold anything.

    state -> scores (p) -> shares (p), by an allocation rule -> guarded shares (p)

Guarded shares give each phase nothing or a minimum green, and serve every lane with vehicles within a cap of seconds.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.allocation import project_or_skip
from attnjax.errors import fail

OVERDUE_UNIT = 10.0
"""Seconds from which on times are told apart by their logarithm."""


class JunctionState(NamedTuple):
    """What is seen at a decision, for any junction of any map.

    Attributes:
        near: (..., l), vehicles on each lane within some 50 m of its stop line.
        halting: (..., l), vehicles that stand on it.
        downstream: (..., l), vehicles that stand on the lane behind the junction.
        green: (..., p, l), whether a phase lets a lane go.
        phase: (...,), the phase that is green now, from 0.
        age: (...,), seconds that it has been green.
        unserved: (..., p), seconds since each phase was last green; 0 for the current one.
        lane_mask: (..., l), which lanes there are.
        phase_mask: (..., p), which phases there are.
    """

    near: Float[Array, "*j l"]
    halting: Float[Array, "*j l"]
    downstream: Float[Array, "*j l"]
    green: Bool[Array, "*j p l"]
    phase: Int[Array, "*j"]
    age: Float[Array, "*j"]
    unserved: Float[Array, "*j p"]
    lane_mask: Bool[Array, "*j l"]
    phase_mask: Bool[Array, "*j p"]


def checked_state(state: JunctionState) -> JunctionState:
    """The state in float32 and booleans, with 0 for whatever is masked.

    Args:
        state: of any numeric types.

    Raises:
        UserError: for arrays that don't belong together.
    """
    batch, (phases, lanes) = jnp.shape(state.green)[:-2], jnp.shape(state.green)[-2:]
    shapes = {"l": (*batch, lanes), "p": (*batch, phases), "": batch, "pl": (*batch, phases, lanes)}
    kinds = dict(zip(JunctionState._fields, ("l", "l", "l", "pl", "", "", "p", "l", "p"), strict=True))
    for name, value in state._asdict().items():
        if jnp.shape(value) != shapes[kinds[name]]:
            fail(
                "JunctionState",
                expected=f"{name} of shape {shapes[kinds[name]]}, as green of shape {jnp.shape(state.green)} has it",
                got=f"shape {jnp.shape(value)}",
                advice="Pad lanes and phases of all junctions to one size, and mask the padding.",
            )
    lane_mask, phase_mask = jnp.asarray(state.lane_mask, bool), jnp.asarray(state.phase_mask, bool)
    near, halting, downstream = (
        jnp.where(lane_mask, jnp.asarray(x, jnp.float32), 0) for x in (state.near, state.halting, state.downstream)
    )
    return JunctionState(
        near,
        halting,
        downstream,
        jnp.asarray(state.green, bool) & lane_mask[..., None, :] & phase_mask[..., :, None],
        jnp.asarray(state.phase, jnp.int32),
        jnp.asarray(state.age, jnp.float32),
        jnp.where(phase_mask, jnp.asarray(state.unserved, jnp.float32), 0),
        lane_mask,
        phase_mask,
    )


def current(state: JunctionState) -> Bool[Array, "*j p"]:
    """Which phase is green now, one of p."""
    return jax.nn.one_hot(state.phase, state.phase_mask.shape[-1], dtype=bool)


def lane_unserved(state: JunctionState) -> Float[Array, "*j l"]:
    """Seconds since each lane was last green, by any phase; 0 for a lane that no phase serves."""
    since = jnp.min(jnp.where(state.green, state.unserved[..., :, None], jnp.inf), axis=-2)
    return jnp.where(jnp.isfinite(since), since, 0)


def lane_tokens(state: JunctionState) -> Float[Array, "*j l 5"]:
    """What a network reads of each lane: logarithms of counts and seconds, and whether it is green now; 0 if masked."""
    green_now = jnp.any(state.green & current(state)[..., :, None], axis=-2)
    seconds = jnp.log1p(lane_unserved(state) / OVERDUE_UNIT)
    counts = [jnp.log1p(x) for x in (state.near, state.halting, state.downstream)]
    return jnp.where(state.lane_mask[..., None], jnp.stack([*counts, seconds, green_now.astype(jnp.float32)], -1), 0)


def phase_tokens(state: JunctionState) -> Float[Array, "*j p 5"]:
    """What a network reads of each phase: its lanes' vehicles, seconds since it was green, and how long it has been."""
    near, halting = (jnp.log1p(over_lanes(state, x)) for x in (state.near, state.halting))
    now = current(state).astype(jnp.float32)
    age = now * jnp.log1p(state.age / OVERDUE_UNIT)[..., None]
    tokens = jnp.stack([near, halting, jnp.log1p(state.unserved / OVERDUE_UNIT), now, age], -1)
    return jnp.where(state.phase_mask[..., None], tokens, 0)


def over_lanes(state: JunctionState, values: Float[Array, "*j l"]) -> Float[Array, "*j p"]:
    """The sum of a lane's numbers over the lanes that each phase serves."""
    return jnp.einsum("...pl,...l->...p", state.green.astype(values.dtype), values)


class Guard(NamedTuple):
    """What every decision must respect.

    Attributes:
        horizon: seconds that are split, at least `minimum`.
        minimum: seconds, the least green (with its yellow) of a phase that is served at all.
        cap: seconds after which a lane with vehicles must have been served, at least `horizon`. With
            k = floor(horizon / minimum) phases per decision and p phases it waits for at most
            cap + ceil((p - 1) / k) * horizon seconds, even if all lanes fall due at once.
    """

    horizon: float
    minimum: float
    cap: float

    def longest(self, phases: int) -> float:
        """The most seconds that a lane with vehicles is left unserved at a junction of so many phases."""
        return self.cap + math.ceil((phases - 1) / int(self.horizon / self.minimum + 1e-5)) * self.horizon


RESCO_GUARD = Guard(horizon=10.0, minimum=10.0, cap=120.0)
"""One phase for each decision of ten seconds, as in RESCO's protocol."""


def overdue(preference: Float[Array, "*j p"], state: JunctionState, guard: Guard) -> Float[Array, "*j p"]:
    """How urgent each phase is: seconds beyond the cap, at the end of the budget, of the lanes that it must serve.

    A lane with vehicles that would pass the cap is assigned to the most preferred phase among those that serve it; a
    phase is as urgent as the most overdue lane assigned to it, and 0 if there is none.
    """
    late = lane_unserved(state) + guard.horizon - guard.cap
    late = jnp.where((state.near + state.halting > 0) & state.green.any(axis=-2), jnp.maximum(late, 0), 0)
    wish = jnp.where(state.green, jax.lax.stop_gradient(preference)[..., :, None], -jnp.inf)
    assigned = jax.nn.one_hot(jnp.argmax(wish, axis=-2), wish.shape[-2], axis=-2, dtype=bool)
    return jnp.max(jnp.where(assigned & state.green, late[..., None, :], 0), axis=-1)


def guarded(
    shares: Float[Array, "*j p"],
    state: JunctionState,
    guard: Guard,
    scores: Float[Array, "*j p"] | None = None,
) -> tuple[Float[Array, "*j p"], Float[Array, "*j p"]]:
    """The nearest shares that respect a guard, and how urgent each phase was.

    Each phase gets 0 or at least minimum / horizon, the shares sum to 1, and lanes with vehicles are served as `Guard`
    says, whatever the shares were. By `attnjax.allocation.project_or_skip`, whose derivative this has.

    Args:
        shares: (..., p), wishes.
        state: as `checked_state` returns it.
        guard: the rules.
        scores: (..., p), which phase is preferred where several could serve an overdue lane; default the shares, which
            may be equal at 0.

    Returns:
        Shares (..., p), 0 for padding, and urgency (..., p) in seconds.

    Raises:
        UserError: for a guard that can't be respected.

    >>> one = jnp.array([0.7, 0.2, 0.1])
    >>> state = JunctionState(*jnp.zeros((3, 3)), jnp.eye(3, dtype=bool), jnp.int32(0), jnp.float32(9), jnp.zeros(3),
    ...                       *jnp.ones((2, 3), bool))
    >>> guarded(one, state, Guard(horizon=20.0, minimum=5.0, cap=60.0))[0].round(2).tolist()
    [0.75, 0.25, 0.0]
    """
    if not 0 < guard.minimum <= guard.horizon <= guard.cap:
        fail(
            "Guard",
            expected="0 < minimum <= horizon <= cap, in seconds",
            got=str(tuple(guard)),
            advice="No phase can be shorter than its minimum, and none be due before a decision.",
        )
    preference = shares if scores is None else scores
    urgency = overdue(preference, state, guard)
    # Of equally urgent phases the preferred one goes first: a thousandth of a second for each that it is preferred to.
    beaten = jnp.sum(preference[..., :, None] > preference[..., None, :], axis=-1)
    project = jnp.vectorize(
        lambda wish, allowed, urgent: project_or_skip(wish, guard.minimum / guard.horizon, allowed, urgent),
        signature="(p),(p),(p)->(p)",
    )
    return project(shares, state.phase_mask, jnp.where(urgency > 0, urgency + 1e-3 * beaten, 0)), urgency
