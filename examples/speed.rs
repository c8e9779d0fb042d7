use kadanoff::kernels::InstructionSet;
use kadanoff::lattice::SquareTorus;
use kadanoff::sampler::{Sampler, Start, SwendsenWang};
fn cpu() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let set = InstructionSet::available().into_iter().find(|s| s.name() == args[1]).unwrap();
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| {
        for side in args[2..].iter().map(|s| s.parse::<usize>().unwrap()) {
            let k = 0.5 * 2f64.sqrt().ln_1p();
            let mut s = SwendsenWang::with_instruction_set(set, SquareTorus::new(side).unwrap(), k, Start::Cold, 1, 0).unwrap();
            let n = (side * side) as f64;
            for _ in 0..((3e6 / n) as usize).clamp(30, 3000) {
                s.sweep();
            }
            let (mut best, mut e, mut c) = (1e9f64, 0.0, 0.0);
            for _ in 0..12 {
                let reps = (2e7 / n).ceil() as usize;
                let t = cpu();
                for _ in 0..reps {
                    s.sweep();
                }
                best = best.min((cpu() - t) * 1e9 / (reps as f64 * n));
                e += s.measure().energy as f64 / n;
                c += 1.0;
            }
            println!("{} {side}: {best:.3} ns/site  e {:.4}", set, e / c);
        }
    });
}
