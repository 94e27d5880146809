"""The market solver against its peers: who reaches the same certified gap sooner, on one machine and in one run.

Claim:    at equal certified gap the solver is faster than linear, conic, first-order and optimal-transport peers, by
          the factors that `tasks.py` states per task.
Command:  attnjax bench allocation --preset paper   (make bench-environment once, for the peers)
Cost:     paper a few hours, most of it peers that run into their limit, 6 GB; smoke under a minute.

How it is fair. A peer runs in a process of its own (some clash in one), with as many threads as there are cores, and
is asked for the loosest of its tolerances that reaches the task's gap. What is timed is its solve alone: building the
problem, canonicalisation and compilation are recorded apart, for ours as for theirs. Answers are made feasible by the
same repair (`judge.py`) in float64, since an infeasible point looks better than the optimum, and their gap is taken to
the best dual bound that any of the solvers found.
"""
