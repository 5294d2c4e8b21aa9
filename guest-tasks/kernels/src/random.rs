//! Random numbers that are the same everywhere: SplitMix64.

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`. The bias is negligible, since `end` is small.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// A number from 0 to below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let (chunks, rest) = bytes.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = self.next().to_le_bytes();
        }
        rest.fill_with(|| self.next() as u8);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of its authors' program, from seed 0.
    #[test]
    fn the_numbers_are_the_published_ones() {
        let mut random = Random::new();
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(random.next(), 0x06C4_5D18_8009_454F);
    }
}
