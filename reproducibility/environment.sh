#!/usr/bin/env bash
# Creates the environment in $VENV from the lock $LOCK with $PYTHON. Called by `make environment` and, for the peers
# of the benchmarks, by `make bench-environment`.
#
# It needs Python 3.11 and pip, nothing else: where the standard `venv` can't install pip into the new environment
# (Debian ships that part as python3.11-venv), the pip at hand installs one from outside.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=${VENV:-.venv}
lock=${LOCK:-reproducibility/requirements.lock}

if [ -z "$python" ] || ! command -v "$python" >/dev/null; then
  echo "attnjax: no Python found. Install Python 3.11 with pip, or name one: make PYTHON=/path/to/python3.11 ..." >&2
  exit 2
fi
found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$found" != 3.11 ]; then
  echo "attnjax: the lock is for Python 3.11, and $python is $found. Name a 3.11 (make PYTHON=/path/to/python3.11 ...)," >&2
  echo "or install without the lock, as the README's section 'Other ways to install' says." >&2
  exit 2
fi

echo "== environment: $venv from $lock (about 1.7 GB, one to three minutes)"
rm -rf "$venv"
if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
  rm -rf "$venv"
  "$python" -m venv --without-pip "$venv"
  "$python" -m pip --python "$venv/bin/python" install --quiet pip
fi
echo '*' > "$venv/.gitignore"
pip=("$venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --progress-bar off --require-hashes --no-deps -r "$lock" \
  | awk '/^Collecting|^Downloading|^Using cached/ { n++; if (n % 25 == 0) print "   " n " steps ..." } /^Successfully/ { print "   installed" }'
"${pip[@]}" install --quiet --no-deps --editable .
"${pip[@]}" check
echo "== environment ready: $venv"
