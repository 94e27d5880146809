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
# # 02 · Prices of attention
#
# **The question.** Somebody is to get more attention than users give on their own. What does that cost, who
# pays, and how can you prove that it could not be had for less?
#
# **The answer.** One number per creator, a *price*. It says what one more unit of exposure costs, it tells
# every user what to do without a word about the other users, and it proves the result.
#
# | | |
# |---|---|
# | **You need** | tutorial 01, and that a maximum is found where the derivative is zero; no linear programming |
# | **Time** | about 90 minutes to read and do; all cells together run in under 2 minutes on two cores |
# | **Data** | MovieLens-100k, fetched once by `attnjax.data` and checked by its sha256 |
#
# **Afterwards you can**
#
# 1. find the prices of a small market with pencil and paper;
# 2. say what a guarantee costs before you give it, and see when it can't be kept;
# 3. choose between linear, Nash, alpha-fair and max-min welfare, knowing what each does to a real market;
# 4. audit an allocation that comes from a program you don't trust;
# 5. differentiate a solved market;
# 6. name five problems for which all this is the wrong tool.
#
# As in tutorial 01, a line that begins with `[claim]` is a number that the notebook stands by, and a box headed
# *In the source* marks an error in a document that we follow.

# %% [markdown] tags=["instructor"]
# > **Instructor · plan.** One double lesson of 90 minutes: section 1 at the board (25), section 2 (15),
# > section 3 (15), section 4 (15), section 6 as a discussion (10), exercise 1 in class (10). Section 5 and
# > exercises 2 to 4 as homework. Ask before you start: *the station must show one hour of local news a day.
# > Who pays for it, and how much?* Keep the answers on the board; section 2 answers with a slope.

# %%
import dataclasses
from fractions import Fraction

import checks
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pictures
from scipy.optimize import brentq, linear_sum_assignment, linprog

from attnjax.allocation import (
    AlphaFair,
    Creators,
    Floors,
    Linear,
    Market,
    MaxMin,
    Nash,
    SoftBox,
    allocate,
    best_response,
    smallest_shortfall,
    solve,
    welfare_of,
)
from attnjax.data import creators, holdout_split, load_movielens_100k
from attnjax.errors import UserError
from attnjax.objectives import gini

# Float64: prices by hand are exact, and we want to see how close the solver comes. Float32 has its turn in section 4.
jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## 1 · Two users, two creators, a pencil
#
# Ann and Ben have one hour each. Xenia and Yuri make films. An hour is worth, in stars:
#
# | | Xenia | Yuri |
# |---|---|---|
# | **Ann** | $3$ | $1$ |
# | **Ben** | $2$ | $\tfrac32$ |
#
# Left alone, both watch Xenia, for $3 + 2 = 5$ stars. Yuri gets nothing. Now he is guaranteed half an hour,
# the *floor* $f = \tfrac12$. Who should give it? Not Ann: her hour with Yuri costs $3 - 1 = 2$ stars. Ben's
# costs $2 - \tfrac32 = \tfrac12$. So Ben gives half an hour, and welfare falls by $\tfrac14$ to
# $\tfrac{19}{4}$.
#
# That was easy, for we saw everybody's scores at once. With a million users nobody does. So put a **price** on
# it instead: whoever watches Yuri is paid $p$ stars an hour, out of nowhere. Then everyone looks only at their
# own scores:
#
# - below $p = \tfrac12$ nobody watches Yuri: too little;
# - between $\tfrac12$ and $2$ Ben does, all his hour: too much;
# - at $p = \tfrac12$ Ben doesn't care, and may as well give exactly half an hour.
#
# So the price is $\tfrac12$: *what the last unit of exposure cost the one who gave it up*. Three conditions
# make it right. Together they are called **complementary slackness**:
#
# 1. every user spends only where score plus price is highest;
# 2. the floor is kept;
# 3. the price is not negative, and it is zero where the floor is more than kept.

# %%
taste = jnp.array([[3.0, 1.0], [2.0, 1.5]])  # Ann, Ben; Xenia, Yuri
xenia_and_yuri = Creators.one_per_item(2)
hand = Market.of(taste, xenia_and_yuri, Floors(jnp.array([0.0, 0.5])), temperature=0.0)
solved = solve(hand, 1e-9)

half = Fraction(1, 2)
by_hand = {"price": half, "welfare": 3 + half * 2 + half * Fraction(3, 2), "Ben to Yuri": half}
by_solver = {"price": solved.prices[1], "welfare": solved.lower, "Ben to Yuri": solved.attention[1, 1]}
checks.claim("hand-error", max(abs(float(by_hand[name]) - float(by_solver[name])) for name in by_hand))
checks.claim("hand-price-without-floor", solved.prices[0])
pd.DataFrame(
    {"by hand": {k: str(v) for k, v in by_hand.items()}, "solver": {k: float(v) for k, v in by_solver.items()}}
)

# %% [markdown]
# ### All prices at once
#
# Why is that the best? Write down what everybody gets at a price $p$ for Yuri when each does what is best for
# themselves, less what the guaranteed exposure is paid:
#
# $$D(p) = \underbrace{\max(3,\; 1 + p)}_{\text{Ann}} + \underbrace{\max(2,\; \tfrac32 + p)}_{\text{Ben}} - p f .$$
#
# Take any allocation that keeps the floor. Pay $p \ge 0$ for Yuri's exposure and take back $p f$: since he gets
# at least $f$, that is no loss. And then let everyone choose freely: no loss either. So *no allocation that
# keeps the floor is worth more than $D(p)$, whatever $p$ is*. The lowest point of $D$ is the best bound, and
# there the bound is reached. $D$ is called the **dual function**.
#
# With Nash welfare instead of a floor there are two prices. A creator's exposure $e$ is worth $w \log e$, so
# one more unit is worth $w / e$, and that is the price:
#
# $$p_j = \frac{w}{e_j} .$$
#
# Ben must not care which of the two he watches, or he would not watch both: $2 + p_X = \tfrac32 + p_Y$. Which
# weight $w$ makes him give Yuri half an hour again? Then $e = (\tfrac32, \tfrac12)$, so
# $w\,(2 - \tfrac23) = \tfrac12$, and $w = \tfrac38$ with prices $p = (\tfrac14, \tfrac34)$. Only their
# difference counts for Ben, and it is $\tfrac12$ again: *the same sacrifice, the same price*.

# %%
weight = 3 / 8


def dual(price, floor):
    """What no allocation that keeps Yuri's floor can be worth more than; price and floor may be arrays."""
    return np.maximum(3, 1 + price) + np.maximum(2, 1.5 + price) - price * floor


def nash_dual(xenia, yuri):
    """The same with Nash welfare: users at these prices, and creators who choose the exposure they pay for."""
    users = np.maximum(3 + xenia, 1 + yuri) + np.maximum(2 + xenia, 1.5 + yuri)
    return users + sum(weight * (np.log(weight / price) - 1) for price in (xenia, yuri))


nash = solve(Market.of(taste, xenia_and_yuri, Nash(jnp.full(2, weight)), temperature=0.0), 1e-9)
checks.claim("hand-dual-is-welfare", abs(dual(0.5, 0.5) - 19 / 4))
checks.claim("hand-nash-prices", jnp.max(abs(nash.prices - jnp.array([0.25, 0.75]))))
checks.claim("hand-nash-dual-is-welfare", abs(nash_dual(0.25, 0.75) - nash.lower))

line, plane = np.linspace(0, 2.6, 261), np.meshgrid(np.linspace(0.05, 1.25, 160), np.linspace(0.05, 1.25, 160))
lowest = {0.5: (0.5, 0.5), 1.0: (0.5, 2.0), 1.5: (2.0, 2.0)}
pictures.duals(line, {f: dual(line, f) for f in lowest}, lowest, *plane, nash_dual(*plane), np.array(nash.prices))

# %% [markdown]
# Look at the middle curve on the left. With $f = 1$ Ben gives Yuri all his hour, and any price from $\tfrac12$ to
# $2$ supports that: the lowest point is a whole edge. Prices need not be unique. Welfare at the bottom is.
#
# <div style="border-left: 5px solid #D55E00; padding: 4px 16px; background: #FFF5EC; color: #222222">
#
# **In the source · *Metaverse* §4.2: the platform's income is a constant.** The document adds the platform's
# income to the objective as $\sum_j p_j$, income from each creator. No attention occurs in that sum. So it shifts
# the objective and moves nobody, however large it is: its derivative is zero. An income that depends on what is
# watched is a rate *per unit of exposure*, $\sum_j p_j e_j$, and adds to the price. (In our notation these rates
# are $\pi_j$, and $p_j$ is the price.)
#
# </div>

# %% tags=["counterexample"]
income = jnp.array([12.0, 20.0])
pull = jax.grad(lambda exposure: jnp.sum(income))(jnp.ones(2))

per_unit = jax.grad(lambda exposure: income @ exposure)(jnp.ones(2))
print("pull of the platform's income as written:", pull, " per unit of exposure:", per_unit)
checks.claim("platform-income-pulls", jnp.max(abs(pull)))

# %% [markdown]
# <div style="border-left: 5px solid #D55E00; padding: 4px 16px; background: #FFF5EC; color: #222222">
#
# **In the source · *Metaverse* §4.2: creators at a fixed rate never meet** (compare errata Metaverse-4). Creators'
# revenue is $\sum_j b_j\, e_j$ with a fixed rate $b_j$. Then the price of exposure *is* $b_j$, known before
# anyone has looked at anything. Nobody needs to solve a market: each user is alone with the scores $s + b$, and
# does the same whether one other user is there or a million. Under such an objective exposure is never scarce.
# What makes users meet is a worth that falls with exposure (Nash), a floor, or a cap.
#
# </div>

# %% tags=["counterexample"]
crowd = solve(Market.of([[2.0, 1.5]] * 99, Creators.one_per_item(2), Linear(jnp.array([0.1, 0.4])), temperature=0.25))
alone = allocate(jnp.array([2.0 + 0.1, 1.5 + 0.4]), 1.0, temperature=0.25).weights

print("Ben among 98 like him:", crowd.attention[0], " prices:", crowd.prices)
print("Ben without a market: ", alone)
checks.claim("linear-users-never-meet", jnp.max(abs(crowd.attention - alone)))

# %% [markdown] tags=["instructor"]
# > **Instructor.** Let the class play the market before they see the curve: half are Anns, half are Bens, you call
# > out prices, they raise a hand for Yuri. You will get nobody, then all Bens at once, then everybody. That jump is
# > the kink of $D$ and the step in the next figure. The usual objection is *who pays the p?* Nobody: it is a number
# > in an argument. What is paid, in stars, is the fall of welfare.

# %% [markdown]
# ## 2 · What a floor costs
#
# Raise Yuri's floor from zero to nearly two hours. First Ben pays, at half a star an hour; once his hour is used up,
# Ann pays, at two stars an hour. So welfare falls along two straight lines, and the *slope is the price*:
#
# $$\frac{d\,\text{welfare}}{d f} = -\,p .$$
#
# That holds for every market in this library, wherever welfare has a slope. (The **envelope theorem**: at an optimum
# you may differentiate as if nobody changed their mind. What is left of the derivative of $D(p)$ in $f$ is $-p$.)
#
# Real people don't switch all at once. Give Ann and Ben a taste for variety, an entropy with temperature
# $T = \tfrac14$. Then some of Yuri's exposure comes for nothing, and the steps become slopes. Below, `solve` is
# batched over thirty-nine floors and two temperatures, and differentiated, in one call.

# %%
floors = jnp.linspace(0.05, 1.95, 39)
variety = jnp.array([0.0, 0.25])


def welfare_with_floor(floor, temperature):
    """Welfare, and with it Yuri's price."""
    guarantee = Floors(jnp.stack([jnp.zeros(()), floor]))
    market = dataclasses.replace(hand, creator_value=guarantee, temperature=temperature)
    found = solve(market, 1e-10, method="newton")
    return found.lower, found.prices[1]


slopes_of = jax.value_and_grad(welfare_with_floor, has_aux=True)
over_floors = jax.vmap(slopes_of, in_axes=(0, None))
(worth, price), slope = jax.jit(jax.vmap(over_floors, in_axes=(None, 0)))(floors, variety)
away = abs(floors - 1) > 0.06  # from the kink, where the price without variety is any number from 1/2 to 2
checks.claim("floor-slope-is-price", jnp.max(abs(slope + price)[1]))
checks.claim("floor-steps", jnp.max(abs(price[0] - jnp.where(floors < 1, 0.5, 2.0))[away]))
checks.claim("floor-free-up-to", floors[jnp.sum(price[1] < 1e-6) - 1])
pictures.floor_costs(np.array(floors), np.array(worth), np.array(price), np.array(slope), np.array(away))

# %% [markdown]
# Read three things off. Below some floor the price is zero: a guarantee that would be kept anyway costs nothing.
# Then the price rises, so *each further unit costs more than the last*. And without variety the price jumps: at a
# floor of one hour, the next minute costs four times the last.
#
# ### A floor too many
#
# Guarantee Xenia an hour and a half and Yuri an hour. There are two hours in all. A solver that returns its best try
# would hide the mistake. This one refuses, names the creators in conflict, and says by how much they ask too much.

# %%
greedy = dataclasses.replace(hand, creator_value=Floors(jnp.array([1.5, 1.0])))
try:
    solve(greedy)
    message = ""
except UserError as refused:
    message = str(refused)
print(message)

short = smallest_shortfall(greedy)
print(
    "\nsmallest total shortfall between", *short.total.round(4), " creators in conflict:", np.flatnonzero(short.blamed)
)
checks.claim("too-many-floors-refused", "creators (0, 1)" in message)
checks.claim("smallest-shortfall", short.total[1])

# %% [markdown]
# What now? Somebody must decide what a missing hour is worth. A **soft floor** may be missed at a *penalty* per
# missing unit. Its price never exceeds the penalty, for missing is the dearest way out. So a penalty is a promise
# about prices: *we pay up to this much for the guarantee, and no more*. Who goes short depends on it.


# %%
def with_penalty(penalty):
    """Both floors soft, at the same penalty, for users who like variety."""
    soft = SoftBox(jnp.array([1.5, 1.0]), jnp.full(2, jnp.inf), jnp.full(2, penalty))
    return solve(dataclasses.replace(greedy, creator_value=soft, temperature=jnp.array(0.25)), 1e-9)


soft = {penalty: with_penalty(penalty) for penalty in (0.25, 1.0, 3.0)}
checks.claim("penalty-bounds-price", max(float(each.prices.max()) / penalty for penalty, each in soft.items()) - 1)
checks.claim("soft-missing", (jnp.array([1.5, 1.0]) - soft[1.0].exposure).clip(0).sum())
pd.DataFrame(
    {
        f"penalty {penalty:g}": [*map(float, each.exposure), *map(float, each.prices), float(each.lower)]
        for penalty, each in soft.items()
    },
    index=["hours of Xenia", "hours of Yuri", "price of Xenia", "price of Yuri", "welfare less penalties"],
).T.round(3)

# %% [markdown]
# At the small penalty Yuri gets what costs no more than the promise, and his price is the penalty. At the larger ones
# half an hour is missing, which is the least there can be. All of it is Yuri's, since his exposure is the dearer. From
# there on a higher penalty moves nobody. It lifts both prices alike, and says more loudly that time is short.
#
# ## 3 · Certificates: how to audit a market
#
# We said that $D(p)$ bounds every allocation at *every* price. Take that literally. Below are ten thousand allocations
# that keep Yuri's half hour and ten thousand prices, all drawn at random. No value lies above any bound, and the
# two crowds meet at one number.

# %%
generator = np.random.default_rng(0)
share = generator.uniform(size=(20_000, 2))  # of Ann's and Ben's hour that goes to Yuri
share = share[share.sum(axis=1) >= 0.5][:10_000]
values = 5 - share @ np.array([2.0, 0.5])
bounds = dual(generator.uniform(0, 4, size=10_000), 0.5)

print(f"dearest nonsense: at a price of 1,000 stars the bound is {dual(1000.0, 0.5):.1f}: valid, and of no use")
checks.claim("values-above-a-bound", int((values > bounds.min()).sum()))
checks.claim("absurd-price-still-bounds", bool(dual(1000.0, 0.5) >= 19 / 4))
pictures.certificates(values, bounds, 19 / 4)

# %% [markdown]
# So a wrong price is never a false proof. It is a weak one. The **gap**, bound less value, says how weak: whoever
# gives you an allocation and prices has given you all that you need to check them, and how they found them is their
# own affair. A gap of zero is a proof that neither can be improved.
#
# ### A trap: better than the optimum
#
# A rival program reports $4.8$ stars for Ann and Ben, where we have proved that $4.75$ is the most. Is the proof
# wrong? No. A bound holds for allocations that *keep the floor*. Whatever lies above it breaks a rule. Whoever
# breaks a rule a little can look better than the best; that is why a rule has a price. So check the rules before you
# compare, and repair what is broken: `solve` does both before it reports `lower`.

# %%
rival = jnp.array([[1.0, 0.0], [0.6, 0.4]])
reported = jnp.sum(taste * rival)
audited = welfare_of(hand, rival)

print(f"reported {reported:.2f}, most possible {solved.upper:.6f}, with the floor counted {audited.total}")
print(f"Yuri was promised 0.50 and gets {rival[:, 1].sum():.2f}: the missing {0.5 - rival[:, 1].sum():.2f} explain it")
checks.claim("rival-is-above-the-bound", bool(reported > solved.upper))
checks.claim("rival-audited", str(float(audited.total)))

# %% [markdown]
# ## 4 · A real market: four ideas of fair
#
# The 300 most active users of MovieLens-100k and the 200 most rated films with one known director. The score is a
# predicted rating in stars: effects of user and film as in tutorial 01, plus the eight strongest patterns in what
# these leave over (a truncated singular value decomposition, stretched by half since blanks pull it to zero). A tenth
# of the ratings was held out to see whether the patterns are worth having.

# %%
data = load_movielens_100k()
split, directed = holdout_split(data.user, 0.1, 0), creators(data, "directed_by")
user, film, rating = (column[split.train] for column in (data.user, data.item, data.rating.astype(float)))
by_user, by_film = np.bincount(user, minlength=data.num_users), np.bincount(film, minlength=data.num_items)
mean = rating.mean()
film_effect = np.bincount(film, rating - mean, data.num_items) / (by_film + 10)
user_effect = np.bincount(user, rating - mean - film_effect[film], data.num_users) / (by_user + 10)
effects = mean + user_effect[:, None] + film_effect
left_over = np.zeros_like(effects)
left_over[user, film] = rating - effects[user, film]
patterns = np.linalg.eigh(left_over @ left_over.T).eigenvectors[:, -8:]
predicted = np.clip(effects + 1.5 * patterns @ (patterns.T @ left_over), 1, 5)


def error(scores):
    """Root mean squared error on the ratings held out."""
    asked = data.user[split.test], data.item[split.test]
    return float(np.sqrt(np.mean((scores[asked] - data.rating[split.test]) ** 2)))


users = np.argsort(-by_user, kind="stable")[:300]
by_one = np.bincount(directed.item, minlength=data.num_items) == 1
films = np.argsort(-by_film * by_one, kind="stable")[:200]
incidence, stars = directed.select(films), predicted[np.ix_(users, films)]
made_by = Creators.of(
    incidence.item,
    incidence.creator,
    incidence.weight,
    num_items=incidence.num_items,
    num_creators=incidence.num_creators,
)
equal_share, ones = len(users) / incidence.num_creators, jnp.ones(incidence.num_creators)
print(f"error on held-out ratings: effects alone {error(effects):.3f}, with patterns {error(predicted):.3f} stars")
print(f"{incidence.num_creators} directors; an equal share of exposure is {equal_share:.2f}")
checks.claim("patterns-reduce-error", error(effects) - error(predicted))
checks.claim("market-directors", incidence.num_creators)

# %% [markdown]
# What should a director's exposure be worth? Four ideas, from the least to the most concerned with the last in line:
#
# | | worth of exposure $e$ | price | in words |
# |---|---|---|---|
# | **linear** | $r_j\, e$ | $r_j$ | pay for popularity: $r_j$ grows with the number of ratings |
# | **Nash** | $w \log e$ | $w / e$ | one per cent more counts the same for everyone |
# | **alpha-fair**, $\alpha = 2$ | $-w / e$ | $w / e^2$ | half the exposure, four times the price |
# | **max-min** | $w \min_j e_j$ | zero but for the last | only the worst off count |
#
# To compare them fairly, let each cost users *the same*: a twentieth of a star each. (A linear worth with one rate
# for all would do nothing. Do you see why? Budgets are spent anyway.) So we search for the weights. For max-min we
# search for a common floor instead, since it is a guarantee in disguise: if a common floor costs a twentieth, its
# prices say which weight would have chosen it, $w = \sum_j p_j$. The last claim but one checks that.

# %%
plain = Market.of(stars, made_by, temperature=0.25)
users_alone = solve(plain, 1e-8)
popularity = jnp.log1p(made_by.exposure(jnp.asarray(by_film[films], float)))


def market_with(value):
    """The same users and films, and another worth of exposure."""
    return dataclasses.replace(plain, creator_value=value)


def users_part(solution):
    """Satisfaction and variety, in stars per user."""
    parts = welfare_of(plain, solution.attention)
    return float(parts.satisfaction + parts.variety) / len(users)


def at_cost(family, low, high, cost=0.05):
    """The solution out of a family of creator values that costs each user so much."""
    best = users_part(users_alone)

    def too_dear(logarithm):
        return best - users_part(solve(market_with(family(np.exp(logarithm))), 1e-6)) - cost

    return solve(market_with(family(np.exp(brentq(too_dear, np.log(low), np.log(high), xtol=1e-5)))), 1e-6)


at_equal_cost = {
    "users alone": users_alone,
    "linear": at_cost(lambda w: Linear(w * popularity / popularity.mean()), 0.1, 10),
    "Nash": at_cost(lambda w: Nash(w * equal_share * ones), 0.01, 1),
    "alpha 2": at_cost(lambda w: AlphaFair(w * ones, 2 * ones, equal_share * ones), 0.01, 1),
}
common_floor = at_cost(lambda share: Floors(share * equal_share * ones), 0.1, 0.5)
at_equal_cost["max-min"] = solve(market_with(MaxMin(common_floor.prices.sum() * ones)), 1e-6)

for name, each in at_equal_cost.items():
    short_name = name.replace(" ", "-").lower()
    checks.claim(f"gini-{short_name}", gini(each.exposure))
    checks.claim(f"worst-off-{short_name}", each.exposure.min() / equal_share)
    if name != "users alone":
        checks.claim(f"cost-{short_name}", users_part(users_alone) - users_part(each))
checks.claim("max-min-is-the-floor", jnp.max(abs(at_equal_cost["max-min"].exposure / common_floor.exposure - 1)))
checks.claim("largest-relative-gap", max(float(each.gap / each.upper) for each in at_equal_cost.values()))

# %% [markdown]
# A front shows what other sacrifices would buy. `solve` is one compiled program, so a whole range of weights is one
# `jax.vmap`. Inequality is measured by the Gini coefficient: 0 if all directors get the same, near 1 if one
# gets all.

# %%
weights = jnp.geomspace(0.005, 1.0, 16)


@jax.jit
@jax.vmap
def nash_front(weight):
    """Exposure, users' part per user, and whether it was certified: of one weight, so of all."""
    found = solve(market_with(Nash(weight * equal_share * ones)), 1e-6)
    parts = welfare_of(plain, found.attention)
    return gini(found.exposure), (parts.satisfaction + parts.variety) / len(users), found.converged


inequality, kept, certified = nash_front(weights)
checks.claim("front-certified", bool(certified.all()))
checks.claim("front-falls", bool((jnp.diff(inequality) < 0).all() & (jnp.diff(kept) < 0).all()))

curves = {name: np.append(0, np.cumsum(np.sort(each.exposure))) / len(users) for name, each in at_equal_cost.items()}
points = {
    name: (users_part(users_alone) - users_part(each), float(gini(each.exposure)))
    for name, each in at_equal_cost.items()
}
pictures.ideas_of_fair(curves, points, users_part(users_alone) - np.array(kept), np.array(inequality))
pd.DataFrame(
    {
        name: {
            "cost to users, stars each": points[name][0],
            "Gini of exposure": points[name][1],
            "worst off, equal shares": float(each.exposure.min()) / equal_share,
            "half of directors get": float(curves[name][len(curves[name]) // 2]),
            "dearest price": float(each.prices.max()),
        }
        for name, each in at_equal_cost.items()
    }
).T.round(3)

# %% [markdown]
# The same sacrifice, and four different worlds. *Linear* makes exposure more unequal than users alone would. The
# other three make it more equal, and they disagree on what that means. *Nash* has the lowest Gini coefficient;
# *max-min* lifts the worst off most, and has the highest coefficient of the three, for whoever is above the line
# gets no help; $\alpha = 2$ lies between. There is no fairest one. There is one that is fairest by a
# measure, and choosing the measure is not the solver's job.
#
# The front bends: the first hundredths of a star buy more equality than the last.
#
# ### How far can you trust single precision?
#
# Machine learning runs in float32, with some seven digits. Welfare here is a sum over all users, and the gap that we
# want to certify is as small as its last digits, so upper less lower bound is mostly rounding. `solve` therefore
# never subtracts the two: it adds up what each user and each director could still gain, which are small numbers with
# seven digits of their own. (Where a program in float32 prints a gap of exactly zero, it has subtracted. That is no
# proof.) Test it: solve in float32, then compute both bounds anew in float64.

# %%
exact = market_with(Nash(0.2 * equal_share * ones))
with jax.enable_x64(False):
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if leaf.dtype == jnp.float64 else leaf, exact)
    rough = solve(single, 1e-6, method="newton")
prices = rough.prices.astype(float)
attention = rough.attention.astype(float)
bound = best_response(exact, prices).value + exact.creator_value.conjugate(prices).sum()
value = welfare_of(exact, attention / attention.sum(axis=1, keepdims=True)).total
print(f"welfare {rough.upper:.2f} in {rough.upper.dtype}, relative gap {rough.gap / rough.upper:.1e}")
print(f"gap, in float64   {bound - value:.7f}")
print(f"gap, reported     {rough.gap:.7f}")
print(f"upper - lower     {rough.upper - rough.lower:.7f}")
print(f"step of float32   {np.spacing(np.float32(value)):.7f} at this size")
checks.claim("float32-gap-error", abs(rough.gap.astype(float) - (bound - value)) / value)
checks.claim("float32-relative-gap", (bound - value) / value)

# %% [markdown] tags=["instructor"]
# > **Instructor.** Before the table: let the class vote which idea is the fairest, from the words alone. After it:
# > who changes their vote, and for which column? A good question for the float32 cell: *somebody reports a gap of
# > exactly zero; what do you think?* (That they subtracted. Then ask how many users it takes until the step of float32
# > is a whole star.)

# %% [markdown]
# ## 5 · Differentiating a market
#
# A platform can change scores (a better film), budgets (more time), weights (more concern). What does each do to
# welfare, and to a director's exposure? Welfare is easy, by the envelope theorem:
#
# $$\frac{\partial W}{\partial s_{ui}} = a_{ui}, \qquad \frac{\partial W}{\partial w_j} = \log e_j, \qquad
# \frac{\partial W}{\partial R_u} = \tau_u .$$
#
# The last, the marginal value of a user's time, is the price of attention $\tau$ of tutorial 01 at scores plus prices.
# Exposure is harder, since *everyone* answers, and the prices too. `solve` differentiates the conditions of the
# optimum (implicit differentiation), not its own steps. One `vjp` gives the derivative in all of the inputs.

# %%
nash_weights = jnp.full(len(ones), 0.2 * equal_share)
most_seen = int(jnp.argmax(users_alone.exposure))


def outcome(scores, budgets, weights):
    """Welfare, and the exposure of the director whom users alone see most."""
    market = dataclasses.replace(plain, scores=scores, budgets=budgets, creator_value=Nash(weights))
    found = solve(market, 1e-12, method="newton")
    return (found.lower, found.exposure[most_seen]), found


@jax.jit
def derivatives(scores, budgets, weights):
    """Of welfare and of exposure in everything, and the solution."""
    _, back, found = jax.vjp(outcome, scores, budgets, weights, has_aux=True)
    return back((1.0, 0.0)), back((0.0, 1.0)), found


of_welfare, of_exposure, found = derivatives(plain.scores, plain.budgets, nash_weights)
bonus = made_by.on_items(found.prices)
tau = jax.vmap(lambda s: allocate(s + bonus, 1.0, temperature=0.25).threshold)(plain.scores)
checks.claim("welfare-in-scores", jnp.max(abs(of_welfare[0] - found.attention)))
checks.claim("welfare-in-budgets", jnp.max(abs(of_welfare[1] - tau)))
checks.claim("welfare-in-weights", jnp.max(abs(of_welfare[2] - jnp.log(found.exposure))))

# %% [markdown]
# Now let every film of the director whom users see most become a little better. How much more exposure is that, by the
# derivative, by solving twice, and in the market without a concern for creators?

# %%
theirs = made_by.on_items(jnp.zeros(len(ones)).at[most_seen].set(1.0))  # their share of each film
by_derivative = jnp.sum(of_exposure[0] * theirs)
step = 1e-4
ends = [
    solve(dataclasses.replace(exact, scores=exact.scores + sign * step * theirs), 1e-10, method="newton").exposure
    for sign in (1, -1)
]
by_differences = (ends[0] - ends[1])[most_seen] / (2 * step)
_, without = jax.jvp(
    lambda scores: best_response(dataclasses.replace(plain, scores=scores), 0 * ones).exposure[most_seen],
    (plain.scores,),
    (jnp.broadcast_to(theirs, plain.scores.shape),),
)
relative = {
    "Nash, by the derivative": by_derivative / found.exposure[most_seen],
    "Nash, by solving twice": by_differences / found.exposure[most_seen],
    "users alone": without / users_alone.exposure[most_seen],
}
checks.claim("derivative-against-differences", abs(by_derivative / by_differences - 1))
checks.claim("nash-damps", relative["Nash, by the derivative"] / relative["users alone"])
pd.DataFrame({"gain of exposure per star, relative": {name: float(gain) for name, gain in relative.items()}}).round(4)

# %% [markdown]
# Under Nash welfare being better pays *less* than it would with users alone: as exposure rises its price $w / e$
# falls. Whoever designs a market decides not only who is seen today but also how much it pays to improve. Derivatives
# let you see that before you try it on people.
#
# ## 6 · When this is the wrong tool
#
# | your problem | why not this | take instead |
# |---|---|---|
# | nobody is shared, or worth is linear | prices are known (section 1) | `allocate` under `vmap` |
# | a tiny linear programme, and you want a vertex | we mix where there are ties | `linprog` of SciPy |
# | whole units: one user, one film | half a film is no answer | `linear_sum_assignment` |
# | worth that rises *faster* than exposure | prices may not exist | integer programming, search |
# | people who answer to the rule | they report what pays | mechanism design |
# | users without variety, prices as a smooth signal | prices jump (section 2) | a temperature above zero |
#
# The next three cells show the middle four. First, vertices and whole units: let Ann and Ben both like Xenia one star
# better, and guarantee Yuri an hour. One of them could give it, or each a half; all cost the same.

# %%
like = jnp.array([[2.0, 1.0], [2.0, 1.0]])
hour_for_yuri = Floors(jnp.array([0.0, 1.0]))
mixed = solve(Market.of(like, xenia_and_yuri, hour_for_yuri, temperature=0.0), 1e-6).attention
rows, columns = linear_sum_assignment(-np.array(like))
# Ann to X, Ann to Y, Ben to X, Ben to Y; the hand case of section 1.
vertex = linprog([-3, -1, -2, -1.5], [[0, -1, 0, -1]], [-0.5], [[1, 1, 0, 0], [0, 0, 1, 1]], [1, 1])
print("an hour for Yuri, the market: Ann", np.array(mixed[0]).round(3), "Ben", np.array(mixed[1]).round(3))
print("an hour for Yuri, assignment: Ann to", "XY"[columns[0]], "and Ben to", "XY"[columns[1]])
print("the hand case, linprog:", vertex.x, " price of Yuri:", -vertex.ineqlin.marginals[0])
checks.claim("ties-stay-mixed", jnp.max(abs(mixed - 0.5)))
checks.claim("vertex-is-exact", np.max(abs(vertex.x - [1, 0, 0.5, 0.5])))

# %% [markdown]
# Second, worth that rises too fast. Xenia and Yuri can live on an hour and a half, which is worth a star to each, and
# on less they can't. Ann and Ben are indifferent and have two hours in all. So one of the two can live, and the most
# there is to get is one star. At a price $p$ for both, users collect $2p$ for their two hours, and each creator
# either buys an hour and a half or closes:
#
# $$D(p) = 2p + 2 \max(0,\; 1 - \tfrac32 p).$$
#
# The lowest bound is at $p = \tfrac23$ and is $\tfrac43$. The gap of $\tfrac13$ never closes: below that price both
# buy, three hours of two; above it nobody does. No price says *one of you*.

# %%
hours = np.linspace(0, 2, 401)  # of Xenia; Yuri has the rest
possible = (hours >= 1.5).astype(float) + (2 - hours >= 1.5)
both = np.linspace(0, 1.5, 1801)
lowest_bound = (2 * both + 2 * np.maximum(0, 1 - 1.5 * both)).min()
print(f"best allocation {possible.max():g}, lowest bound {lowest_bound:.4f}")
checks.claim("non-concave-gap", lowest_bound - possible.max())

# %% [markdown]
# Third, people who answer. In the hand case Ben pays for Yuri's half hour, since he minds less. Ben hears of it, and
# says that he can't stand Yuri. Then Ann minds less, and pays.

# %%
lie = taste.at[1, 1].set(-2.0)
after = solve(dataclasses.replace(hand, scores=lie), 1e-9)
true_part = {"honest": jnp.sum(taste * solved.attention, axis=1), "Ben lies": jnp.sum(taste * after.attention, axis=1)}
checks.claim("lie-pays-ben", true_part["Ben lies"][1] - true_part["honest"][1])
checks.claim("lie-costs-ann", true_part["honest"][0] - true_part["Ben lies"][0])
pd.DataFrame({name: {"Ann": float(a), "Ben": float(b)} for name, (a, b) in true_part.items()}).assign(
    change=lambda table: table["Ben lies"] - table["honest"]
).round(3)

# %% [markdown]
# Ann loses four times what Ben gains. The certificate of that second market is perfect: it proves that the allocation
# is the best *for the scores it was given*.

# %% [markdown] tags=["instructor"]
# > **Instructor.** The lie is the best five minutes of the lesson: let two students play it. Ask whether Ann should
# > lie too, and what happens if both do. Then ask what is different with scores learned from behaviour. (They can be
# > gamed as well, only at a price in time.) For the table, let groups find an example of their own for one row each.

# %% [markdown]
# ## 7 · Exercises
#
# Each ends in a check of properties. Left empty, it says *not attempted*.
#
# **Exercise 1 · by hand.** Ann and Ben of section 1, Nash welfare, no floor. With which weight $w$, the same for both
# creators, does Yuri get exactly $\tfrac34$ of an hour? And what are the two prices?

# %% tags=["exercise"]
my_weight_and_prices = None  # [w, price of Xenia, price of Yuri]

checks.nash_by_hand(my_weight_and_prices)

# %% tags=["solution"]
# Ben gives 3/4 of his hour, so e = (5/4, 3/4) and he must not care: w / (3/4) - w / (5/4) = 1/2, so w = 15/16.
checks.nash_by_hand([15 / 16, 3 / 4, 5 / 4])

# %% [markdown]
# **Exercise 2 · the value of an hour.** A user with the budget $R$ and entropy at temperature $T$ gets
# $V(R) = \max_a\, \langle z, a\rangle - T\sum_i a_i \log a_i$ from $\sum_i a_i = R$, where $z$ is score plus
# price. What is one more unit of budget worth, $V'(R)$? (Find the best $a$ first: it is $R$ times a softmax.)


# %% tags=["exercise"]
def my_value_of_time(z, temperature, budget):
    """NumPy array (n,), a float, a float; returns V'(budget), a float."""
    value = None  # yours
    return value


checks.value_of_time(my_value_of_time)


# %% tags=["solution"]
def solved_value_of_time(z, temperature, budget):
    # V(R) = R T log sum exp(z / T) - T R log R. Its derivative is the price of attention tau.
    top = z.max()
    return top + temperature * (np.log(np.exp((z - top) / temperature).sum()) - np.log(budget) - 1)


checks.value_of_time(solved_value_of_time)

# %% [markdown]
# **Exercise 3 · a penalty.** Every director is to get a quarter of an equal share, as a *soft* floor. Which penalty
# is the smallest, to within `0.05`, at which no floor is missed? You may search with `missing`. Or you solve
# one market and read it off.


# %% tags=["exercise"]
def missing(penalty):
    """How much exposure directors miss in all, as soft floors with this penalty."""
    floors = 0.25 * equal_share * ones
    value = SoftBox(floors, jnp.full(len(ones), jnp.inf), penalty * ones)
    found = solve(market_with(value), 1e-6)
    return float(jnp.maximum(floors - found.exposure, 0).sum())


my_penalty = None  # stars per unit of exposure

checks.smallest_penalty(my_penalty, missing)

# %% tags=["solution"]
# The price of a hard floor is the least penalty that keeps it: so the dearest of the hard floors' prices.
hard = solve(market_with(Floors(0.25 * equal_share * ones)), 1e-6)
checks.smallest_penalty(float(hard.prices.max()) + 0.02, missing)

# %% [markdown]
# **Exercise 4 · the auditor.** Someone hands you a market without a taste for variety, with floors, and with it an
# allocation and prices. Return the gap: the most by which the allocation can be below the best. Return infinity where
# nothing is proved: a negative entry, a budget not spent, a floor not kept (all to within `1e-9`), a negative
# price.


# %% tags=["exercise"]
def my_audit(scores, budgets, floors, attention, prices):
    """NumPy arrays (u, n), (u,), (n,), (u, n), (n,): every item is its own creator. Returns the gap, a float."""
    gap = None  # yours
    return gap


checks.audit(my_audit)


# %% tags=["solution"]
def solved_audit(scores, budgets, floors, attention, prices):
    spent = abs(attention.sum(axis=1) - budgets).max() <= 1e-9
    keeps = (attention.sum(axis=0) >= floors - 1e-9).all()
    if not (spent and keeps and attention.min() >= -1e-9 and prices.min() >= 0):
        return np.inf
    return budgets @ (scores + prices).max(axis=1) - prices @ floors - (scores * attention).sum()


checks.audit(solved_audit)

# %% [markdown] tags=["instructor"]
# > **Instructor.** In exercise 1 the usual slip is to use Ann: she is not indifferent. In exercise 2 many give the
# > average $V(R)/R$; ask why the two differ. Exercise 3 can be brute force or one line, and the one line is the
# > lesson. In exercise 4 the check hands over allocations that look *better than the optimum*; whoever forgets the
# > floor certifies them with a negative gap.

# %% [markdown]
# ## 8 · In short
#
# - The price of exposure is what its last unit cost the one who gave it up. It is the slope of welfare in the floor.
# - Prices let every user decide alone. Any prices bound what can be had; the right ones prove that it was.
# - What is above the bound breaks a rule. A floor that can't be kept is refused, or kept softly up to a penalty.
# - Nash pays $w/e$, alpha-fair $w/e^\alpha$, max-min pays the last only; a linear worth makes no market.
# - Welfare's derivatives are the solution itself. Exposure's need the market's answer, and come by implicit
#   differentiation.
#
# ### What this does not show
#
# - **That stars can be added up.** A star of Ann's counts as much as a star of Ben's, and a director's exposure is
#   put on the same scale by a weight that we chose. Both are value judgements.
# - **That the cost is only stars.** It is measured on predicted ratings of the most active users and the most rated
#   films, by the same model that made the scores. Users who leave, or who trust a guide less, are not in it.
# - **That people do what the price says.** Nobody is paid. Attention is *assigned* here; section 6 shows what reports
#   do, and a user may ignore an assignment too.
# - **What happens next.** Directors make no new films, tastes don't move, and exposure today brings none tomorrow.
# - **That the solver is fast.** The markets here are small. The benchmarks measure speed, against others.
#
# ### Where to go next
#
# The docstrings of `solve`, `Market.of` and `smallest_shortfall` have examples. Slates (several films on one page) are
# markets with `position_bias`; users who arrive one after another are an `OnlineMarket`. The command
# `attnjax list` shows the experiments, among them a larger version of section 4.
#
# ### References
#
# - A. B. Atkinson. *On the measurement of inequality.* Journal of Economic Theory 2, 1970.
# - E. Eisenberg, D. Gale. *Consensus of subjective probabilities: the pari-mutuel method.* Annals of
#   Mathematical Statistics 30, 1959.
# - F. M. Harper, J. A. Konstan. *The MovieLens datasets: history and context.* ACM Transactions on
#   Interactive Intelligent Systems 5, 2015.
# - F. P. Kelly, A. K. Maulloo, D. K. H. Tan. *Rate control for communication networks: shadow prices, proportional
#   fairness and stability.* Journal of the Operational Research Society 49, 1998.
# - J. Mo, J. Walrand. *Fair end-to-end window-based congestion control.* IEEE/ACM Transactions on Networking 8, 2000.
# - J. Rawls. *A Theory of Justice.* Harvard University Press, 1971.
