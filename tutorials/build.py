"""Builds the notebooks: runs each source in a fresh kernel and writes the executed notebook beside it.

    python tutorials/build.py                     # the readers' notebooks, without solutions and instructor notes
    python tutorials/build.py --check             # are the stored notebooks up to date? exit code 1 if not
    python tutorials/build.py --instructor DIR    # versions with solutions and instructor notes, into DIR
    python tutorials/build.py --figures DIR       # also saves every figure for slides (SVG, and PNG at 200 dpi)

A source is percent-format Python in `tutorials/src/`; cells tagged `solution` and `instructor` are for educators only.
A notebook is up to date if the cells are those of its source and the digest in its metadata, over the source and the
helper modules, is the one of today. Whether its *numbers* still come out is what the tests check.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
HELPERS = ("checks.py", "pictures.py")
OWN_HELPERS = ("adaptation.py", "evidence.py", "tradeoffs.py")
"""Modules that only some tutorials import."""
EDUCATORS_ONLY = frozenset({"solution", "instructor"})
TIMEOUT = 300

Say = Callable[[str], None]


def sources(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """The sources in a folder of tutorials, all of them or those whose name starts with one of `names`.

    Raises:
        SystemExit: if there is none of that name.
    """
    every = sorted((folder / "src").glob("[0-9]*.py"))
    chosen = [path for path in every if not names or any(path.stem.startswith(name) for name in names)]
    if not chosen:
        known = ", ".join(path.stem for path in every) or "none"
        raise SystemExit(f"build.py: no tutorial of that name. Known: {known}.")
    return chosen


def digest(source: Path) -> str:
    """One number for all that a notebook is made from: its source and the helper modules that it needs."""
    made_from = hashlib.sha256()
    own = [helper for helper in OWN_HELPERS if f"import {helper.removesuffix('.py')}\n" in source.read_text("utf-8")]
    for path in (source, *(source.parent.parent / helper for helper in (*HELPERS, *own))):
        text = path.read_text(encoding="utf-8")
        made_from.update(f"{path.name} {len(text)}\n{text}".encode())
    return made_from.hexdigest()


def compose(source: Path, *, educator: bool) -> NotebookNode:
    """The notebook of a source, not yet executed.

    Args:
        source: the percent-format file.
        educator: whether solutions and instructor notes stay in.
    """
    read = jupytext.read(source, fmt="py:percent")
    cells = []
    for number, cell in enumerate(read.cells):
        tags = cell.metadata.get("tags", [])
        if EDUCATORS_ONLY & set(tags) and not educator:
            continue
        make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        cells.append(make(cell.source, metadata={"tags": tags} if tags else {}, id=f"cell-{number:03d}"))
    about = {"source": f"src/{source.name}", "digest": digest(source), "educator": educator}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "attnjax": about})


def execute(notebook: NotebookNode, folder: Path, say: Say, figures: Path | None = None) -> float:
    """Runs a notebook in place, in a fresh kernel that works in `folder`.

    Returns:
        The seconds it took, the start of the kernel included.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    environment.pop("ATTNJAX_FIGURES", None)
    if figures is not None:
        environment["ATTNJAX_FIGURES"] = str(figures.resolve())
    done = 0

    def tell(cell: NotebookNode, **_: object) -> None:
        nonlocal done
        done += cell.cell_type == "code"
        say(f"  cell {done} of {len(code)}, {time.perf_counter() - started:.0f} s")

    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="attnjax-") as sockets:
        # Local sockets where there are any: no ports to collide on, nothing to listen in on.
        local = {"transport": "ipc", "ip": str(Path(sockets) / "kernel")} if os.name == "posix" else {}
        NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name="python3", **local),
            timeout=TIMEOUT,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
            on_cell_executed=tell,
        ).execute(cleanup_kc=True, env=environment)
    return time.perf_counter() - started


def stale(source: Path, notebook: Path) -> str:
    """Why a stored notebook is not up to date; empty if it is."""
    if not notebook.is_file():
        return "it does not exist"
    try:
        stored = nbformat.read(notebook, as_version=4)
    except (ValueError, nbformat.reader.NotJSONError):
        return "it is not a notebook"
    if stored.metadata.get("attnjax", {}).get("digest") != digest(source):
        return "its source or a helper module has changed since it was built"
    fresh = compose(source, educator=False)
    if [(c.cell_type, c.source) for c in stored.cells] != [(c.cell_type, c.source) for c in fresh.cells]:
        return "its cells differ from those of its source: was it edited by hand?"
    if any(c.cell_type == "code" and c.execution_count is None for c in stored.cells):
        return "some of its cells were not executed"
    return ""


def write(notebook: NotebookNode, path: Path) -> None:
    """Writes a notebook whole or not at all."""
    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    nbformat.write(notebook, part)
    part.replace(path)


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER, say: Say = print) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="build.py", description="Builds the tutorials' notebooks from their sources, or checks them."
    )
    parser.add_argument("names", nargs="*", help="which, by the start of the name (01); default all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only say whether stored notebooks are stale")
    what.add_argument("--instructor", type=Path, metavar="DIR", help="write versions with solutions and notes to DIR")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="also save the figures to DIR")
    options = parser.parse_args(arguments)
    chosen = sources(folder, options.names)
    if options.check:
        return _check(chosen, folder, say)
    if options.instructor and options.instructor.resolve() == folder.resolve():
        parser.error("--instructor DIR would overwrite the readers' notebooks: choose another folder")
    for source in chosen:
        educator = options.instructor is not None
        say(f"{source.stem}: running {'with' if educator else 'without'} solutions")
        notebook = compose(source, educator=educator)
        seconds = execute(notebook, folder, say, options.figures)
        path = (options.instructor or folder) / f"{source.stem}.ipynb"
        write(notebook, path)
        say(f"{source.stem}: {seconds:.0f} s, {path.stat().st_size / 1024:.0f} KiB in {path.name}")
    if options.figures:
        say(f"figures: {len(list(options.figures.glob('*.svg')))} in {options.figures}")
    return 0


def _check(chosen: Sequence[Path], folder: Path, say: Say) -> int:
    reasons = {source: stale(source, folder / f"{source.stem}.ipynb") for source in chosen}
    for source, reason in reasons.items():
        say(f"{source.stem}: {'stale, ' + reason if reason else 'up to date'}")
    if any(reasons.values()):
        say("Run 'python tutorials/build.py' to bring them up to date.")
    return int(any(reasons.values()))


if __name__ == "__main__":
    sys.exit(main())
