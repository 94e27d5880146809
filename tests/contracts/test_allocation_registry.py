"""Whatever `attnjax.allocation` exports goes through a contract, or stands on the list of what has none."""

import inspect

import pytest
from allocation_cases import CREATOR_VALUES, NO_CONTRACT, REGULARIZERS, SOLVERS

import attnjax.allocation
from attnjax.allocation import CreatorValue, Regularizer, solvers


def under_contract() -> set[str]:
    made = [case.make(3) for case in (*REGULARIZERS.values(), *CREATOR_VALUES.values())]
    return {type(one).__name__ for one in made}


def test_every_export_is_under_contract_or_excused():
    exported = set(attnjax.allocation.__all__)
    assert exported == under_contract() | NO_CONTRACT
    assert not under_contract() & NO_CONTRACT


@pytest.mark.parametrize("name", sorted(NO_CONTRACT))
def test_no_regulariser_or_creator_value_is_excused(name):
    one = getattr(attnjax.allocation, name)
    if inspect.isclass(one) and one not in (CreatorValue, Regularizer):
        assert not issubclass(one, Regularizer | CreatorValue)


def test_every_method_of_solve_is_registered():
    assert set(solvers.METHODS) == set(SOLVERS)


def test_an_unregistered_export_would_be_noticed(monkeypatch):
    monkeypatch.setattr(attnjax.allocation, "__all__", [*attnjax.allocation.__all__, "Huber"])
    with pytest.raises(AssertionError):
        test_every_export_is_under_contract_or_excused()
