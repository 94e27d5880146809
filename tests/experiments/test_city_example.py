"""The document's network on a small town of drawn traffic: what must hold of flows, targets and record."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.data.resco import RescoMap
from attnjax.data.road_networks import read_road_network
from attnjax.data.route_files import read_demand
from attnjax.reproduction import find_project, read_record
from experiments.city_example import Config, compute, flows
from experiments.city_example.show import figures, tables

# Compiled quickly, what its contributions share is computed anew at every use: minutes instead of seconds.
pytestmark = pytest.mark.compiled_in_full

SMOKE = Config(maps=("town",), stride=60)
BEGIN = 1000
WAYS = (("WA", "BE"), ("EB", "AW"), ("NA", "AS"), ("SA", "BE"), ("MB", "BE"))


@pytest.fixture(scope="module", autouse=True)
def town(tmp_path_factory, request):
    """An hour of trips on the small network, more of them from the west as time goes on."""
    net = request.path.parents[1] / "data" / "road_networks" / "crossing.net.xml"
    routes = tmp_path_factory.mktemp("town") / "town.rou.xml"
    rng = np.random.default_rng(0)
    trips = []
    for second in range(3600):
        for number, (start, end) in enumerate(WAYS):
            if rng.random() < (0.05 + 0.25 * second / 3600 if number == 0 else 0.05):
                name = f"{second}_{number}"
                trips.append(f'<trip id="{name}" depart="{BEGIN - 100 + second}" from="{start}" to="{end}"/>')
    routes.write_text(f"<routes>{''.join(trips)}</routes>", encoding="utf-8")
    found = RescoMap("town", net, routes, BEGIN, BEGIN + 3600, 10, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.city_example.flows.load_resco_map", lambda name: found)
        yield found


@pytest.fixture(scope="module")
def record(clone, town):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "city_example", "--preset", "smoke"]) == 0
        (path,) = find_project().runs.glob("city_example/*/record.json")
        return read_record(path, path.name)


def test_every_vehicle_is_counted_once_at_each_approach_on_its_way(town):
    network = read_road_network(town.net.read_bytes())
    demand = read_demand(town.routes.read_bytes(), network)
    edge = {name: number for number, name in enumerate(network.edges.names)}
    west = flows.arrivals(network, demand, edge["WA"])
    started = np.array([demand.routes[way][0] == edge["WA"] for way in demand.route])
    length, speed = (x[edge["WA"]] for x in (network.edges.length, network.edges.speed))
    np.testing.assert_allclose(west, demand.depart[started] + length / speed)
    between = flows.arrivals(network, demand, edge["AB"])
    through = np.array([edge["AB"] in demand.routes[way] for way in demand.route])
    assert len(between) == through.sum() > len(west)
    assert {network.edges.names[e] for e in flows.approaches(network, 0)} == {"WA", "NA", "SA", "BA"}


def test_windows_of_training_end_before_those_of_test_begin(town):
    found = flows.load_flows(SMOKE)
    count = (3600 - 2 * SMOKE.window) // SMOKE.stride + 1
    for signal in range(found.signal.max() + 1):
        own = found.training[found.signal == signal]
        learned = (SMOKE.training - 2 * SMOKE.window) // SMOKE.stride + 1
        judged = (3600 - SMOKE.training - 2 * SMOKE.window) // SMOKE.stride + 1
        assert own.sum() == learned
        assert (~own).sum() == judged
        assert learned + judged < count
        np.testing.assert_array_equal(own, np.arange(len(own)) < learned)
    # Five strides on, what came after is what came before.
    one = found.signal == 0
    np.testing.assert_array_equal(found.after[one][:3], found.before[one][5:8])


def test_targets_are_exact_optima_and_regret_is_never_negative(town):
    rows, solved = compute.prepared(SMOKE, flows.load_flows(SMOKE))
    assert bool(solved.feasible.all())
    assert float(solved.gap.max()) < 1e-4
    np.testing.assert_allclose(rows.target.sum(1), 1, rtol=1e-5)
    assert (rows.target >= rows.least - 1e-6).all()
    assert not rows.target[~np.asarray(rows.real)].any()
    wish = jax.random.normal(jax.random.key(0), rows.target.shape)
    shares = compute.nearest(rows, wish)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    assert (shares >= rows.least - 1e-6).all()
    lost = compute.effect(SMOKE, rows, rows.target) - compute.effect(SMOKE, rows, shares)
    assert float(lost.min()) > -1e-4
    np.testing.assert_allclose(compute.nearest(rows, rows.target), rows.target, atol=1e-5)
    assert float(jnp.abs(compute.regret(SMOKE, rows, rows.target))) == 0


def test_outputs_of_the_document_are_no_splits_and_those_of_the_operator_are(record):
    assert min(record.per_seed["linear_no_split"]) > 0.2
    for arm in ("share", "effect"):
        assert record.per_seed[f"{arm}_no_split"] == [0.0] * record.config["seeds"]
        assert min(record.per_seed[f"{arm}_regret"]) >= 0
    assert record.certificates["all_feasible"]
    assert record.certificates["largest_gap"] < 1e-4


def test_every_arm_learns_and_pairs_are_of_one_seed(record):
    for arm in compute.ARMS:
        loss = record.values["curves"][arm]["train_loss"]
        assert len(loss) == record.config["epochs"]
        if arm != "effect":
            assert loss[-1] < loss[0]
    assert np.mean(record.per_seed["effect_regret"]) < np.mean(record.per_seed["share_regret"]) + 0.05
    differences = np.subtract(record.per_seed["linear_regret"], record.per_seed["share_regret"])
    np.testing.assert_allclose(record.per_seed["linear_less_share_regret"], differences)


def test_tables_and_figures_come_from_the_record(record):
    shown = tables(record)
    assert [len(table.rows) for table in shown] == [6, 2]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    for figure in figures(record):
        figure.build().draw_without_rendering()


@pytest.mark.parametrize(
    ("option", "message"),
    [("--window 1500", "room for a window and the next"), ("--epochs 0", "at least one of each")],
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run city_example --preset smoke -- {option}")
    assert code == 2
    assert message in err
