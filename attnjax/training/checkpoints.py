"""Checkpoints of a training run: whole or absent, of this run or refused, the newest few kept.

Orbax writes the arrays under a temporary name and renames the folder when all of it is there. Beside them lies a
description: the format's version, the run's settings, the shape of every array, and a digest of it all. What can't be
this run's checkpoint is never loaded:

- a save that was cut short is reported and removed;
- one whose content does not match its digest is reported, and the one before it is taken;
- one of other settings or shapes, of another version of the format, or not made here at all, is an error, since
  going on would overwrite it.
"""

import contextlib
import hashlib
import json
import platform
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from attnjax.atomic import only_writer
from attnjax.errors import fail
from attnjax.extras import need
from attnjax.training.epochs import is_key

FORMAT, VERSION = "attnjax.training", 1
_UNFINISHED = ".orbax-checkpoint-tmp"


class Checkpoints(NamedTuple):
    """Where and how often a run's state is kept.

    Attributes:
        folder: of this run alone; made where needed.
        settings: what the run is made of (model, optimizer, loss, data, versions of code), as JSON can say it.
        every: epochs between two checkpoints; a killed run loses less than this. The last epoch is always kept.
        keep: how many of the newest stay on the disk.
    """

    folder: Path | str
    settings: Mapping[str, Any]
    every: int = 1
    keep: int = 2


class Found(NamedTuple):
    """A checkpoint.

    Attributes:
        epoch: after which it was made.
        arrays: the tree that was saved, in NumPy arrays.
        numbers: the plain values beside it.
    """

    epoch: int
    arrays: Any
    numbers: dict[str, Any]


def digest(tree: Any) -> str:
    """A sha256 of a tree's arrays: of their shapes, types and bytes, in order.

    Args:
        tree: arrays, JAX's or NumPy's.

    >>> digest({"a": np.zeros(2)}) == digest({"a": np.zeros(2)}), digest(np.zeros(2)) == digest(np.zeros(3))
    (True, False)
    """
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        total.update(f"{array.shape}{array.dtype}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


@contextlib.contextmanager
def open_checkpoints(checkpoints: Checkpoints, own: Mapping[str, Any]) -> Iterator["Keeper"]:
    """Holds a run's folder of checkpoints, for this process alone.

    Args:
        checkpoints: where, and the caller's settings.
        own: the loop's settings, beside the caller's.

    Yields:
        The keeper.

    Raises:
        UserError: if an option is out of range, the settings can't be written as JSON, another process holds the
            folder, orbax is not installed, or the folder holds what is no checkpoint.
    """
    if checkpoints.every < 1 or checkpoints.keep < 1:
        fail(
            "checkpoints",
            expected="every >= 1 and keep >= 1",
            got=f"{checkpoints.every} and {checkpoints.keep}",
            advice="Raise them.",
        )
    try:
        settings = json.loads(json.dumps({"caller": dict(checkpoints.settings), "loop": dict(own)}, allow_nan=False))
    except (TypeError, ValueError) as error:
        fail(
            "checkpoints",
            expected="settings of strings, finite numbers, booleans, None, lists and dictionaries of these",
            got=f"settings that JSON can't say ({error})",
            advice="Pass dataclasses.asdict(config), with arrays and functions replaced by their names.",
        )
    ocp = need("orbax.checkpoint", "checkpoints")
    folder = Path(checkpoints.folder).resolve()
    with only_writer(folder):
        foreign = []
        for entry in sorted(folder.iterdir()):
            if _UNFINISHED in entry.name:
                warnings.warn(f"{entry}: a checkpoint that was cut short; removed, not loaded", stacklevel=4)
            elif entry.name != ".lock" and not (entry.is_dir() and entry.name.isdigit()):
                foreign.append(entry.name)
        if foreign:
            fail(
                f"checkpoints in {folder}",
                expected="nothing but this run's checkpoints",
                got=", ".join(foreign[:5]),
                advice="Give each run a folder of its own.",
            )
        options = ocp.CheckpointManagerOptions(
            max_to_keep=checkpoints.keep, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        with ocp.CheckpointManager(folder, options=options) as manager:
            yield Keeper(manager, folder, settings, checkpoints.every)


class Keeper:
    """An open folder of checkpoints."""

    def __init__(self, manager: Any, folder: Path, settings: dict[str, Any], every: int) -> None:
        self.every = every
        self._manager, self._folder, self._settings = manager, folder, settings

    def save(self, epoch: int, arrays: Any, numbers: Mapping[str, Any]) -> None:
        """Keeps a state; when this returns it is on the disk, whole.

        Args:
            epoch: after which; larger than any saved before.
            arrays: a tree of arrays.
            numbers: plain values, as JSON can say them; floats come back to the last bit.
        """
        args = need("orbax.checkpoint", "checkpoints").args
        arrays = _plain(arrays)
        held = _leaves(arrays)
        about = {
            "format": FORMAT,
            "version": VERSION,
            "epoch": epoch,
            "settings": self._settings,
            "shapes": _shapes(arrays),
            "numbers": dict(numbers),
            "made_by": _made_by(),
        }
        about["digest"] = _seal(about, held)
        if epoch in self._manager.all_steps():  # a damaged one, or it would have been gone on from
            self._manager.delete(epoch)
        self._manager.save(
            epoch, args=args.Composite(arrays=args.StandardSave(held), about=args.JsonSave(about)), force=True
        )

    def latest(self, like: Any) -> Found | None:
        """Finds the newest checkpoint that is whole.

        Args:
            like: a tree of arrays, of the structure, shapes and types that were saved.

        Returns:
            The checkpoint, or None if there is none.

        Raises:
            UserError: if it is not this run's.
        """
        plain = _plain(like)
        for epoch in sorted(self._manager.all_steps(), reverse=True):
            where = self._folder / str(epoch)
            about = self._read(where, epoch, "about", None)
            if about is None:
                continue
            if not isinstance(about, dict) or (about.get("format"), about.get("version")) != (FORMAT, VERSION):
                fail(
                    f"checkpoint {where}",
                    expected=f"one of the format {FORMAT} {VERSION}",
                    got="a foreign one",
                    advice="Give each run a folder of its own, and start anew after a change of the format.",
                )
            self._check(where, about, _shapes(plain))
            held = self._read(where, epoch, "arrays", _leaves(plain))
            if held is None:
                continue
            if about.pop("digest", None) != _seal(about, held):
                self._report(where, "its content does not match its digest")
                continue
            if about["made_by"] != _made_by():
                made = ", ".join(f"{name} {value}" for name, value in about["made_by"].items())
                warnings.warn(f"{where} was made by {made}: the result may differ in the last bits", stacklevel=3)
            leaves, structure = jax.tree.flatten(plain)
            whole = [held.get(f"{k}", np.zeros(leaf.shape, leaf.dtype)) for k, leaf in enumerate(leaves)]
            return Found(epoch, _with_keys(jax.tree.unflatten(structure, whole), like), about["numbers"])
        return None

    def _read(self, where: Path, epoch: int, item: str, like: Any) -> Any:
        """One part of a checkpoint, or None, reported, where it can't be read."""
        args = need("orbax.checkpoint", "checkpoints").args
        if not (where / item).is_dir():
            if item == "about":
                return {}
            self._report(where, "its arrays are missing")
            return None
        asked = args.JsonRestore() if item == "about" else args.StandardRestore(like)
        try:
            return self._manager.restore(epoch, args=args.Composite(**{item: asked}))[item]
        except Exception as error:  # whatever orbax and tensorstore raise on a damaged file
            self._report(where, f"{type(error).__name__} while reading it")
            return None

    def _check(self, where: Path, about: dict[str, Any], shapes: list) -> None:
        theirs = {
            f"{part}.{name}": value for part in about["settings"] for name, value in about["settings"][part].items()
        }
        ours = {f"{part}.{name}": value for part in self._settings for name, value in self._settings[part].items()}
        other = [name for name in sorted(theirs | ours) if theirs.get(name) != ours.get(name)]
        told = [f"{name} = {_short(theirs.get(name))} there, {_short(ours.get(name))} here" for name in other]
        if about["shapes"] != shapes:
            pairs = zip(about["shapes"] + [None] * len(shapes), shapes + [None] * len(about["shapes"]), strict=True)
            first = next((one, two) for one, two in pairs if one != two)
            told.append(f"parameters or optimizer memory: {first[0]} there, {first[1]} here")
        if told:
            fail(
                f"checkpoint {where}",
                expected="one made with this run's settings",
                got="; ".join(told),
                advice="Take the old settings to go on, or another folder (or an empty one) to start anew.",
            )

    def _report(self, where: Path, why: str) -> None:
        warnings.warn(f"{where}: {why}; not loaded, looking at the one before it", stacklevel=4)


def _plain(tree: Any) -> Any:
    """The tree with random keys, which have no NumPy form, as their bits."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, tree)


def _with_keys(plain: Any, like: Any) -> Any:
    """The inverse of `_plain`."""
    return jax.tree.map(
        lambda leaf, key: jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(key)) if is_key(key) else leaf,
        plain,
        like,
    )


def _leaves(tree: Any) -> dict[str, Any]:
    """The arrays of a tree by their place; those without entries need no keeping (and orbax keeps none)."""
    return {f"{k}": leaf for k, leaf in enumerate(jax.tree.leaves(tree)) if leaf.size}


def _shapes(tree: Any) -> list[list[Any]]:
    """Path, shape and type of each leaf, as JSON gives them back."""
    return [
        [jax.tree_util.keystr(path, simple=True, separator="/"), list(leaf.shape), str(leaf.dtype)]
        for path, leaf in jax.tree.leaves_with_path(tree)
    ]


def _seal(about: dict[str, Any], held: dict[str, Any]) -> str:
    text = json.dumps(about, sort_keys=True).encode()
    return hashlib.sha256(text + digest(held).encode()).hexdigest()


def _made_by() -> dict[str, Any]:
    """What a result's last bits depend on beside the settings."""
    device = jax.devices()[0]
    return {
        "jax": jax.__version__,
        "device": f"{device.platform} {device.device_kind}",
        "machine": platform.machine(),
    }


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
