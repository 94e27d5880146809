"""The classic tables in small: what must hold of the record whatever the sizes, and of what is published beside it."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.envs import BernoulliBandit, Points, Trial, bayes_optimal_return
from attnjax.reproduction import Context, find_project, read_record
from experiments.meta_tables import EXPERIMENT
from experiments.meta_tables.players import Row, measure, some
from experiments.meta_tables.recurrent import trials
from experiments.meta_tables.show import figures, tables
from experiments.meta_tables.show_play import BANDIT_PLAYERS, PROCESS_PLAYERS
from experiments.meta_tables.show_sinusoid import INITS, METHODS, SHOTS, STEPS
from experiments.meta_tables.sinusoid import BOUND, CURVE, WORST, Shots, _errors, initial, loss, loss_of_shots


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "meta_tables", "--preset", "smoke"]) == 0
        (path,) = find_project().runs.glob("meta_tables/*/record.json")
        return read_record(path, path.name)


def test_every_row_is_measured(record):

    wanted = {f"bandit_10_5_{name}" for name in BANDIT_PLAYERS}
    wanted |= {f"bandit_10_5_{name}_percent" for name in BANDIT_PLAYERS}
    wanted |= {f"process_10_{name}" for name in PROCESS_PLAYERS if name != "rl2"}
    wanted |= {f"point_{which}_{steps}" for which in ("untrained", "maml") for steps in range(4)}
    ends = ["start", *(f"{shots}_{steps}" for shots in SHOTS for steps in STEPS)]
    errors = {f"sinusoid_{method}_{how}_{end}" for method in METHODS for how in INITS for end in ends}
    assert set(record.per_seed) == wanted | errors | {
        f"{name}_{kind}" for name in errors for kind in ("median", "trimmed")
    }
    assert record.certificates["sinusoid"]["meta_gradients_finite"]
    assert record.certificates["rl2"]["parameters_finite"]
    assert record.certificates["point"]["parameters_finite"]


def test_training_and_adapting_help(record):
    """Little of either is done here; how much they help in full is in the paper preset's record."""
    start, error = (np.array(record.per_seed[f"sinusoid_{name}_median"]) for name in ("maml_he_start", "maml_he_20_10"))
    assert (error < start).all()
    # An average of networks that agree on nothing is worth no more than 0, whose error is near 4.25.
    assert min(record.per_seed["sinusoid_multi_task_paper_start"]) > 3
    assert max(max(errors) for errors in record.values["sinusoid"]["network_error"].values()) < 3


def test_fine_tuned_baselines_choose_their_step_and_maml_keeps_its_own(record):
    rates = record.values["sinusoid"]["rate"]
    assert {rates[name] for name in rates if name.startswith(("maml", "first")) and "start" not in name} == {0.01}
    assert len({rates[name] for name in rates if name.startswith(("pre", "multi"))}) > 2


def test_a_bounded_step_cannot_run_away():
    """From a steep start descent explodes within ten steps; bounded, it moves by at most 10 x 0.01 x 40."""
    theta = jax.tree.map(lambda leaf: 2 * leaf[None], initial(jax.random.key(0), "he"))
    keys = jax.random.split(jax.random.key(1), 50)
    few = jax.vmap(lambda key: CURVE.few_shot(key, max(SHOTS), 10))(keys)
    points = jax.tree.map(lambda leaf: leaf[None], (few.support, few.query))
    free, diverged = _errors(theta, points, 10, 10, 0.01)
    held, ran_away = _errors(theta, points, 10, 10, 0.01, bound=BOUND)
    assert (np.array(free) == WORST).mean() > 0.9
    assert np.array(diverged).mean() > 0.9
    assert not np.array(ran_away).any()
    assert np.array(held).max() < 1e-2 * WORST


def test_players_explore_as_they_should(record):
    """Of 200 tasks a mean has a standard error of 0.15 (bandits) or 2 (processes)."""
    mean = {name: found["mean"] for name, found in record.summary.items()}
    assert record.values["bandits"]["optimum"] == {"bandit_10_5": bayes_optimal_return(5, 10)}
    assert mean["bandit_10_5_random"] == pytest.approx(5.0, abs=0.5)
    for name in ("gittins", "whittle", "ucb1", "greedy"):
        assert mean[f"bandit_10_5_{name}"] > mean["bandit_10_5_random"] + 1
        assert 90 < mean[f"bandit_10_5_{name}_percent"] < 108
    assert mean["process_10_random"] == pytest.approx(100, abs=6)
    for name in ("greedy", "psrl", "opsrl", "ucrl2", "beb", "beb_true_prior"):
        assert mean[f"process_10_{name}"] > 120


def test_rl2_is_measured_on_the_tasks_of_its_table(record):

    (trial,) = trials(types.SimpleNamespace(**record.config)).values()
    classical = Trial(BernoulliBandit(5, 10), episodes=1)
    key = jax.random.key(3)
    np.testing.assert_array_equal(trial.sample_task(key).probabilities, classical.sample_task(key).probabilities)
    assert trial.max_steps == classical.max_steps == 10
    earned = record.per_seed["bandit_10_5_rl2"]
    np.testing.assert_allclose(record.per_seed["bandit_10_5_rl2_percent"], 100 * np.array(earned) / 6.66, rtol=1e-3)
    reward = np.array(record.values["rl2"]["bandit_10_5"]["reward"]).mean(0)
    assert reward[-1] > reward[0] + 0.2  # sixty updates teach it a little


def test_longer_trials_and_more_arms_are_learned_as_far_as_was_said():

    sizes = trials(EXPERIMENT.presets["paper"])
    short = {"bandit_10_5", "bandit_10_10", "bandit_10_50"}
    assert set(sizes) == short | {"bandit_100_5", "bandit_100_10", "process_10", "process_25"}
    assert all(trial.max_steps <= 250 for trial in sizes.values())


def test_tables_and_figures_come_from_the_record(record):

    shown = tables(record)
    assert [len(table.rows) for table in shown[:8]] == [10, 10, 10, 4, 11, 10, 10, 1]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    (published,) = (row for row in shown[0].rows if row[0] == "MAML, exact" and row[1] == "He")
    assert published[-3:] == (0.67, 0.38, 0.35)
    assert [row[0] for row in shown[6].rows if "not run" in row] == ["RL^2"]  # its trials are longer than smoke allows
    assert len(figures(record)) == 2
    for figure in figures(record):
        figure.build().draw_without_rendering()


def test_a_setting_is_tuned_on_other_tasks_than_it_plays():
    """Players that earn what their setting says, less a distance: the nearest wins, alone of its row."""

    config = types.SimpleNamespace(settings=3, block=4, play_tasks=8)
    rows = {
        "traced": Row(lambda setting: setting, (0.0, 1.0, 2.0)),
        "static": Row(lambda setting: jnp.float32(range(10)[setting]), (1, 2, 3), static=True),
        "fixed": Row(lambda setting: 0.5 * jnp.ones_like(setting)),
    }

    def earn(players, which, key):
        return -((jnp.stack(players)[which] - 2) ** 2) + 1e-3 * jax.random.uniform(key)

    keys = jax.random.split(jax.random.key(0), 2)
    means, about = measure(config, keys, Context(), "toy", rows, earn)
    assert {name: found["setting"] for name, found in about.items()} == {"traced": 2.0, "static": 2.0, "fixed": None}
    np.testing.assert_allclose(means["toy_fixed"], -2.25, atol=1e-3)
    np.testing.assert_array_equal(means["toy_traced"], means["toy_static"])  # the same tasks
    assert len(set(np.asarray(means["toy_traced"]))) == 2  # others for each seed
    assert some((0, 1, 2, 3, 4), 1) == [2]


def test_shots_that_do_not_count_change_nothing():

    params = initial(jax.random.key(0), "he")
    x = jnp.linspace(-5, 5, 20)[:, None]
    points = Points(x, jnp.sin(x).at[5:].set(1e3))
    few = Points(points.x[:5], points.y[:5])
    weight = (jnp.arange(20) < 5).astype(jnp.float32)
    assert float(loss_of_shots(params, Shots(points, weight))) == pytest.approx(float(loss(params, few)), rel=1e-5)
    assert max(float(jnp.abs(kernel).max()) for kernel, _ in initial(jax.random.key(0), "paper")) <= 0.02


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--iterations 300", "multiple of 250"),
        ("--rl2-updates 30", "multiple of 20"),
        ("--tasks 150", "multiple of tuning_tasks"),
        ("--seeds 0", "at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run meta_tables --preset smoke -- {option}")
    assert code == 2
    assert message in err
