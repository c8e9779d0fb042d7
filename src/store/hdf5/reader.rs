//! Reading without trust: the seal first, then link, kind, type, shape and storage, and only then the values.

use super::library::filters::Filter;
use super::library::types::{TypeDescriptor, VarLenUnicode};
use super::library::{self, Dataset, Group, LinkType};
use super::{Number, block_ranges, explain, first_dimension, with_locking_hint};
use crate::error::{Error, Result};
use crate::store::seal::{self, Breach};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Deflate shrinks nothing by more than this factor (zlib's stated limit is 1032), so a dataset that claims more than this times its storage lies.
const LARGEST_COMPRESSION: u64 = 1032;
/// The longest one-dimensional variable that is read whole without its length being known from elsewhere.
const LONGEST_LIST: usize = 1 << 20;
/// The largest piece, in bytes, of a data set that is shorter than it so far.
const LARGEST_SPARE_CHUNK: u64 = 16 << 20;
/// Smaller claims are not worth a refusal.
const HARMLESS_BYTES: u64 = 1 << 16;

/// A file that is being read.
pub struct FileReader {
    file: library::File,
    path: PathBuf,
}

/// A group that is being read.
pub struct GroupReader {
    group: Group,
    path: PathBuf,
    links: HashMap<String, LinkType>,
}

/// Numbers with their shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// The extent of each dimension.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Vec<T>,
}

impl FileReader {
    /// Verifies the seal of a file, then opens it.
    ///
    /// # Errors
    /// [`Error::InputOutput`] if it cannot be read; [`Error::Refused`] if it is not a whole, unchanged file of kadanoff; the sentence names damaged datasets.
    pub fn open(path: &Path) -> Result<Self> {
        let remedy = "nothing was read from it; move it away and run the same command again";
        match seal::verify(path)? {
            Ok(()) => Self::open_unverified(path),
            Err(Breach::Missing) => Err(Error::Refused(format!(
                "{} is cut, was written to by another program, or is not a file of kadanoff (the seal at its end is missing): {remedy}",
                path.display()
            ))),
            Err(Breach::Changed(names)) => {
                let place = if names.is_empty() { "its structure".to_string() } else { names.join(", ") };
                Err(Error::Refused(format!("{} has changed since kadanoff wrote it (damaged: {place}): {remedy}", path.display())))
            }
        }
    }

    fn open_unverified(path: &Path) -> Result<Self> {
        let file = library::File::open(path).map_err(|why| {
            Error::Refused(format!("{} cannot be read as HDF5: {}; or move it away", path.display(), with_locking_hint(explain(&why))))
        })?;
        Ok(FileReader { file, path: path.to_path_buf() })
    }

    /// The root group.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn root(&self) -> Result<GroupReader> {
        let group = self.file.group("/").map_err(|why| refused(&self.path, "/", explain(&why)))?;
        GroupReader::new(group, &self.path)
    }
}

fn refused(path: &Path, name: &str, why: impl std::fmt::Display) -> Error {
    Error::Refused(format!("{name} of {} was refused: {why}; move the file away and run the same command again", path.display()))
}

/// Whether a data set of elements of `size` bytes says that it holds more than what is stored of it can be, or that it is stored in pieces that are larger than itself. One of another program that
/// may grow may have such pieces, of moderate size; ours never grow.
pub fn claims_too_much(dataset: &Dataset, shape: &[usize], size: usize, is_ours: bool) -> bool {
    let bytes = |extents: &[usize]| extents.iter().try_fold(size as u64, |bytes, &extent| bytes.checked_mul(extent as u64));
    let storage = dataset.storage_size().saturating_mul(LARGEST_COMPRESSION).max(HARMLESS_BYTES);
    let fits = |chunk: &[usize]| {
        let is_moderate = !is_ours && dataset.is_resizable() && bytes(chunk).is_some_and(|bytes| bytes <= LARGEST_SPARE_CHUNK);
        chunk.len() == shape.len() && (is_moderate || chunk.iter().zip(shape).all(|(part, whole)| part <= whole))
    };
    !(bytes(shape).is_some_and(|bytes| bytes <= storage) && dataset.chunk().is_none_or(|chunk| fits(&chunk)))
}

impl GroupReader {
    fn new(group: Group, path: &Path) -> Result<Self> {
        let links = group
            .links(library::IndexType::Name, library::IterationOrder::Native)
            .map_err(|why| refused(path, &group.name(), explain(&why)))?
            .into_iter()
            .map(|(name, info)| (name, info.link_type))
            .collect();
        Ok(GroupReader { group, path: path.to_path_buf(), links })
    }

    fn refuse(&self, name: &str, why: impl std::fmt::Display) -> Error {
        let folder = self.group.name();
        refused(&self.path, &format!("{}/{name}", folder.trim_end_matches('/')), why)
    }

    /// Whether the group has a member of this name.
    pub fn has(&self, name: &str) -> bool {
        self.links.contains_key(name)
    }

    fn hard_link(&self, name: &str) -> Result<()> {
        match self.links.get(name) {
            Some(LinkType::Hard) => Ok(()),
            Some(_) => Err(self.refuse(name, "it is a link to elsewhere, which is never followed")),
            None => Err(self.refuse(name, "it is missing")),
        }
    }

    /// A group inside this one.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn group(&self, name: &str) -> Result<GroupReader> {
        self.hard_link(name)?;
        GroupReader::new(self.group.group(name).map_err(|why| self.refuse(name, explain(&why)))?, &self.path)
    }

    /// The names of the members, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.links.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// A dataset that may be read: its shape is bounded by what the file can hold.
    fn dataset(&self, name: &str, expected: &TypeDescriptor) -> Result<(Dataset, Vec<usize>)> {
        self.hard_link(name)?;
        let dataset = self.group.dataset(name).map_err(|why| self.refuse(name, explain(&why)))?;
        let found = dataset.dtype().and_then(|kind| kind.to_descriptor()).map_err(|why| self.refuse(name, explain(&why)))?;
        if &found != expected {
            return Err(self.refuse(name, format!("it holds {found}, not {expected}")));
        }
        let shape = dataset.get_shape().map_err(|why| self.refuse(name, explain(&why)))?;
        let creation = dataset.create_plist().map_err(|why| self.refuse(name, explain(&why)))?;
        if matches!(creation.layout(), library::dataset::Layout::Virtual) || creation.get_external().map_or(true, |files| !files.is_empty())
        {
            return Err(self.refuse(name, "its values lie in another file, which is never opened"));
        }
        if !dataset.filters().iter().all(|filter| matches!(filter, Filter::Deflate(_) | Filter::Shuffle | Filter::Fletcher32)) {
            return Err(self.refuse(name, "it uses a filter that kadanoff never writes"));
        }
        if claims_too_much(&dataset, &shape, expected.size(), true) {
            return Err(
                self.refuse(name, format!("its shape {shape:?} claims more than the {} bytes stored can hold", dataset.storage_size()))
            );
        }
        Ok((dataset, shape))
    }

    /// All numbers of a variable of the given rank.
    ///
    /// # Errors
    /// [`Error::Refused`] if the variable is missing, damaged, or of another type or rank.
    pub fn array<T: Number>(&self, name: &str, rank: usize) -> Result<Array<T>> {
        let (dataset, shape) = self.dataset(name, &T::type_descriptor())?;
        if shape.len() != rank {
            return Err(self.refuse(name, format!("it has {} dimensions, not {rank}", shape.len())));
        }
        if rank == 1 && shape[0] > LONGEST_LIST {
            return Err(self.refuse(name, format!("{} values are too long for a list of this kind", shape[0])));
        }
        let values = dataset.read_raw().map_err(|why| self.refuse(name, explain(&why)))?;
        Ok(Array { shape, values })
    }

    /// All numbers of a variable of exactly this shape.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Self::array`], or if the shape is another.
    pub fn shaped<T: Number>(&self, name: &str, shape: &[usize]) -> Result<Vec<T>> {
        let (dataset, found) = self.dataset(name, &T::type_descriptor())?;
        if found != shape {
            return Err(self.refuse(name, format!("its shape is {found:?}, not {shape:?}")));
        }
        dataset.read_raw().map_err(|why| self.refuse(name, explain(&why)))
    }

    /// The shape of a variable of the given rank.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Self::array`].
    pub fn shape<T: Number>(&self, name: &str, rank: usize) -> Result<Vec<usize>> {
        let (_, shape) = self.dataset(name, &T::type_descriptor())?;
        if shape.len() == rank { Ok(shape) } else { Err(self.refuse(name, format!("it has {} dimensions, not {rank}", shape.len()))) }
    }

    /// Reads a variable some indices of its first dimension at a time: `take` gets these indices and their values.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Self::array`], or what `take` returned.
    pub fn blocks<T: Number>(&self, name: &str, rank: usize, mut take: impl FnMut(Range<usize>, Vec<T>) -> Result<()>) -> Result<()> {
        let shape = self.shape::<T>(name, rank)?;
        let (dataset, _) = self.dataset(name, &T::type_descriptor())?;
        for range in block_ranges(&shape, size_of::<T>()) {
            let block = dataset.read_slice::<T, _, ndarray::IxDyn>(first_dimension(range.clone(), rank));
            take(range, block.map_err(|why| self.refuse(name, explain(&why)))?.into_raw_vec_and_offset().0)?;
        }
        Ok(())
    }

    /// The texts of a variable of exactly this shape.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Self::shaped`].
    pub fn texts(&self, name: &str, shape: &[usize]) -> Result<Vec<String>> {
        let (dataset, found) = self.dataset(name, &TypeDescriptor::VarLenUnicode)?;
        if found != shape {
            return Err(self.refuse(name, format!("its shape is {found:?}, not {shape:?}")));
        }
        let texts: Vec<VarLenUnicode> = dataset.read_raw().map_err(|why| self.refuse(name, explain(&why)))?;
        texts.iter().map(|text| self.utf8(name, text)).collect()
    }

    /// An attribute of the group that is a number.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is missing or of another type.
    pub fn number<T: Number>(&self, name: &str) -> Result<T> {
        self.attribute(name, &T::type_descriptor())?.read_scalar().map_err(|why| self.refuse(name, explain(&why)))
    }

    /// Whether the group has an attribute of this name.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.group.attr_names().is_ok_and(|names| names.iter().any(|one| one == name))
    }

    /// An attribute of the group that is a text.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is missing or of another type.
    pub fn text(&self, name: &str) -> Result<String> {
        let attribute = self.attribute(name, &TypeDescriptor::VarLenUnicode)?;
        let text: VarLenUnicode = attribute.read_scalar().map_err(|why| self.refuse(name, explain(&why)))?;
        self.utf8(name, &text)
    }

    /// The `long_name` or `units` of a variable of this group.
    ///
    /// # Errors
    /// [`Error::Refused`] if they are missing.
    pub fn text_of(&self, variable: &str, name: &str) -> Result<String> {
        self.hard_link(variable)?;
        let dataset = self.group.dataset(variable).map_err(|why| self.refuse(variable, explain(&why)))?;
        let text = dataset.attr(name).and_then(|attribute| attribute.read_scalar::<VarLenUnicode>());
        self.utf8(name, &text.map_err(|why| self.refuse(variable, format!("its {name} is missing: {}", explain(&why))))?)
    }

    /// A refusal of something in this group, for a caller that finds the content wrong.
    pub fn wrong(&self, name: &str, why: impl std::fmt::Display) -> Error {
        self.refuse(name, why)
    }

    /// A count that was stored as a 64-bit number.
    ///
    /// # Errors
    /// [`Error::Refused`] if the attribute is missing or too large for this machine.
    pub fn count(&self, name: &str) -> Result<usize> {
        usize::try_from(self.number::<u64>(name)?).map_err(|why| self.refuse(name, why))
    }

    /// The library does not check the encoding of what it reads.
    fn utf8(&self, name: &str, text: &VarLenUnicode) -> Result<String> {
        String::from_utf8(text.as_bytes().to_vec()).map_err(|why| self.refuse(name, why))
    }

    fn attribute(&self, name: &str, expected: &TypeDescriptor) -> Result<library::Attribute> {
        let attribute = self.group.attr(name).map_err(|_| self.refuse(name, "the attribute is missing"))?;
        let found = attribute.dtype().and_then(|kind| kind.to_descriptor()).map_err(|why| self.refuse(name, explain(&why)))?;
        if &found == expected { Ok(attribute) } else { Err(self.refuse(name, format!("the attribute holds {found}, not {expected}"))) }
    }
}
