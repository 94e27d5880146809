#!/usr/bin/env bash
# Resolves pyproject.toml's bounds to exact versions with hashes: reproducibility/requirements.lock, and
# reproducibility/requirements-bench.lock for the peers of the benchmarks, whose bounds don't agree with the rest's.
# For Python 3.11 on Linux x86-64. Run it by `make lock`, on such a machine, after changing a bound; commit the result.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
[ "$("$python" -c 'import sys, platform; print("%d.%d" % sys.version_info[:2], sys.platform, platform.machine())')" = "3.11 linux x86_64" ] || {
  echo "attnjax: the lock is made on Python 3.11, Linux, x86-64; $python is another." >&2
  exit 2
}
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$python" -m venv "$tools/venv"
"$tools/venv/bin/python" -m pip install --quiet "uv==0.13.9"

resolve() { # resolve LOCK EXTRA...
  local lock=$1 extras=("${@:2}")
  "$tools/venv/bin/uv" pip compile --quiet --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    "${extras[@]/#/--extra=}" --output-file "$tools/lock" pyproject.toml >/dev/null
  {
    echo "# Exact versions with hashes for Python 3.11 on Linux x86-64: extras $(printf '%s, ' "${extras[@]}" | sed 's/, $//')."
    echo "# Made by 'make lock' (reproducibility/lock.sh); do not edit by hand."
    cat "$tools/lock"
  } > "$lock.part"
  rm "$tools/lock"
  if grep -n '://' "$lock.part"; then
    echo "attnjax: an address got into $lock; it was not written." >&2
    exit 1
  fi
  mv "$lock.part" "$lock"
  echo "wrote $lock: $(grep -cE '^[a-z0-9]' "$lock") packages"
}

for lock in ${LOCKS:-requirements requirements-bench}; do
  case $lock in
    requirements) resolve reproducibility/requirements.lock experiments tutorials test ;;
    requirements-bench) resolve reproducibility/requirements-bench.lock bench ;;
    *) echo "attnjax: no lock is called $lock; there are requirements and requirements-bench." >&2; exit 2 ;;
  esac
done
