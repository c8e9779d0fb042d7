//! Kadanoff: Ising models, Boltzmann machines trained on their samples, and the renormalization group.
//!
//! # The science on one page
//!
//! **Sampling.** Spins s_i = +-1 on a periodic lattice of N = L^2 sites, E(s) = -sum over bonds of s_i s_j in units of J, probability exp(-K E) / Z with the coupling
//! K = J / k_B T. The square lattice is critical at K_c = ln(1 + sqrt 2) / 2; a finite torus is known exactly (Kaufman 1949), and every sampled number is shown
//! beside the exact one wherever one exists.
//!
//! **Learning.** A restricted Boltzmann machine gives binary visible units v and hidden units h the probability exp(-E_lambda(v, h)) / Z_lambda. It is trained on
//! configurations by contrastive divergence; the activations of its hidden units train the next machine, and so on up a stack.
//!
//! **The mapping.** A variational renormalization step (Kadanoff) sums the fine spins out with an operator T: exp(-H^RG(h)) = Tr_v exp(T(v, h) - H(v)), Eq. 6 of Mehta
//! and Schwab, arXiv:1410.3831. Their Eq. 18 defines T(v, h) = -E_lambda(v, h) + H(v) for any Boltzmann machine, and then H^RG = H^RBM holds identically
//! (Eqs. 19-21). That is a statement about every value of the parameters, trained or not. What training changes is the trace condition Tr_h exp(T) = 1, which holds for
//! all v exactly when the machine's law of v is the data's. Its violation, ln Tr_h exp(T) = H(v) - H^RBM(v), is what this program measures; the difference of free
//! energies Delta F is not, since it vanishes for machines that have learned nothing.
//!
//! # Notation
//!
//! | paper | here | where |
//! |---|---|---|
//! | v_i, h_j (0/1 units, spins s = 2v - 1) | bits of [`spins::Configuration`], rows of [`spins::BitMatrix`] | [`spins`] |
//! | J (its J is our K) | `coupling` | [`sampler`], [`exact`] |
//! | H(v), Z, F^v | `hamiltonian`, `log_partition_function` | [`rg::mapping`], [`exact`] |
//! | E_lambda(v, h), w_ij, b_j, c_i (Eq. 10; p = exp(-E)) | `energy`; `weights`, `hidden_bias`, `visible_bias` with the opposite sign | [`rbm`] |
//! | H^RBM(v), H^RBM(h) (Eqs. 14-15) | `visible_hamiltonian`, `hidden_hamiltonian` | [`rbm::exact`] |
//! | T_lambda(v, h) (Eqs. 6, 18) | the operator of a variational step | [`rg::mapping`] |
//! | J^(n) (Eqs. 23-24) | the decimated couplings of a chain | [`rg::decimation`] |
//! | r^(l) = W^(1) ... W^(l) (App. B) | receptive fields | [`rg::receptive_field`] |
//! | majority rule | block spins, the control | [`rg::block_spin`] |
//!
//! # The modules in reading order
//!
//! Physics: [`lattice`], [`measure`], [`spins`], [`random`], [`sampler`], [`statistics`], [`exact`]. Learning and renormalization: [`rbm`], [`rg`]. The machine:
//! [`kernels`], the only unsafe code but for the named calls of the HDF5 library; [`comm`], the ranks; [`store`], the files. The program: [`record`], what a run leaves; [`config`], the run file; [`run`], the one
//! place where all of these meet; [`report`], [`bench`](mod@bench), [`check`] and [`cli`]. A module uses only what stands before it, plus [`kernels`], [`elementary`]
//! and [`error`].

pub mod console;
pub mod elementary;
pub mod error;
pub mod fault;
pub mod kernels;
pub mod ledger;

pub mod exact;
pub mod lattice;
pub mod measure;
pub mod random;
pub mod sampler;
pub mod spins;
pub mod statistics;

pub mod rbm;
pub mod rg;

pub mod comm;
pub mod record;
pub mod store;

pub mod bench;
pub mod check;
pub mod cli;
pub mod config;
pub mod report;
pub mod run;
