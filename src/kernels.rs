//! The safe door to the kernels, and the only place with unsafe code.
//!
//! A kernel is written once, as an `#[inline(always)]` function over plain words or floats, and compiled once for each instruction set by the macro `dispatch!`.
//! Which one runs is decided when the program starts and shown by `check` and `bench`. No kernel may let the instruction set change a result: integer
//! kernels are exact, floating-point kernels fix the order of their sums and name each fused multiply-add. So the portable path is the definition
//! of correct, and the tests compare the others with it bit by bit.
//!
//! A closure does not have the instructions of the function around it: where the compiler (1.95) does not inline it, each operation on a vector in it becomes a call. So loops are
//! better, and "no closures" beside one says that this was seen to happen.

#![allow(unsafe_code)]

pub mod activation;
pub mod annealing;
pub mod bernoulli;
pub mod byte_law;
pub mod byte_look_up;
pub mod byte_queue;
pub mod checkerboard;
pub mod domains;
pub mod fixed_point;
pub mod float_vector;
pub mod forward;
pub mod generator;
pub mod heap;
pub mod heat_bath;
pub mod local_update;
pub mod metropolis;
pub mod numbers;
mod pair;
pub mod profile;
pub mod replicas;
pub mod rival;
pub mod statistics;
pub mod swendsen_wang;
pub mod tables;
pub mod tiles;
pub mod update;
pub mod vector;
pub mod vertical_counter;

use std::sync::OnceLock;

/// The environment variable that forces an instruction set: `avx512`, `avx2` or `portable`.
pub const INSTRUCTION_SET_VARIABLE: &str = "KADANOFF_INSTRUCTION_SET";

/// A family of machine instructions for which the kernels were compiled. Values other than `Portable` exist only where this processor has the instructions:
/// they come from [`InstructionSet::available`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstructionSet(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// What the macro `dispatch!` matches on; only this module's values vouch for the processor.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// AVX-512 F, BW, DQ, VL, CD, VBMI, VBMI2, VPOPCNTDQ and BITALG were detected, beside all that `Avx2` stands for.
    Avx512,
    /// AVX2, FMA, BMI1, BMI2, POPCNT and LZCNT were detected.
    Avx2,
    /// Nothing beyond the target's baseline.
    Portable,
}

impl InstructionSet {
    /// The code that needs nothing beyond the baseline of the build.
    pub const PORTABLE: InstructionSet = InstructionSet(Kind::Portable);

    /// The instruction sets this processor has, best first; the last one is always `portable`.
    pub fn available() -> Vec<InstructionSet> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("lzcnt");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512cd")
                && is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("avx512vpopcntdq")
                && is_x86_feature_detected!("avx512bitalg");
            if avx2 && avx512 {
                sets.push(InstructionSet(Kind::Avx512));
            }
            if avx2 {
                sets.push(InstructionSet(Kind::Avx2));
            }
        }
        sets.push(InstructionSet(Kind::Portable));
        sets
    }

    /// The instruction set in use: the best available, or the one named by `KADANOFF_INSTRUCTION_SET`. Chosen once for the life of the program.
    pub fn chosen() -> InstructionSet {
        static CHOSEN: OnceLock<InstructionSet> = OnceLock::new();
        *CHOSEN.get_or_init(|| Self::requested().unwrap_or(Self::available()[0]))
    }

    /// The instruction set that the environment asks for.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] if it is unknown or this processor lacks it.
    pub fn requested() -> crate::error::Result<InstructionSet> {
        let available = Self::available();
        let Some(name) = std::env::var_os(INSTRUCTION_SET_VARIABLE) else { return Ok(available[0]) };
        // A name that is no text is shown with its odd bytes replaced, and is none of those here.
        let name = name.to_string_lossy();
        available.iter().copied().find(|set| set.name() == name).ok_or_else(|| {
            let names: Vec<&str> = available.iter().map(|set| set.name()).collect();
            crate::error::Error::Usage(format!(
                "{INSTRUCTION_SET_VARIABLE}={name} names no instruction set of this processor: write one of {}",
                names.join(", ")
            ))
        })
    }

    /// The name shown to people: `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        }
    }

    #[doc(hidden)]
    #[inline]
    pub fn chosen_kind(self) -> Chosen {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => Chosen::Avx512,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => Chosen::Avx2,
            Kind::Portable => Chosen::Portable,
        }
    }
}

impl std::fmt::Display for InstructionSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Compiles an `#[inline(always)]` body once for each instruction set and makes a safe function that picks one:
/// `dispatch! { /// docs  pub fn sweep(words: &mut [u64], count: usize) -> u64 = body; }` defines `sweep(set, words, count)`, which calls `body(words, count)`.
/// With `= body over Numbers;` the body is generic over [`numbers::Numbers`]: it runs as `body::<Register>` for AVX-512 and as `body::<Halves>` elsewhere.
macro_rules! dispatch {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $output:ty)? = $body:ident over Numbers;) => {
        $crate::kernels::dispatch! { @make [$(#[$meta])*] $visibility $name [$($argument: $kind),*] [$(-> $output)?]
            [$body::<$crate::kernels::numbers::Register>] [$body::<$crate::kernels::numbers::Halves>] }
    };
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $output:ty)? = $body:path;) => {
        $crate::kernels::dispatch! { @make [$(#[$meta])*] $visibility $name [$($argument: $kind),*] [$(-> $output)?] [$body] [$body] }
    };
    (@make [$($meta:tt)*] $visibility:vis $name:ident [$($argument:ident: $kind:ty),*] [$($output:tt)*] [$($widest:tt)*] [$($other:tt)*]) => {
        $($meta)*
        #[allow(clippy::too_many_arguments, unsafe_code)]
        $visibility fn $name(set: $crate::kernels::InstructionSet, $($argument: $kind),*) $($output)* {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vbmi,avx512vbmi2,avx512vpopcntdq,avx512bitalg,avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
            #[allow(clippy::too_many_arguments)]
            fn avx512($($argument: $kind),*) $($output)* {
                $($widest)*($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
            #[allow(clippy::too_many_arguments)]
            fn avx2($($argument: $kind),*) $($output)* {
                $($other)*($($argument),*)
            }
            match set.chosen_kind() {
                // SAFETY: an InstructionSet of this kind is only ever made by InstructionSet::available, after the processor was seen to have every
                // feature that is enabled above; the body itself is safe code.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Chosen::Avx512 => unsafe { avx512($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Chosen::Avx2 => unsafe { avx2($($argument),*) },
                _ => $($other)*($($argument),*),
            }
        }
    };
}
pub(crate) use dispatch;

/// The sentence that a processor older than the build's baseline deserves, or nothing. Reads the processor itself: the compiler takes the baseline for granted.
pub fn baseline_complaint() -> Option<String> {
    #[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        let enough = __cpuid(0).eax >= 7 && {
            let (first, seventh) = (__cpuid(1).ecx, __cpuid_count(7, 0).ebx);
            // Leaf 1: FMA is bit 12, OSXSAVE bit 27, AVX bit 28. Leaf 7: BMI1 is bit 3, AVX2 bit 5, BMI2 bit 8.
            let (need_first, need_seventh) = (1 << 12 | 1 << 27 | 1 << 28, 1 << 3 | 1 << 5 | 1 << 8);
            first & need_first == need_first && seventh & need_seventh == need_seventh
        };
        if !enough {
            return Some(
                "this processor lacks AVX2, FMA or BMI2, which this build of kadanoff takes for granted; build it with RUSTFLAGS=\"-C target-cpu=native\""
                    .to_string(),
            );
        }
    }
    None
}
