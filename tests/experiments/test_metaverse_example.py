"""The worked example through the command line, and the verifier put to the test on it."""

import pytest

CLAIM = "metaverse-4.3-three-ways"


def test_its_smoke_claims_hold(call):
    code, out, _ = call("verify --tier smoke --claim metaverse-4.3-three-ways --claim metaverse-4.3-runs-away")
    assert code == 0, out
    assert out.count("holds") >= 2


@pytest.mark.parametrize("way", ["shop_by_operator", "shop_optimum"])
def test_a_flipped_sign_is_caught(call, clone, monkeypatch, way):
    """Attention of the wrong sign, in either of two ways of computing it, must fail the claim that they agree."""
    import importlib

    call("list")  # puts the clone's experiments on the path
    compute = importlib.import_module("experiments.metaverse_example.compute")
    sound = getattr(compute, way)

    def flipped(*args, **kwargs):
        found = sound(*args, **kwargs)
        return found._replace(weights=-found.weights) if way == "shop_by_operator" else -found

    monkeypatch.setattr(compute, way, flipped)
    code, out, _ = call(f"verify --claim {CLAIM} --recompute")
    assert code == 1
    assert any(line.startswith(CLAIM) and "FAILS" in line for line in out.splitlines())


def test_settings_that_make_no_sense_are_refused(call):
    code, _, err = call("run metaverse_example --preset smoke -- --instances 0")
    assert code == 2
    assert "at least 1 instance" in err
