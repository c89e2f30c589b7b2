//! Choices that follow from a seed alone, on every machine: SplitMix64 (Steele, Lea, Flood 2014).

/// A generator of choices.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of one question of a seed: its answers do not depend on what else was asked before.
    pub fn of(seed: u64, question: &str, nth: u64) -> Self {
        let mut rng = Self(seed);
        for part in question.bytes().map(u64::from).chain([nth]) {
            rng.0 ^= part;
            rng.0 = rng.next();
        }
        rng
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least `from`, less than `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.next() % from.len() as u64).expect("an index")]
    }

    /// One of these, each as often as its weight says; the weights are not all 0.
    pub fn weighted<'a, T>(&mut self, from: &'a [(u64, T)]) -> &'a T {
        let mut at = self.between(0, from.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in from {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return choice,
            }
        }
        unreachable!("the weights changed")
    }

    /// Milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> std::time::Duration {
        std::time::Duration::from_millis(self.between(from, to))
    }
}
