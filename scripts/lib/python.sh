# shellcheck shell=bash
# The virtual environment of the tests, .cache/venv: h5py, xarray and their kin, so that the files of a run are opened by the libraries people use.
# Sourced by scripts/test after packages.sh; run from the root of the repository. Leaves KADANOFF_PYTHON, the interpreter that has them.
# A script that wants another environment (scripts/peers) says so in these three after it has sourced this file.

python_packages=scripts/lib/python-packages.txt
python_environment=.cache/venv
python_modules='h5py, h5netcdf, matplotlib, netCDF4, numpy, xarray'

# A Python from 3.9 on that can make virtual environments. Each candidate is tried, because a python3 that comes first on the PATH may be too old for the
# packages or lack venv (on Debian a package of its own) while another one has it.
python_candidates() {
  local name path
  for name in "${KADANOFF_BASE_PYTHON:-}" python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.10 python3.9; do
    [[ -n $name ]] || continue
    path=$(command -v "$name") || continue
    if "$path" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
      printf '%s\n' "$path"
    fi
  done
}

have_python() { [[ -n $(python_candidates) ]]; }

environment_is_complete() {
  [[ -x $python_environment/bin/python ]] && cmp -s "$python_packages" "$python_environment/complete" && "$python_environment/bin/python" -c '' 2>/dev/null
}

build_environment() {
  local candidate=$1 attempt
  rm -rf "$python_environment"
  mkdir -p "$(dirname "$python_environment")"
  "$candidate" -m venv "$python_environment" >&2 || return 1
  for attempt in 1 2; do
    if "$python_environment/bin/python" -m pip install --quiet --only-binary :all: -r "$python_packages" >&2 &&
      "$python_environment/bin/python" -c "import $python_modules"; then
      cp "$python_packages" "$python_environment/complete"
      return 0
    fi
    say "Installing the Python packages failed (attempt $attempt of 2)."
    sleep 2
  done
  return 1
}

# Makes the environment if it is not there and exports KADANOFF_PYTHON; fails with a sentence if no Python can.
need_python_environment() {
  local candidate
  if ! environment_is_complete; then
    need python
    while read -r candidate; do
      say "Making the Python environment $python_environment with $candidate ..."
      build_environment "$candidate" </dev/null && break
    done < <(python_candidates)
    if ! environment_is_complete; then
      say "No Python of this machine could install the packages of $python_packages."
      say "Name another one as KADANOFF_BASE_PYTHON=/path/to/python3 (3.9 or later, with venv and pip), and run the same command again."
      exit 1
    fi
  fi
  KADANOFF_PYTHON=$PWD/$python_environment/bin/python
  export KADANOFF_PYTHON
}
