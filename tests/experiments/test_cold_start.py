"""The experiment on newcomers in small: who is judged, what is learned from, and what must hold of the record."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.evaluation.linear_baselines import empirical_bayes, linear_recommender
from attnjax.evaluation.protocols import Support, newcomers
from attnjax.evaluation.rating_baselines import Answers
from attnjax.meta import rl
from attnjax.meta.rl import acting
from attnjax.models import affine_adaptation
from attnjax.reproduction import find_project, read_record
from experiments.cold_start import kinds, linear, meta, recurrent
from experiments.cold_start.logs import Learned, folds_of, padded
from experiments.cold_start.methods import Method, methods, tune
from experiments.cold_start.show import figures, tables
from experiments.cold_start.summary import won
from experiments.next_item.logs import Log

USERS, ITEMS = 60, 40
SMALL = ["--users", "120", "--after", "0", "10", "--protocols", "curve", "rating"]


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "cold_start", "--preset", "smoke", "--", *SMALL]) == 0
        (path,) = find_project().runs.glob("cold_start/*/record.json")
        return read_record(path, path.name)


@pytest.fixture(scope="module")
def log():
    """Users of two tastes: each likes most items of one half."""
    rng = np.random.default_rng(0)
    taste = rng.integers(0, 2, USERS)
    seen = rng.random((USERS, ITEMS)) < 0.75
    fits = (np.arange(ITEMS)[None, :] % 2) == taste[:, None]
    stars = np.where(rng.random((USERS, ITEMS)) < 0.9, np.where(fits, 5, 2), np.where(fits, 2, 5))
    user, item = np.nonzero(seen)
    rows = len(user)
    return Log(
        np.arange(rows),
        user.astype(np.int32),
        item.astype(np.int32),
        stars[seen].astype(np.float32),
        rng.integers(0, 99, rows),
        USERS,
        ITEMS,
    )


@pytest.fixture(scope="module")
def known(log):
    """What all users but the last ten teach."""
    rows = log.user < USERS - 10
    columns = (log.user[rows].astype(np.int64), log.item[rows].astype(np.int64))
    stars = Answers(*columns, log.rating[rows].astype(np.float64), USERS - 10, ITEMS)
    likes = stars._replace(value=(stars.value >= 4) * 1.0)
    matrix = np.zeros((2, USERS - 10, ITEMS))
    matrix[(likes.value == 0).astype(int), stars.user, stars.item] = 1
    return Learned(matrix[0], matrix[1], stars, likes, np.eye(ITEMS)[:, :3], np.eye(3)[np.arange(ITEMS) % 3], 0)


def test_each_newcomer_is_cold_once_and_settings_are_chosen_by_others(log):
    folds = folds_of(log, "curve", fewest=25, folds=10, seed=0)
    cold = np.concatenate([fold.cold for fold in folds])
    assert len(set(cold)) == len(cold) == (np.bincount(log.user) >= 25).sum()
    for fold in folds:
        assert not set(fold.cold) & set(fold.validation)


def test_the_chosen_setting_is_the_one_validation_liked_best_and_is_fitted_to_everything(known):
    fitted = []

    def fit(learned, a):
        fitted.append((a, len(learned.liked)))
        return lambda b: a * 10 + b

    fewer = dataclasses.replace(known, liked=known.liked[:5])
    worth = {10: 1.0, 11: 5.0, 20: np.nan, 21: 2.0}
    tuned = tune(Method(fit, [{"a": 1}, {"a": 2}], [{"b": 0}, {"b": 1}]), fewer, worth.get, known)
    assert tuned.options == {"a": 1, "b": 1}
    assert tuned.recommender == 11
    assert fitted == [(1, 5), (2, 5), (1, 50)]
    np.testing.assert_array_equal(tuned.tried, [[1, 5], [np.nan, 2]])


def test_before_meta_learning_the_ranking_is_the_affine_adaptations(log, known):
    after = (0, 2, 6)
    maps = affine_adaptation(known.liked, known.others, after, 10.0)
    who = newcomers(log, np.arange(USERS - 10, USERS), seed=1).cut(6)
    for kind in ("context", "no_inner_loop"):
        model, on_device, kept = meta.meta_learned(known, kind=kind, after=after, l2=10.0, iterations=(0,))
        recommender = meta.reader(model, on_device)(kept[0])
        for n in (0, 2, 4, 6):
            support = who.support(n)
            scores = np.asarray(recommender.scores(recommender.adapt(support)))
            held = np.zeros((2, 10, ITEMS))
            row, place = np.nonzero(support.mask)
            held[(support.rating[row, place] < 4).astype(int), row, support.item[row, place]] = 1
            expected = np.log(np.logaddexp(0, maps.scores(*held) / meta.FLOOR))
            if kind == "no_inner_loop" or n == 0:
                np.testing.assert_allclose(scores, expected, atol=2e-4)
            else:  # the context has moved, for that is what inner steps are for
                assert abs(scores - expected).max() > 1e-3


def test_tasks_of_training_hide_what_is_to_be_named_and_look_through_maps_of_others(known):
    tasks = jax.jit(meta._sampler(known, (0, 2, 6), 10.0))(jax.random.key(0))
    shown, asked = tasks.support, tasks.query
    counts = np.asarray(shown.behaviour.mask.sum(axis=1))
    assert set(counts) == {2, 6}
    for task in range(meta.BATCH):
        held = np.asarray(shown.behaviour.item[task])
        assert not np.asarray(asked.open[task])[held].any()
        assert (~np.asarray(asked.open[task])).sum() == 6
        later = np.asarray(asked.later[task])
        assert later.any()
        assert not (later & ~np.asarray(asked.open[task])).any()
        # The task is of a user of training: someone liked exactly such things.
        first = held[np.asarray(shown.behaviour.mask[task])]
        liked = np.asarray(shown.liked[task])[: len(first)] > 0
        match = (known.liked[:, first] == liked).all(axis=1) & (known.liked[:, later] == 1).all(axis=1)
        assert match.any()


def test_meta_learning_lowers_the_query_loss_of_each_way_to_learn(known):
    """On tasks that were not drawn in training. The kinds left out differ from "decision" in what adapts."""
    tasks = meta._sampler(known, (0, 2, 6), 10.0)(jax.random.key(99))
    for kind in ("context", "decision", "recurrent", "reptile"):
        model, _, kept = meta.meta_learned(known, kind=kind, after=(0, 2, 6), l2=10.0, iterations=(0, meta.CALL))
        loss = jax.jit(lambda state, of=model.learner: of.gradient(state, tasks)[0][0])
        assert float(loss(kept[meta.CALL])) < float(loss(kept[0])) - 1e-3, kind


def test_fine_tuning_moves_by_its_rate_and_by_what_was_liked(log, known):
    model, on_device, kept = meta.meta_learned(known, kind="fine_tuned", after=(0, 2, 6), l2=10.0, iterations=(0,))
    read = meta.reader(model, on_device)
    who = newcomers(log, np.arange(USERS - 10, USERS), seed=1).cut(6)

    def scores(rate, n):
        recommender = read(kept[0]._replace(eta=np.float32(rate)))
        return np.asarray(recommender.scores(recommender.adapt(who.support(n))))

    still = scores(0.0, 6)
    moves = [np.abs(scores(rate, 6) - still).max() for rate in (0.03, 0.3)]
    assert 0 < moves[0] < moves[1]
    np.testing.assert_array_equal(scores(0.3, 0), scores(0.0, 0))  # nothing was liked yet
    liked = who.cut(6).liked
    first = np.argmax(liked, axis=1)
    has = liked.any(axis=1)
    own = who.item[np.arange(10), first][has]
    rise = scores(0.03, 6) - still
    assert (rise[has, own] > rise[has].mean(axis=1)).all()  # what was liked rises


def test_diversity_in_the_loss_is_how_alike_two_recommendations_are(known):
    tasks = meta._sampler(known, (0, 2, 6), 10.0)(jax.random.key(5))
    plain, diverse = (kinds.model_of("context", known, jax.random.key(0), weight) for weight in (0.0, 2.0))
    meta_start = plain.learner.init(plain.theta)
    less, more = (model.learner.gradient(meta_start, tasks)[0][1].query_losses for model in (plain, diverse))
    for task in range(3):
        shown = jax.tree.map(lambda leaf, task=task: leaf[task], tasks.query)
        phi, _ = plain.learner.adapt(meta_start, shown.shown)
        chance = np.where(shown.open, np.exp(plain.scores(phi, shown.shown)), 0)
        chance /= chance.sum()
        alike = known.genres @ known.genres.T  # of one genre each, so of length one
        assert float(more[task] - less[task]) == pytest.approx(2 * chance @ alike @ chance, rel=1e-4)


# --- RL^2 in replay ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(known):
    model = empirical_bayes(known.likes, factors=2, sweeps=4, item_l2=10.0)
    return recurrent.meta_trained(known.likes, model, updates=(0, recurrent.CALL), steps=TRIAL, seed=0)


TRIAL = 12


def logs_of(known, users):
    item, liked, mask = padded(known.likes, recurrent.LONGEST, 3)
    return recurrent.Log(*(jnp.asarray(column[users]) for column in (item, liked, mask)))


def test_a_log_is_played_without_repeats_and_pays_its_own_likes(known, trained):
    task = jax.tree.map(lambda column: column[0], logs_of(known, [4]))
    short = task._replace(mask=task.mask & (jnp.arange(recurrent.LONGEST) < 5))
    act = acting(rl2_agent(trained[0]), trained[0])
    played = jax.jit(lambda log: recurrent.play(TRIAL, act, rl2_agent(trained[0]).memory, log, jax.random.key(0)))
    for log_, steps in ((task, TRIAL), (short, 5)):
        found = played(log_)
        alive = np.asarray(found.alive)
        np.testing.assert_array_equal(alive, np.arange(TRIAL) < steps)
        places = np.asarray(found.action)[alive]
        assert len(set(places)) == steps
        assert np.asarray(log_.mask)[places].all()
        np.testing.assert_array_equal(np.asarray(found.reward)[alive], np.asarray(log_.liked)[places])
        assert not np.asarray(found.reward)[~alive].any()
        assert bool(found.terminated[steps - 1])
        assert not np.asarray(found.terminated)[: steps - 1].any()


def rl2_agent(theta):
    return rl.recurrent(recurrent.step, recurrent.network(theta["features"].shape[1]).initial())


def test_the_recommender_scores_as_the_policy_that_was_trained(known, trained):
    """The memory after a support is that of having played it."""
    theta = trained[recurrent.CALL]
    task = jax.tree.map(lambda column: column[0], logs_of(known, [7]))
    agent = rl2_agent(theta)
    seen = recurrent.Seen(task.item, task.mask, jnp.int32(0), jnp.float32(0))
    memory, stars = agent.memory, np.where(np.asarray(task.liked) > 0, 5.0, 2.0)
    places = [3, 0, 5]
    recommender = recurrent.recommender_of(theta)
    for k in range(len(places) + 1):
        memory, decision = agent.step(theta, memory, seen)
        item, rating, mask = np.zeros((1, 4), np.int32), np.zeros((1, 4), np.float32), np.zeros((1, 4), bool)
        item[0, :k], rating[0, :k], mask[0, :k] = np.asarray(task.item)[places[:k]], stars[places[:k]], True
        scores = np.asarray(recommender.scores(recommender.adapt(Support(item, rating, mask))))[0]
        left = np.asarray(seen.left)
        logits = np.asarray(decision.distribution.logits)
        np.testing.assert_allclose(logits[left], scores[np.asarray(task.item)[left]], rtol=1e-4, atol=1e-5)
        assert (logits[~left] == recurrent.CLOSED).all()
        if k < len(places):
            place = places[k]
            seen = recurrent.Seen(
                task.item, seen.left.at[place].set(False), task.item[place], 2 * task.liked[place] - 1
            )


def test_the_memory_learns_to_earn_more_likes(known, trained):
    tasks = logs_of(known, np.arange(USERS - 10))
    keys = jax.random.split(jax.random.key(9), USERS - 10)
    play = functools.partial(recurrent.play, TRIAL)
    likes = [
        float(
            jax.jit(lambda theta: rl.play_tasks(rl2_agent(theta), play, theta, tasks, keys).reward.sum(axis=1).mean())(
                theta
            )
        )
        for theta in trained.values()
    ]
    assert likes[1] > likes[0] + 0.5


def test_the_linear_model_starts_as_empirical_bayes_and_learns_from_there(log, known):
    model = empirical_bayes(known.stars, factors=2, sweeps=1, item_l2=10.0)
    steps = (0, linear.CALL)
    kept = linear.meta_learned(known.stars, model, iterations=steps, protocol="rating", hold=1.0, seed=0)
    who = newcomers(log, np.arange(USERS - 10, USERS), seed=1)
    support = Support(who.item, who.rating, who.mask & (np.arange(who.item.shape[1]) >= 10))
    errors = []
    for recommender in (linear_recommender(model), *(linear.recommender_of(kept[n], "stars", 0.0) for n in steps)):
        scores = np.asarray(recommender.scores(recommender.adapt(support)))
        hidden = np.take_along_axis(scores, who.item[:, :10].astype(int), axis=1)
        errors.append(np.mean((hidden - who.rating[:, :10]) ** 2))
    assert errors[0] == pytest.approx(errors[1], rel=1e-5)
    assert errors[2] < errors[1]
    assert float(abs(kept[linear.CALL].tendency).max()) > 0


def test_being_better_is_a_chance():
    np.testing.assert_array_equal(won(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 4.0])), [1, 0.5, 0])


def test_the_record_says_what_was_found(record):
    found = record.values["curve"]
    for order in ("random", "time"):
        for name, of in found["measures"][order].items():
            assert all(0 <= one["mean"] <= 1 for one in of["ndcg"]), name
        flat = found["measures"][order]["popularity"]["ndcg"]
        assert len({one["mean"] for one in flat}) == 1
        rivals = {name: of["ndcg"][0]["mean"] for name, of in found["measures"][order].items()}
        assert rivals["affine"] == pytest.approx(rivals["popularity"], abs=1e-6)
        assert rivals["popularity"] > 2 * rivals["random"]
        best = found["best"][order]
        for row, gain in enumerate(found["gain"][order]["affine"]):
            of = found["measures"][order]
            assert gain["mean"] == pytest.approx(
                of["affine"]["ndcg"][row]["mean"] - of[best[row]]["ndcg"][row]["mean"], abs=1e-6
            )
    rating = record.values["rating"]["measures"]
    assert rating["random"]["ndcg"]["mean"] == pytest.approx(0.5)
    errors = {name: of["mae"]["mean"] for name, of in rating.items()}
    assert all(error < errors["random"] for name, error in errors.items() if name != "random")
    assert all(count == 0 for part in ("curve", "rating") for count in record.values[part]["failures"].values())


def test_settings_were_chosen_by_validation(record):
    for protocol in ("curve", "rating"):
        for name, space in record.values["search_space"][protocol].items():
            tried = np.array(record.values[protocol]["tried"][name])
            assert tried.shape == (len(space["space"]), len(space["variants"]))
            row, column = np.unravel_index(np.argmax(tried), tried.shape)
            assert record.values[protocol]["chosen"][name] == [{**space["space"][row], **space["variants"][column]}]


def test_tables_and_figures_come_from_the_record(record):
    shown = tables(record)
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    assert len(shown) == 5 + 2 + 2
    for figure in figures(record):
        figure.build().draw_without_rendering()


def test_every_protocol_has_its_methods_in_both_spaces():
    for protocol in ("curve", "replay", "rating"):
        small, full = (methods(protocol, space, (0, 1)) for space in ("small", "full"))
        assert set(small) <= set(full)
        assert all(len(full[name].space) >= len(method.space) for name, method in small.items())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--folds 11", "1 to 10 folds"),
        ("--protocols city", "protocols among"),
        ("--after 1 5", "rise from 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run cold_start --preset smoke -- {option}")
    assert code == 2
    assert message in err


def test_a_like_is_above_zero_in_what_networks_see():
    seen = kinds.behaviour_of(jnp.zeros(3, int), jnp.array([4.0, 3.0, 5.0]), jnp.array([True, True, False]))
    assert seen.rating.tolist() == [0.5, -0.5, 0.0]
