//! The scripts of `jobs/` on a real SLURM: slurmctld and two slurmd on the loopback interface, started here and ended here, by their process numbers. Where there is no SLURM
//! (Debian: slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge) or this is not root, the test says so and does nothing.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, outcome, succeed};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// With 100000 sweeps some seconds of sampling on one core: enough for twice as many stops as are wanted, on the quickest machine so far.
const JOB: &str = r#"
seed = 17

[lattice]
sizes = [24, 32]

[sample]
couplings = [0.42, 0.44]
algorithm = "swendsen-wang"
replicas = 4
thermalization = 200
sweeps = SWEEPS
measure_every = 10
configurations = 400

[train]
size = 24
coupling = 0.44
layers = [32, 8]
epochs = 40
minibatch = 20
held_out = 40

[renormalize]
mapping = false
likelihood = false

[report]
figures = false
"#;

/// The daemons; dropping it ends them.
struct Cluster {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command("scancel").arg("--user=root").output();
        std::thread::sleep(Duration::from_millis(300));
        // Ours alone, by their numbers; the nodes before the controller, the controller before munge.
        for daemon in self.daemons.iter_mut().rev() {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let begun = Instant::now();
            while daemon.try_wait().is_ok_and(|ended| ended.is_none()) {
                if begun.elapsed() > Duration::from_secs(5) {
                    let _ = daemon.kill();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
}

/// A free port of the loopback interface.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    /// Two nodes of two cores; `None`, with a line that says why, where that cannot be.
    fn start() -> Option<Self> {
        let missing: Vec<&str> =
            ["slurmctld", "slurmd", "munged", "sbatch", "srun"].into_iter().filter(|name| program(name).is_none()).collect();
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
        if !missing.is_empty() || !is_root {
            println!("SKIPPED: no SLURM can be started here (missing: {}; root: {is_root})", missing.join(" "));
            return None;
        }
        let folder = tempfile::Builder::new().prefix("kadanoff-slurm-").tempdir().unwrap();
        let place = folder.path().to_path_buf();
        // munge wants folders that only their owner may write to.
        Command::new("chmod").arg("755").arg(&place).status().unwrap();
        let mut key = Vec::new();
        let mut word = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        while key.len() < 128 {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            key.push((word >> 33) as u8);
        }
        std::fs::write(place.join("key"), key).unwrap();
        Command::new("chmod").arg("600").arg(place.join("key")).status().unwrap();
        let text = |path: PathBuf| path.display().to_string();
        let mut cluster = Cluster { folder, daemons: Vec::new() };
        let mut munged = Command::new(program("munged").unwrap());
        munged.args(["--foreground", "--force", "--num-threads=2"]);
        for (option, file) in [
            ("socket", "munge.sock"),
            ("key-file", "key"),
            ("pid-file", "munged.pid"),
            ("log-file", "munged.log"),
            ("seed-file", "munged.seed"),
        ] {
            munged.arg(format!("--{option}={}", text(place.join(file))));
        }
        cluster.daemon(&mut munged, "munged");
        let host = String::from_utf8(Command::new("hostname").output().unwrap().stdout).unwrap().trim().to_string();
        let plugins = ["/usr/lib/x86_64-linux-gnu/slurm-wlm", "/usr/lib/aarch64-linux-gnu/slurm-wlm", "/usr/lib64/slurm"];
        let plugins = plugins.into_iter().find(|folder| Path::new(folder).exists()).unwrap_or("/usr/lib/slurm");
        let d = text(place.clone());
        let mut conf = String::new();
        writeln!(
            conf,
            "ClusterName=kadanoff\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={}\nSlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\nCredType=cred/munge\n\
             AuthInfo=socket={d}/munge.sock,cred_expire=5\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSwitchType=switch/none\nMpiDefault=none\nPluginDir={plugins}\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\nSlurmdParameters=config_overrides\nReturnToService=2\nKillWait=5\n\
             SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2\nAccountingStorageType=accounting_storage/none\nMinJobAge=3600\nSlurmctldParameters=enable_configless\n\
             StateSaveLocation={d}/state\nSlurmctldPidFile={d}/slurmctld.pid\nSlurmctldLogFile={d}/slurmctld.log\nSlurmdSpoolDir={d}/spool-%n\nSlurmdPidFile={d}/slurmd-%n.pid\n\
             SlurmdLogFile={d}/slurmd-%n.log\nTmpFS={d}/tmp-%n",
            port()
        )
        .unwrap();
        for node in ["n1", "n2"] {
            writeln!(conf, "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={} CPUs=2 RealMemory=2000 State=UNKNOWN", port())
                .unwrap();
        }
        conf.push_str("PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP\n");
        // Each node has folders of its own: PMIx leaves sockets there, named by job and step alone.
        ["state", "tmp-n1", "tmp-n2", "spool-n1", "spool-n2"].iter().for_each(|name| std::fs::create_dir(place.join(name)).unwrap());
        std::fs::write(place.join("slurm.conf"), conf.replace("SlurmctldParameters=enable_configless\n", "")).unwrap();
        let begun = Instant::now();
        while !place.join("munge.sock").exists() {
            assert!(begun.elapsed() < Duration::from_secs(10), "munged does not start: {}", cluster.log("munged"));
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut controller = Command::new(program("slurmctld").unwrap());
        cluster.daemon(controller.args(["-D", "-f"]).arg(place.join("slurm.conf")), "slurmctld");
        for node in ["n1", "n2"] {
            let mut daemon = Command::new(program("slurmd").unwrap());
            cluster.daemon(daemon.args(["-D", "-N", node, "-f"]).arg(place.join("slurm.conf")), &format!("slurmd-{node}"));
        }
        while cluster.ask("sinfo", &["--noheader", "--states=idle", "--format=%D"]).trim() != "2" {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "no two idle nodes: {}\n{}",
                cluster.log("slurmctld"),
                cluster.log("slurmd-n1")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(cluster)
    }

    fn place(&self) -> &Path {
        self.folder.path()
    }

    fn daemon(&mut self, command: &mut Command, name: &str) {
        let output = std::fs::File::create(self.place().join(format!("{name}.out"))).unwrap();
        let errors = output.try_clone().unwrap();
        self.daemons.push(command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().unwrap());
    }

    fn log(&self, name: &str) -> String {
        ["log", "out"].iter().map(|kind| std::fs::read_to_string(self.place().join(format!("{name}.{kind}"))).unwrap_or_default()).collect()
    }

    /// A command of SLURM that speaks to this cluster and no other, from the root of the repository.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env("SLURM_CONF", self.place().join("slurm.conf"))
            .env("KADANOFF", env!("CARGO_BIN_EXE_kadanoff"))
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        // Between the two "nodes" of one machine, Open MPI must not try shared memory.
        for (name, value) in [
            ("OMPI_MCA_pml", "ob1"),
            ("OMPI_MCA_btl", "self,tcp"),
            ("OMPI_MCA_btl_tcp_if_include", "lo"),
            ("OMPI_MCA_mpi_yield_when_idle", "1"),
        ] {
            command.env(name, value);
        }
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1").stdin(Stdio::null());
        command
    }

    fn ask(&self, name: &str, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&self.command(name).args(arguments).output().unwrap().stdout).into_owned()
    }

    /// Submits and returns the number of the job.
    fn submit(&self, options: &[&str], script: &str, arguments: &[&Path], settings: &[(&str, &str)]) -> String {
        let mut command = self.command("sbatch");
        command.arg("--parsable").arg(format!("--output={}/%x-%j.log", self.place().display())).args(options).arg(script).args(arguments);
        let output = succeed(command.envs(settings.iter().copied()));
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    }

    fn about(&self, job: &str) -> String {
        self.ask("scontrol", &["show", "job", job])
    }

    /// Waits until a job (all tasks of an array) has ended; what SLURM says of it then.
    fn wait(&self, job: &str, patience: Duration) -> String {
        let begun = Instant::now();
        loop {
            let about = self.about(job);
            if !["PENDING", "RUNNING", "COMPLETING", "REQUEUE", "CONFIGURING", "STAGE", "SIGNALING"]
                .iter()
                .any(|state| about.contains(&format!("JobState={state}")))
            {
                return about;
            }
            assert!(begun.elapsed() < patience, "job {job} does not end: {about}\n{}\n{}", self.log("slurmctld"), self.outputs());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What all jobs have said.
    fn outputs(&self) -> String {
        let logs = std::fs::read_dir(self.place())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.display().to_string().contains("kadanoff-slurm-") && path.extension().is_some_and(|kind| kind == "log"));
        logs.map(|path| format!("== {}\n{}\n", path.display(), std::fs::read_to_string(&path).unwrap_or_default())).collect()
    }
}

fn field<'a>(about: &'a str, name: &str) -> &'a str {
    about.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

#[test]
fn every_script_of_jobs_on_a_real_slurm() {
    let Some(cluster) = Cluster::start() else { return };
    let place = cluster.place();
    let write = |name: &str, sweeps: &str| {
        let path = place.join(name);
        std::fs::write(&path, JOB.replace("SWEEPS", sweeps)).unwrap();
        path
    };
    let (long, short) = (write("long.toml", "100000"), write("short.toml", "2000"));
    let patience = Duration::from_secs(200);

    let (nodes, kind) = if cfg!(feature = "mpi") { ("--nodes=2", "pmix") } else { ("--nodes=1", "none") };

    // Undisturbed, outside SLURM.
    let whole = place.join("whole");
    succeed(kadanoff().arg("run").arg(&long).arg("--out").arg(&whole).args(["--threads", "2"]));

    // An array over seeds and the three jobs of a chain, while the long one comes and goes.
    let array = cluster.submit(&["--array=3-4", "--cpus-per-task=1", "--mem=0"], "jobs/array.sh", &[&short, Path::new("seed"), place], &[]);
    let chained = place.join("chained");
    let one_core = "--cpus-per-task=1 --mem=0 --time=10";
    let mut chain = cluster.command("jobs/chain.sh");
    let output =
        chain.arg(&short).arg(&chained).envs([("SAMPLE_OPTIONS", one_core), ("TRAIN_OPTIONS", one_core), ("ANALYSE_OPTIONS", one_core)]);
    let output = succeed(output.env("SBATCH_OUTPUT", format!("{}/%x-%j.log", place.display())));
    let chain: Vec<String> = String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_string).collect();
    assert_eq!(chain.len(), 3);
    assert!(cluster.about(&chain[2]).contains(&format!("Dependency=afterok:{}", chain[1])), "{}", cluster.about(&chain[2]));

    // One minute is all that SLURM gives this one, and it is told so in SLURM_JOB_END_TIME alone, by SLURM or by the script: what the signal of the script's own would have said comes too late to be of use.
    let (endless, announced) = (write("endless.toml", "100000000"), place.join("announced"));
    let limited = ["--cpus-per-task=1", "--mem=0", "--time=1", "--signal=CONT@1"];
    let ends = cluster.submit(&limited, "jobs/single-node.sh", &[&endless, &announced], &[("SLURM_MPI_TYPE", kind)]);

    // Two stops and requeues, the second time on one node; with MPI a rank a node, otherwise one process where SLURM puts it.
    let requeued = place.join("requeued");
    let settings = [("KADANOFF_OPTIONS", "--stop-after 900ms --checkpoint-every 200ms"), ("KADANOFF_MPI", kind)];
    let options = [nodes, "--ntasks-per-node=1", "--cpus-per-task=1", "--mem=0"];
    let job = cluster.submit(&options, "jobs/many-node.sh", &[&long, &requeued], &settings);
    let begun = Instant::now();
    let mut changed = false;
    let about = loop {
        let about = cluster.about(&job);
        if !changed && field(&about, "JobState") == "PENDING" && field(&about, "Restarts") == "1" {
            changed = true;
            if cfg!(feature = "mpi") {
                let update =
                    cluster.command("scontrol").args(["update", &format!("JobId={job}"), "NumNodes=1", "NumTasks=1"]).output().unwrap();
                assert!(update.status.success(), "{}", String::from_utf8_lossy(&update.stderr));
            }
        }
        if ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"].contains(&field(&about, "JobState")) {
            break about;
        }
        assert!(begun.elapsed() < patience, "{about}\n{}\n{}", cluster.log("slurmctld"), cluster.outputs());
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(field(&about, "JobState"), "COMPLETED", "{about}\n{}", cluster.outputs());
    assert!(field(&about, "Restarts").parse::<u32>().unwrap() >= 2 && changed, "{about}\n{}", cluster.outputs());
    assert!(outcome(&requeued) == outcome(&whole), "requeues changed the result");
    let submissions = kadanoff::store::read_run(&requeued).unwrap().provenance.submissions;
    assert!(submissions.len() >= 3 && submissions.iter().all(|one| one.slurm_job == job), "{submissions:?}");
    let ranks: Vec<usize> = submissions.iter().map(|one| one.ranks).collect();
    assert_eq!(
        (ranks[0], ranks[ranks.len() - 1]),
        (if cfg!(feature = "mpi") { 2 } else { 1 }, 1),
        "{ranks:?} {about} {}",
        cluster.log("slurmctld")
    );

    let about = cluster.wait(&array, patience);
    assert_eq!(about.matches("JobState=COMPLETED").count(), 2, "{about}\n{}", cluster.outputs());
    for seed in [3, 4] {
        let folder = place.join(format!("short-seed-{seed}"));
        assert_eq!(kadanoff::store::read_run(&folder).unwrap().provenance.seed, seed);
    }
    for job in &chain {
        let about = cluster.wait(job, patience);
        assert_eq!(field(&about, "JobState"), "COMPLETED", "{about}\n{}", cluster.outputs());
    }
    let run = kadanoff::store::read_run(&chained).unwrap();
    let jobs: Vec<&str> = run.provenance.submissions.iter().map(|one| one.slurm_job.as_str()).collect();
    assert_eq!(jobs, chain, "each stage in a job of its own");
    let direct = place.join("direct");
    succeed(kadanoff().arg("run").arg(&short).arg("--out").arg(&direct));
    assert!(outcome(&chained) == outcome(&direct), "a chain changed the result");

    // Row 22: several tasks that do not know of each other would each do the whole run; they are refused before they touch anything.
    let alone = place.join("alone");
    let mut srun = cluster.command("srun");
    srun.args(["--mpi=none", "--ntasks=2", "--nodes=1", "--mem=0"])
        .arg(env!("CARGO_BIN_EXE_kadanoff"))
        .arg("run")
        .arg(&short)
        .arg("--out")
        .arg(&alone);
    let refused = srun.output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    // Open MPI has words of its own for a launcher that does not speak to it.
    let expected = if cfg!(feature = "mpi") { "srun" } else { "2 copies of kadanoff were started" };
    assert!(!refused.status.success() && words.contains(expected), "{words}");
    assert!(!alone.exists());

    // The announced end: stopped in time, exit code 75, back into the queue.
    let begun = Instant::now();
    let stops = || std::fs::read_to_string(announced.join("log.txt")).unwrap_or_default();
    let restarts = || field(&cluster.about(&ends), "Restarts").parse::<u32>().unwrap_or(0);
    while !stops().contains("stopped because the end of the SLURM job is near") || restarts() == 0 {
        assert!(begun.elapsed() < patience, "{}\n{}\n{}", stops(), cluster.about(&ends), cluster.outputs());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(!cluster.ask("scancel", &[&ends]).contains("error"));
    cluster.wait(&ends, patience);
    succeed(kadanoff().arg("check").arg(&announced));

    if std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1") {
        // The time limit: SIGTERM to every task, SIGKILL five seconds later. The job knows no end of its own here, so that the signal is what stops it.
        let killed = place.join("killed");
        let wrapper = place.join("unaware");
        std::fs::write(&wrapper, format!("#!/bin/sh\nunset SLURM_JOB_END_TIME\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_kadanoff"))).unwrap();
        Command::new("chmod").arg("755").arg(&wrapper).status().unwrap();
        let options = ["--cpus-per-task=1", "--mem=0", "--time=1", "--signal=CONT@1", "--no-requeue"];
        let job = cluster.submit(
            &options,
            "jobs/single-node.sh",
            &[&endless, &killed],
            &[("KADANOFF", wrapper.to_str().unwrap()), ("SLURM_MPI_TYPE", kind)],
        );
        let about = cluster.wait(&job, Duration::from_secs(180));
        assert_eq!(field(&about, "JobState"), "TIMEOUT", "{about}\n{}", cluster.outputs());
        assert!(killed.join("checkpoint/state").is_file(), "{}", cluster.outputs());
        succeed(kadanoff().arg("check").arg(&killed));
        let status = succeed(kadanoff().arg("status").arg(&killed).arg("--json"));
        assert!(String::from_utf8_lossy(&status.stdout).contains("\"stopped\""), "{}", String::from_utf8_lossy(&status.stdout));
    }
}
