//! [`Window`]: the recent results, for a breaker with a failure rate.
//!
//! Ten buckets hold a tenth of the window each; the oldest bucket expires as a whole. This takes constant memory and time. A
//! queue of single results was the alternative; its length grows with the traffic.

const BUCKETS: usize = 10;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    buckets: [Bucket; BUCKETS],
    /// The number of the newest bucket since the clock's zero.
    newest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    all: u32,
    failed: u32,
}

impl Window {
    /// Counts a result at `now`, and returns the numbers of results and of failures in the window. A result older than the
    /// newest bucket, which racing threads can produce, counts in the newest.
    pub(super) fn count(&mut self, succeeded: bool, now: u64, window: u64) -> (u32, u32) {
        let number = now / (window / BUCKETS as u64).max(1);
        let passed = number.saturating_sub(self.newest);
        for step in 1..=passed.min(BUCKETS as u64) {
            self.buckets[Self::slot(self.newest.wrapping_add(step))] = Bucket::default();
        }
        self.newest = self.newest.max(number);
        let bucket = &mut self.buckets[Self::slot(self.newest)];
        bucket.all = bucket.all.saturating_add(1);
        bucket.failed = bucket.failed.saturating_add(u32::from(!succeeded));
        self.buckets.iter().fold((0, 0), |(all, failed), bucket| {
            (u32::saturating_add(all, bucket.all), u32::saturating_add(failed, bucket.failed))
        })
    }

    const fn slot(number: u64) -> usize {
        (number % BUCKETS as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slides_by_tenths() {
        let mut window = Window::default();
        assert_eq!(window.count(false, 0, 100), (1, 1));
        assert_eq!(window.count(true, 55, 100), (2, 1));
        assert_eq!(window.count(true, 99, 100), (3, 1));
        assert_eq!(window.count(true, 100, 100), (3, 0)); // the first has fallen out
        assert_eq!(window.count(false, 0, 100), (4, 1)); // late: counts as now
        assert_eq!(window.count(true, u64::MAX, 100), (1, 0));
        assert_eq!(Window::default().count(true, u64::MAX, 0), (1, 0));
    }
}
