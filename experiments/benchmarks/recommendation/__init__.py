"""How fast is recommended to, and adapted to: one user on one core, and many users in a batch.

Asks:     whether for 1,682 items one user's ten best unseen items are there after 5 ms at p99 on one core, and those
          of 10,000 users within a second, by the attention model; and whether `cold_start`'s meta-learners, exported,
          adapt to 10,000 users with 20 interactions each within two seconds. No record is committed yet.
Command:  python -m experiments.benchmarks.recommendation
Cost:     about six minutes, most of it for the three networks; 2 GB.

What is timed is all from the user's history in host memory to the numbers of ten items back in it: encoding, links,
scores of all items, leaving out what was seen, and the selection. Time to compile is not; parameters are untrained,
since their values change no time. Each part runs in a process of its own; those of one user may use one core only.
"""
