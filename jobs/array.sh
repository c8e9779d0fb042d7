#!/usr/bin/env bash
# Many kadanoff runs that differ in one number: a SLURM job array over seeds, or over sizes.
#
#   sbatch --array=1-20 jobs/array.sh my-run.toml seed                 (seed = 1 ... 20)
#   sbatch --array=64,128,256 jobs/array.sh my-run.toml size           (sizes = [64], sizes = [128], sizes = [256]; a cluster takes indices up to its MaxArraySize, 1000 unless it was
#                                                                       changed: `scontrol show config | grep MaxArraySize`; larger sides by jobs of their own)
#   sbatch --array=1-1000%50 jobs/array.sh my-run.toml seed            (at most fifty at a time)
#
# Each task gets a folder and a run file of its own, runs/NAME-seed-7, and goes back into the queue by itself while work is left.

#SBATCH --job-name=kadanoff-array
#SBATCH --array=1-4
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=02:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --output=%x-%A-%a.log
#SBATCH --open-mode=append

set -euo pipefail
# The HDF5 library locks every file that it opens, which fails where the file system has no locks. The files of a run get their names when they are complete and need none.
export HDF5_USE_FILE_LOCKING=${HDF5_USE_FILE_LOCKING:-FALSE}

# module load hdf5

template=${1:-jobs/quickstart.toml}
what=${2:-seed}
runs=${3:-runs}
number=${SLURM_ARRAY_TASK_ID:?this script is a task of an array: sbatch --array=1-4 $0}
program=${KADANOFF:-target/release/kadanoff}
read -r -a options <<<"${KADANOFF_OPTIONS:-}"

if [[ ! -x $program ]]; then
  echo "There is no $program: build it first (cargo build --release), or name the binary as KADANOFF=/path/to/kadanoff." >&2
  exit 2
fi

# The run file of this task: the template with one line changed. A line that is not there is a mistake, not a default.
case $what in
  seed) key=seed pattern='^seed *=' line="seed = $number" ;;
  size) key=sizes pattern='^sizes *= *\[[^]]*\]' line="sizes = [$number]" ;;
  *)
    echo "An array is over seed or size, not over $what." >&2
    exit 2
    ;;
esac
if ! grep -q "$pattern" "$template"; then
  echo "$template has no line \`$key = ...\` on which the whole value stands." >&2
  exit 2
fi
# A file counts from the folder of the run file, which will be another one.
if grep -Eq 'file *= *"[^/]' "$template"; then
  echo "$template names a file that counts from its own folder: write the whole path, from / on." >&2
  exit 2
fi
folder=$runs/$(basename "$template" .toml)-$what-$number
mkdir -p "$runs"
# Beside the folder, which kadanoff makes itself; written whole and then renamed, since a requeued task may find a job of its own still there.
sed "s/$pattern.*/$line/" "$template" >"$folder.toml.$$"
mv "$folder.toml.$$" "$folder.toml"

threads=${SLURM_CPUS_PER_TASK:-1}
# A binary that was built with MPI needs to be told of SLURM's side of it even for one process.
mpi=()
if [[ $(ldd "$program" 2>/dev/null) == *libmpi* ]]; then mpi=(--mpi="${KADANOFF_MPI:-pmix}"); fi
# SLURM says when the job ends from its version 23.02 on; an older one is asked, so that kadanoff stops in time even if a signal gets lost.
if [[ -z ${SLURM_JOB_END_TIME:-} && -n ${SLURM_JOB_ID:-} ]]; then
  SLURM_JOB_END_TIME=$(date -d "$(squeue --noheader --jobs="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" --format=%e)" +%s 2>/dev/null) || SLURM_JOB_END_TIME=''
  export SLURM_JOB_END_TIME
fi
code=0
srun ${mpi[@]+"${mpi[@]}"} --ntasks=1 --cpus-per-task="$threads" --cpu-bind=cores "$program" run "$folder.toml" --out "$folder" --threads "$threads" ${options[@]+"${options[@]}"} || code=$?

# The file `stop` in the folder is the wish of a person; all other stops are for the next job to go on from.
if [[ $code == 75 && $(tail -n 1 "$folder/log.txt") != *"stop"?" was found"* ]]; then
  echo "Stopped with work left: task $number goes back into the queue." >&2
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$number"
fi
exit "$code"
