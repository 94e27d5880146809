"""The MAML family: one inner loop each, and the meta-gradient of its mean query loss.

A learner is three functions, as an optimiser is two; what differs between algorithms is what adapts, what is learned,
and how the gradient is taken:

| | adapts | is learned | gradient |
|---|---|---|---|
| `maml` | all, or as told | theta | exact, or as told |
| `first_order_maml` | likewise | theta | first-order |
| `anil` | the head | theta | exact |
| `meta_sgd` | all, or as told | theta, and a rate per leaf or parameter | exact |
| `implicit_maml` | all, or as told | theta, through the proximal term | implicit |
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from attnjax.errors import fail
from attnjax.meta.inner_loop import Adaptation, inner_loop
from attnjax.meta.leaves import Adapt
from attnjax.meta.optimizers import learned_rates, log_rates
from attnjax.meta.tasks import Inner, Outcome, Tasks, check_tasks, each_task, over_tasks, summarise

Tree = Any
Loss = Callable[[Tree, Tree], Float[Array, ""]]
Optimizer = optax.GradientTransformation | Callable[[Tree], optax.GradientTransformation]


class Meta(NamedTuple):
    """What is meta-learned.

    Attributes:
        theta: the parameters that adaptation starts from.
        eta: the meta-parameters of the inner loop; `None` if it has none.
    """

    theta: Tree
    eta: Tree = None


class Learner(NamedTuple):
    """A meta-learning algorithm.

    Attributes:
        init: `theta -> Meta`, with eta as the algorithm starts it.
        gradient: `(meta, tasks) -> ((value, Outcome), gradient)`: the mean query loss after adaptation, how the tasks
            went, and a `Meta` for an optax optimiser to *descend*; what `jax.value_and_grad(..., has_aux=True)` gives.
        adapt: `(meta, support) -> (phi, Adaptation)`: what is done with one new task.
    """

    init: Callable[[Tree], Meta]
    gradient: Callable[[Meta, Tasks], tuple[tuple[Float[Array, ""], Outcome], Meta]]
    adapt: Callable[[Meta, Tree], tuple[Tree, Adaptation]]


def learner(
    inner: Inner, query_loss: Loss, init: Callable[[Tree], Meta] = Meta, *, chunk: int | None = None
) -> Learner:
    """The learner of an inner loop: it differentiates `over_tasks(inner, query_loss)` in theta and eta.

    Args:
        inner: `inner(theta, eta, support) -> (phi, Adaptation)`.
        query_loss: `query_loss(phi, query)`.
        init: makes a `Meta` from theta; without it eta is `None`.
        chunk: as in `over_tasks`.

    A learned optimiser is an inner loop whose optimiser has parameters:

    >>> def loss(params, batch):
    ...     return jnp.sum((params - batch) ** 2)
    >>> def optimizer(eta):
    ...     return optax.stateless(lambda gradient, _: jax.tree.map(lambda g: -jnp.tanh(eta * g), gradient))
    >>> learned = learner(inner_loop(loss, optimizer, steps=3), loss, lambda theta: Meta(theta, jnp.array(0.1)))
    >>> meta = learned.init(jnp.zeros(2))
    >>> _, gradient = learned.gradient(meta, Tasks(jnp.ones((4, 2)), jnp.ones((4, 2))))
    >>> bool(gradient.eta < 0)  # larger steps are better here
    True
    """
    meta_loss = over_tasks(inner, query_loss, chunk=chunk)

    def gradient(meta: Meta, tasks: Tasks) -> tuple[tuple[Array, Outcome], Meta]:
        return jax.value_and_grad(lambda meta: meta_loss(meta.theta, meta.eta, tasks), has_aux=True)(meta)

    def adapt(meta: Meta, support: Tree) -> tuple[Tree, Adaptation]:
        return inner(meta.theta, meta.eta, support)

    return Learner(init, gradient, adapt)


def maml(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    *,
    query_loss: Loss | None = None,
    chunk: int | None = None,
    **options: Any,
) -> Learner:
    """Model-agnostic meta-learning: the start from which a few steps do best.

        minimise over theta  mean over tasks of query_loss(phi_k(theta; support), query)

    Args:
        loss: `loss(params, support)`, a scalar; that of the inner steps.
        optimizer: of the inner steps.
        steps: how many.
        query_loss: `query_loss(params, query)`; `loss` if left out.
        chunk: as in `over_tasks`.
        **options: of `inner_loop`, e.g. `adapt`, `clip`, `grad`.

    Returns:
        A `Learner`. The gradient is exact unless `grad` says otherwise.

    Raises:
        UserError: as `inner_loop` and `over_tasks` do.

    Source: Finn, Abbeel and Levine (2017), Model-agnostic meta-learning for fast adaptation of deep networks.

    >>> def loss(params, batch):
    ...     return jnp.sum((params - batch) ** 2) / 2
    >>> learner = maml(loss, optax.sgd(0.5), steps=1)
    >>> tasks = Tasks(jnp.array([[1.0], [3.0]]), jnp.array([[1.0], [3.0]]))
    >>> (value, outcome), gradient = learner.gradient(learner.init(jnp.zeros(1)), tasks)
    >>> float(value), gradient.theta.tolist()  # (1 - 0.5) (phi - target), on average
    (0.625, [-0.5])
    """
    return learner(inner_loop(loss, optimizer, steps, **options), query_loss or loss, chunk=chunk)


def first_order_maml(loss: Loss, optimizer: optax.GradientTransformation, steps: int, **options: Any) -> Learner:
    """MAML that takes d phi / d theta for the identity: the query gradient at phi, on average.

    Cheap and biased. Arguments, returns and errors as for `maml`, without `grad`.

    Source: Finn, Abbeel and Levine (2017), section 5.2.

    >>> def loss(params, batch):
    ...     return jnp.sum((params - batch) ** 2) / 2
    >>> learner = first_order_maml(loss, optax.sgd(0.5), steps=1)
    >>> _, gradient = learner.gradient(learner.init(jnp.zeros(1)), Tasks(jnp.ones((1, 1)), jnp.ones((1, 1))))
    >>> gradient.theta.tolist()  # phi - target; exact would be half of it
    [-0.5]
    """
    return maml(loss, optimizer, steps, grad="first_order", **options)


def anil(loss: Loss, optimizer: optax.GradientTransformation, steps: int, *, head: Adapt, **options: Any) -> Learner:
    """Almost no inner loop: only the head adapts, and the body is learned for it.

    Args:
        loss: as in `maml`.
        optimizer: as in `maml`.
        steps: as in `maml`.
        head: which leaves adapt, as `adapt` of `inner_loop`.
        **options: as in `maml`.

    Source: Raghu, Raghu, Bengio and Vinyals (2020), Rapid learning or feature reuse?

    >>> def loss(params, batch):
    ...     return (params["head"] * params["body"] - batch) ** 2
    >>> learner = anil(loss, optax.sgd(0.1), steps=2, head="head")
    >>> meta = learner.init({"body": jnp.array(1.0), "head": jnp.array(0.0)})
    >>> phi, _ = learner.adapt(meta, jnp.array(1.0))
    >>> float(phi["body"]), bool(phi["head"] > 0)
    (1.0, True)
    """
    if head is None:
        fail("anil", expected="which leaves are the head", got="None", advice="Name a path; to adapt all, use maml.")
    return maml(loss, optimizer, steps, adapt=head, **options)


def meta_sgd(
    loss: Loss,
    rate: float,
    steps: int,
    *,
    per: str = "leaf",
    adapt: Adapt = None,
    query_loss: Loss | None = None,
    chunk: int | None = None,
    **options: Any,
) -> Learner:
    """Meta-SGD: the start and the rates, learned together.

        phi_{t+1} = phi_t - exp(eta) g_t,        eta learned with theta

    The paper learns the rates themselves, one per parameter and one step; logarithms keep them positive. Rates that
    were learned for k steps may diverge in more than k: look at `Outcome.divergences`.

    Args:
        loss: as in `maml`.
        rate: of all parameters at first.
        steps: as in `maml`.
        per: `"leaf"` or `"parameter"`.
        adapt: as in `inner_loop`.
        query_loss: as in `maml`.
        chunk: as in `over_tasks`.
        **options: of `inner_loop`.

    Returns:
        A `Learner`; `Meta.eta` are the logarithms of the rates.

    Source: Li, Zhou, Chen and Li (2017), Meta-SGD: learning to learn quickly for few-shot learning.

    >>> def loss(params, batch):
    ...     return jnp.sum((params - batch) ** 2) / 2
    >>> learner = meta_sgd(loss, 0.5, steps=1, per="parameter")
    >>> _, gradient = learner.gradient(learner.init(jnp.zeros(2)), Tasks(jnp.ones((1, 2)), jnp.ones((1, 2))))
    >>> gradient.eta.tolist()  # a larger rate would come closer
    [-0.25, -0.25]
    """
    inner = inner_loop(loss, learned_rates, steps, adapt=adapt, **options)

    def init(theta: Tree) -> Meta:
        return Meta(theta, log_rates(theta, rate, per=per, adapt=adapt))

    log_rates(jnp.zeros(1), rate, per=per)  # refuses now what it would refuse in init
    return learner(inner, query_loss or loss, init, chunk=chunk)


def implicit_maml(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    *,
    proximal: float,
    query_loss: Loss | None = None,
    chunk: int | None = None,
    **options: Any,
) -> Learner:
    """Implicit MAML: the inner problem is solved near theta, and differentiated as a solution.

        phi = argmin loss(phi, support) + lambda / 2 |phi - theta|^2,
        d phi / d theta = (I + H / lambda)^-1,        by conjugate gradients

    The gradient is right as far as the inner problem and the linear system were solved: `Outcome.stationarity` and
    `Outcome.residual` say how far.

    Args:
        loss: as in `maml`.
        optimizer: of the inner steps; any that gets to the minimum.
        steps: enough to get there.
        proximal: lambda, which must exceed the most negative curvature of the loss.
        query_loss: as in `maml`.
        chunk: as in `over_tasks`.
        **options: of `inner_loop`, e.g. `linear=LinearSolve(...)`.

    Source: Rajeswaran, Finn, Kakade and Levine (2019), Meta-learning with implicit gradients.

    >>> def loss(params, batch):
    ...     return jnp.sum((params - batch) ** 2) / 2
    >>> learner = implicit_maml(loss, optax.sgd(0.5), steps=40, proximal=1.0)
    >>> tasks = Tasks(jnp.ones((1, 1)), jnp.ones((1, 1)))
    >>> (value, outcome), gradient = learner.gradient(learner.init(jnp.zeros(1)), tasks)
    >>> round(float(gradient.theta[0]), 5)  # (phi - 1) lambda / (1 + lambda), at phi = 1 / 2
    -0.25
    """
    inner = inner_loop(loss, optimizer, steps, grad="implicit", proximal=proximal, **options)
    plain = learner(inner, query_loss or loss, chunk=chunk)

    def gradient(meta: Meta, tasks: Tasks) -> tuple[tuple[Array, Outcome], Meta]:
        def one(task: Tasks) -> tuple[Array, Adaptation, Meta, Array]:
            phi, report = inner(meta.theta, meta.eta, task.support)
            value, cotangent = jax.value_and_grad(query_loss or loss)(phi, task.query)
            bars, solve = inner.pull_back(meta.theta, meta.eta, task.support, phi, cotangent)
            return value, report, Meta(*bars), solve.residual

        values, reports, gradients, residuals = each_task(one, check_tasks(tasks), chunk)
        outcome = summarise(values, reports)._replace(residual=residuals)
        return (jnp.mean(values), outcome), jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), gradients)

    return plain._replace(gradient=gradient)
