#!/usr/bin/env bash
# A kadanoff run in three SLURM jobs, each with what its stage needs: sample on many cores, train on few, analyse on one. Each waits for the one before.
#
#   jobs/chain.sh my-run.toml runs/my-run           (not with sbatch: this script calls it)
#
# A kadanoff run is one command that does all stages and goes on where it ended. The three jobs give it in the same folder with --until sampling, --until training, and without;
# each comes back into the queue while work is left. The last one holds all files against their digests (kadanoff check).

set -euo pipefail

run_file=${1:?name the run file: jobs/chain.sh my-run.toml runs/my-run}
folder=${2:-runs/$(basename "$run_file" .toml)}
program=${KADANOFF:-target/release/kadanoff}
# What the three jobs ask for; options of sbatch.
read -r -a sample_options <<<"${SAMPLE_OPTIONS:---cpus-per-task=16 --time=02:00:00}"
read -r -a train_options <<<"${TRAIN_OPTIONS:---cpus-per-task=8 --time=04:00:00}"
read -r -a analyse_options <<<"${ANALYSE_OPTIONS:---cpus-per-task=1 --time=00:30:00}"

if [[ ! -x $program ]]; then
  echo "There is no $program: build it first (cargo build --release), or name the binary as KADANOFF=/path/to/kadanoff." >&2
  exit 2
fi

# A binary that was built with MPI needs to be told of SLURM's side of it even for one process.
mpi=''
if [[ $(ldd "$program" 2>/dev/null) == *libmpi* ]]; then mpi="--mpi=${KADANOFF_MPI:-pmix}"; fi

# submit NAME UNTIL DEPENDENCY OPTIONS... : a job that runs until the stage UNTIL of `kadanoff run --until` is done, and comes back while work is left. Prints its number.
submit() {
  local name=$1 until=$2 dependency=$3
  shift 3
  local after=()
  # As words of the script below, whatever stands in them.
  local command check
  command=$(printf '%q ' "$program" run "$run_file" --out "$folder")
  check=$(printf '%q ' "$program" check "$folder")
  # afterok: only if the job before ended with 0. A job that goes back into the queue has not ended.
  [[ -n $dependency ]] && after=(--dependency="afterok:$dependency" --kill-on-invalid-dep=yes)
  sbatch --parsable --job-name="kadanoff-$name" --nodes=1 --ntasks=1 --signal=USR1@300 --requeue --open-mode=append --output="%x-%j.log" ${after[@]+"${after[@]}"} "$@" <<JOB
#!/usr/bin/env bash
set -euo pipefail
# module load hdf5
# The HDF5 library locks every file that it opens, which fails where the file system has no locks. The files of a run get their names when they are complete and need none.
export HDF5_USE_FILE_LOCKING=\${HDF5_USE_FILE_LOCKING:-FALSE}
threads=\${SLURM_CPUS_PER_TASK:-1}
# SLURM says when the job ends from its version 23.02 on; an older one is asked, so that kadanoff stops in time even if a signal gets lost.
if [[ -z \${SLURM_JOB_END_TIME:-} && -n \${SLURM_JOB_ID:-} ]]; then
  SLURM_JOB_END_TIME=\$(date -d "\$(squeue --noheader --jobs="\$SLURM_JOB_ID" --format=%e)" +%s 2>/dev/null) || SLURM_JOB_END_TIME=''
  export SLURM_JOB_END_TIME
fi
code=0
srun $mpi --ntasks=1 --cpus-per-task="\$threads" --cpu-bind=cores $command --threads "\$threads" --until $until ${KADANOFF_OPTIONS:-} || code=\$?
# The file "stop" in the folder is the wish of a person; all other stops are for the next job to go on from.
if [[ \$code == 75 && \$(tail -n 1 $(printf '%q' "$folder/log.txt")) != *"stop"?" was found"* ]]; then
  scontrol requeue "\$SLURM_JOB_ID"
elif [[ \$code == 0 && $until == renormalization ]]; then
  $check || code=\$?
fi
exit "\$code"
JOB
}

sample=$(submit sample sampling '' "${sample_options[@]}")
train=$(submit train training "$sample" "${train_options[@]}")
analyse=$(submit analyse renormalization "$train" "${analyse_options[@]}")
echo "sampling: job $sample; then training: job $train; then analysis: job $analyse. How far it is: $program status $folder" >&2
echo "$sample $train $analyse"
