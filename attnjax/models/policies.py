"""Networks that act: without memory, with a recurrent one, and with attention over the trial so far.

Each gives what a decision is made of, the parameters of a distribution over actions and an estimate of the return:
logits (..., actions), or for points in space their means with a free `log_scale` beside. Those with memory share one
interface, with no batch axis:

    memory = network.initial(...)
    memory, decision = network.apply(params, memory, observation)
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.models.attention import SOFTMAX, AttentionRule, attend

RARE = 0.01
"""The scale of the last layer before actions, so that a new policy is close to uniform."""


class Acted(NamedTuple):
    """What a decision is made of.

    Attributes:
        actions: (..., a), logits of discrete actions or means of continuous ones.
        log_scale: (..., a), of continuous actions, the same wherever one is; to be ignored for discrete ones.
        value: (...), the return expected.
    """

    actions: Float[Array, "*batch a"]
    log_scale: Float[Array, "*batch a"]
    value: Float[Array, "*batch"]


class Heads(nn.Module):
    """From features to what a decision is made of.

    Attributes:
        actions: a, how many logits or dimensions.
        start_scale: the first standard deviation of continuous actions.
    """

    actions: int
    start_scale: float = 1.0

    @nn.compact
    def __call__(self, features: Float[Array, "*batch d"]) -> Acted:
        """The decision of features (..., d)."""
        small = nn.initializers.variance_scaling(RARE**2, "fan_in", "truncated_normal")
        actions = nn.Dense(self.actions, kernel_init=small, name="actions")(features)
        value = nn.Dense(1, name="value")(features)[..., 0]
        log_scale = self.param("log_scale", nn.initializers.constant(jnp.log(self.start_scale)), (self.actions,))
        return Acted(actions, jnp.broadcast_to(log_scale, actions.shape), value)


class FeedForwardPolicy(nn.Module):
    """A multilayer perceptron; its parameters are what adapts.

    Attributes:
        actions: as in `Heads`.
        features: the widths of the hidden layers.
        start_scale: as in `Heads`.

    >>> net = FeedForwardPolicy(actions=2)
    >>> params = net.init(jax.random.key(0), jnp.zeros(3))
    >>> net.apply(params, jnp.ones(3)).actions.shape
    (2,)
    """

    actions: int
    features: tuple[int, ...] = (100, 100)
    start_scale: float = 1.0

    @nn.compact
    def __call__(self, observation: Float[Array, "*batch o"]) -> Acted:
        """The decision of an observation (..., o)."""
        hidden = observation
        for width in self.features:
            hidden = nn.tanh(nn.Dense(width)(hidden))
        return Heads(self.actions, self.start_scale, name="heads")(hidden)


class GRUPolicy(nn.Module):
    """A gated recurrent unit with layer normalisation of what enters its gates.

        r, z = sigmoid(norm(W x) + norm(U h)),   n = tanh(norm(W_n x) + r norm(U_n h)),   h' = (1 - z) n + z h

    Attributes:
        actions: as in `Heads`.
        features: the size of h.
        start_scale: as in `Heads`.

    Source: Cho et al. (2014); Ba, Kiros and Hinton (2016), Layer normalization; Duan et al. (2016), RL^2.

    >>> net = GRUPolicy(actions=2, features=8)
    >>> params = net.init(jax.random.key(0), net.initial(), jnp.zeros(3))
    >>> memory, acted = net.apply(params, net.initial(), jnp.ones(3))
    >>> memory.shape, acted.actions.shape
    ((8,), (2,))
    """

    actions: int
    features: int = 256
    start_scale: float = 1.0

    def initial(self) -> Float[Array, " features"]:
        """The memory that a trial starts with: zeros."""
        return jnp.zeros(self.features)

    @nn.compact
    def __call__(self, memory: Float[Array, " features"], observation: Float[Array, " o"]) -> tuple[Array, Acted]:
        """The next memory, and the decision made with it."""
        gates = (3, self.features)
        entering = nn.Dense(3 * self.features, use_bias=False, name="input")(observation).reshape(gates)
        held = nn.Dense(3 * self.features, use_bias=False, kernel_init=nn.initializers.orthogonal(), name="recurrent")(
            memory
        ).reshape(gates)
        # One normalisation per gate.
        entering = nn.LayerNorm(use_scale=False, use_bias=False)(entering)
        held = nn.LayerNorm(use_scale=False, use_bias=False)(held)
        scales = self.param("scales", nn.initializers.ones, (2, *gates))
        entering = entering * scales[0] + self.param("bias", nn.initializers.zeros, gates)
        held = held * scales[1]
        reset, keep = nn.sigmoid(entering[0] + held[0]), nn.sigmoid(entering[1] + held[1])
        proposed = nn.tanh(entering[2] + reset * held[2])
        memory = (1 - keep) * proposed + keep * memory
        return memory, Heads(self.actions, self.start_scale, name="heads")(memory)


class Remembered(NamedTuple):
    """The trial so far, as attention reads it.

    Attributes:
        keys: (layers, length, heads, width), zeros where nothing has been seen yet.
        values: likewise.
        time: how many observations were seen.
    """

    keys: Float[Array, "layers length heads width"]
    values: Float[Array, "layers length heads width"]
    time: Int[Array, ""]


class HistoryBlock(nn.Module):
    """A pre-norm attention block in two halves, so that keys and values can be kept between steps.

    Attributes:
        heads: of attention; they divide the features.
        features: the width of the stream.
        rule: how a query spends its attention.
    """

    heads: int
    features: int
    rule: AttentionRule = SOFTMAX

    def setup(self) -> None:
        """The layers."""
        self.norm, self.between = nn.LayerNorm(), nn.LayerNorm()
        self.project, self.merge = nn.Dense(3 * self.features), nn.Dense(self.features)
        self.widen, self.narrow = nn.Dense(2 * self.features), nn.Dense(self.features)

    def split(self, stream: Float[Array, "t d"]) -> tuple[Array, Array, Array]:
        """Queries, keys and values of a stream, (t, heads, width) each."""
        parts = self.project(self.norm(stream)).reshape(-1, 3, self.heads, self.features // self.heads)
        return parts[:, 0], parts[:, 1], parts[:, 2]

    def read(self, stream: Array, query: Array, keys: Array, values: Array, mask: Bool[Array, "q k"]) -> Array:
        """The stream (q, d) after it has read the keys and values (k, heads, width) that the mask lets it see."""
        query, keys, values = (jnp.swapaxes(part, 0, 1) for part in (query, keys, values))
        seen, _ = attend(query, keys, values, jnp.broadcast_to(mask, (self.heads, *mask.shape)), rule=self.rule)
        stream = stream + self.merge(jnp.swapaxes(seen, 0, 1).reshape(stream.shape))
        return stream + self.narrow(nn.gelu(self.widen(self.between(stream))))


class HistoryPolicy(nn.Module):
    """Attention over all that was seen in the trial, each observation with its place in it.

    A step attends to what is kept of earlier ones and costs the length of a trial; `replay` does a whole row in
    parallel, with attention cut where trials start, and is the same function.

    Attributes:
        actions: as in `Heads`.
        length: the most observations of a trial; one more where values of what follows a truncation are asked for.
        features: the width.
        heads: of attention.
        layers: blocks.
        rule: how a query spends its attention over the history.
        start_scale: as in `Heads`.

    Source: Vaswani et al. (2017); Melo (2022), Transformers are meta-reinforcement learners.

    >>> net = HistoryPolicy(actions=2, length=5, features=8, heads=2)
    >>> params = net.init(jax.random.key(0), net.initial(), jnp.zeros(3))
    >>> memory, acted = net.apply(params, net.initial(), jnp.ones(3))
    >>> int(memory.time), acted.actions.shape
    (1, (2,))
    >>> row = net.apply(params, jnp.ones((4, 3)), jnp.array([True, False, False, True]), method=net.replay)
    >>> bool(jnp.allclose(row.actions[0], acted.actions, atol=1e-6)), bool(jnp.array_equal(row.value[0], row.value[3]))
    (True, True)
    """

    actions: int
    length: int
    features: int = 64
    heads: int = 4
    layers: int = 1
    rule: AttentionRule = SOFTMAX
    start_scale: float = 1.0

    def setup(self) -> None:
        """The layers."""
        self.embed = nn.Dense(self.features)
        self.places = self.param("places", nn.initializers.normal(0.1), (self.length, self.features))
        self.blocks = [HistoryBlock(self.heads, self.features, self.rule) for _ in range(self.layers)]
        self.norm = nn.LayerNorm()
        self.out = Heads(self.actions, self.start_scale)

    def initial(self) -> Remembered:
        """The memory that a trial starts with: nothing seen."""
        kept = jnp.zeros((self.layers, self.length, self.heads, self.features // self.heads))
        return Remembered(kept, kept, jnp.int32(0))

    def __call__(self, memory: Remembered, observation: Float[Array, " o"]) -> tuple[Remembered, Acted]:
        """The next memory, and the decision made with it."""
        here = jnp.minimum(memory.time, self.length - 1)
        stream = self.embed(observation)[None] + self.places[here][None]
        mask = (jnp.arange(self.length) <= here)[None]
        all_keys, all_values = [], []
        for block, keys, values in zip(self.blocks, memory.keys, memory.values, strict=True):
            query, key, value = block.split(stream)
            all_keys.append(keys.at[here].set(key[0]))
            all_values.append(values.at[here].set(value[0]))
            stream = block.read(stream, query, all_keys[-1], all_values[-1], mask)
        kept = Remembered(jnp.stack(all_keys), jnp.stack(all_values), memory.time + 1)
        return kept, self.out(self.norm(stream[0]))

    def replay(self, observations: Float[Array, "t o"], starts: Bool[Array, " t"]) -> Acted:
        """The decisions of a whole row (t, ...), each made from its own trial up to then."""
        times = jnp.arange(starts.shape[0])
        begun = jax.lax.cummax(jnp.where(starts, times, 0))
        stream = self.embed(observations) + self.places[jnp.minimum(times - begun, self.length - 1)]
        mask = (times[None, :] <= times[:, None]) & (times[None, :] >= begun[:, None])
        for block in self.blocks:
            stream = block.read(stream, *block.split(stream), mask)
        return self.out(self.norm(stream))
