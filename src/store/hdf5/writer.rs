//! Writing: files, groups, dimensions, variables, attributes.

use super::library::types::VarLenUnicode;
use super::library::{self, Dataset, Group, LinkType, Location, LocationType};
use super::{Label, Number, attach_scale, block_ranges, chunk_shape, explain, first_dimension, label, set_scale, with_locking_hint};
use crate::error::{Error, Result};
use crate::store::seal;
use std::ffi::{CString, c_uint};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file that is being written.
pub struct FileWriter {
    file: library::File,
    path: PathBuf,
}

impl FileWriter {
    /// Empties the file at `path` (the caller's own, see [`crate::store::durable::replace`]) and begins to write it, in a format that HDF5 1.10 and later read.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn create(path: &Path) -> Result<Self> {
        use library::file::{FileCloseDegree, LibraryVersion};
        let file = library::File::with_options()
            .with_fapl(|list| list.libver_bounds(LibraryVersion::V18, LibraryVersion::V110).fclose_degree(FileCloseDegree::Strong))
            .with_fcpl(|list| list.obj_track_times(false))
            .create(path)
            .map_err(|why| Error::file("create", path, with_locking_hint(explain(&why))))?;
        Ok(FileWriter { file, path: path.to_path_buf() })
    }

    /// The root group.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn root(&self) -> Result<GroupWriter> {
        let group = self.file.group("/").map_err(|why| Error::file("write", &self.path, explain(&why)))?;
        Ok(GroupWriter { group, path: self.path.clone() })
    }

    /// Flushes, closes and seals the file; only then is it good.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn finish(self) -> Result<()> {
        let FileWriter { file, path } = self;
        let mut regions = Vec::new();
        // Chunks have their places once they are flushed.
        let placed = file.flush().and_then(|()| file.group("/")).and_then(|root| chunks_below(&root, "", &mut regions));
        let closed = file.close();
        placed.and(closed).map_err(|why| Error::file("write", &path, explain(&why)))?;
        seal::seal(&path, regions)
    }

    /// Closes a file that is for other programs and carries no seal.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn finish_unsealed(self) -> Result<()> {
        let flushed = self.file.flush();
        flushed.and(self.file.close()).map_err(|why| Error::file("write", &self.path, explain(&why)))
    }
}

/// Where the chunks of all datasets below the group of this path lie; links to other files are not followed. The library would find the path of an open dataset by a
/// search through the whole file.
fn chunks_below(group: &Group, path: &str, regions: &mut Vec<seal::Region>) -> library::Result<()> {
    let mut below = Vec::new();
    let links = group.links(library::IndexType::Name, library::IterationOrder::Native)?;
    for (name, _) in links.into_iter().filter(|(_, about)| about.link_type == LinkType::Hard) {
        let inner = format!("{path}/{name}");
        match group.loc_type_by_name(&name)? {
            LocationType::Group => below.push((group.group(&name)?, inner)),
            LocationType::Dataset => {
                let dataset = group.dataset(&name)?;
                let chunks = (0..dataset.num_chunks().unwrap_or(0)).filter_map(|index| dataset.chunk_info(index));
                let chunks = chunks.map(|chunk| (chunk.addr, chunk.size)).collect();
                regions.push(seal::Region { name: inner, chunks, digest: String::new() });
            }
            _ => {}
        }
    }
    below.iter().try_for_each(|(group, path)| chunks_below(group, path, regions))
}

/// A group that is being filled.
pub struct GroupWriter {
    group: Group,
    path: PathBuf,
}

/// A dataset or group that takes attributes.
pub struct Attributes<'a> {
    location: &'a Location,
    path: &'a Path,
}

impl Attributes<'_> {
    /// Attaches a UTF-8 text.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn text(&self, name: &str, text: &str) -> Result<&Self> {
        let text = variable_length(text)?;
        let written = self.location.new_attr::<VarLenUnicode>().create(name).and_then(|attribute| attribute.write_scalar(&text));
        written.map_err(|why| failed(self.path, name, &why)).map(|()| self)
    }

    /// Attaches a list of texts.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn texts(&self, name: &str, texts: &[&str]) -> Result<&Self> {
        let texts = texts.iter().map(|text| variable_length(text)).collect::<Result<Vec<_>>>()?;
        let builder = self.location.new_attr::<VarLenUnicode>().shape(texts.len());
        builder.create(name).and_then(|attribute| attribute.write(&texts)).map_err(|why| failed(self.path, name, &why)).map(|()| self)
    }

    /// Attaches a number.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn number<T: Number>(&self, name: &str, number: T) -> Result<&Self> {
        let written = self.location.new_attr::<T>().create(name).and_then(|attribute| attribute.write_scalar(&number));
        written.map_err(|why| failed(self.path, name, &why)).map(|()| self)
    }
}

impl GroupWriter {
    /// A name for the root of another file in the same directory.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn link(&self, name: &str, file: &str) -> Result<()> {
        self.group.link_external(file, "/", name).map_err(|why| failed(&self.path, name, &why))
    }

    /// A new group inside this one.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn group(&self, name: &str) -> Result<GroupWriter> {
        let group = self.group.create_group_builder().obj_track_times(false).create(name).map_err(|why| failed(&self.path, name, &why))?;
        Ok(GroupWriter { group, path: self.path.clone() })
    }

    /// The attributes of the group itself.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes { location: &self.group, path: &self.path }
    }

    /// The attributes of a variable of this group.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn annotate(&self, variable: &str, attach: impl FnOnce(&Attributes<'_>) -> Result<()>) -> Result<()> {
        let dataset = self.group.dataset(variable).map_err(|why| failed(&self.path, variable, &why))?;
        attach(&Attributes { location: &dataset, path: &self.path })
    }

    /// A named dimension with its coordinates, over which variables of this group can lie.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn dimension<T: Number>(&self, name: &str, coordinates: &[T], about: Label<'_>) -> Result<()> {
        let scale = self.create::<T>(name, &[coordinates.len()])?;
        scale.write_raw(coordinates).map_err(|why| failed(&self.path, name, &why))?;
        self.describe(&scale, about)?;
        if set_scale(&scale, &c_string(name)?) < 0 {
            return Err(Error::file("write", &self.path, format!("the HDF5 library cannot make {name} a dimension")));
        }
        Ok(())
    }

    /// A named dimension whose coordinates are 0, 1, 2 ...
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn index(&self, name: &str, length: usize, long_name: &str) -> Result<()> {
        self.dimension(name, &(0..length as i64).collect::<Vec<_>>(), label("1", long_name))
    }

    /// A variable over dimensions of this group, in row-major order; over none, one number.
    ///
    /// # Errors
    /// [`Error::InputOutput`]; [`Error::Bug`] if the values do not fill the dimensions.
    pub fn variable<T: Number>(&self, name: &str, dimensions: &[&str], values: &[T], about: Label<'_>) -> Result<()> {
        let scales = self.scales(dimensions)?;
        let shape: Vec<usize> = scales.iter().map(|scale| scale.size()).collect();
        self.fits(name, &shape, values.len())?;
        let dataset = self.create::<T>(name, &shape)?;
        dataset.write_raw(values).map_err(|why| failed(&self.path, name, &why))?;
        self.attach(&dataset, &scales, dimensions)?;
        self.describe(&dataset, about)
    }

    /// A variable whose values are made when they are written, some indices of its first dimension at a time, so that large data are never copied whole.
    ///
    /// # Errors
    /// [`Error::InputOutput`]; what `make` fails with; [`Error::Bug`] if it does not give the values of just the indices it is asked for.
    pub fn blocks<T: Number>(
        &self,
        name: &str,
        dimensions: &[&str],
        about: Label<'_>,
        make: impl Fn(Range<usize>) -> Result<Vec<T>>,
    ) -> Result<()> {
        let scales = self.scales(dimensions)?;
        let mut shape: Vec<usize> = scales.iter().map(|scale| scale.size()).collect();
        let dataset = self.create::<T>(name, &shape)?;
        for range in block_ranges(&shape, size_of::<T>()) {
            shape[0] = range.len();
            let values = make(range.clone())?;
            self.fits(name, &shape, values.len())?;
            let block = ndarray::ArrayD::from_shape_vec(shape.clone(), values).map_err(|why| Error::Bug(format!("{name}: {why}.")))?;
            dataset.write_slice(&block, first_dimension(range, shape.len())).map_err(|why| failed(&self.path, name, &why))?;
        }
        self.attach(&dataset, &scales, dimensions)?;
        self.describe(&dataset, about)
    }

    /// A variable of texts.
    ///
    /// # Errors
    /// As [`Self::variable`].
    pub fn texts(&self, name: &str, dimensions: &[&str], texts: &[impl AsRef<str>], long_name: &str) -> Result<()> {
        let scales = self.scales(dimensions)?;
        let shape: Vec<usize> = scales.iter().map(|scale| scale.size()).collect();
        self.fits(name, &shape, texts.len())?;
        let texts = texts.iter().map(|text| variable_length(text.as_ref())).collect::<Result<Vec<_>>>()?;
        let builder = self.group.new_dataset::<VarLenUnicode>().shape(shape).obj_track_times(false);
        let dataset = builder.create(name).map_err(|why| failed(&self.path, name, &why))?;
        dataset.write_raw(&texts).map_err(|why| failed(&self.path, name, &why))?;
        self.attach(&dataset, &scales, dimensions)?;
        self.describe(&dataset, label("1", long_name))
    }

    /// Numbers as other programs expect them: no named dimensions, no filters, no attributes. An empty shape is one number.
    ///
    /// # Errors
    /// As [`Self::variable`].
    pub fn plain<T: Number>(&self, name: &str, shape: &[usize], values: &[T]) -> Result<()> {
        self.fits(name, shape, values.len())?;
        let dataset = self.group.new_dataset::<T>().shape(shape).obj_track_times(false).create(name);
        dataset.and_then(|dataset| dataset.write_raw(values)).map_err(|why| failed(&self.path, name, &why))
    }

    /// A text as other programs expect it.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn plain_text(&self, name: &str, text: &str) -> Result<()> {
        let text = variable_length(text)?;
        let dataset = self.group.new_dataset::<VarLenUnicode>().obj_track_times(false).create(name);
        dataset.and_then(|dataset| dataset.write_scalar(&text)).map_err(|why| failed(&self.path, name, &why))
    }

    fn create<T: Number>(&self, name: &str, shape: &[usize]) -> Result<Dataset> {
        // Time stamps would make equal results differ in their bytes.
        let mut builder = self.group.new_dataset::<T>().shape(shape).obj_track_times(false);
        if !shape.is_empty() && !shape.contains(&0) {
            builder = builder.chunk(chunk_shape(shape, size_of::<T>())).shuffle().deflate(4).fletcher32();
        }
        builder.create(name).map_err(|why| failed(&self.path, name, &why))
    }

    fn scales(&self, dimensions: &[&str]) -> Result<Vec<Dataset>> {
        dimensions.iter().map(|name| self.group.dataset(name).map_err(|why| failed(&self.path, name, &why))).collect()
    }

    fn fits(&self, name: &str, shape: &[usize], values: usize) -> Result<()> {
        if shape.iter().product::<usize>() == values {
            Ok(())
        } else {
            Err(Error::Bug(format!("{name} has {values} values for the shape {shape:?}.")))
        }
    }

    fn attach(&self, dataset: &Dataset, scales: &[Dataset], names: &[&str]) -> Result<()> {
        for (axis, (scale, name)) in scales.iter().zip(names).enumerate() {
            if attach_scale(dataset, scale, axis as c_uint, &c_string(name)?) < 0 {
                return Err(Error::file("write", &self.path, format!("the HDF5 library cannot lay {} over {name}", dataset.name())));
            }
        }
        Ok(())
    }

    fn describe(&self, dataset: &Dataset, about: Label<'_>) -> Result<()> {
        Attributes { location: dataset, path: &self.path }.text("units", about.units)?.text("long_name", about.long_name).map(|_| ())
    }
}

fn failed(path: &Path, name: &str, why: &library::Error) -> Error {
    Error::InputOutput(format!("cannot write {name} into {}: {}", path.display(), explain(why)))
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Bug(format!("the name {text:?} holds a zero byte.")))
}

fn variable_length(text: &str) -> Result<VarLenUnicode> {
    text.parse().map_err(|_| Error::Refused("a text with a zero byte cannot be stored in HDF5: remove it from the run file".to_string()))
}
