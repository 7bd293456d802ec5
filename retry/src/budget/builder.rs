//! [`BudgetBuilder`]: the settings of a [`Budget`], and their checks.

use super::{Budget, Rules, thousandths};
use crate::PolicyError;
use crate::members::setters;

/// The settings of a [`Budget`], in tokens with three decimals; [`build`](Self::build) checks them.
///
/// ```
/// use retry::budget::Budget;
///
/// let err = Budget::builder().capacity(3.0).build().unwrap_err();
/// assert_eq!(err.to_string(), "`capacity` is 3, expected at least 10, the dearest retry");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct BudgetBuilder {
    capacity: f64,
    retry_cost: f64,
    timeout_cost: Option<f64>,
    throttled_cost: Option<f64>,
    success_gain: f64,
    per_second: f64,
}

impl Default for BudgetBuilder {
    fn default() -> Self {
        Self {
            capacity: 500.0,
            retry_cost: 5.0,
            timeout_cost: None,
            throttled_cost: None,
            success_gain: 1.0,
            per_second: 5.0,
        }
    }
}

impl BudgetBuilder {
    setters! {
        /// The tokens at the start, and the most it holds. Default: 500.
        pub const fn capacity(tokens: f64) => capacity = tokens;
        /// The cost of a retry. Default: 5.
        pub const fn retry_cost(tokens: f64) => retry_cost = tokens;
        /// The cost of a retry after a timeout. Default: twice [`retry_cost`](Self::retry_cost).
        pub const fn timeout_cost(tokens: f64) => timeout_cost = Some(tokens);
        /// The cost of a retry after throttling. Default: [`retry_cost`](Self::retry_cost).
        pub const fn throttled_cost(tokens: f64) => throttled_cost = Some(tokens);
        /// The gain of a success without retry. Default: 1. Gain divided by cost bounds the share of retries in the load of a
        /// working service: by default 1 in 5.
        pub const fn success_gain(tokens: f64) => success_gain = tokens;
        /// The gain per second, so that a client with little traffic can retry again after an outage. Default: 5.
        pub const fn per_second(tokens: f64) => per_second = tokens;
    }

    /// Checks the settings and builds the budget.
    ///
    /// # Errors
    /// If a number is negative or not finite, a retry costs nothing, or the capacity is below what one retry
    /// costs.
    pub fn build(self) -> Result<Budget, PolicyError> {
        let timeout_cost = self.timeout_cost.unwrap_or(self.retry_cost * 2.0);
        let throttled_cost = self.throttled_cost.unwrap_or(self.retry_cost);
        for (field, tokens, least) in [
            ("retryCost", self.retry_cost, 0.001),
            ("timeoutCost", timeout_cost, 0.001),
            ("throttledCost", throttled_cost, 0.001),
            ("successGain", self.success_gain, 0.0),
            ("perSecond", self.per_second, 0.0),
        ] {
            if !(tokens.is_finite() && tokens >= least) {
                return Err(PolicyError::new(field, tokens, format!("a finite number of at least {least}")));
            }
        }
        let dearest = self.retry_cost.max(timeout_cost).max(throttled_cost);
        if !(self.capacity.is_finite() && self.capacity >= dearest) {
            let expected = format!("at least {dearest}, the dearest retry");
            return Err(PolicyError::new("capacity", self.capacity, expected));
        }
        Ok(Budget::new(Rules {
            capacity: thousandths(self.capacity),
            retry_cost: thousandths(self.retry_cost),
            timeout_cost: thousandths(timeout_cost),
            throttled_cost: thousandths(throttled_cost),
            success_gain: thousandths(self.success_gain),
            refill: thousandths(self.per_second),
            ..Rules::AWS_STANDARD
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_field() {
        for (builder, field) in [
            (Budget::builder().retry_cost(0.0), "retryCost"),
            (Budget::builder().timeout_cost(-1.0), "timeoutCost"),
            (Budget::builder().throttled_cost(0.0), "throttledCost"),
            (Budget::builder().success_gain(f64::NAN), "successGain"),
            (Budget::builder().per_second(f64::INFINITY), "perSecond"),
            (Budget::builder().capacity(9.0), "capacity"),
        ] {
            assert_eq!(builder.build().unwrap_err().field(), field);
        }
    }
}
