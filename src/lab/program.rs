//! Own programs in a container: async code over [`Sys`], polled by the world's executor in virtual time.
//!
//! A program sees what a process in that container sees: its interfaces, its name server, its files. It must wait only
//! for what [`Sys`] offers; another runtime's timers and sockets would never wake it.

use std::cell::RefCell;
use std::rc::Rc;

use super::error::LabError;
use super::session::Lab;
use crate::world::{Job, Sys};

/// A program that was started: [`Lab::program`].
pub struct Program<T> {
    what: String,
    job: Job,
    result: Rc<RefCell<Option<T>>>,
}

impl<T> Program<T> {
    /// Whether it has ended.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    /// use std::time::Duration;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// let mut program = lab.program("web", async |sys| sys.sleep(Duration::from_secs(5)).await)?;
    /// lab.advance(Duration::from_secs(4))?;
    /// assert!(!program.has_ended());
    /// lab.advance(Duration::from_secs(1))?;
    /// assert!(program.has_ended());
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn has_ended(&mut self) -> bool {
        self.job.status().is_some()
    }
}

impl Lab {
    /// Starts own code as a process of a place. It runs whenever time passes; [`Lab::finish`] waits for its result.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {app: {image: busybox, command: sleep 1h}}")?;
    /// let server = lab.program("app", async |sys| {
    ///     let listener = sys.tcp_listen("0.0.0.0:7".parse().unwrap(), 16).unwrap();
    ///     let (stream, peer) = listener.accept().await.unwrap();
    ///     stream.write_all(b"hello\n").await.unwrap();
    ///     peer.ip()
    /// })?;
    /// lab.exec("host", "nc 172.18.0.2 7").assert_contains("hello");
    /// assert_eq!(lab.finish(server)?.to_string(), "172.18.0.1");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such place, or it does not run.
    pub fn program<T: 'static>(
        &mut self,
        place: &str,
        main: impl AsyncFnOnce(Sys) -> T + 'static,
    ) -> Result<Program<T>, LabError> {
        let location = self.place(place)?;
        let result = Rc::new(RefCell::new(None));
        let slot = result.clone();
        let job = self.world.start_task(&location, "program", move |sys| async move {
            let value = main(sys).await;
            *slot.borrow_mut() = Some(value);
        })?;
        self.world.settle()?;
        self.flush();
        Ok(Program { what: format!("the program in {place}"), job, result })
    }

    /// Lets time pass until a program has ended, at most 600 s, and returns its result.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// let program = lab.program("web", async |sys| sys.hostname().len())?;
    /// assert_eq!(lab.finish(program)?, 12);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// [`LabError::Unfinished`] if it does not end, or ends with its container.
    pub fn finish<T>(&mut self, program: Program<T>) -> Result<T, LabError> {
        let Program { what, mut job, result } = program;
        let (_, status) = self.drive(&mut job)?;
        let value = result.borrow_mut().take();
        value.ok_or_else(|| {
            let reason = match status {
                Some(status) => format!("it was ended from outside, with status {status}"),
                None => format!("it still ran after {} s of virtual time", super::session::LIMIT.as_secs()),
            };
            LabError::Unfinished { what, reason }
        })
    }
}
