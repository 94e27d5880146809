"""Directions out of gradients against TorchJD, fronts against pymoo, and what an aggregator adds to a training step.

Asks:     whether UPGrad of 128 gradients of 4,096 entries is at least 40 times as fast as TorchJD's, to 1e-5 of the
          exact direction; whether a training step with any aggregator of 3 objectives costs at most 1.15 times three
          separate gradients; whether a front of 64 certified points of a market of 1,000 users and 200 items in one
          vmapped call takes a tenth of the time of 64 solves in sequence, and if not, why; how long NSGA-II takes to
          the hypervolume of a certified front.
Command:  attnjax bench aggregation --preset paper   (needs TorchJD and pymoo in an environment of their own)
Cost:     paper about 25 minutes; smoke, ours alone, about half a minute. No process takes more than 4 GiB.

How it is fair. Ours and TorchJD get the same gradients, random numbers in float32, in processes of their own that use
all cores and take turns; TorchJD is asked at its defaults. What is timed is one call on gradients in memory; ours is
compiled before, both are called twice before the clock starts, and a call ends when its result is there. The directions
are compared, and that of UPGrad also with the exact one: TorchJD's in float64, without its regularisation. Random
rules draw different lots, so their directions are not compared.

The market of the fronts is the same for both: NSGA-II has a gene per user and item, and attention is the softmax of a
user's genes. Its hypervolume is taken as it runs, outside its clock.

The peers' environment is not made by `make bench-environment`: PyTorch's wheels on the package registry bring several
gigabytes of CUDA, which a benchmark of processors does not need. PyTorch's own index has wheels for processors alone;
its installation page names it. So it is made by hand, and the record has its versions:

    python3.11 -m venv PEERS
    PEERS/bin/pip install torch==2.13.0      # with the options of PyTorch's installation page for a CPU
    PEERS/bin/pip install torchjd==0.18.0 qpsolvers quadprog cvxpy clarabel ecos pymoo==0.6.2
    attnjax bench aggregation --preset paper --peers-python PEERS/bin/python
"""
