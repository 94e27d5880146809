"""Run as a program: begins a simulation in a child, prints the child's number, and waits to be killed."""

import sys
import time

from crossing import crossing

from attnjax.envs.sumo import RemoteSimulation

if __name__ == "__main__":
    simulation = RemoteSimulation()
    simulation.begin(crossing(), 1)
    print(simulation.pid, flush=True)
    time.sleep(60)
    sys.exit("nobody came")
