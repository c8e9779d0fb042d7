# shellcheck shell=bash
# What the scripts need of the system, and how to get it. Sourced by scripts/run and scripts/test; run from the root of the repository.
#
# Every need is a test of a capability ("an HDF5 to link with"), not of a package's name: what a module or a colleague has installed counts as well.
# Nothing is installed that is already there. Debian and Ubuntu packages are installed when this may be done without a question (root, or sudo that
# asks no password); otherwise the lines to type are printed and the script stops.

say() { printf '%s\n' "$*" >&2; }

# The library folder of Debian's serial HDF5, which has the usual layout (include, lib) of an HDF5 installation.
debian_serial_hdf5() { printf '/usr/lib/%s-linux-gnu/hdf5/serial' "$(uname -m)"; }

# Where Debian has a serial and a parallel HDF5 side by side, pkg-config may name the parallel one, which this program does not use: name the serial one.
# Elsewhere HDF5_DIR is left alone, because the HDF5 bindings are compiled anew whenever it changes (also between these scripts and a plain cargo).
pin_hdf5() {
  local folder
  folder=$(debian_serial_hdf5)
  if [[ -z ${HDF5_DIR:-} && -e $folder/include/hdf5.h && -e $folder/libhdf5_hl.so ]]; then
    if [[ -e $folder/../openmpi || -e $folder/../mpich ]] || ! command -v pkg-config >/dev/null; then
      export HDF5_DIR=$folder
    fi
  fi
}

# A Rust installed by rustup is found even if this shell was opened before.
find_cargo() {
  if ! command -v cargo >/dev/null && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
    export PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
  fi
  if ! command -v cargo >/dev/null; then
    say "There is no Rust toolchain (cargo is not on the PATH). Install Rust 1.95 or later for this account, without root, as https://rustup.rs says, and try again."
    exit 1
  fi
}

have_compiler() { command -v "${CC:-cc}" >/dev/null && printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | "${CC:-cc}" -x c - -o /dev/null 2>/dev/null; }

have_hdf5() {
  pin_hdf5
  if [[ -n ${HDF5_DIR:-} ]]; then
    [[ -e $HDF5_DIR/include/hdf5.h ]]
  else
    command -v pkg-config >/dev/null && pkg-config --exists hdf5
  fi
}

have_mpi() { command -v "${MPICC:-mpicc}" >/dev/null && command -v mpirun >/dev/null; }

# The MPI bindings are generated with libclang and the headers that come with it. (libclang-cpp.so, which Debian installs without it, is another library.)
have_libclang() {
  local library
  [[ -n ${LIBCLANG_PATH:-} ]] && return 0
  for library in {/usr/lib/llvm-*/lib,/usr/lib64,/usr/lib64/llvm*/lib,/usr/lib/"$(uname -m)"-linux-gnu,/usr/lib}/libclang{,-[0-9]*}.so*; do
    [[ -e $library ]] && return 0
  done
  return 1
}

# The features a build can have here, as arguments for cargo.
build_features() {
  if have_mpi && have_libclang; then
    printf -- '--features mpi'
  elif have_mpi; then
    say "There is an mpicc but no libclang, which the MPI bindings are generated with: building without MPI. (Debian: libclang-dev, Fedora: clang-devel.)"
  fi
}

# What the tests of jobs/ start on the loopback interface; they skip themselves with a line where it is missing.
have_slurm() {
  local name
  for name in slurmctld slurmd munged; do
    command -v "$name" >/dev/null || [[ -x /usr/sbin/$name ]] || return 1
  done
  command -v sbatch >/dev/null
}

# SLURM is wanted, not needed: nothing stops where it cannot be installed.
want_slurm() {
  have_slurm && return 0
  if [[ $(id -u) == 0 ]] && may_install; then
    install_packages slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge || true
  fi
  have_slurm || say "There is no SLURM here and none can be installed: the scripts of jobs/ are not run by these tests. (Debian, as root: slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge.)"
}

# GNU Octave and h5dump open the files of a run in the tests, which skip that part with a line where they are missing.
have_octave() { command -v octave-cli >/dev/null && command -v h5dump >/dev/null; }

want_octave() {
  have_octave && return 0
  if [[ $(id -u) == 0 ]] && may_install; then
    install_packages octave hdf5-tools || true
  fi
  have_octave || say "There is no GNU Octave or no h5dump here and none can be installed: the files of a run are not opened with them by these tests. (Debian, as root: octave hdf5-tools.)"
}

may_install() { command -v apt-get >/dev/null && { [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null; }; }

apt() {
  local command=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@")
  if [[ $(id -u) == 0 ]]; then "${command[@]}"; else sudo -n "${command[@]}"; fi
}

# install_packages PACKAGE... : with apt; one retry, for mirrors and locks that fail once.
install_packages() {
  local attempt
  for attempt in 1 2; do
    say "Installing $* (attempt $attempt of 2) ..."
    apt update >&2 || say "apt-get update failed; trying with the package lists that are there."
    if apt install -y --no-install-recommends "$@" >&2; then
      return 0
    fi
    sleep 5
  done
  return 1
}

# explain WHAT... : the lines a person has to type, for each kind of system.
explain() {
  local what apt_names='' dnf_names='' modules=''
  for what in "$@"; do
    case $what in
      compiler) apt_names+=' gcc libc6-dev' dnf_names+=' gcc' modules+=' gcc' ;;
      hdf5) apt_names+=' libhdf5-dev pkg-config' dnf_names+=' hdf5-devel pkgconf-pkg-config' modules+=' hdf5' ;;
      mpi) apt_names+=' libopenmpi-dev openmpi-bin' dnf_names+=' openmpi-devel' modules+=' openmpi' ;;
      libclang) apt_names+=' clang libclang-dev' dnf_names+=' clang clang-devel' modules+=' llvm' ;;
      python) apt_names+=' python3 python3-venv' dnf_names+=' python3 python3-pip' modules+=' python' ;;
    esac
  done
  say "Missing on this machine: $*."
  say "  Debian, Ubuntu:   sudo apt-get update && sudo apt-get install -y$apt_names"
  say "  Fedora, RHEL:     sudo dnf install -y$dnf_names"
  [[ $dnf_names == *openmpi* ]] && say "                    module load mpi/openmpi-x86_64"
  say "  Cluster modules:  module load$modules      (names differ: module avail, module spider hdf5)"
  [[ $modules == *hdf5* ]] && say "                    export HDF5_DIR=...      (the folder of that HDF5 which holds include/ and lib/, if pkg-config does not find it)"
  say "Then run the same command again."
}

# need WHAT... : makes sure that each capability is there, or stops with the lines to type. WHAT: compiler, hdf5, mpi, libclang, python.
need() {
  local what missing=() packages=()
  for what in "$@"; do
    "have_$what" && continue
    missing+=("$what")
    case $what in
      compiler) packages+=(gcc libc6-dev) ;;
      hdf5) packages+=(libhdf5-dev pkg-config) ;;
      mpi) packages+=(libopenmpi-dev openmpi-bin) ;;
      libclang) packages+=(clang libclang-dev) ;;
      python) packages+=(python3 python3-venv) ;;
    esac
  done
  [[ ${#missing[@]} == 0 ]] && return 0
  if [[ " ${missing[*]} " == *" hdf5 "* && -n ${HDF5_DIR:-} ]]; then
    say "HDF5_DIR is $HDF5_DIR, but there is no include/hdf5.h below it: correct it or unset it, and run the same command again."
    exit 1
  fi
  if may_install; then
    install_packages "${packages[@]}" || say "apt-get could not install them."
  fi
  local still=()
  for what in "${missing[@]}"; do
    "have_$what" || still+=("$what")
  done
  if [[ ${#still[@]} != 0 ]]; then
    explain "${still[@]}"
    exit 1
  fi
}
