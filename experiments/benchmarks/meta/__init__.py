"""Meta-iterations per second against peers, memory against inner steps, and environment steps per second.

Asks:     whether one meta-iteration of MAML on sinusoids (network 1-40-40-1, 10 shots, 25 tasks, Adam outside), on one
          core, is at least 50 times as fast as learn2learn or higher, 8 times as torch.func and 2 times as
          torch.func compiled (at five inner steps 50, 8 and 1.5); whether the library costs at most 1 % of operations
          and memory and 5 % of time over JAX by hand; whether a meta-gradient through 100 steps needs at most a third
          of a plain scan's memory.
Command:  attnjax bench meta --preset paper   (needs PyTorch and peers on it in an environment of their own)
Cost:     paper about 10 minutes, half of it torch.compile; smoke, ours alone, about half a minute. 2 GB.

How it is fair. All contestants start from the same parameters, take the same tasks from a pool that is drawn before the
clock starts, and take the same gradient: that of the first batch is compared, and a contestant that is off by more than
a thousandth fails. Each lives in a process of its own, kept to the same one core; they take turns, second by second, so
that all see the same machine. Compilation is not timed. A PyTorch peer is written as its own examples have it; compiled
torch.func has Adam inside its compiled function. Ours is shown both called once per meta-iteration, as peers are, and
with 50 of them in a compiled call, which is how `attnjax.meta.meta_iterations` is meant to be used; the targets are
asked of the latter.

Environments do different work per step, so their rates say how long an experiment takes, not who is better written.

The peers' environments are made by hand, for the reason that `experiments/benchmarks/aggregation` gives, and the record
has their versions. learn2learn's sources do not compile with Python 3.11; where it is missing, higher counts.

    python3.11 -m venv PEERS
    PEERS/bin/pip install torch              # with the options of PyTorch's installation page for a CPU
    PEERS/bin/pip install 'torchopt>=0.7.3' 'higher>=0.2.1'
    attnjax bench meta --preset paper --peers-python PEERS/bin/python

`--simulators-python` names an interpreter with recsim and recogym; without it they are not measured.
"""
