//! From the columns of a row in their order to the words of a line and back. In a line of `width` words column c is bit c / width of word c mod width: with the columns in
//! their order cut into rows of `width` bits, a line is the transposed matrix. So it is turned 64 x 64 bits at a time, instead of bit by bit.

use crate::spins::WORD_BITS;

/// Bits in their order, 64 a word, with a word to spare at the end. Bits that nobody put are clear.
#[derive(Debug, Clone)]
pub struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    /// Room for so many bits, none of which is there yet.
    pub fn new(most: usize) -> Self {
        Bits { words: vec![0; most.div_ceil(WORD_BITS) + 1], length: 0 }
    }

    /// Takes all bits away.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.length = 0;
    }

    /// Appends the lowest `count` bits of a word, of which there are at most 64; the others are clear.
    pub fn push(&mut self, bits: u64, count: usize) {
        self.put(self.length, bits);
        self.length += count;
    }

    /// The 64 bits from `at` on.
    pub fn get(&self, at: usize) -> u64 {
        let (word, bit) = (at / WORD_BITS, at % WORD_BITS);
        // Past the spare word there is nothing.
        let next = self.words.get(word + 1).copied().unwrap_or(0);
        self.words[word] >> bit | next << 1 << (WORD_BITS - 1 - bit)
    }

    /// Sets the bits from `at` on that are set in `bits`.
    fn put(&mut self, at: usize, bits: u64) {
        let (word, bit) = (at / WORD_BITS, at % WORD_BITS);
        self.words[word] |= bits << bit;
        let rest = bits >> 1 >> (WORD_BITS - 1 - bit);
        if rest != 0 {
            self.words[word + 1] |= rest;
        }
    }
}

/// The lowest bits of a word, `count` of them, at most 64.
fn lowest(count: usize) -> u64 {
    if count == WORD_BITS { u64::MAX } else { (1 << count) - 1 }
}

/// Sets in a line of several words what is set in the columns.
pub fn set_line(columns: &Bits, line: &mut [u64]) {
    let width = line.len();
    for (group, words) in line.chunks_mut(WORD_BITS).enumerate() {
        let mut square = [0; WORD_BITS];
        for (bit, row) in square.iter_mut().enumerate() {
            let at = bit * width + group * WORD_BITS;
            if at >= columns.length {
                break;
            }
            // What follows the end of the row belongs to words that are not there; what follows the last column is clear.
            *row = columns.get(at);
        }
        turn(&mut square);
        words.iter_mut().zip(square).for_each(|(word, row)| *word |= row);
    }
}

/// The columns of a line of several words, `count` of them.
pub fn columns_of(line: &[u64], count: usize, columns: &mut Bits) {
    let width = line.len();
    columns.clear();
    columns.length = count;
    for (group, words) in line.chunks(WORD_BITS).enumerate() {
        let mut square = [0; WORD_BITS];
        square[..words.len()].copy_from_slice(words);
        turn(&mut square);
        for (bit, row) in square.into_iter().enumerate() {
            let at = bit * width + group * WORD_BITS;
            if at >= count {
                break;
            }
            columns.put(at, row & lowest(words.len()));
        }
    }
}

/// Transposes 64 x 64 bits (Warren, Hacker's Delight, 2nd ed., section 7-3), where bit j of word i becomes bit i of word j.
fn turn(square: &mut [u64; WORD_BITS]) {
    let mut step = WORD_BITS / 2;
    let mut mask = u64::MAX >> step;
    while step > 0 {
        for pair in square.chunks_exact_mut(2 * step) {
            let (low, high) = pair.split_at_mut(step);
            for (low, high) in low.iter_mut().zip(high) {
                let swap = (*low >> step ^ *high) & mask;
                *low ^= swap << step;
                *high ^= swap;
            }
        }
        step /= 2;
        mask ^= mask << step;
    }
}

/// The bits of a word at even places, in the lower half of the result.
pub fn at_even_places(word: u64) -> u64 {
    let pairs = word & 0x5555_5555_5555_5555;
    let quads = (pairs | pairs >> 1) & 0x3333_3333_3333_3333;
    let bytes = (quads | quads >> 2) & 0x0F0F_0F0F_0F0F_0F0F;
    let twos = (bytes | bytes >> 4) & 0x00FF_00FF_00FF_00FF;
    let fours = (twos | twos >> 8) & 0x0000_FFFF_0000_FFFF;
    (fours | fours >> 16) & 0x0000_0000_FFFF_FFFF
}

/// The lower half of a word, spread over the even places: the inverse of [`at_even_places`].
pub fn to_even_places(half: u64) -> u64 {
    let fours = (half | half << 16) & 0x0000_FFFF_0000_FFFF;
    let twos = (fours | fours << 8) & 0x00FF_00FF_00FF_00FF;
    let bytes = (twos | twos << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    let quads = (bytes | bytes << 2) & 0x3333_3333_3333_3333;
    (quads | quads << 1) & 0x5555_5555_5555_5555
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// Bit by bit, for widths below, at and above the edge of the square, and columns that end inside a word and inside a row of bits.
    #[test]
    fn lines_are_the_columns_turned() {
        let mut stream = Stream::new(14103831, Purpose::Check, 60);
        for count in [65, 100, 128, 129, 500, 511, 512, 513, 4095, 4096, 4097, 4160, 8192, 9000] {
            let width = usize::div_ceil(count, WORD_BITS);
            let mut columns = Bits::new(count);
            for start in (0..count).step_by(37) {
                let part = 37.min(count - start);
                columns.push(stream.word() & lowest(part), part);
            }
            let mut line = vec![0; width];
            set_line(&columns, &mut line);
            for column in 0..64 * width {
                let expected = column < count && columns.get(column) & 1 == 1;
                assert_eq!(line[column % width] >> (column / width) & 1 == 1, expected, "column {column} of {count}");
            }
            let mut again = Bits::new(count);
            columns_of(&line, count, &mut again);
            assert_eq!(again.words, columns.words, "{count} columns");
        }
    }

    #[test]
    fn even_places_are_gathered_and_spread() {
        assert_eq!(at_even_places(0xB5), 0b0111);
        let mut stream = Stream::new(14103831, Purpose::Check, 61);
        for _ in 0..100 {
            let word = stream.word();
            assert_eq!(to_even_places(at_even_places(word)) | to_even_places(at_even_places(word >> 1)) << 1, word);
        }
    }
}
