//! The files of one log: one, or one for each partition that its path names, of which only so many are open.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use config::model::AccessLog;

use super::batch::Batch;
use super::output::Output;

/// Files of one log that are open at the same time.
const MOST: usize = 64;

/// The files of one log.
pub(super) struct Streams {
    settings: AccessLog,
    open: Vec<Stream>,
    /// Where the last line went, which is where the next one goes most of the time.
    last: usize,
    clock: u64,
}

/// One file and the lines on their way there.
pub(super) struct Stream {
    partition: Option<Arc<str>>,
    pub(super) output: Output,
    pub(super) batch: Batch,
    /// Whether the last write went wrong.
    pub(super) failing: bool,
    used: u64,
}

impl Streams {
    /// Opens the file of `settings`; of a path that names partitions, the folder above them is made.
    pub(super) fn open(settings: &AccessLog) -> io::Result<Self> {
        let mut streams = Self {
            settings: settings.clone(),
            open: Vec::new(),
            last: 0,
            clock: 0,
        };
        if settings.by_partition() {
            std::fs::create_dir_all(settings.folder())?;
        } else {
            let mut stream = streams.stream(None)?;
            stream.output.open()?;
            streams.open.push(stream);
        }
        Ok(streams)
    }

    /// One that writes into `output`, for tests.
    #[cfg(test)]
    pub(super) fn into_output(settings: &AccessLog, output: Output) -> Self {
        Self {
            settings: settings.clone(),
            open: vec![Stream::new(None, output)],
            last: 0,
            clock: 0,
        }
    }

    /// Where lines of `partition` go; `None` when no further file may be open before one of the others is written out.
    pub(super) fn of(&mut self, partition: Option<&Arc<str>>) -> io::Result<Option<&mut Stream>> {
        self.clock += 1;
        let is_it = |stream: &Stream| stream.partition.as_ref() == partition;
        if !self.open.get(self.last).is_some_and(is_it) {
            self.last = match self.open.iter().position(is_it) {
                Some(position) => position,
                None => match self.add(partition)? {
                    Some(position) => position,
                    None => return Ok(None),
                },
            };
        }
        let stream = &mut self.open[self.last];
        stream.used = self.clock;
        Ok(Some(stream))
    }

    /// All that are open.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.open.iter_mut()
    }

    /// Closes the one that was not used for the longest time when there are as many as may be.
    fn add(&mut self, partition: Option<&Arc<str>>) -> io::Result<Option<usize>> {
        if self.open.len() >= MOST {
            let idle = self.open.iter().enumerate();
            let idle = idle.filter(|(_, stream)| stream.batch.len() == 0);
            let Some((oldest, _)) = idle.min_by_key(|(_, stream)| stream.used) else {
                return Ok(None);
            };
            self.open.swap_remove(oldest);
        }
        let stream = self.stream(partition)?;
        self.open.push(stream);
        Ok(Some(self.open.len() - 1))
    }

    fn stream(&self, partition: Option<&Arc<str>>) -> io::Result<Stream> {
        let path = PathBuf::from(self.settings.path_of(partition.map_or("", |name| name)));
        let output = Output::new(&path, &self.settings)?;
        Ok(Stream::new(partition.cloned(), output))
    }
}

impl Stream {
    fn new(partition: Option<Arc<str>>, output: Output) -> Self {
        Self {
            partition,
            output,
            batch: Batch::default(),
            failing: false,
            used: 0,
        }
    }
}
