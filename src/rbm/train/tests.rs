use super::*;
use crate::spins::BitMatrix;

fn random_bits(rows: usize, columns: usize, index: u64) -> TrainingData {
    let mut stream = Stream::new(77, Purpose::Check, index);
    let mut matrix = BitMatrix::new(rows, columns);
    for row in 0..rows {
        for column in 0..columns {
            matrix.set(row, column, stream.word() & 1 == 1);
        }
    }
    TrainingData::Binary(matrix)
}

#[test]
fn speed() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let data = random_bits(20000, 1600, 1);
        let held = random_bits(2000, 1600, 2);
        let real = activations_like(400);
        for (data, held, hidden) in [(&data, &held, 400), (&real.0, &real.1, 100)] {
            let mut trainer = Trainer::new(data, held, TrainingOptions::new(hidden, 1, 0), &Alone).unwrap();
            for _ in 0..2 {
                let start = std::time::Instant::now();
                let epoch = trainer.epoch().unwrap();
                eprintln!("{hidden}: {:.3} s {epoch:?}", start.elapsed().as_secs_f64());
            }
        }
    });
}
fn activations_like(units: usize) -> (TrainingData, TrainingData) {
    let mut stream = Stream::new(78, Purpose::Check, 0);
    let mut make = |rows: usize| {
        let values: Vec<f32> = (0..rows * units).map(|_| stream.uniform() as f32).collect();
        TrainingData::Real(crate::rbm::Matrix::from_unpadded(rows, units, &values))
    };
    (make(20000), make(2000))
}
