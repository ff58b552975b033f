//! What a command printed and how it ended, and assertions about it.

use std::fmt;
use std::time::Duration;

use super::attempt::Told;
use super::error::LabError;

/// What a command printed and how it ended: [`Lab::exec`](super::Lab::exec), [`Lab::docker`](super::Lab::docker).
#[must_use = "a command's output only says how it went: assert it, or look at `status()`"]
#[derive(Clone)]
pub struct Output {
    pub(super) title: String,
    pub(super) found: Result<Ended, LabError>,
    pub(super) told: Told,
}

/// How a command ended.
#[derive(Clone, Default)]
pub(super) struct Ended {
    pub(super) text: String,
    /// `None`: it was stopped at the limit of time or output.
    pub(super) status: Option<u8>,
}

impl Output {
    /// What it printed, standard output and standard error in the order they were written.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// assert_eq!(lab.exec("web", "echo hello").text(), "hello\n");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn text(&self) -> &str {
        self.found.as_ref().map_or("", |ended| &ended.text)
    }

    /// Its exit status; `None` if it was stopped because it did not end.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// assert_eq!(lab.exec("web", "exit 3").status()?, Some(3));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn status(&self) -> Result<Option<u8>, LabError> {
        self.found.as_ref().map(|ended| ended.status).map_err(Clone::clone)
    }

    /// Virtual time it took.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # use std::time::Duration;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// assert_eq!(lab.exec("web", "sleep 90").took(), Duration::from_secs(90));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn took(&self) -> Duration {
        self.told.took
    }

    /// What happened, as the messages of failed assertions tell it.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// assert!(lab.exec("web", "false").explanation().starts_with("web$ false: exit status 1"));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn explanation(&self) -> String {
        self.to_string()
    }

    /// It ended with exit status 0.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// lab.exec("web", "wget -qO- http://localhost/").assert_success();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With what it printed and the packet that decided, if it did not.
    #[track_caller]
    pub fn assert_success(&self) -> &Self {
        self.assert_status(0)
    }

    /// It ended with this exit status.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// lab.exec("web", "ping -c 1 nowhere").assert_status(1);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With what it printed and the packet that decided, if it did not.
    #[track_caller]
    pub fn assert_status(&self, status: u8) -> &Self {
        let holds = self.found.as_ref().is_ok_and(|ended| ended.status == Some(status));
        assert!(holds, "expected `{}` to end with status {status}\n{self}", self.title);
        self
    }

    /// It printed this, among other things.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// lab.docker("network ls").assert_contains("lab_default").assert_lacks("lab_other");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With what it printed, if this is not in it.
    #[track_caller]
    pub fn assert_contains(&self, text: &str) -> &Self {
        let holds = self.found.as_ref().is_ok_and(|ended| ended.text.contains(text));
        assert!(holds, "expected `{}` to print {text:?}\n{self}", self.title);
        self
    }

    /// It ran, and did not print this.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// lab.exec("web", "ip route").assert_lacks("blackhole");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With what it printed, if this is in it.
    #[track_caller]
    pub fn assert_lacks(&self, text: &str) -> &Self {
        let holds = self.found.as_ref().is_ok_and(|ended| !ended.text.contains(text));
        assert!(holds, "expected `{}` not to print {text:?}\n{self}", self.title);
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Ok(Ended { status: Some(status), .. }) => write!(f, "{}: exit status {status}", self.title)?,
            Ok(Ended { status: None, .. }) => {
                write!(f, "{}: stopped, because it did not end; `timeout`, `-c` or `&` help", self.title)?;
            }
            Err(error) => write!(f, "{} could not be started: {error}", self.title)?,
        }
        for line in self.text().lines() {
            write!(f, "\n  | {line}")?;
        }
        self.told.fmt(f)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
