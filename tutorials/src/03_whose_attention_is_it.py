# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Whose attention is it?
#
# **The question.** Users want what they like, creators want to be seen, a platform wants income. They share one
# supply of attention. What can all three get, who decides between them, and what does it take to be fair?
#
# **The answer.** There is a *front*: what nobody can better without somebody paying. Where gains are concave, weights
# reach all of it; where not, they miss its middle, and something else must choose. And fairness asked for as a weight,
# as a constraint or as a welfare is the same thing today and three different things tomorrow.
#
# | | |
# |---|---|
# | **You need** | tutorials 01 and 02; gradient descent; the scalar product of two vectors |
# | **Time** | about 90 minutes to read and do; all cells together run in under a minute on two cores |
# | **Data** | MovieLens-100k, fetched once by `attnjax.data` and checked by its sha256 |
#
# **Afterwards you can**
#
# 1. draw the front of two objectives by hand, and read a weight as an exchange rate;
# 2. say when a weighted sum misses part of a front, and reach that part in two other ways;
# 3. see that two gradients are in conflict, and what MGDA, PCGrad and UPGrad make of them;
# 4. read a front of three parties with its certificates, and say what a single training run can't show you;
# 5. choose between a weight, a constraint and a welfare, knowing which of them keeps what.
#
# As before, a line that begins with `[claim]` is a number that the notebook stands by, and a box headed *In the
# source* marks an error in a document that we follow.

# %% [markdown] tags=["instructor"]
# > **Instructor · plan.** One double lesson of 90 minutes: sections 1 and 2 at the board (30), section 3 with two
# > pencils as gradients (20), section 4 (15), section 5 as a debate (15), exercise 1 in class (10). Ask before you
# > start: *the school has one hall and two clubs; name a fair way to share it.* Sort the answers into weights (by
# > members), constraints (an evening each) and welfare (so that nobody is left with nothing). Section 5 comes back to
# > them.

# %%
import dataclasses

import checks
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import tradeoffs

from attnjax.allocation import AlphaFair, Creators, Floors, Linear, Market, Nash, solve, welfare_of
from attnjax.data import creators, load_movielens_100k
from attnjax.pareto import (
    linear,
    market_front,
    mean,
    mgda,
    pcgrad,
    simplex_lattice,
    stacked_gradients,
    tchebycheff,
    upgrad,
)

# Float64: what is done by hand is exact, and certificates are close.
jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## 1 · One hour, two wishes, a pencil
#
# There is one hour. A share $x$ of it goes to Yuri's news, the rest to Xenia's drama. Users would rather have the
# drama, and Yuri would rather have the hour. What each loses:
#
# $$f_1 = x^2 \quad\text{(users)}, \qquad f_2 = (1 - x)^2 \quad\text{(Yuri)} .$$
#
# As $x$ goes from $0$ to $1$, the pair $(f_1, f_2)$ runs from $(0, 1)$ to $(1, 0)$ along the curve
# $\sqrt{f_1} + \sqrt{f_2} = 1$. No point of it is better for both than another: it is the **front**. Somebody must
# choose. Give users the weight $w$ and Yuri $1 - w$, and minimise
#
# $$w\,x^2 + (1 - w)(1 - x)^2 .$$
#
# The derivative is zero at $x = 1 - w$. So every weight picks a point, and every point has its weight. There the front
# has the slope
#
# $$\frac{d f_2}{d f_1} = -\frac{w}{1 - w} :$$
#
# a weight is an **exchange rate**. Whoever says that users weigh $\tfrac34$ says that three units of Yuri's loss are
# worth one of theirs.
#
# ## 2 · Half a series
#
# Now two series. Half a series is worth a quarter of a whole one: what Xenia gains from the hour is $(1 - x)^2$, what
# Yuri gains is $x^2$, and the losses are
#
# $$f_1 = 1 - (1 - x)^2, \qquad f_2 = 1 - x^2 .$$
#
# The weighted sum $1 - w (1 - x)^2 - (1 - w)\,x^2$ has the second derivative $-2$, *whatever the weight*. A function
# that bends down everywhere has its minimum at an end. So a weighted sum gives the whole hour to the one or to the
# other, and no weight at all gives half to each. The points in between are on the front, too, yet it misses them all.
#
# Two other ways to choose find them:
#
# - **Tchebycheff** minimises the *worst* weighted loss, $\max(w f_1, (1 - w) f_2)$. The first rises with $x$, the
#   second falls, so the best $x$ is where they meet: with equal weights $2x - x^2 = 1 - x^2$, that is $x = \tfrac12$
#   and both lose $\tfrac34$.
# - **A constraint** says what must be: *Yuri loses no more than* $\tfrac34$. Then $x \ge \tfrac12$, and Xenia loses
#   least at $x = \tfrac12$.
#
# Below, nine weights from $\tfrac1{10}$ to $\tfrac9{10}$, by search over a thousand shares.

# %%
share = jnp.linspace(0, 1, 1001)


def evening(x):
    """Losses of users and of Yuri."""
    return jnp.stack([x**2, (1 - x) ** 2])


def series(x):
    """Losses of Xenia and of Yuri where half is worth a quarter."""
    return jnp.stack([1 - (1 - x) ** 2, 1 - x**2])


def best_share(losses, scalariser, weight):
    """The share whose scalarised losses are least."""
    scalarised = jax.vmap(lambda x: scalariser(losses(x), np.array([weight, 1 - weight])))
    return share[jnp.argmin(scalarised(share))]


weights = np.arange(1, 10) / 10
found = {
    (losses, scalariser): jnp.stack([best_share(losses, scalariser, w) for w in weights])
    for losses in (evening, series)
    for scalariser in (linear, tchebycheff)
}
allowed = series(share)[1] <= 0.75
constrained = share[jnp.argmin(jnp.where(allowed, series(share)[0], jnp.inf))]

checks.claim("weight-by-hand", jnp.max(abs(found[evening, linear] - (1 - weights))))
checks.claim("sums-find-of-series", len(set(found[series, linear].tolist())))
checks.claim("tchebycheff-finds-of-series", len(set(found[series, tchebycheff].tolist())))
checks.claim("tchebycheff-by-hand", found[series, tchebycheff][4])
checks.claim("constraint-by-hand", constrained)
tradeoffs.two_fronts(
    [np.array(losses(share)) for losses in (evening, series)],
    [np.array(losses(found[losses, linear])) for losses in (evening, series)],
    [np.array(losses(found[losses, tchebycheff])) for losses in (evening, series)],
)

# %% [markdown]
# ### What a coin can do
#
# Look at the dashed line on the right. If there is an hour *every evening*, Ann may toss a coin: heads Xenia, tails
# Yuri. Each then loses $\tfrac12$ on average, and that is less than $\tfrac34$. The straight line between the two ends
# is below the front, so a weighted sum misses exactly *what a coin would beat*.
#
# That is the rule. Where gains are concave and everything may be mixed, as in the markets of tutorial 02, the front
# bends the right way, weights reach all of it, and a solver for one weighted market is a solver for the front. Where
# nothing may be mixed (one network with one set of weights; one evening only), fronts can bend the wrong way, and a
# sweep over weights shows two ends and hides the middle.

# %%
coin = 0.5 * series(jnp.array(0.0)) + 0.5 * series(jnp.array(1.0))
half_each = series(jnp.array(0.5))
print("both lose, half a series each:", half_each, " by a coin, on average:", coin)
checks.claim("coin-beats-half-each", jnp.max(coin - half_each))

# %% [markdown]
# ## 3 · Two gradients that disagree
#
# A model with a million parameters has no front to look at, only a gradient per objective, here and now:
#
# $$g_1 = (3, 0), \qquad g_2 = (-1, 1), \qquad \langle g_1, g_2 \rangle = -3 .$$
#
# We step against a direction $d$. To first order objective $i$ falls if $\langle g_i, d\rangle > 0$ and rises if it is
# negative. The two gradients are in **conflict**: stepping against either makes the other worse. What should $d$ be?
#
# | rule | what it does | $d$ |
# |---|---|---|
# | **mean** | the gradient of the mean loss, $\tfrac12 (g_1 + g_2)$ | $(1, \tfrac12)$ |
# | **MGDA** | the shortest $w\,g_1 + (1 - w)\,g_2$, here $w = \tfrac{5}{17}$ | $(\tfrac{3}{17}, \tfrac{12}{17})$ |
# | **PCGrad** | each loses its part against the other; then the sum | $(\tfrac32, \tfrac52)$ |
# | **UPGrad** | each goes to the nearest direction that hurts nobody; then the mean | $(\tfrac34, \tfrac54)$ |
#
# For the last two: without its part against $g_2$, $g_1$ is $(\tfrac32, \tfrac32)$, and $g_2$ without its part against
# $g_1$ is $(0, 1)$.
#
# The mean hurts the second objective: $\langle g_2, d\rangle = -1 + \tfrac12 < 0$. The other three hurt neither. They
# lie in the cone of directions that are good for both, the shaded part of the next figure. For two objectives PCGrad
# and UPGrad are the same up to length. For three they part: what PCGrad takes off against the second may bring back a
# conflict with the first.

# %%
gradients = jnp.array([[3.0, 0.0], [-1.0, 1.0]])
rules = {"mean": mean(), "MGDA": mgda(), "PCGrad": pcgrad(jax.random.key(0)), "UPGrad": upgrad()}
by_hand = {"mean": [1, 1 / 2], "MGDA": [3 / 17, 12 / 17], "PCGrad": [3 / 2, 5 / 2], "UPGrad": [3 / 4, 5 / 4]}
directions = {name: jax.jit(rule.combine)(gradients, rule.init(2))[0].direction for name, rule in rules.items()}
effects = {name: gradients @ direction for name, direction in directions.items()}

checks.claim("directions-by-hand", max(float(jnp.max(abs(directions[k] - jnp.array(by_hand[k])))) for k in rules))
checks.claim("mean-hurts-the-second", effects["mean"][1])
checks.claim("others-hurt-nobody", min(float(effects[name].min()) for name in rules if name != "mean") >= -1e-9)
pd.DataFrame(effects, index=["first objective falls by", "second objective falls by"]).T.round(3)

# %% [markdown]
# One step says little. Take two bowls, one steep and one shallow, and let each rule walk downhill from three places.

# %%
steep, shallow = jnp.array([8.0, 0.5]), jnp.array([0.5, 2.0])
bottoms = jnp.array([[1.0, -0.5], [-1.0, 1.0]])
starts = jnp.array([[-1.3, 0.4], [-0.6, 2.0], [1.6, 1.6]])


def bowls(place):
    """Two losses of a place in the plane."""
    return 0.5 * jnp.stack([steep @ (place - bottoms[0]) ** 2, shallow @ (place - bottoms[1]) ** 2])


def walk(rule, start, steps=2000, rate=0.01):
    """The places that a rule comes through."""

    def step(carry, _):
        place, state = carry
        combined, state = rule.combine(stacked_gradients(bowls, place)[1], state)
        return (place - rate * combined.direction, state), place

    return jax.lax.scan(step, (start, rule.init(2)), None, length=steps)[1]


def rise(path):
    """By how much any loss is ever above its start."""
    each = jax.vmap(jax.vmap(bowls))(path)
    return float(jnp.max(each - each[:, :1]))


walks = {name: jax.jit(jax.vmap(lambda start, rule=rule: walk(rule, start)))(starts) for name, rule in rules.items()}
rises = {name: rise(path) for name, path in walks.items()}
long_steps = jax.jit(jax.vmap(lambda start: walk(rules["PCGrad"], start, 400, 0.05)))(starts)
blends = jnp.linspace(0, 1, 101)[:, None]
stationary = (blends * steep * bottoms[0] + (1 - blends) * shallow * bottoms[1]) / (
    blends * steep + (1 - blends) * shallow
)
ends = {name: np.array(path[:, -1]) for name, path in walks.items()}
checks.claim("mean-lets-a-loss-rise", rises["mean"])
checks.claim("no-loss-rises-with-the-others", max(rises[name] for name in rules if name != "mean") <= 1e-9)
checks.claim("long-steps-let-a-loss-rise", rise(long_steps))
checks.claim("mean-ends-at-one-place", np.ptp(ends["mean"], axis=0).max())
checks.claim("upgrad-ends-apart", np.ptp(ends["UPGrad"], axis=0).max())
tradeoffs.gradients_and_walks(
    np.array(gradients),
    {name: np.array(direction) for name, direction in directions.items()},
    {name: np.array(path) for name, path in walks.items()},
    np.array(stationary),
    np.array(bottoms),
)

# %% [markdown]
# The grey line is the front: where no direction is good for both. All four walks end on it. The mean always ends at the
# *same* place, and lets a loss rise on the way. The other three never let one rise, and pay for it in two ways. They
# stop where they first meet the front, so *where you start decides whom you serve*. And whoever starts where one
# objective is already content can hardly move: that objective has a veto.
#
# Even the promise is one to first order only. PCGrad with steps five times as long lets a loss rise, too: the last
# claim but two measures it. A direction without conflict says something about a *short* next step. It is not a choice
# of a point.

# %% [markdown] tags=["instructor"]
# > **Instructor.** Hold two pencils at an obtuse angle and ask for directions that make an acute angle with both; that
# > is the cone. The veto is worth five minutes: *is a rule fair that protects whoever is best off at the start?*
# > Students who know negotiation theory will call it the status quo.

# %% [markdown]
# ## 4 · Three parties
#
# The 60 most active users of MovieLens-100k and the 40 most rated films with one known director. The score is the
# user's own rating, in stars; where there is none, the film's mean and the user's habit. Three parties:
#
# - **users**: stars per unit of attention, and a little for variety ($T = \tfrac14$);
# - **creators**: Nash welfare of the directors' exposure;
# - **the platform**: income per unit of exposure, at rates that we assume: they grow with the logarithm of a director's
#   ratings and are $1$ on average.

# %%
data = load_movielens_100k()
directed = creators(data, "directed_by")
rated = np.bincount(data.item, minlength=data.num_items)
by_one = np.bincount(directed.item, minlength=data.num_items) == 1
films = np.argsort(-rated * by_one, kind="stable")[:40]
most_active = np.argsort(-np.bincount(data.user, minlength=data.num_users), kind="stable")
table = np.full((data.num_users, data.num_items), np.nan)
table[data.user, data.item] = data.rating
film_mean = np.nanmean(table[:, films], axis=0)


def stars_of(users):
    """Ratings of the films by some users, (u, 40), with blanks filled in."""
    own = table[np.ix_(users, films)]
    habit = np.nan_to_num(np.nanmean(own - film_mean, axis=1, keepdims=True))
    return np.where(np.isnan(own), np.clip(film_mean + habit, 1, 5), own)


users = most_active[:60]
incidence = directed.select(films)
made_by = Creators.of(incidence.item, incidence.creator, num_items=40, num_creators=incidence.num_creators)
per_director = made_by.exposure(jnp.asarray(rated[films], float))
rates = jnp.log(per_director) / jnp.log(per_director).mean()
equal_share, ones = len(users) / incidence.num_creators, jnp.ones(incidence.num_creators)
market = Market.of(stars_of(users), made_by, Nash(0.5 * equal_share * ones), platform_rates=2 * rates, temperature=0.25)
print(f"{incidence.num_creators} directors; an equal share of exposure is {equal_share:.2f}")
checks.claim("three-party-directors", incidence.num_creators)

# %% [markdown]
# What is a star worth in money? The market above adds up stars, a welfare of exposures and an income, and every such
# sum has already answered.
#
# <div style="border-left: 5px solid #D55E00; padding: 4px 16px; background: #FFF5EC; color: #222222">
#
# **In the source · *Metaverse* §4.2: three parties are added up without a rate of exchange.** The document's objective
# is users' satisfaction plus creators' revenue plus platform income, each in a unit of its own. Write the same income
# in cents instead of euros, and the best allocation is another. A sum of unlike things is a choice of weights that
# nobody has made. State them, or show the front.
#
# </div>

# %% tags=["counterexample"]
taste, euros = jnp.array([[2.0, 1.0]]), jnp.array([0.0, 0.02])
units = [solve(Market.of(taste, Creators.one_per_item(2), platform_rates=unit * euros)).exposure for unit in (1, 100)]

print("an hour, income in euros:", units[0], " the same in cents:", units[1])
checks.claim("cents-move-the-hour", units[1][1] - units[0][1])

# %% [markdown]
# So show the front. `market_front` takes weightings of the three parties, 66 here, and solves one market for each. A
# solved market comes with an upper bound: *no allocation whatever has a larger weighted sum*. Such a bound is a
# plane, and 66 planes fence the front in from above, while the points hold it from below.
#
# Beside it, what a training run gives. Attention is a softmax of free logits; the mean or UPGrad combines the three
# parties' gradients, Adam takes the steps, from five starts.

# %%
weightings = simplex_lattice(3, 10, least=0.02)
front = market_front(market, weightings, 1e-6)


def gains_of(attention):
    """What users, creators and platform get from an allocation, as in `Front.gains`."""
    parts = welfare_of(market, attention)
    return jnp.stack([parts.satisfaction + parts.variety, parts.creators, parts.platform])


def trained(rule, start, steps=200):
    """The gains after descent from some logits."""
    optimizer = optax.adam(optax.cosine_decay_schedule(0.1, steps))

    def step(carry, _):
        logits, memory, state = carry
        losses = lambda logits: -gains_of(jax.nn.softmax(logits)) / len(users)  # noqa: E731
        combined, state = rule.combine(stacked_gradients(losses, logits)[1], state)
        updates, memory = optimizer.update(combined.direction, memory)
        return (optax.apply_updates(logits, updates), memory, state), None

    carry = start, optimizer.init(start), rule.init(3)
    return gains_of(jax.nn.softmax(jax.lax.scan(step, carry, None, length=steps)[0][0]))


logits = 2 * jax.random.normal(jax.random.key(1), (5, *market.scores.shape))
before = jax.vmap(lambda start: gains_of(jax.nn.softmax(start)))(logits)
after = {
    name: jax.jit(jax.vmap(lambda start, rule=rules[name]: trained(rule, start)))(logits) for name in ("mean", "UPGrad")
}
everyone = jnp.concatenate([front.gains, before, *after.values()])
equal_weights = solve(market, 1e-8)
spread = {name: float(jnp.ptp(gains, axis=0).max()) / len(users) for name, gains in after.items()}
checks.claim("front-certified", bool(front.converged.all()))
checks.claim("above-a-plane", jnp.max(weightings @ everyone.T - front.upper[:, None]) / len(users))
checks.claim("mean-misses-the-optimum-by", (equal_weights.upper - after["mean"].sum(axis=1).max()) / len(users))
checks.claim("mean-runs-agree", spread["mean"])
checks.claim("upgrad-runs-differ", spread["UPGrad"])
tradeoffs.three_parties(
    *(np.array(gains) / len(users) for gains in (front.gains, before)),
    {name: np.array(gains) / len(users) for name, gains in after.items()},
    np.array(gains_of(equal_weights.attention)) / len(users),
)

# %% [markdown]
# Begin at the right edge, where users have most. The first bit for creators (up, on the left) or for the platform (up,
# on the right) costs users next to nothing. The further, the dearer: along the front the rate of exchange gets worse
# for whoever asks for more. And the two who ask are not allies: where the platform has most, creators have least.
#
# The runs with the *mean* land on one point of the front, the one with equal weights. It took a certificate to know
# that: a training run by itself never says how far it is from the front. The runs with *UPGrad* end where
# the start and the vetoes left them. None of these runs shows the front. It takes a sweep, or a network that is told
# the weights.
#
# ## 5 · Fair as a weight, as a constraint, as a welfare
#
# Call the 20 least rated of the films *the others*. Users left alone give them less than half of all attention. We want
# them to have half. Three ways to ask for it, one of them in two strengths:
#
# | | what the others' exposure $e$ is worth | its price |
# |---|---|---|
# | **a weight** | $b\, e$ | $b$, whatever happens |
# | **a welfare**: Nash | $w \log e$ | $w / e$ |
# | **a welfare**: alpha-fair, $\alpha = 8$ | $-\tfrac17 w\, e^{-7}$ | $w / e^8$ |
# | **a constraint** | nothing, but $e \ge$ half | whatever it takes |
#
# <div style="border-left: 5px solid #D55E00; padding: 4px 16px; background: #FFF5EC; color: #222222">
#
# **In the source · *Metaverse*, question 4: weights make it fair.** The document says that setting the weights of the
# groups ensures a fair allocation. Take users who all like one item a star better, and have no taste for variety. Raise
# the weight of the other: nothing happens, nothing happens, and then it has everything. No weight gives it half. A
# floor of half does.
#
# </div>

# %% tags=["counterexample"]
alike = Market.of([[2.0, 1.0]] * 4, Creators.one_per_item(2), temperature=0.0)
by_weight = [solve(dataclasses.replace(alike, creator_value=Linear(jnp.array([0, b])))).exposure[1] for b in (0.9, 1.1)]

by_floor = solve(dataclasses.replace(alike, creator_value=Floors(jnp.array([0.0, 2.0])))).exposure[1]
print(f"four hours; weight just below 1: {by_weight[0]:.2f} for the other; just above: {by_weight[1]:.2f}")
print(f"with a floor of 2: {by_floor:.2f}")
checks.claim("no-weight-gives-half", by_weight[1] - by_weight[0])
checks.claim("a-floor-gives-half", by_floor)

# %% [markdown]
# With a taste for variety weights do work, if you know which. So give all ways their best chance: on 60 users, choose
# weight and welfare so that they give the others *exactly* half, as the constraint does. The constraint's price says
# how: $b = p$ and, for welfare, $w$ such that the price at half is $p$.
#
# Then come other users: the 600 most active in order of age, in crowds of 60 neighbours.
# The young like the most rated films best. The rules stay as they are.

# %%
others = np.isin(np.arange(40), np.argsort(-rated[films], kind="stable")[20:]).astype(int)
groups = Creators.of(np.arange(40), others, num_items=40, num_creators=2)
half, nothing = len(users) / 2, jnp.full((), 1e-9)
alone = Market.of(stars_of(users), groups, temperature=0.25)


@jax.jit
def ruled(value, crowds):
    """The others' exposure, what users get, and the others' price, by some rule, crowd by crowd."""

    def one(scores):
        asked = dataclasses.replace(alone, scores=scores, creator_value=value)
        found = solve(asked, 1e-8)
        parts = welfare_of(asked, found.attention)
        return found.exposure[1], parts.satisfaction + parts.variety, found.prices[1]

    return jax.lax.map(one, crowds)


def only_others(amount):
    """The amount for the others; next to nothing for the rest."""
    return jnp.stack([nothing, jnp.asarray(amount, float)])


age = np.asarray(data.users["age"])
by_age = most_active[:600][np.argsort(age[most_active[:600]], kind="stable")]
crowds = [users, *(by_age[first : first + 60] for first in range(0, 541, 20))]
crowd_ages = np.array([age[crowd].mean() for crowd in crowds])
crowd_stars = jnp.stack([jnp.asarray(stars_of(crowd)) for crowd in crowds])
floor = Floors(only_others(half))
price = ruled(floor, crowd_stars)[2][0]
ways = {
    "a weight": Linear(only_others(price)),
    "Nash": Nash(only_others(price * half)),
    "alpha 8": AlphaFair(only_others(price), jnp.full(2, 8.0), jnp.full(2, half)),
    "a constraint": floor,
}
left_alone = ruled(Linear(only_others(0.0)), crowd_stars)
outcomes = {name: ruled(value, crowd_stars) for name, value in ways.items()}
shares = {name: np.array(exposure) / len(users) for name, (exposure, _, _) in outcomes.items()}
costs = {name: np.array(left_alone[1] - worth) / len(users) for name, (_, worth, _) in outcomes.items()}
checks.claim("others-alone", left_alone[0][0] / len(users))
checks.claim("today-they-are-one", max(abs(shares[name][0] - 0.5) for name in ways))
for name in ways:
    checks.claim(f"share-varies-{name.split()[-1]}", np.std(shares[name][1:]))
    checks.claim(f"cost-varies-{name.split()[-1]}", np.std(costs[name][1:]))
tradeoffs.prices_and_quantities(crowd_ages, shares, costs, np.array(left_alone[0]) / len(users))

# %% [markdown]
# Today they are *one allocation*: a price was found, and it does not matter who announced it. With other users they
# part. The constraint keeps the share, and lets the price, and with it the users' cost, go where it must. The weight
# keeps the price, and lets the share go: where the young are, the others get what the young leave them. Welfare lies
# between, and $\alpha$ says how far: as the share falls its price rises, in proportion for Nash, steeply for $\alpha
# = 8$. Economists know this as *prices against quantities*.
#
# So the question is what must not move. A right (*nobody is shown less than*) is a constraint. A budget (*we pay so
# much for diversity*) is a weight. Where neither is sacred, welfare gives way on both. And whichever you choose, look
# at the price: it says what the last bit of fairness costs, and to whom.

# %% [markdown] tags=["instructor"]
# > **Instructor.** Go back to the answers about the school's hall, and ask what happens to each next year, when one
# > club has doubled. Then ask for the failure of each way: a constraint can be impossible (tutorial 02) or absurdly
# > dear; a weight can be useless; welfare can't be explained to a judge.

# %% [markdown]
# ## 6 · Exercises
#
# Each ends in a check of properties. Left empty, it says *not attempted*.
#
# **Exercise 1 · by hand.** Users lose $f_1 = x^2$ and Yuri loses $f_2 = 2 (1 - x)^2$. With which weight $w$ of users
# is $x = \tfrac12$ best? What do both lose there, and how much of his loss does Yuri save for each unit that users
# lose more ($-df_2/df_1$)?

# %% tags=["exercise"]
my_numbers = None  # [w, f1, f2, Yuri's saving per unit]

tradeoffs.weight_by_hand(my_numbers)

# %% tags=["solution"]
# w x = 2 (1 - w)(1 - x) at x = 1/2 gives w = 2/3. The losses are 1/4 and 1/2; the rate is w / (1 - w) = 2.
tradeoffs.weight_by_hand([2 / 3, 1 / 4, 1 / 2, 2.0])

# %% [markdown]
# **Exercise 2 · reach any point.** Somebody shows you a point on a front, bent whichever way, and the ideal point $z$
# below it (every $z_i$ less than the point's loss). Which weights on the simplex make *Tchebycheff*,
# $\max_i w_i (f_i - z_i)$, choose that point?


# %% tags=["exercise"]
def my_weights(point, ideal):
    """NumPy arrays (m,); returns weights (m,) that sum to 1."""
    weights = None  # yours
    return weights


tradeoffs.weights_for_a_point(my_weights)


# %% tags=["solution"]
def solved_weights(point, ideal):
    # At the point all weighted losses are equal; anything else on the front is larger in some loss.
    inverse = 1 / (point - ideal)
    return inverse / inverse.sum()


tradeoffs.weights_for_a_point(solved_weights)

# %% [markdown]
# **Exercise 3 · the shortest vector.** Write MGDA for two gradients of any length: the shortest vector on the line
# segment between them. (Mind the ends of the segment.)


# %% tags=["exercise"]
def my_mgda(first, second):
    """NumPy arrays (n,); returns the direction (n,)."""
    direction = None  # yours
    return direction


tradeoffs.shortest_vector(my_mgda)


# %% tags=["solution"]
def solved_mgda(first, second):
    apart = first - second
    length = apart @ apart
    weight = np.clip(-(second @ apart) / length, 0, 1) if length > 0 else 0.5
    return weight * first + (1 - weight) * second


tradeoffs.shortest_vector(solved_mgda)

# %% [markdown]
# **Exercise 4 · a weight that keeps a promise.** Today's 60 users again. The others are to have three fifths of all
# attention, by a *weight*. Which one, to within a hundredth of the attention? You may search with `others_share`. Or
# you solve one market and read it off.


# %% tags=["exercise"]
def others_share(weight):
    """The others' share of all attention under this weight, in stars per unit of exposure."""
    return float(ruled(Linear(only_others(weight)), crowd_stars)[0][0]) / len(users)


my_weight = None  # stars per unit of exposure

tradeoffs.promised_share(my_weight, others_share, 0.6)

# %% tags=["solution"]
# The price of the constraint is the weight that would have done the same.
promise = Floors(only_others(0.6 * len(users)))
tradeoffs.promised_share(float(ruled(promise, crowd_stars)[2][0]), others_share, 0.6)

# %% [markdown] tags=["instructor"]
# > **Instructor.** Exercise 1: many forget the factor in $f_2$, and get the weight of section 1. Exercise 2 is the
# > proof that no shape of a front hides from Tchebycheff; let somebody draw it, a corner that slides along a ray.
# > Exercise 3: without the ends the result is the foot of the perpendicular, which may point past the shorter
# > gradient. Exercise 4 is the lesson of section 5 in one line.

# %% [markdown]
# ## 7 · In short
#
# - A weight is an exchange rate. It picks the point of the front where the front has that slope.
# - A weighted sum finds what a coin can't beat, and nothing else. Tchebycheff and constraints find the rest.
# - Rules that combine gradients promise something about the next step. They do not choose a point; the start does.
# - A certificate says how far from the front you are. A training run doesn't.
# - A weight keeps the price, a constraint keeps the quantity, a welfare gives way on both.
#
# ### What this does not show
#
# - **That directors and platforms want this.** Nash welfare and the rates are our assumptions. Change them, and the
#   front is another.
# - **That the best rule is the one that hurts nobody.** The bowls are two, smooth and convex. On networks the
#   literature disagrees, and plain weights are hard to beat.
# - **How the front looks with more parties.** With five, points that nobody dominates are nearly all points, and a
#   picture of two sides hides most of it.
# - **That groups are right.** *The others* is one line through the films. Fair between groups can be unfair inside
#   them.
# - **That a promise kept on average is kept to each.** Floors here hold for the crowd, not for a single user.
#
# ### Where to go next
#
# The docstrings of `attnjax.pareto` have examples: twelve more rules, fronts and their indicators. The command
# `attnjax list` shows the experiments.
#
# ### References
#
# - V. J. Bowman. *On the relationship of the Tchebycheff norm and the efficient frontier of multiple-criteria
#   objectives.* In: Multiple Criteria Decision Making, 1976.
# - I. Das, J. E. Dennis. *A closer look at drawbacks of minimizing weighted sums of objectives for Pareto set
#   generation.* Structural Optimization 14, 1997.
# - J.-A. Désidéri. *Multiple-gradient descent algorithm (MGDA) for multiobjective optimization.* Comptes Rendus
#   Mathématique 350, 2012.
# - A. M. Geoffrion. *Proper efficiency and the theory of vector maximization.* Journal of Mathematical Analysis and
#   Applications 22, 1968.
# - F. M. Harper, J. A. Konstan. *The MovieLens datasets: history and context.* ACM Transactions on Interactive
#   Intelligent Systems 5, 2015.
# - P. Quinton, V. Rey. *Jacobian descent for multi-objective optimization.* Preprint, 2024.
# - M. L. Weitzman. *Prices vs. quantities.* Review of Economic Studies 41, 1974.
# - T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman, C. Finn. *Gradient surgery for multi-task learning.* NeurIPS 2020.
