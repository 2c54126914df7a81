use bytes::Bytes;

/// A body that is read into memory, up to a limit.
///
/// The first chunk is kept without a copy, because most bodies arrive in one.
pub(crate) struct BodyBuffer {
    limit: usize,
    first: Bytes,
    all: Vec<u8>,
}

/// The body is larger than the limit. The buffer holds its start, up to the limit.
pub(crate) struct BodyTooLarge {
    pub(crate) limit: usize,
}

impl BodyBuffer {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, first: Bytes::new(), all: Vec::new() }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<(), BodyTooLarge> {
        let room = self.limit.saturating_sub(self.first.len().max(self.all.len()));
        if chunk.len() > room {
            self.append(chunk.slice(..room));
            return Err(BodyTooLarge { limit: self.limit });
        }
        self.append(chunk);
        Ok(())
    }

    fn append(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        if self.first.is_empty() {
            self.first = chunk;
        } else {
            if self.all.is_empty() {
                self.all.extend_from_slice(&self.first);
            }
            self.all.extend_from_slice(&chunk);
        }
    }

    /// Returns the number of bytes in the buffer.
    pub(crate) fn received(&self) -> u64 {
        self.first.len().max(self.all.len()) as u64
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}
