//! Reading values out of a TOML table: the type, the range, the sentence if it is wrong. Nothing here knows what a key means.
//!
//! Every reader returns `None` after it has reported a mistake, so that the caller goes on with the other keys and leaves out the rules that need this one.

use super::mistakes::Mistakes;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One section of the run file (or its top), with the keys it may hold.
pub(super) struct Section<'a> {
    title: &'static str,
    place: usize,
    table: &'a DeTable<'a>,
    keys: &'static [&'static str],
    mistakes: &'a Mistakes<'a>,
}

/// One value of the run file, with its name in messages and its place.
pub(super) struct Field<'a> {
    path: String,
    value: &'a Spanned<DeValue<'a>>,
    mistakes: &'a Mistakes<'a>,
}

impl<'a> Section<'a> {
    /// The top of the file, where `seed` and the sections are.
    pub fn top(table: &'a DeTable<'a>, keys: &'static [&'static str], mistakes: &'a Mistakes<'a>) -> Self {
        Section { title: "", place: 0, table, keys, mistakes }
    }

    /// The section `[title]`, if it is there and is a section.
    pub fn section(&self, title: &'static str, keys: &'static [&'static str]) -> Option<Section<'a>> {
        let (key, value) = self.table.iter().find(|(key, _)| key.get_ref() == title)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section { title, place: key.span().start, table, keys, mistakes: self.mistakes }),
            _ => {
                self.mistakes
                    .add(key.span().start, &format!("{title} is a section: write [{title}] on a line of its own and its keys below"));
                None
            }
        }
    }

    /// Whether the key is written, rightly or wrongly.
    pub fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// Whether the key holds a table.
    pub fn has_table(&self, key: &str) -> bool {
        self.table.iter().any(|(name, value)| name.get_ref() == key && value.get_ref().is_table())
    }

    /// Where the section begins.
    pub fn place(&self) -> usize {
        self.place
    }

    /// Where the value of a key is, or else where the section begins.
    pub fn place_of(&self, key: &str) -> usize {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map_or(self.place, |(name, _)| name.span().start)
    }

    /// The text a key holds, if it is a text.
    pub fn text_of(&self, key: &str) -> Option<&'a str> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).and_then(|(_, value)| value.get_ref().as_str())
    }

    /// Reports a mistake about a key.
    pub fn refuse(&self, key: &str, sentence: &str) {
        self.mistakes.add(self.place_of(key), &format!("{}: {sentence}", self.path(key)));
    }

    /// Reports every key that is not one of this section, with the section it belongs to or the nearest known key.
    pub fn refuse_unknown(&self, elsewhere: &[(&str, &[&str])]) {
        for (key, _) in self.table.iter().filter(|(key, _)| !self.keys.contains(&key.get_ref().as_ref())) {
            let written = key.get_ref().as_ref();
            let advice = match nearest(written, self.keys) {
                Some(known) => format!("did you mean `{known}`?"),
                None => match elsewhere.iter().find(|(_, keys)| keys.contains(&written)) {
                    Some((title, _)) => format!("it belongs in the section [{title}]"),
                    None => format!("the keys here are {}", self.keys.join(", ")),
                },
            };
            let shown: String = written.chars().take(40).flat_map(char::escape_default).collect();
            self.mistakes.add(key.span().start, &format!("{}: unknown key; {advice}", self.path(&shown)));
        }
    }

    /// The value of a key that must be there; `example` is what to write if it is not.
    pub fn required<T>(&self, key: &str, example: &str, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<T> {
        match self.field(key) {
            Some(field) => read(&field),
            None => {
                self.mistakes.add(self.place, &format!("{} is missing: write {example}", self.path(key)));
                None
            }
        }
    }

    /// The value of a key, or its default if it is not written.
    pub fn optional<T>(&self, key: &str, default: T, read: impl FnOnce(&Field<'a>) -> Option<T>) -> Option<T> {
        self.field(key).map_or(Some(default), |field| read(&field))
    }

    fn field(&self, key: &str) -> Option<Field<'a>> {
        let (_, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Field { path: self.path(key), value, mistakes: self.mistakes })
    }

    fn path(&self, key: &str) -> String {
        if self.title.is_empty() { key.to_owned() } else { format!("[{}] {key}", self.title) }
    }
}

impl<'a> Field<'a> {
    /// Reports that this value is wrong: `key = value: sentence`.
    pub fn refuse<T>(&self, sentence: &str) -> Option<T> {
        self.mistakes.add(self.value.span().start, &format!("{} = {}: {sentence}", self.path, self.written()));
        None
    }

    /// A whole number in a range; `range_in_words` as in "from 1 to 1000".
    pub fn integer(&self, range_in_words: &str, range: RangeInclusive<u64>) -> Option<u64> {
        match self.whole() {
            Some(number) if u64::try_from(number).is_ok_and(|number| range.contains(&number)) => u64::try_from(number).ok(),
            _ => self.refuse(&format!("must be a whole number {range_in_words}")),
        }
    }

    /// The same for a count of things in memory.
    pub fn count(&self, range_in_words: &str, range: RangeInclusive<u64>) -> Option<usize> {
        self.integer(range_in_words, range).and_then(|number| usize::try_from(number).ok())
    }

    /// The whole number that is written, however large, or `None` if it is something else.
    pub fn whole(&self) -> Option<i128> {
        match self.value.get_ref() {
            DeValue::Integer(number) => Some(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX)),
            _ => None,
        }
    }

    /// A finite number that passes a test; `rule` completes "must be".
    pub fn number(&self, rule: &str, passes: impl FnOnce(f64) -> bool) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(_) => self.whole().map(|number| number as f64),
            _ => None,
        };
        match number {
            Some(number) if number.is_finite() && passes(number) => Some(number),
            _ => self.refuse(&format!("must be {rule}")),
        }
    }

    /// true or false.
    pub fn boolean(&self) -> Option<bool> {
        self.value.get_ref().as_bool().or_else(|| self.refuse("must be true or false, without quotes"))
    }

    /// Whether a text is written.
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// The text, if one is written.
    pub fn text(&self) -> Option<&str> {
        self.value.get_ref().as_str()
    }

    /// Whether a table in braces is written.
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// Whether this text is written.
    pub fn says(&self, text: &str) -> bool {
        self.value.get_ref().as_str() == Some(text)
    }

    /// Whether a list is written.
    pub fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// One of several names.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let written = self.value.get_ref().as_str();
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| Some(*name) == written) {
            return Some(*chosen);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = match written.and_then(|written| nearest(written, &names)) {
            Some(name) if names.len() > 1 => format!("; did you mean \"{name}\"?"),
            _ => String::new(),
        };
        let listed: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        self.refuse(&format!("must be {}{hint}", listed.join(" or ")))
    }

    /// A list with at least one entry, each read in the same way; every wrong entry is reported.
    pub fn list<T>(&self, of: &str, read: impl Fn(&Field<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Some(entries) = self.value.get_ref().as_array() else {
            return self.refuse(&format!("must be a list of {of} in square brackets"));
        };
        if entries.is_empty() {
            return self.refuse(&format!("must not be empty: write at least one of the {of}"));
        }
        let fields = entries.iter().map(|value| Field { path: self.path.clone(), value, mistakes: self.mistakes });
        let values: Vec<Option<T>> = fields.map(|field| read(&field)).collect();
        values.into_iter().collect()
    }

    /// A list without equal entries.
    pub fn distinct<T: PartialEq + std::fmt::Display>(&self, of: &str, read: impl Fn(&Field<'a>) -> Option<T>) -> Option<Vec<T>> {
        let values = self.list(of, read)?;
        match values.iter().enumerate().find(|(index, value)| values[..*index].contains(value)) {
            Some((_, value)) => self.refuse(&format!("{value} is there twice: write each of the {of} once")),
            None => Some(values),
        }
    }

    /// One value for all, or a list with one value for each of `count` layers (unknown if the layers are wrong).
    pub fn per_layer<T: Clone>(&self, count: Option<usize>, read: impl Fn(&Field<'a>) -> Option<T>) -> Option<Vec<T>> {
        if !self.is_list() {
            return read(self).and_then(|value| Some(vec![value; count?]));
        }
        let values = self.list("values, one for each layer,", read)?;
        let count = count?;
        if values.len() == count {
            Some(values)
        } else {
            self.refuse(&format!("has {} values for {count} layers: write one number for all layers or a list of {count}", values.len()))
        }
    }

    /// An inline table with the given keys.
    pub fn table(&self, title: &'static str, keys: &'static [&'static str], example: &str) -> Option<Section<'a>> {
        match self.value.get_ref() {
            DeValue::Table(table) => {
                let section = Section { title, place: self.value.span().start, table, keys, mistakes: self.mistakes };
                section.refuse_unknown(&[]);
                Some(section)
            }
            _ => self.refuse(&format!("must be {example}")),
        }
    }

    fn written(&self) -> String {
        let span: Range<usize> = self.value.span();
        self.mistakes.excerpt(span)
    }
}

/// The known name that a person most likely meant, if one is near enough to be worth suggesting.
fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let written: String = written.chars().take(64).collect::<String>().to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&written, &name.replace('-', "_"));
    let name = known.iter().copied().min_by_key(|name| distance(name))?;
    let near = distance(name) <= 1 + name.len().min(written.len()) / 3;
    let begun = || known.iter().copied().find(|name| written.len() >= 3 && name.starts_with(written.as_str()));
    if near { Some(name) } else { begun() }
}
