"""`python -m experiments.benchmarks.recommendation`: measures, prints, and leaves a record among the runs."""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from attnjax.atomic import write_text
from attnjax.errors import fail
from attnjax.reproduction import find_project
from experiments.benchmarks.records import machine

ONE_CORE = ("one_user", "adaptation_one_user")
PARTS = ("one_user", "batch", "adaptation_one_user", "adaptation")


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
        for name, of in found["adaptation"].items():
            alone = found["adaptation_one_user"][name]
            print(f"adaptation, {name}: one user, one core: p50 {alone['p50_ms']:.2f} ms, p99 {alone['p99_ms']:.2f} ms")
            print(f"adaptation, {name}: {given.users} users in {of['seconds']:.2f} s")
        path = find_project().runs / "benchmarks" / "recommendation" / "record.json"
        write_text(path, json.dumps(found | machine() | {"precision": "float32"}, indent=1) + "\n")
        return
    if given.part in ONE_CORE:
        if not hasattr(os, "sched_setaffinity"):
            fail(
                "experiments.benchmarks.recommendation",
                expected="a system on which a process can be kept to one core",
                got=sys.platform,
                advice="Use Linux, or measure batches alone: --part batch, --part adaptation.",
            )
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX makes its threads
    print(json.dumps(_measured(given.part, given.calls, given.users)))


def _measured(part: str, calls: int, users: int) -> Any:
    from experiments.benchmarks.recommendation import adaptation, measure

    if part.startswith("adaptation"):
        return adaptation.batch(users) if part == "adaptation" else adaptation.one_user(calls)
    of = measure.setting()
    return measure.one_user(of, calls) if part == "one_user" else measure.batch(of, users)


if __name__ == "__main__":
    main()
