#!/usr/bin/env bash
# One kadanoff run on several nodes of a SLURM cluster, with MPI.
#
#   sbatch jobs/many-node.sh                                      (jobs/finite-size-scaling.toml)
#   sbatch jobs/many-node.sh my-run.toml runs/my-run              (another run file, another folder)
#   sbatch --nodes=8 jobs/many-node.sh my-run.toml runs/my-run    (what is said to sbatch counts more than the lines below)
#
# Submit it from the root of the repository, after a build with MPI on the login node: cargo build --release --features mpi (README.md, "Building").
# `kadanoff estimate my-run.toml --ranks 8 --threads 16` says how long it will take and what the ranks send to each other.

#SBATCH --job-name=kadanoff
# One rank a node, or one a socket (then --ntasks-per-node=2 and half the cores each): threads share memory, ranks do not. The results do not depend on how many
# there are, bit for bit, so a job may be requeued on another number of nodes.
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=8G
#SBATCH --time=02:00:00
# Five minutes before the end every rank gets SIGUSR1 (no "B:" before it, or only this shell would get it); all ranks stop together with a checkpoint and exit code 75.
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append

set -euo pipefail
# The HDF5 library locks every file that it opens, which fails where the file system has no locks. The files of a run get their names when they are complete and need none.
export HDF5_USE_FILE_LOCKING=${HDF5_USE_FILE_LOCKING:-FALSE}

# Modules of the build:
# module load openmpi hdf5

run_file=${1:-jobs/finite-size-scaling.toml}
folder=${2:-runs/$(basename "$run_file" .toml)}
program=${KADANOFF:-target/release/kadanoff}
# Further options of `kadanoff run`, for example KADANOFF_OPTIONS="--checkpoint-every 5m".
read -r -a options <<<"${KADANOFF_OPTIONS:-}"

if [[ ! -x $program ]]; then
  echo "There is no $program: build it first (cargo build --release --features mpi), or name the binary as KADANOFF=/path/to/kadanoff." >&2
  exit 2
fi

threads=${SLURM_CPUS_PER_TASK:-1}
# Counted anew each time, since a requeued job may have other nodes than the one that was submitted.
ranks=$((${SLURM_JOB_NUM_NODES:-1} * ${SLURM_NTASKS_PER_NODE:-1}))
# --mpi must be a kind that your MPI was built with (srun --mpi=list); with the wrong one every process believes that it is alone, and kadanoff refuses to begin.
# --cpu-bind=cores gives each rank its own cores. --kill-on-bad-exit ends all ranks when one is killed.
# SLURM says when the job ends from its version 23.02 on; an older one is asked, so that kadanoff stops in time even if a signal gets lost.
if [[ -z ${SLURM_JOB_END_TIME:-} && -n ${SLURM_JOB_ID:-} ]]; then
  SLURM_JOB_END_TIME=$(date -d "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%e)" +%s 2>/dev/null) || SLURM_JOB_END_TIME=''
  export SLURM_JOB_END_TIME
fi
code=0
srun --mpi="${KADANOFF_MPI:-pmix}" --nodes="${SLURM_JOB_NUM_NODES:-1}" --ntasks="$ranks" --cpus-per-task="$threads" --cpu-bind=cores --kill-on-bad-exit=1 \
  "$program" run "$run_file" --out "$folder" --threads "$threads" ${options[@]+"${options[@]}"} || code=$?

# The file `stop` in the folder is the wish of a person; all other stops are for the next job to go on from.
if [[ $code == 75 && -n ${SLURM_JOB_ID:-} && $(tail -n 1 "$folder/log.txt") != *"stop"?" was found"* ]]; then
  echo "Stopped with work left: the job goes back into the queue. To end it for good: scancel $SLURM_JOB_ID" >&2
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
