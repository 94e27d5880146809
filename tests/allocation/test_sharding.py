"""Users spread over devices and processes: the same answer as on one device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from attnjax.allocation import Creators, Market, Nash, local_rows, shard, solve
from attnjax.errors import UserError

SCRIPT = Path(__file__).with_name("sharded_solves.py")
USERS = 203


def start(out, devices, *more):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    command = [sys.executable, str(SCRIPT), str(out), *map(str, more)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed[-3000:]


def check(found, rows):
    for name, one in found.items():
        if not isinstance(one, dict):
            continue
        assert one["converged"], name
        scale = max(abs(one["lower"][0]), 1)
        assert abs(one["lower"][0] - one["lower"][1]) <= 1e-5 * scale, name
        assert abs(one["gap"][0] - one["gap"][1]) <= 1e-5 * scale, name
        assert one["prices"] <= 1e-5 * max(one["largest_price"], 1), name
        assert one["exposure"] <= 1e-5, name
        assert one["attention"] <= 1e-5, name
        assert one["rows"] == rows, name


def test_eight_devices_agree_with_one(tmp_path):
    """203 users on 8 devices: five of the last device's 26 rows are filled up. Nothing but sums crosses devices."""
    finish(start(tmp_path / "found.json", 8, "nash,box,sparse,slates"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["devices"] == 8
    assert found["gathers"] == 0
    check(found, USERS)


def test_two_processes_agree_with_one(tmp_path):
    """Each with two devices and its own users, 101 and 102 of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    outs = [tmp_path / f"found{rank}.json" for rank in range(2)]
    processes = [start(out, 2, "nash,box", address, 2, rank) for rank, out in enumerate(outs)]
    try:
        for process in processes:
            finish(process)
    finally:
        for process in processes:
            process.kill()
    for out, rows in zip(outs, (101, 102), strict=True):
        found = json.loads(out.read_text())
        assert found["devices"] == 4
        check(found, rows)


def small():
    return Market.of(jnp.eye(3), Creators.one_per_item(3), Nash(1.0), temperature=0.0)


def test_on_one_device_it_is_the_same_market():
    spread = shard(small(), jax.devices()[:1])
    assert spread.budgets.shape == (3,)
    one, other = solve(small(), 1e-4), solve(spread, 1e-4)
    assert float(one.lower) == pytest.approx(float(other.lower), rel=1e-6)
    assert local_rows(other.attention, 2).shape == (2, 3)


REFUSALS = {
    "twice": (lambda: shard(shard(small())), r"a market on one device, got one that is spread"),
    "no devices": (lambda: shard(small(), []), r"at least one device, got none"),
    "another method": (
        lambda: solve(shard(small()), method="frank_wolfe"),
        r"a market that frank_wolfe can solve, got users spread over devices",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_spread_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
