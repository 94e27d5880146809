"""The code that an experiment's numbers may depend on: its own folder, and what is imported from there on.

Imports are read off the files, not run, and followed from file to file through the package and `experiments/`, also
those inside functions. A record so stays valid when a part of the package changes that its experiment never sees, and
when a docstring does.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import attnjax
from attnjax.reproduction.project import Project

# What finds, shows, judges or prints records, and can't change a number in one.
_BYSTANDERS = (
    "attnjax/cli/",
    "attnjax/reproduction/bands.py",
    "attnjax/reproduction/claims.py",
    "attnjax/reproduction/code.py",
    "attnjax/reproduction/figures.py",
    "attnjax/reproduction/judge.py",
    "attnjax/reproduction/main_job.py",
    "attnjax/reproduction/page.py",
    "attnjax/reproduction/project.py",
    "attnjax/reproduction/provenance.py",
    "attnjax/reproduction/report.py",
    "attnjax/reproduction/stylesheet.py",
    "attnjax/reproduction/verify.py",
)


def code_digest(project: Project, name: str) -> str:
    """Returns the SHA-256 over the Python files that an experiment's numbers may depend on.

    Args:
        project: where the experiment lives.
        name: its folder's name.
    """
    digest = hashlib.sha256()
    for label, whole in sorted(_reached(project, name).items()):
        content = _without_docstrings(whole)
        digest.update(f"{label}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _reached(project: Project, name: str) -> dict[str, bytes]:
    """The contents of the experiment's files and of all that they lead to, by path from the root that holds them."""
    roots = {"attnjax": Path(attnjax.__file__).resolve().parent, "experiments": project.root / "experiments"}
    own = roots["experiments"] / name
    found: dict[str, bytes] = {}
    ahead = [f"experiments/{name}/{path.relative_to(own).as_posix()}" for path in own.rglob("*.py")]

    def content_of(label: str) -> bytes | None:
        root, _, inside = label.partition("/")
        return (roots[root] / inside).read_bytes() if (roots[root] / inside).is_file() else None

    def follow(target: str) -> None:
        """Adds the file of a dotted name, which is a module, or a name that a module defines or passes on."""
        parts = target.split(".")
        if parts[0] not in roots:
            return
        # Importing a module runs the packages around it; one that only passes names on does nothing to this one.
        for depth in range(1, len(parts)):
            label = "/".join(parts[:depth]) + "/__init__.py"
            if not _only_passes_on(content_of(label) or b""):
                ahead.append(label)
        for depth in (len(parts), len(parts) - 1):
            stem, rest = "/".join(parts[:depth]), parts[depth:]
            for label in (f"{stem}.py", f"{stem}/__init__.py") if depth > 1 else (f"{stem}/__init__.py",):
                content = content_of(label)
                if content is None:
                    continue
                passed = [name for name in _imports(content) if rest and name.endswith("." + rest[0])]
                if passed and label.endswith("/__init__.py"):
                    for name in passed:
                        follow(name)
                else:
                    ahead.append(label)
                return

    while ahead:
        label = ahead.pop()
        content = None if label in found or label.startswith(_BYSTANDERS) else content_of(label)
        if content is not None:
            found[label] = content
            for target in _imports(content):
                follow(target)
    return found


@functools.cache
def _imports(content: bytes) -> tuple[str, ...]:
    """Dotted names: `from a import b` gives a.b, which is a module, or a name of module a."""

    def names() -> Iterator[str]:
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    return tuple(dict.fromkeys(names()))


@functools.cache
def _without_docstrings(content: bytes) -> bytes:
    """The lines of a file that are no docstring's."""
    lines = content.splitlines(keepends=True)
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            said = node.body[0]
            for line in range(said.lineno - 1, said.end_lineno or said.lineno):
                lines[line] = b""
    return b"".join(lines)


@functools.cache
def _only_passes_on(content: bytes) -> bool:
    """Whether a file has only imports, strings and `__all__`."""

    def passes(node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            return [target.id for target in node.targets if isinstance(target, ast.Name)] == ["__all__"]
        return isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )

    return all(passes(node) for node in ast.parse(content).body)
