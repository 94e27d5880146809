"""Users who arrive in batches and are served at once: prices are the state, learnt by online dual mirror descent."""

from attnjax.allocation.online.certificate import Certificate, hindsight_bound
from attnjax.allocation.online.market import OnlineMarket, Served
from attnjax.allocation.online.state import State, restore_state, save_state

__all__ = ["Certificate", "OnlineMarket", "Served", "State", "hindsight_bound", "restore_state", "save_state"]
