"""Where a number comes from: versions, device, commit, the code's digest, and the memory it took.

A record carries all of it. Some of it decides whether the record still stands for the program at hand
(`Fingerprint`): settings, code, data, versions and device. The rest (commit, time, memory) is for the reader.
"""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from attnjax.errors import UserError
from attnjax.reproduction.code import code_digest
from attnjax.reproduction.experiment import Experiment
from attnjax.reproduction.project import Project
from attnjax.reproduction.values import bits, plain, short

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "attnjax")


class Fingerprint(NamedTuple):
    """What must be the same for a finished record to stand for the program at hand.

    Attributes:
        config: the settings, as plain values.
        code: digest of the experiment's folder and of all that is imported from there on.
        data: for each source, the checksums of its files.
        versions: of Python and of the packages that compute.
        device: platform, kind and number of accelerators, and the processor's architecture.
        x64: whether the run is in double precision.
    """

    config: dict[str, Any]
    code: str
    data: dict[str, dict[str, str]]
    versions: dict[str, str]
    device: dict[str, Any]
    x64: bool

    def digest(self) -> str:
        """Returns 16 hexadecimal digits that name this fingerprint."""
        return hashlib.sha256(bits(self._asdict()).encode()).hexdigest()[:16]


class Commit(NamedTuple):
    """The state of the working tree.

    Attributes:
        sha: the commit's name, or `None` outside a git clone.
        dirty: whether something differs from it, kept records and bands apart; `None` where that is not known.
    """

    sha: str | None
    dirty: bool | None


def fingerprint(experiment: Experiment, config: Any, project: Project) -> Fingerprint:
    """Takes the fingerprint of a run that is about to start.

    Args:
        experiment: what would run.
        config: with these settings.
        project: where it lives.

    Returns:
        The fingerprint. Imports JAX (for the device), and `attnjax.data` if the experiment reads data.
    """
    return Fingerprint(
        config=plain(config, "config"),
        code=code_digest(project, experiment.name),
        data=_checksums(experiment),
        versions=versions(),
        device=device(),
        x64=experiment.x64,
    )


def difference(before: Fingerprint, now: Fingerprint) -> str:
    """Says in words why a record made under one fingerprint does not stand for another.

    Args:
        before: the record's.
        now: the one of the program at hand.

    Returns:
        The reasons, or an empty string if there is none.
    """
    reasons = []
    if before.config != now.config:
        reasons.append(f"the settings changed ({_changes(before.config, now.config)})")
    if before.code != now.code:
        reasons.append("the code changed")
    if before.data != now.data:
        reasons.append(f"the data changed ({_names(before.data, now.data)})")
    if before.versions != now.versions:
        reasons.append(f"versions changed ({_changes(before.versions, now.versions)})")
    if before.device != now.device:
        reasons.append(f"the device changed ({_changes(before.device, now.device)})")
    if before.x64 != now.x64:
        reasons.append("the precision changed")
    return ", ".join(reasons)


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # pragma: no cover - the core needs them all
            found[package] = "not installed"
    return found


def device() -> dict[str, Any]:
    """Returns what computes: JAX's platform and device kind, their number, and the machine's architecture."""
    import jax

    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "count": len(devices),
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
    }


def commit(project: Project) -> Commit:
    """Returns the commit of the project's folder, and whether the tree differs from it.

    Args:
        project: a clone, or an unpacked archive (then nothing is known).
    """
    top = _git(project.root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != project.root:
        return Commit(None, None)
    sha = _git(project.root, "rev-parse", "HEAD")
    spared = (":!reproducibility/records", ":!reproducibility/bands")
    status = _git(project.root, "status", "--porcelain", "--", ".", *spared)
    return Commit(sha, None if status is None else bool(status))


class MemoryMeter:
    """Measures a process's peak memory over a stretch of work.

    On Linux the peak is reset at the start; elsewhere it is the peak since the process began, an upper bound.
    """

    def __init__(self) -> None:
        self._reset = False
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._reset = True
        except OSError:  # pragma: no cover - not on every system
            pass

    def peak_mb(self) -> float:
        """Returns the peak resident memory, in megabytes (10^6 bytes)."""
        if self._reset:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return round(int(line.split()[1]) * 1024 / 1e6, 1)
        try:  # pragma: no cover - not on Linux
            import resource
        except ImportError:  # pragma: no cover - not on Windows
            return 0.0
        unit = 1 if sys.platform == "darwin" else 1024  # pragma: no cover
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)  # pragma: no cover


def _checksums(experiment: Experiment) -> dict[str, dict[str, str]]:
    """Returns the checksums of the sources that an experiment reads."""
    if not experiment.data:
        return {}
    from attnjax import data

    if not hasattr(data, "checksums"):
        raise UserError(
            f"{experiment.name}: expected attnjax.data.checksums for the sources {', '.join(experiment.data)}, got a "
            "package without it. Update the installation: pip install --editable ."
        )
    return {name: dict(sorted(data.checksums(name).items())) for name in experiment.data}


def processor() -> str:
    """Returns the processor's model name where the system tells, else the architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:  # pragma: no cover - not on Linux
        pass
    return platform.processor() or platform.machine()  # pragma: no cover


def _git(root: Path, *arguments: str) -> str | None:
    """Returns what git says, or `None` if it is not there or refuses."""
    # A hook's own GIT_DIR would point every clone at the hook's repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Lists the entries that differ, as `name: before -> now`."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{name}: {short(before.get(name))} -> {short(now.get(name))}" for name in names)


def _names(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Lists the names of the entries that differ."""
    return ", ".join(sorted(name for name in {**before, **now} if before.get(name) != now.get(name)))
