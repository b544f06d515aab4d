//! A set of units: 16-bit numbers, few of them in 2 bytes each, many in 8 KiB.

/// Units there are.
const ALL: usize = 1 << 16;
/// From so many on a list is larger than a map of bits.
const MANY: usize = 4096;
const WORDS: usize = ALL / 64;

/// A set of units.
#[derive(Clone, Debug)]
pub struct Units(Form);

#[derive(Clone, Debug)]
enum Form {
    /// In ascending order.
    List(Vec<u16>),
    Bits {
        words: Box<[u64; WORDS]>,
        len: usize,
    },
}

impl Default for Units {
    fn default() -> Self {
        Self(Form::List(Vec::new()))
    }
}

impl Units {
    /// Adds `unit`; whether it was not in the set before.
    pub fn insert(&mut self, unit: u16) -> bool {
        if let Form::List(list) = &self.0
            && list.len() >= MANY
        {
            self.0 = bits(list);
        }
        match &mut self.0 {
            Form::List(list) => match list.binary_search(&unit) {
                Ok(_) => false,
                Err(place) => {
                    list.insert(place, unit);
                    true
                }
            },
            Form::Bits { words, len } => {
                let (word, bit) = place(unit);
                let is_new = words[word] & bit == 0;
                words[word] |= bit;
                *len += usize::from(is_new);
                is_new
            }
        }
    }

    /// Adds 64 units at once, as bits; `word` is a 64th of the first one.
    pub fn insert_word(&mut self, word: usize, mut bits: u64) {
        while bits != 0 {
            // A word counts up to 1024, a bit up to 64: together a unit.
            self.insert((word * 64 + bits.trailing_zeros() as usize) as u16);
            bits &= bits - 1;
        }
    }

    /// Whether `unit` is in the set.
    pub fn contains(&self, unit: u16) -> bool {
        match &self.0 {
            Form::List(list) => list.binary_search(&unit).is_ok(),
            Form::Bits { words, .. } => {
                let (word, bit) = place(unit);
                words[word] & bit != 0
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::List(list) => list.len(),
            Form::Bits { len, .. } => *len,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        match &mut self.0 {
            Form::List(list) => list.clear(),
            Form::Bits { .. } => *self = Self::default(),
        }
    }

    /// All of them, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        let (list, words): (&[u16], &[u64]) = match &self.0 {
            Form::List(list) => (list, &[]),
            Form::Bits { words, .. } => (&[], &**words),
        };
        let of_words = words.iter().enumerate().flat_map(|(at, word)| {
            let bits = (0..64).filter(move |bit| word >> bit & 1 == 1);
            bits.map(move |bit| (at * 64 + bit) as u16)
        });
        list.iter().copied().chain(of_words)
    }
}

/// The same units, in whatever form.
impl PartialEq for Units {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Extend<u16> for Units {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, units: I) {
        for unit in units {
            self.insert(unit);
        }
    }
}

impl FromIterator<u16> for Units {
    fn from_iter<I: IntoIterator<Item = u16>>(units: I) -> Self {
        let mut set = Self::default();
        set.extend(units);
        set
    }
}

fn bits(list: &[u16]) -> Form {
    let mut words = Box::new([0; WORDS]);
    for unit in list {
        let (word, bit) = place(*unit);
        words[word] |= bit;
    }
    Form::Bits {
        words,
        len: list.len(),
    }
}

const fn place(unit: u16) -> (usize, u64) {
    (unit as usize / 64, 1 << (unit % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_is_the_same_as_a_list_and_as_bits() {
        let (mut units, mut known) = (Units::default(), BTreeSet::new());
        for draw in 0..10_000u64 {
            // Odd, so every number comes up once before any comes up twice.
            let unit = (draw * 40_503 % 9_973) as u16;
            assert_eq!(units.insert(unit), known.insert(unit));
        }
        assert!(units.len() > MANY);
        assert_eq!(units.len(), known.len());
        assert!(units.iter().eq(known.iter().copied()));
        assert!((0..=u16::MAX).all(|unit| units.contains(unit) == known.contains(&unit)));
        units.clear();
        assert!(units.is_empty() && units.iter().next().is_none());
    }

    #[test]
    fn a_word_of_bits_is_its_units() {
        let mut units = Units::default();
        units.insert_word(1023, 1 << 63 | 1);
        assert_eq!(units.iter().collect::<Vec<_>>(), [65_472, 65_535]);
    }
}
