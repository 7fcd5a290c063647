//! Whether the service is worth asking: after several faults in a row it is left alone for a while.

use std::sync::{Mutex, PoisonError};

/// So many faults in a row open the circuit.
const FAULTS: u32 = 5;
/// For how many milliseconds it is open at first, and at most.
const SHORTEST: u64 = 1_000;
const LONGEST: u64 = 30_000;

/// With which right a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The circuit is closed.
    Usual,
    /// It is open, and this question finds out whether it has to stay so.
    Probe,
    /// Asked whatever the circuit is: nobody waits for it.
    Background,
}

/// Closed: everything passes. Open: nothing does, but for one probe each time the wait is over.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    faults: u32,
    /// 0: closed.
    open_for: u64,
    until: u64,
}

impl Circuit {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: do not ask. `now` in milliseconds.
    pub(super) fn admit(&self, now: u64) -> Option<Pass> {
        let mut state = self.state();
        if state.open_for == 0 {
            return Some(Pass::Usual);
        }
        // A clock that was set back must not keep the circuit open for as long.
        if now < state.until && state.until - now <= state.open_for {
            return None;
        }
        // Should this probe never come to an end, the next one goes out when the wait is over once more.
        state.until = now.saturating_add(state.open_for);
        Some(Pass::Probe)
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().open_for > 0
    }

    pub(super) fn succeeded(&self) {
        *self.state() = State::default();
    }

    pub(super) fn failed(&self, pass: Pass, now: u64) {
        let mut state = self.state();
        state.faults = state.faults.saturating_add(1);
        let open_for = match (state.open_for, pass) {
            (0, _) if state.faults >= FAULTS => SHORTEST,
            (open, Pass::Probe) if open > 0 => (open * 2).min(LONGEST),
            // Not yet, or the wait is running already.
            _ => return,
        };
        state.open_for = open_for;
        state.until = now.saturating_add(open_for);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Circuit {
        let circuit = Circuit::default();
        for _ in 0..FAULTS {
            assert_eq!(circuit.admit(0), Some(Pass::Usual));
            circuit.failed(Pass::Usual, 0);
        }
        circuit
    }

    #[test]
    fn five_faults_in_a_row_open_it_and_four_do_not() {
        let circuit = Circuit::default();
        for _ in 0..3 {
            for _ in 0..FAULTS - 1 {
                circuit.failed(Pass::Usual, 0);
            }
            assert_eq!(circuit.admit(0), Some(Pass::Usual));
            circuit.succeeded();
        }
        assert_eq!(opened().admit(0), None);
    }

    #[test]
    fn one_probe_at_a_time_and_each_failure_doubles_the_wait_up_to_a_bound() {
        let circuit = opened();
        let mut now = 0;
        for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(circuit.admit(now + wait - 1), None, "{wait}");
            now += wait;
            assert_eq!(circuit.admit(now), Some(Pass::Probe), "{wait}");
            assert_eq!(circuit.admit(now), None, "a second probe beside the first");
            circuit.failed(Pass::Probe, now);
        }
        circuit.succeeded();
        assert_eq!(circuit.admit(now), Some(Pass::Usual));
    }

    #[test]
    fn a_probe_that_never_ends_is_followed_by_another() {
        let circuit = opened();
        assert_eq!(circuit.admit(1_000), Some(Pass::Probe));
        assert_eq!(circuit.admit(1_999), None);
        assert_eq!(circuit.admit(2_000), Some(Pass::Probe));
    }

    #[test]
    fn what_fails_in_the_background_does_not_prolong_the_wait() {
        let circuit = opened();
        for now in 0..100 {
            circuit.failed(Pass::Background, now * 500);
        }
        assert_eq!(circuit.admit(1_000), Some(Pass::Probe));
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let circuit = Circuit::default();
        for _ in 0..FAULTS {
            circuit.failed(Pass::Usual, 1_000_000);
        }
        assert_eq!(circuit.admit(1_000_000), None);
        assert_eq!(circuit.admit(0), Some(Pass::Probe));
    }
}
