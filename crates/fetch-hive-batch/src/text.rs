use std::io::{self, Read};
use std::path::PathBuf;

use encoding_rs::{Decoder, DecoderResult, EncoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::Error;

/// The size of the blocks in which a file is read and decoded.
const BLOCK: usize = 64 * 1024;

/// The maximum size of a cell or a line, so that an unclosed quote cannot exhaust memory.
pub(crate) const MAX_TEXT: usize = 64 * 1024 * 1024;

/// The first bytes of a workbook.
pub(crate) const ZIP_SIGNATURE: &[u8] = b"PK\x03\x04";

/// A reader that decodes text, counts lines and reports bytes that are invalid in the encoding.
pub(crate) struct TextReader {
    source: Box<dyn Read + Send>,
    path: PathBuf,
    decoder: Decoder,
    /// The bytes that have been read but not decoded.
    bytes: Vec<u8>,
    /// The decoded text, of which `position` bytes have been consumed.
    text: String,
    position: usize,
    /// The number of the current line, counted from 1.
    line: u64,
    after_carriage_return: bool,
    /// What follows the decoded text, if it is not more text: the end of the file or invalid bytes.
    end: Option<End>,
    byte_order_mark: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    File,
    Malformed,
}

impl TextReader {
    /// Creates a reader. A byte-order mark takes precedence over `encoding`.
    pub(crate) fn new(
        mut source: impl Read + Send + 'static,
        path: PathBuf,
        encoding: Option<&'static Encoding>,
    ) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        source.by_ref().take(4).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
        if bytes.starts_with(ZIP_SIGNATURE) {
            return Err(Error::input(Some(&path), None, "is an XLSX workbook or ZIP file; rename it to .xlsx"));
        }
        let mark = Encoding::for_bom(&bytes);
        let encoding = match mark {
            Some((encoding, length)) => {
                bytes.drain(..length);
                encoding
            }
            None => encoding.unwrap_or(UTF_8),
        };
        Ok(Self {
            source: Box::new(source),
            path,
            decoder: encoding.new_decoder_without_bom_handling(),
            bytes,
            text: String::new(),
            position: 0,
            line: 1,
            after_carriage_return: false,
            end: None,
            byte_order_mark: mark.is_some(),
        })
    }

    /// Creates a reader for text in memory.
    pub(crate) fn from_text(text: &str, path: PathBuf) -> Self {
        Self {
            source: Box::new(io::empty()),
            path,
            decoder: UTF_8.new_decoder_without_bom_handling(),
            bytes: Vec::new(),
            text: text.to_owned(),
            position: 0,
            line: 1,
            after_carriage_return: false,
            end: None,
            byte_order_mark: false,
        }
    }

    pub(crate) fn encoding(&self) -> &'static Encoding {
        self.decoder.encoding()
    }

    pub(crate) fn has_byte_order_mark(&self) -> bool {
        self.byte_order_mark
    }

    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Creates an error that names the file and the line.
    pub(crate) fn error(&self, line: u64, reason: impl Into<String>) -> Error {
        Error::input(Some(&self.path), Some(line), reason)
    }

    /// Returns the first block of text without consuming it, and whether this is the whole text.
    pub(crate) fn sample(&mut self) -> Result<(&str, bool), Error> {
        while self.text.len() - self.position < BLOCK && self.end.is_none() {
            self.decode_block()?;
        }
        Ok((&self.text[self.position..], self.end == Some(End::File)))
    }

    /// Returns the next byte of the text without consuming it, or `None` at the end of the file.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Error> {
        if self.position == self.text.len() && !self.fill()? {
            return Ok(None);
        }
        match self.text.as_bytes()[self.position] {
            0 => Err(self.error(
                self.line,
                "contains a NUL character; if the file is UTF-16 without a byte-order mark, set the encoding to \
                 \"utf-16le\" or \"utf-16be\"",
            )),
            byte => Ok(Some(byte)),
        }
    }

    /// Consumes an ASCII byte that [`peek`](Self::peek) returned.
    pub(crate) fn skip(&mut self, byte: u8) {
        self.position += 1;
        // CR, LF and CR LF each end one line.
        if byte == b'\r' || (byte == b'\n' && !self.after_carriage_return) {
            self.line += 1;
        }
        self.after_carriage_return = byte == b'\r';
    }

    /// Appends text to `target` until it reaches one of the ASCII bytes in `stops` or a NUL
    /// character.
    ///
    /// `stops` must contain CR and LF, because [`skip`](Self::skip) counts lines.
    pub(crate) fn take_until(&mut self, stops: &[u8], target: &mut String) -> Result<(), Error> {
        loop {
            let rest = &self.text[self.position..];
            let found = rest.bytes().position(|byte| byte == 0 || stops.contains(&byte));
            let length = found.unwrap_or(rest.len());
            if length > 0 {
                target.push_str(&rest[..length]);
                self.after_carriage_return = false;
            }
            self.position += length;
            if target.len() > MAX_TEXT {
                return Err(self.error(
                    self.line,
                    "contains a cell or line of more than 64 MiB; check for a quote that is never closed",
                ));
            }
            if found.is_some() || !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Decodes more text. Returns `false` at the end of the file.
    fn fill(&mut self) -> Result<bool, Error> {
        self.text.clear();
        self.position = 0;
        while self.text.is_empty() {
            match self.end {
                None => self.decode_block()?,
                Some(End::File) => return Ok(false),
                Some(End::Malformed) => return Err(self.malformed()),
            }
        }
        Ok(true)
    }

    fn malformed(&self) -> Error {
        let name = self.encoding().name();
        let hint = if self.encoding() == UTF_8 {
            "set the encoding, such as \"windows-1252\" for a file from a Western European spreadsheet program"
        } else {
            "set another encoding, or repair the file"
        };
        self.error(self.line, format!("contains bytes that are not valid {name}; {hint}"))
    }

    fn decode_block(&mut self) -> Result<(), Error> {
        let block = u64::try_from(BLOCK).unwrap_or(u64::MAX);
        let read = self.source.by_ref().take(block).read_to_end(&mut self.bytes);
        let last = read.map_err(Error::io("read", &self.path))? == 0;
        let mut consumed = 0;
        loop {
            let rest = &self.bytes[consumed..];
            let needed = self.decoder.max_utf8_buffer_length_without_replacement(rest.len());
            self.text.reserve(needed.unwrap_or(BLOCK).max(16));
            let (result, length) = self.decoder.decode_to_string_without_replacement(rest, &mut self.text, last);
            consumed += length;
            match result {
                DecoderResult::InputEmpty => {
                    self.end = last.then_some(End::File);
                    break;
                }
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    self.end = Some(End::Malformed);
                    break;
                }
            }
        }
        self.bytes.drain(..consumed);
        Ok(())
    }
}

/// A writer that encodes text.
pub(crate) struct Encoder {
    encoding: &'static Encoding,
    inner: encoding_rs::Encoder,
    /// Decodes what was written, because some encoders replace a character with a similar one.
    decoder: Decoder,
}

impl Encoder {
    pub(crate) fn new(encoding: &'static Encoding) -> Self {
        Self { encoding, inner: encoding.new_encoder(), decoder: encoding.new_decoder_without_bom_handling() }
    }

    /// Returns the bytes of the byte-order mark, or no bytes for encodings without one.
    pub(crate) fn byte_order_mark(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Only the encodings that `Encoding::for_bom` returns have a byte-order mark.
        if [UTF_8, UTF_16LE, UTF_16BE].contains(&self.encoding) {
            let _ = self.encode("\u{feff}", &mut bytes);
        }
        bytes
    }

    /// Encodes text and appends the bytes. The error is the first character that the encoding
    /// cannot represent.
    ///
    /// A line ending resets stateful encodings, so the last text must end with one.
    pub(crate) fn encode(&mut self, text: &str, bytes: &mut Vec<u8>) -> Result<(), char> {
        if self.encoding == UTF_8 {
            bytes.extend_from_slice(text.as_bytes());
        } else if self.encoding == UTF_16LE {
            bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        } else if self.encoding == UTF_16BE {
            bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        } else {
            self.encode_legacy(text, bytes)?;
        }
        Ok(())
    }

    fn encode_legacy(&mut self, text: &str, bytes: &mut Vec<u8>) -> Result<(), char> {
        let start = bytes.len();
        let mut rest = text;
        loop {
            let needed = self.inner.max_buffer_length_from_utf8_without_replacement(rest.len());
            bytes.reserve(needed.unwrap_or(BLOCK).max(16));
            let (result, read) = self.inner.encode_from_utf8_to_vec_without_replacement(rest, bytes, false);
            match result {
                EncoderResult::InputEmpty => return self.check(text, &bytes[start..]),
                EncoderResult::OutputFull => rest = &rest[read..],
                EncoderResult::Unmappable(character) => return Err(character),
            }
        }
    }

    /// Checks that the bytes decode to the same text. The error is the first character that
    /// differs.
    fn check(&mut self, text: &str, bytes: &[u8]) -> Result<(), char> {
        let needed = self.decoder.max_utf8_buffer_length_without_replacement(bytes.len());
        let mut read = String::with_capacity(needed.unwrap_or(BLOCK).max(16));
        // The bytes end with a complete character, so the decoder holds no partial one.
        let _ = self.decoder.decode_to_string_without_replacement(bytes, &mut read, false);
        let mut read = read.chars();
        text.chars().find(|character| read.next() != Some(*character)).map_or(Ok(()), Err)
    }
}
