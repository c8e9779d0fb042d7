//! Width and height of the figures in logical pixels, for those who draw them and for those who must know beforehand what drawing will take.

/// A width and a height.
pub type Size = [f64; 2];

/// Series of an ensemble.
pub const SERIES: Size = [920.0, 430.0];
/// Histograms of an ensemble, where no series are kept.
pub const HISTOGRAMS: Size = [920.0, 330.0];
/// Observables against the coupling.
pub const OBSERVABLES: Size = [960.0, 592.0];
/// Exchange of replicas.
pub const TEMPERING: Size = [760.0, 300.0];
/// The two-point function.
pub const TWO_POINT: Size = [620.0, 400.0];
/// Relaxation times against the size.
pub const RELAXATION: Size = [560.0, 380.0];
/// Features against the coupling of several sizes, and against the size.
pub const SCALING: Size = [960.0, 592.0];
/// The curves of training.
pub const TRAINING: Size = [932.0, 590.0];
/// The receptive fields of a layer where they fill the page, with a scale beside them.
pub const RECEPTIVE_FIELDS: Size = [920.0, 870.0];
/// The centres of two layers of receptive fields.
pub const CENTRES: Size = [950.0, 350.0];
/// Penalties and the share of local units.
pub const LOCALITY: Size = [920.0, 372.0];
/// Spins that come back from each layer.
pub const RECONSTRUCTION: Size = [920.0, 372.0];
/// Six configurations with what comes back of them from two layers.
pub const EXAMPLES: Size = [900.0, 500.0];
/// Chains of the machine.
pub const LIKELIHOOD: Size = [932.0, 372.0];
/// Monte Carlo renormalization beside exact values.
pub const STANDARDS: Size = [900.0, 330.0];
/// Couplings of machines and block spins.
pub const COMPARISON: Size = [900.0, 330.0];
/// The flow of the machine.
pub const FLOW: Size = [932.0, 720.0];
/// Decimation of a chain.
pub const DECIMATION: Size = [932.0, 320.0];
