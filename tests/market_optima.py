"""The optimum of a small market by solvers that have nothing in common with this package's.

`by_cones` writes any market down as a conic programme for Clarabel, an interior-point solver: attention entry by entry,
with slates as the attention that comes from each position. `by_programme` takes what is linear to HiGHS, a simplex
solver. Both read the market's arrays, and know its definition only.
"""

import clarabel
import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from attnjax.allocation import AlphaFair, Box, Entropy, Floors, Linear, Market, MaxMin, Nash, SoftBox


class Programme:
    """Minimises <cost, x> + <x, square x> / 2 under rows, by blocks: columns are handed out, rows are collected."""

    def __init__(self):
        self.size = 0
        self.costs, self.squares = {}, {}
        self.equal, self.below, self.cones = [], [], []

    def columns(self, count, cost=0.0, square=0.0):
        index = np.arange(self.size, self.size + count)
        self.size += count
        self.costs |= dict(zip(index, np.broadcast_to(cost, (count,)), strict=True))
        self.squares |= dict(zip(index, np.broadcast_to(square, (count,)), strict=True))
        return index

    def matrix(self, rows):
        table = sparse.lil_matrix((len(rows), self.size))
        for number, (terms, _) in enumerate(rows):
            for column, factor in terms:
                table[number, column] += factor
        return table.tocsc(), np.array([right for _, right in rows], float)


def market_programme(market: Market) -> tuple[Programme, float]:
    """The market as a minimisation, and what must be taken from the negative minimum to get welfare."""
    scores = np.asarray(market.scores, float)
    users, entries = scores.shape
    budgets, rates = np.asarray(market.budgets, float), np.asarray(market.platform_rates, float)
    temperature = float(market.temperature)
    impact = np.ones_like(scores) if market.impact is None else np.asarray(market.impact, float)
    items = np.tile(np.arange(entries), (users, 1)) if market.candidates is None else np.asarray(market.candidates)
    creators = market.creators
    incidence = np.zeros((creators.num_items, creators.num_creators))
    np.add.at(incidence, (np.asarray(creators.item), np.asarray(creators.creator)), np.asarray(creators.share))
    shown = [(u, k) for u in range(users) for k in range(entries) if np.isfinite(scores[u, k]) and budgets[u] > 0]
    programme = Programme()
    square = 0.0 if isinstance(market.regularizer, Entropy) else temperature
    attention = dict(zip(shown, programme.columns(len(shown), [-scores[e] for e in shown], square), strict=True))
    programme.below += [([(a, -1.0)], 0.0) for a in attention.values()]
    if market.caps is not None:
        caps = np.asarray(market.caps, float)
        programme.below += [([(a, 1.0)], caps[e]) for e, a in attention.items() if np.isfinite(caps[e])]
    for u in range(users):
        mine = [(a, 1.0) for (who, _), a in attention.items() if who == u]
        if market.position_bias is not None and mine:
            _slates(programme, [a for a, _ in mine], budgets[u], np.asarray(market.position_bias, float))
        elif mine:
            (programme.below if market.at_most else programme.equal).append((mine, budgets[u]))
    if temperature > 0 and isinstance(market.regularizer, Entropy):
        for a in attention.values():
            (cost,) = programme.columns(1, temperature)
            programme.cones.append((clarabel.ExponentialConeT(), [([(cost, -1.0)], 0), ([(a, 1.0)], 0), ([], 1)]))
    exposure = programme.columns(creators.num_creators, -rates)
    for j, e in enumerate(exposure):
        felt = [(a, -impact[s] * incidence[items[s], j]) for s, a in attention.items()]
        programme.equal.append(([(e, 1.0), *felt], 0.0))
    return programme, _creators(programme, market.creator_value, exposure)


def _slates(programme, mine, budget, bias):
    """What each item gets from each position: all of a position's chance is given, and no item's more than whole."""
    chance = programme.columns(len(mine) * bias.size).reshape(len(mine), bias.size)
    programme.below += [([(x, -1.0)], 0.0) for x in chance.ravel()]
    programme.below += [([(x, 1.0) for x in row], 1.0) for row in chance]
    programme.equal += [([(x, 1.0) for x in column], 1.0) for column in chance.T]
    for a, row in zip(mine, chance, strict=True):
        programme.equal.append(([(a, 1.0), *[(x, -budget * v) for x, v in zip(row, bias, strict=True)]], 0.0))


def _creators(programme, value, exposure):
    parameter = {name: np.asarray(number, float) for name, number in vars(value).items()}
    if isinstance(value, Linear):
        for e, rate in zip(exposure, parameter["rates"], strict=True):
            programme.costs[e] -= rate
    elif isinstance(value, MaxMin):
        (worst,) = programme.columns(1, -1.0)
        programme.below += [([(worst, 1.0), (e, -w)], 0.0) for e, w in zip(exposure, parameter["weights"], strict=True)]
    elif isinstance(value, Nash | AlphaFair):
        return sum(_fair(programme, parameter, j, e) for j, e in enumerate(exposure))
    elif isinstance(value, Floors | Box | SoftBox):
        missing = programme.columns(exposure.size, parameter.get("penalty", 0.0))
        programme.below += [([(m, -1.0)], 0.0) for m in missing]
        if not isinstance(value, SoftBox):
            programme.below += [([(m, 1.0)], 0.0) for m in missing]
        for j, (e, m) in enumerate(zip(exposure, missing, strict=True)):
            programme.below.append(([(e, -1.0), (m, -1.0)], -parameter["floors"][j]))
            if np.isfinite(parameter.get("caps", np.full(exposure.size, np.inf))[j]):
                programme.below.append(([(e, 1.0)], parameter["caps"][j]))
    return 0.0


def _fair(programme, parameter, j, e):
    """One creator's w s ((e / s)^(1 - alpha) - 1) / (1 - alpha); returns its constant part."""
    alpha, s = (float(parameter.get(name, np.ones(j + 1))[j]) for name in ("alpha", "scale"))
    weight = parameter["weights"][j] * s
    if alpha == 1:
        (log,) = programme.columns(1, -weight)
        programme.cones.append((clarabel.ExponentialConeT(), [([(log, 1.0)], 0), ([], 1), ([(e, 1 / s)], 0)]))
        return 0.0
    (power,) = programme.columns(1, weight / (alpha - 1))
    if alpha < 1:  # power <= (e / s)^(1 - alpha)
        programme.cones.append((clarabel.PowerConeT(1 - alpha), [([(e, 1 / s)], 0), ([], 1), ([(power, 1.0)], 0)]))
    else:  # power^(1 / alpha) (e / s)^((alpha - 1) / alpha) >= 1
        programme.cones.append((clarabel.PowerConeT(1 / alpha), [([(power, 1.0)], 0), ([(e, 1 / s)], 0), ([], 1)]))
    return weight / (alpha - 1)


def by_cones(market: Market) -> float:
    """The greatest welfare, by Clarabel."""
    return by_cones_with_gap(market)[0]


def by_cones_with_gap(market: Market) -> tuple[float, float]:
    """The greatest welfare, by Clarabel, and its own duality gap: about 1e-9, or more where it only almost solves."""
    programme, constant = market_programme(market)
    # A x + s = b: s = 0 for equations, s >= 0 for inequalities, s = right + <terms, x> for cones.
    parts = [programme.matrix(programme.equal), programme.matrix(programme.below)]
    kinds = [clarabel.ZeroConeT(len(programme.equal)), clarabel.NonnegativeConeT(len(programme.below))]
    for cone, rows in programme.cones:
        table, right = programme.matrix(rows)
        parts.append((-table, right))
        kinds.append(cone)
    cost = np.array([programme.costs[i] for i in range(programme.size)])
    square = sparse.diags([programme.squares[i] for i in range(programme.size)], format="csc")
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-9
    table = sparse.vstack([table for table, _ in parts], format="csc")
    right = np.concatenate([right for _, right in parts])
    found = clarabel.DefaultSolver(square, cost, table, right, kinds, settings).solve()
    assert str(found.status) in ("Solved", "AlmostSolved"), str(found.status)
    return -found.obj_val + constant, abs(found.obj_val - found.obj_val_dual)


def by_programme(market: Market) -> float:
    """The greatest welfare of a market in which all is linear, by HiGHS; -inf where floors and caps can't be met."""
    programme, constant = market_programme(market)
    assert not programme.cones
    assert not any(programme.squares.values())
    (below, limits), (equal, rights) = programme.matrix(programme.below), programme.matrix(programme.equal)
    cost = np.array([programme.costs[i] for i in range(programme.size)])
    found = linprog(cost, below, limits, equal, rights, bounds=(None, None), method="highs")
    assert found.status in (0, 2), found.message
    return -np.inf if found.status == 2 else -found.fun + constant
