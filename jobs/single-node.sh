#!/usr/bin/env bash
# One kadanoff run on one node of a SLURM cluster.
#
#   sbatch jobs/single-node.sh                                    (jobs/mehta-schwab.toml)
#   sbatch jobs/single-node.sh my-run.toml runs/my-run            (another run file, another folder)
#
# Submit it from the root of the repository, after a build on the login node (README.md, "Building"). Change the lines below to what your cluster has.

#SBATCH --job-name=kadanoff
#SBATCH --nodes=1
#SBATCH --ntasks=1
# One process; its threads share the chains of the sampling and the shards of the training.
#SBATCH --cpus-per-task=16
# The run file is held against the memory of the job before anything is computed, so a run that needs more is refused in the first second.
#SBATCH --mem=8G
#SBATCH --time=02:00:00
# Five minutes before the end kadanoff is told (SIGUSR1), writes a checkpoint and ends with exit code 75; then this script puts the job back into the queue, and the
# next time it goes on from there. So the time above may be shorter than the run.
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append

set -euo pipefail
# The HDF5 library locks every file that it opens, which fails where the file system has no locks. The files of a run get their names when they are complete and need none.
export HDF5_USE_FILE_LOCKING=${HDF5_USE_FILE_LOCKING:-FALSE}

# Modules of the build, if HDF5 came from one:
# module load hdf5

run_file=${1:-jobs/mehta-schwab.toml}
folder=${2:-runs/$(basename "$run_file" .toml)}
program=${KADANOFF:-target/release/kadanoff}
# Further options of `kadanoff run`, for example KADANOFF_OPTIONS="--checkpoint-every 5m".
read -r -a options <<<"${KADANOFF_OPTIONS:-}"

if [[ ! -x $program ]]; then
  echo "There is no $program: build it first (cargo build --release), or name the binary as KADANOFF=/path/to/kadanoff." >&2
  exit 2
fi

# srun gives the process the cores of the allocation. The results do not depend on how many there are.
# A binary that was built with MPI needs to be told of SLURM's side of it even for one process.
mpi=()
if [[ $(ldd "$program" 2>/dev/null) == *libmpi* ]]; then mpi=(--mpi="${KADANOFF_MPI:-pmix}"); fi
# SLURM says when the job ends from its version 23.02 on; an older one is asked, so that kadanoff stops in time even if a signal gets lost.
if [[ -z ${SLURM_JOB_END_TIME:-} && -n ${SLURM_JOB_ID:-} ]]; then
  SLURM_JOB_END_TIME=$(date -d "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%e)" +%s 2>/dev/null) || SLURM_JOB_END_TIME=''
  export SLURM_JOB_END_TIME
fi
code=0
srun ${mpi[@]+"${mpi[@]}"} --ntasks=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" "$program" run "$run_file" --out "$folder" --threads "${SLURM_CPUS_PER_TASK:-1}" ${options[@]+"${options[@]}"} || code=$?

# The file `stop` in the folder is the wish of a person; all other stops are for the next job to go on from.
if [[ $code == 75 && -n ${SLURM_JOB_ID:-} && $(tail -n 1 "$folder/log.txt") != *"stop"?" was found"* ]]; then
  echo "Stopped with work left: the job goes back into the queue. To end it for good: scancel $SLURM_JOB_ID" >&2
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
