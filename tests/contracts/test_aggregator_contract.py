"""What every aggregator owes: finite at any scale, the same by every way of calling it, and its own promises."""

import aggregator_cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from aggregator_cases import CASES

from attnjax.errors import UserError
from attnjax.pareto import AGGREGATORS, DRAWING, as_transformation, stacked_gradients

M, N = 3, 7
by_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
RANDOM = np.random.default_rng(3)
STACKS = [
    RANDOM.normal(size=(M, N)),
    RANDOM.normal(size=(M, N)) + 0.7,
    RANDOM.normal(size=(M, N)) * np.array([[0.1], [1.0], [5.0]]) - 0.5,
]
SCALES = (0.0, 1e-15, 1e-8, 1.0, 1e8, 1e15)


@pytest.fixture(scope="module")
def compiled():
    """One compiled program per case, of gradients in a tree; it gives the direction flat again."""
    made = {}

    def program_of(case):
        if case not in made:
            made[case] = jax.jit(case.make(M).combine)
        return made[case]

    def of(case):
        def run(gradients, state=None):
            state = case.make(M).init(M) if state is None else state
            combined, state = program_of(case)(as_tree(gradients), state)
            assert jax.tree.map(jnp.shape, combined.direction) == {"bias": (1,), "kernel": (2, 3), "nothing": (0,)}
            flat = jnp.concatenate([combined.direction["bias"], combined.direction["kernel"].ravel()])
            run.next_state = state
            return combined._replace(direction=flat)

        return run

    of.program = program_of
    return of


def as_tree(gradients):
    """The flat gradients as those of a small model would come, with a leaf that has no entries."""
    return {"bias": gradients[:, :1], "kernel": gradients[:, 1:].reshape(M, 2, 3), "nothing": jnp.zeros((M, 0))}


def stack(values):
    return jnp.asarray(values, jnp.float32)


def close(got, wanted, relative=2e-4):
    """Compares to a part of the largest entry."""
    np.testing.assert_allclose(got, wanted, rtol=0, atol=relative * (np.abs(wanted).max() + 1e-30))


def test_every_aggregator_is_registered():
    assert {name.removesuffix("_wide") for name in CASES} == set(AGGREGATORS)
    assert set(AGGREGATORS) >= DRAWING
    assert not set(AGGREGATORS) - set(aggregator_cases.pareto.__all__)


def test_an_unregistered_aggregator_would_be_noticed(monkeypatch):
    monkeypatch.setitem(AGGREGATORS, "median", lambda: None)
    with pytest.raises(AssertionError):
        test_every_aggregator_is_registered()


@by_case
def test_it_is_finite_at_any_scale_and_homogeneous(case, compiled):
    """Also with lengths that differ by thirty orders of magnitude within one stack."""
    for values in STACKS:
        unit = np.asarray(compiled(case)(stack(values)).direction, float)
        for scale in SCALES:
            combined = compiled(case)(stack(scale * values))
            chex.assert_tree_all_finite(combined)
            if scale:
                close(np.asarray(combined.direction, float) / scale**case.degree, unit)
        for lengths in ([1e15, 1.0, 1e-15], [1e-15, 1e15, 0.0], [1.0, 1e-8, 1e-8]):
            chex.assert_tree_all_finite(compiled(case)(stack(values * np.array(lengths)[:, None])))


@by_case
def test_zero_gradients_give_the_zero_direction(case, compiled):
    np.testing.assert_array_equal(compiled(case)(jnp.zeros((M, N))).direction, np.zeros(N))


@by_case
def test_a_bad_entry_is_never_hidden_nor_remembered(case, compiled):
    for bad in (np.nan, np.inf, -np.inf):
        for row in range(M):
            values = STACKS[0].copy()
            values[row, 2] = bad
            run = compiled(case)
            assert not np.isfinite(run(stack(values)).direction[2])
            memory = [leaf for leaf in jax.tree.leaves(run.next_state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
            assert all(np.isfinite(leaf).all() for leaf in memory)


@by_case
def test_the_order_of_objectives_does_not_matter(case, compiled):
    if not case.symmetric:
        pytest.skip("weights by place, or drawn by place")
    for values in STACKS:
        for order in ([2, 0, 1], [1, 0, 2]):
            close(compiled(case)(stack(values[order])).direction, compiled(case)(stack(values)).direction)


@by_case
def test_the_direction_is_the_weighted_sum_and_the_residual_small(case, compiled):
    for values in STACKS:
        combined = compiled(case)(stack(values))
        assert float(combined.residual) < 1e-4
        if combined.weights is not None:
            close(combined.direction, np.asarray(combined.weights) @ values, 1e-5)


@by_case
def test_nothing_conflicts_where_promised(case, compiled):
    if not case.peaceful:
        pytest.skip("no such promise")
    for values in STACKS:
        direction = np.asarray(compiled(case)(stack(values)).direction, float)
        gains = values @ direction / np.linalg.norm(values, axis=1) / np.linalg.norm(direction)
        assert gains.min() > -1e-4


@by_case
def test_linear_in_each_length_where_promised(case, compiled):
    """A(diag(a + b) J) = A(diag(a) J) + A(diag(b) J)."""
    if not case.linear:
        pytest.skip("no such promise")
    for values in STACKS:
        a, b = np.array([[0.3], [1.0], [2.0]]), np.array([[1.5], [0.2], [0.7]])
        parts = sum(np.asarray(compiled(case)(stack(x * values)).direction, float) for x in (a, b))
        close(compiled(case)(stack((a + b) * values)).direction, parts)


@pytest.mark.usefixtures("x64")
@by_case
def test_it_stops_at_stationary_points_where_promised(case):
    """In float64: in float32 the balance of the gradients itself is off by rounding."""
    if not case.stops:
        pytest.skip("no such promise")
    aggregator = case.make(M)
    run = jax.jit(lambda gradients: aggregator.combine(gradients, aggregator.init(M))[0].direction)
    for values in STACKS[:2]:
        for balance in ([0.2, 0.3, 0.5], [0.4, 0.5, 0.1]):
            first = -(balance[1] * values[1] + balance[2] * values[2]) / balance[0]
            direction = run(jnp.array([first, values[1], values[2]]))
            assert np.linalg.norm(direction) < 1e-4 * np.linalg.norm(run(jnp.array(values)))


@by_case
def test_agreement_among_equals(case, compiled):
    if not case.equal:
        pytest.skip("of another length by definition")
    same = np.broadcast_to(STACKS[0][:1], (M, N))
    close(compiled(case)(stack(same)).direction, same[0])


@by_case
def test_vmap_and_the_link_of_a_chain_agree_with_jit(case, compiled):
    """The compiled program takes a tree, so a tree is the flat vector, too."""
    link = as_transformation(case.make(M), M)
    stacks = jnp.stack([stack(values) for values in STACKS])
    together = jax.jit(jax.vmap(lambda gradients: link.update(gradients, link.init(jnp.zeros(N)))[0]))(stacks)
    for gradients, row in zip(stacks, together, strict=True):
        close(row, compiled(case)(gradients).direction, 2e-5)


@pytest.mark.parametrize("name", ["weighted", "upgrad", "imtl_g", "gradvac"])
def test_eager_agrees_with_jit(name, compiled):
    """One of each kind: fixed weights, a program, a formula, surgery."""
    aggregator, gradients = CASES[name].make(M), stack(STACKS[0])
    eager, _ = aggregator.combine(gradients, aggregator.init(M))
    close(eager.direction, compiled(CASES[name])(gradients).direction, 2e-5)


@by_case
def test_new_values_compile_nothing(case, compiled):
    compiled(case)(stack(STACKS[0]))
    before = compiled.program(case)._cache_size()
    for values in (*STACKS, np.zeros((M, N)), np.full((M, N), np.nan)):
        compiled(case)(stack(values))
    assert compiled.program(case)._cache_size() == before


@by_case
def test_state_is_explicit_and_moves_on_where_lots_are_drawn(case, compiled):
    """Three gradients in conflict, so that the order in which PCGrad takes them matters."""
    gradients = stack([[1, 0, 0, 0, 0, 0, 1], [-1, 0.4, 0, 0, 0, 0, 1], [-0.5, -2, 0.1, 0, 0, 0, -1.5]])
    run = compiled(case)
    first = run(gradients).direction
    np.testing.assert_array_equal(run(gradients).direction, first)
    drawn = [first]
    for _ in range(12):
        drawn.append(run(gradients, run.next_state).direction)
    draws = case in [CASES[name] for name in DRAWING]
    assert (np.ptp(np.stack(drawn), axis=0).max() > 1e-3) == draws


@by_case
def test_wrong_shapes_are_refused(case):
    aggregator = case.make(M)
    state = aggregator.init(M)
    for wrong in ({}, jnp.float32(1.0), jnp.zeros((0, 3)), {"a": jnp.zeros((3, 2)), "b": jnp.zeros((2, 2))}):
        with pytest.raises(UserError, match="one leading axis of objectives"):
            aggregator.combine(wrong, state)
    with pytest.raises(UserError, match="floating point"):
        aggregator.combine(jnp.zeros((3, 2), int), state)
    link = as_transformation(aggregator, M)
    with pytest.raises(UserError, match="3 stacked gradients, got 2"):
        link.update(jnp.zeros((2, 5)), link.init(jnp.zeros(5)))


@pytest.mark.parametrize("name", ["mean", "mgda", "upgrad", "nash_mtl", "pcgrad"])
def test_training_with_optax_ends_among_the_optima(name):
    """Three squared distances, from the corners of a triangle: Pareto optimal is what lies inside it."""
    corners = jnp.array([[0.0, 1.0], [-0.9, -0.5], [0.9, -0.5]])

    def losses(w):
        return jnp.sum((w[None] - corners) ** 2, axis=1)

    schedule = optax.cosine_decay_schedule(0.05, 300)
    optimizer = optax.chain(as_transformation(CASES[name].make(M), M), optax.sgd(schedule))

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(stacked_gradients(losses, params)[1], state, params)
        return (optax.apply_updates(params, updates), state), None

    start = jnp.array([3.0, 2.0])
    (w, _), _ = jax.jit(lambda w: jax.lax.scan(step, (w, optimizer.init(w)), None, length=300))(start)
    shares = np.linalg.solve(np.vstack([np.asarray(corners).T, np.ones(3)]), [*np.asarray(w), 1.0])
    assert shares.min() > -0.02
    if name == "mean":
        np.testing.assert_allclose(w, corners.mean(axis=0), atol=1e-3)
