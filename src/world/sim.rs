//! Time: from deadline to deadline, as fast as the machine allows, or at the pace of what is outside the world.

use std::time::Duration;

use super::outside::Moment;
use super::{Job, World, WorldError};

/// How far a run may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Duration);

impl World {
    /// Goes to the next moment at which something happens, but not past `until`; false if nothing happens before.
    ///
    /// # Errors
    /// [`WorldError::Stopped`] if the outside wants the run to end.
    pub fn step(&mut self, until: Duration) -> Result<bool, WorldError> {
        let next = self.deadline().filter(|next| *next <= until);
        match (self.await_outside(next.unwrap_or(until))?, next) {
            (Moment::Reached, Some(next)) => {
                self.advance(next)?;
                Ok(true)
            }
            (Moment::Reached, None) => Ok(false),
            (Moment::Frames { time, frames }, _) => {
                self.advance(time)?;
                self.receive(&frames)?;
                Ok(true)
            }
            (Moment::Command { time, line }, _) => {
                self.advance(time)?;
                self.typed(line);
                Ok(true)
            }
            (Moment::Stop { time }, _) => {
                self.advance(time)?;
                self.end();
                Err(WorldError::Stopped)
            }
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, duration: Duration) -> Result<(), WorldError> {
        let until = self.now().saturating_add(duration);
        self.settle()?;
        while self.step(until)? {}
        self.advance(until)
    }

    /// Runs until a job has ended, at most for `limit`; `None` if it had not ended by then and was stopped.
    pub fn finish(&mut self, job: &mut Job, limit: Limit) -> Result<Option<u8>, WorldError> {
        let until = self.now().saturating_add(limit.0);
        self.settle()?;
        loop {
            if let Some(status) = job.status() {
                return Ok(Some(status));
            }
            if !self.step(until)? {
                self.advance(until)?;
                self.stop(job);
                return Ok(None);
            }
        }
    }

    /// Ends a job's processes.
    pub fn stop(&mut self, job: &Job) {
        let ids: Vec<_> = job.processes().collect();
        for id in ids {
            self.processes.kill(id, 9);
        }
    }
}
