"""attnjax: attention as a scarce resource, in JAX.

Every part of the package works on one sentence,

    a*(s) = argmax over a in C of <s, a> - Omega(a),    C = {a >= 0, sum a <= R, a <= cap},

that is, *spread a limited budget of attention over competing uses*. `attnjax.allocation` solves it,
`attnjax.objectives` says what counts as good, `attnjax.models` learns the scores, `attnjax.meta` how to adapt them in
a few steps, `attnjax.envs` shows the consequences, `attnjax.data` brings real data, `attnjax.training` and
`attnjax.evaluation` fit and judge, and `attnjax.reproduction` turns experiments into records that are checked against
written claims.
"""

from importlib.metadata import version as _version

__version__ = _version("attnjax")
