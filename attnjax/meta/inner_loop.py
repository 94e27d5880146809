"""The inner loop as data: which loss, which optimiser, how many steps, which leaves, and how its gradient is taken.

    phi_0 = theta,        phi_{t+1} = optimiser(phi_t, grad_phi R(phi_t, support); eta),        phi = phi_k

`theta` are the meta-learned parameters and `eta` the meta-parameters of the loop itself (rates, weights of losses, a
network that is the optimiser). The result is a function of both, and of the support, that `jax.grad` differentiates.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from attnjax.errors import fail
from attnjax.meta.curvature import Solve
from attnjax.meta.implicit import LinearSolve, implicit, pull_back
from attnjax.meta.leaves import Adapt, chosen, floats, halve, whole
from attnjax.meta.steps import Given, Problem, clip_by_norm, unrolled
from attnjax.meta.trajectory import forward_over_reverse

Tree = Any
Way = Literal["exact", "first_order", "forward_over_reverse", "implicit"]
WAYS: tuple[str, ...] = get_args(Way)
"""The ways of taking the gradient through an inner loop."""


class Adaptation(NamedTuple):
    """How an inner loop went; no derivative passes through it.

    Attributes:
        losses: (steps,), the support loss before each step, without the proximal term.
        ceiling: the loss above which the run counts as exploding: the first one plus `explosion` (1 + its size).
        diverged: whether a support loss or an adapted parameter is not finite, or a loss is above the ceiling. What
            the last step did to the loss is not in it (that would cost an evaluation); `over_tasks` asks the query.
        stationarity: |grad R| at the end, of an implicit loop, whose gradient is exact where this is 0; else `None`.
    """

    losses: Float[Array, " steps"]
    ceiling: Float[Array, ""]
    diverged: Bool[Array, ""]
    stationarity: Float[Array, ""] | None


@dataclasses.dataclass(frozen=True, eq=False)
class InnerLoop:
    """An inner loop; made by `inner_loop`, whose arguments are the fields, and called on one task.

    `dataclasses.replace(inner, steps=10)` is the same loop with more steps.
    """

    loss: Callable[..., Float[Array, ""]]
    optimizer: optax.GradientTransformation | Callable[[Tree], optax.GradientTransformation]
    steps: int
    adapt: Adapt
    grad: Way
    remat: bool
    clip: float | None
    unroll: int
    per_step: bool
    eta_in_loss: bool
    proximal: float | Callable[[Tree], Any] | None
    linear: LinearSolve
    explosion: float

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, theta: Tree, eta: Tree, support: Tree) -> tuple[Tree, Adaptation]:
        """Adapts `theta` to one task.

        Args:
            theta: the parameters, a tree of arrays.
            eta: meta-parameters of the loop; `None` where neither the optimiser nor the loss has any.
            support: what the loss takes as its second argument: a tree of arrays of fixed shapes (pad, and let the
                loss mask). If `per_step`, each leaf has a leading axis of steps, and step t is given slice t: a
                minibatch of its own, or a random key of its own.

        Returns:
            The adapted parameters, in the structure of theta (leaves that do not adapt are the very ones that came),
            and an `Adaptation`.

        Raises:
            UserError: if `adapt` does not fit `theta`, or the leading axis of a per-step support is not `steps`.
        """
        if self.per_step:
            _check_per_step(self.steps, support)
        theta, eta, support = jax.tree.map(jnp.asarray, (theta, eta, support))
        start, frozen = halve(theta, chosen(theta, self.adapt))
        given, problem, stationarity = Given(start, frozen, eta), self.problem(), None
        if self.grad == "implicit":
            phi, losses, stationarity = implicit(problem, self.linear, given, support)
        elif self.grad == "forward_over_reverse":
            phi, losses = forward_over_reverse(problem, given, support)
        else:
            first_order = self.grad == "first_order"
            phi, losses = unrolled(problem, given, support, first_order=first_order, remat=self.remat)
        report = _report(jax.lax.stop_gradient((phi, losses, stationarity)), self.explosion)
        return whole(phi, frozen), report

    def pull_back(
        self, theta: Tree, eta: Tree, support: Tree, phi: Tree, cotangent: Tree
    ) -> tuple[tuple[Tree, Tree], Solve]:
        """The cotangents of theta and eta for one of phi, by the implicit function theorem, and the solve behind them.

        What `jax.vjp` gives of a loop with `grad="implicit"`, which has no place to say how its linear system went.

        Args:
            theta: as in the call.
            eta: as in the call.
            support: as in the call.
            phi: what the call returned.
            cotangent: of phi, e.g. the gradient of the query loss there.

        Returns:
            Two trees like theta and eta (`None` for integers), and a `Solve`.
        """
        theta, eta, support = jax.tree.map(jnp.asarray, (theta, eta, support))
        mask = chosen(theta, self.adapt)
        start, frozen = halve(theta, mask)
        given = Given(start, frozen, eta)
        at, along = halve(phi, mask)[0], halve(cotangent, mask)[0]
        pulled, solve = pull_back(self.problem(), self.linear, at, given, support, along)
        _, others, join = floats((given, support))
        given_bar, _ = join(pulled, [None] * len(others))
        # A leaf that does not adapt is also a part of phi.
        frozen_bar = jax.tree.map(jnp.add, given_bar.frozen, halve(cotangent, mask)[1])
        return (whole(given_bar.start, frozen_bar), given_bar.eta), solve

    def problem(self) -> Problem:
        """The loop taken apart into the functions that the ways of taking its gradient share."""

        def objective(phi: Tree, given: Given, batch: Tree) -> tuple[Array, Array]:
            loss = self.loss(whole(phi, given.frozen), batch, *((given.eta,) if self.eta_in_loss else ()))
            if self.proximal is None:
                return loss, loss
            strength = self.proximal(given.eta) if callable(self.proximal) else self.proximal
            distance = optax.tree.norm(optax.tree.sub(phi, given.start), squared=True)
            return loss + strength / 2 * distance, loss

        def optimizer(given: Given) -> optax.GradientTransformation:
            if isinstance(self.optimizer, optax.GradientTransformation):
                return self.optimizer
            return self.optimizer(given.eta)

        def advance(phi: Tree, memory: Tree, gradient: Tree, given: Given) -> tuple[Tree, Tree]:
            update, memory = optimizer(given).update(clip_by_norm(gradient, self.clip), memory, phi)
            return optax.apply_updates(phi, update), memory

        def memory(given: Given) -> Tree:
            return optimizer(given).init(given.start)

        return Problem(objective, memory, advance, self.steps, self.per_step, self.unroll)


def inner_loop(
    loss: Callable[..., Float[Array, ""]],
    optimizer: optax.GradientTransformation | Callable[[Tree], optax.GradientTransformation],
    steps: int,
    *,
    adapt: Adapt = None,
    grad: Way = "exact",
    remat: bool = True,
    clip: float | None = None,
    unroll: int = 1,
    per_step: bool = False,
    eta_in_loss: bool = False,
    proximal: float | Callable[[Tree], Any] | None = None,
    linear: LinearSolve | None = None,
    explosion: float = 1e3,
) -> InnerLoop:
    """An inner loop, `inner(theta, eta, support) -> (phi, Adaptation)`, differentiable in theta, eta and support.

    *The gradient.* `"exact"` is the derivative of the steps as they are; `remat` keeps only the parameters and the
    optimiser's memory of each step and computes the rest again (less memory, and on a CPU less time).
    `"forward_over_reverse"` is the same derivative by a rule of Hessian-vector products; reverse mode only, so that
    the loop has no second derivative. `"first_order"` takes each inner gradient for a constant: cheap, and biased. It
    still differentiates what the optimiser does with the gradient, so learned rates get theirs. `"implicit"` is the
    derivative of the minimum itself: right where the inner problem was solved, whatever the path; see `proximal`.
    For gradient descent of rate alpha on a quadratic with Hessian A, M = I - alpha A,

        exact: d phi / d theta = M^k,        first-order: I,        implicit: lambda (A + lambda I)^-1.

    An optimiser with a square root in it (Adam, RMSProp) has no derivative at a gradient of exactly zero, and gives
    NaN there: use `attnjax.meta.adam`, or optax's with a positive `eps_root`.

    Args:
        loss: `loss(params, support)`, a scalar; with `eta_in_loss` it is `loss(params, support, eta)`. Whatever is
            differentiated or batched must reach it by these arguments, not by closure.
        optimizer: an optax transformation, or a function of eta that returns one: learned rates are
            `lambda eta: optax.sgd(jnp.exp(eta))`, a learned optimiser is a transformation whose update is a network
            with parameters eta. Its memory starts anew in each call.
        steps: k; 0 gives theta back.
        adapt: which leaves adapt: `None` for all, a path or list of paths ("head", "params/Dense_1"), a function of
            path and leaf, or a tree of booleans. The others receive meta-gradients through the loss.
        grad: see above.
        remat: for `"exact"`.
        clip: bounds the norm of each inner gradient over all leaves that adapt; the derivative is that of clipping.
        unroll: steps per iteration of the compiled loop; beyond 2 compilation takes longer than it saves.
        per_step: the support has a leading axis of steps, one slice per step.
        eta_in_loss: the loss takes eta as a third argument.
        proximal: lambda of lambda / 2 |phi - theta|^2 (over leaves that adapt), which is added to the loss; a number,
            or a function of eta. `"implicit"` needs it, or `eta_in_loss`: else the minimum depends on nothing learned.
        linear: how `"implicit"` solves its linear system.
        explosion: how far, relative to 1 + |first support loss|, a loss may rise before the run counts as diverged.

    Returns:
        A frozen dataclass with these fields, callable as above; batch it over tasks by `over_tasks` or `jax.vmap`.

    Raises:
        UserError: for arguments out of their ranges or that exclude each other.

    Source: Finn, Abbeel and Levine (2017), Model-agnostic meta-learning; Kemaev et al. (2025), MixFlow-MG, for forward
    over reverse; Rajeswaran et al. (2019) for implicit gradients.

    >>> def loss(params, support):
    ...     return jnp.sum((params - support) ** 2) / 2
    >>> inner = inner_loop(loss, optax.sgd(0.5), steps=2)
    >>> phi, report = inner(jnp.zeros(1), None, jnp.ones(1))
    >>> phi.tolist(), report.losses.tolist(), bool(report.diverged)
    ([0.75], [0.5, 0.125], False)
    >>> jax.jacobian(lambda theta: inner(theta, None, jnp.ones(1))[0])(jnp.zeros(1)).tolist()
    [[0.25]]
    """
    return InnerLoop(
        loss,
        optimizer,
        steps,
        adapt=adapt,
        grad=grad,
        remat=remat,
        clip=clip,
        unroll=unroll,
        per_step=per_step,
        eta_in_loss=eta_in_loss,
        proximal=proximal,
        linear=LinearSolve() if linear is None else linear,
        explosion=explosion,
    )


def _report(run: tuple[Tree, Array, Array | None], explosion: float) -> Adaptation:
    phi, losses, stationarity = run
    ceiling = losses[0] + explosion * (1 + jnp.abs(losses[0])) if losses.size else jnp.asarray(jnp.inf)
    # A sum is finite only if every term is; one addition per parameter is all this may cost.
    finite = jnp.isfinite(optax.tree.sum(phi)) & jnp.all(jnp.isfinite(losses))
    diverged = ~(finite & jnp.all(losses <= ceiling))
    return Adaptation(losses, ceiling, diverged, stationarity)


def _check(inner: InnerLoop) -> None:
    """Raises `UserError` for fields that can't be."""

    def require(holds: bool, expected: str, got: Any, advice: str) -> None:
        if not holds:
            fail("inner_loop", expected=expected, got=str(got), advice=advice)

    def positive(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and value > 0

    require(callable(inner.loss), "a function loss(params, support)", inner.loss, "Pass a function of two arguments.")
    require(
        isinstance(inner.optimizer, optax.GradientTransformation) or callable(inner.optimizer),
        "an optax transformation, or a function of eta that returns one",
        inner.optimizer,
        "For example optax.sgd(0.01).",
    )
    for name, least in (("steps", 0), ("unroll", 1)):
        value = getattr(inner, name)
        whole_number = isinstance(value, int) and not isinstance(value, bool)
        require(
            whole_number and value >= least,
            f"{name}, a whole number of at least {least}",
            value,
            "It is a static number.",
        )
    require(inner.grad in WAYS, f"grad to be one of {', '.join(WAYS)}", repr(inner.grad), "See inner_loop.")
    require(inner.clip is None or positive(inner.clip), "clip > 0 or None", inner.clip, "None does not clip.")
    require(positive(inner.explosion), "explosion > 0", inner.explosion, "The default is 1000.")
    require(
        inner.proximal is None or callable(inner.proximal) or positive(inner.proximal),
        "proximal > 0, a function of eta, or None",
        inner.proximal,
        "None leaves the proximal term out.",
    )
    if inner.grad == "implicit":
        require(
            inner.proximal is not None or inner.eta_in_loss,
            "a proximal term, or a loss of eta, for an implicit gradient",
            "neither",
            "Pass proximal=1.0: without it the minimum does not depend on theta.",
        )
        require(
            not inner.per_step,
            "one support for all steps of an implicit loop",
            "per_step=True",
            "A minimum needs one fixed problem; take another way of taking the gradient.",
        )


def _check_per_step(steps: int, support: Tree) -> None:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(support)]
    if any(not shape or shape[0] != steps for shape in shapes):
        fail(
            "inner_loop",
            expected=f"a support whose leaves have a leading axis of {steps} steps",
            got=f"shapes {shapes}",
            advice="Stack one batch per step, or pass per_step=False.",
        )
