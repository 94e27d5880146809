"""`python -m experiments.benchmarks.recommendation`: measures, prints, and leaves a record among the runs."""

import argparse
import json
import os
import subprocess
import sys

from attnjax.atomic import write_text
from attnjax.errors import fail
from attnjax.reproduction import find_project
from experiments.benchmarks.records import machine

PARTS = ("one_user", "batch")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", type=int, default=2000, help="single recommendations")
    options.add_argument("--users", type=int, default=10_000, help="users of the batch")
    options.add_argument("--part", choices=PARTS, help="measure this part, in this process")
    given = options.parse_args()
    if given.part is None:
        words = [sys.executable, "-m", "experiments.benchmarks.recommendation", *sys.argv[1:], "--part"]
        found = {
            part: json.loads(subprocess.run([*words, part], check=True, capture_output=True, text=True).stdout)
            for part in PARTS
        }
        one, many = found["one_user"], found["batch"]
        print(f"one user, one core: p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f} ms of {one['calls']} calls")
        print(f"batch of {many['users']}: {many['users_per_second']:.0f} users per second, {machine()['cores']} cores")
        path = find_project().runs / "benchmarks" / "recommendation" / "record.json"
        write_text(path, json.dumps(found | machine() | {"precision": "float32"}, indent=1) + "\n")
        return
    if given.part == "one_user":
        if not hasattr(os, "sched_setaffinity"):
            fail(
                "experiments.benchmarks.recommendation",
                expected="a system on which a process can be kept to one core",
                got=sys.platform,
                advice="Use Linux, or measure the batch alone: --part batch.",
            )
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX makes its threads
    from experiments.benchmarks.recommendation import measure

    of = measure.setting()
    print(json.dumps(measure.one_user(of, given.calls) if given.part == "one_user" else measure.batch(of, given.users)))


if __name__ == "__main__":
    main()
