//! An array of JSON objects, read one by one. An element that is broken is a reject and loses no other.

use std::io::{self, BufRead};

use super::{BOM, MAX_LINE_BYTES, ReadRow, json_lines::object};

pub(super) fn records(mut reader: impl BufRead, sink: &mut dyn FnMut(ReadRow<'_>)) -> io::Result<()> {
    let mut elements = Elements::default();
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        for &byte in buffer {
            elements.take(byte, sink);
        }
        let length = buffer.len();
        reader.consume(length);
    }
    elements.end(sink);
    Ok(())
}

/// Where the reading of an array is.
#[derive(Default)]
enum At {
    /// Before its bracket.
    #[default]
    Start,
    /// Within it.
    Inside,
    /// After its end.
    End,
}

/// The array's elements, told apart by their brackets and quotation marks alone.
#[derive(Default)]
struct Elements {
    at: At,
    place: u64,
    element: Vec<u8>,
    /// Bytes of the element; beyond the limit they are counted only.
    length: u64,
    depth: u64,
    in_text: bool,
    is_escaped: bool,
    after_end: bool,
}

impl Elements {
    fn take(&mut self, byte: u8, sink: &mut dyn FnMut(ReadRow<'_>)) {
        match self.at {
            At::Start => {
                if byte == b'[' {
                    self.at = At::Inside;
                } else if !byte.is_ascii_whitespace() && !BOM.contains(&byte) {
                    self.push(byte);
                }
            }
            At::Inside => self.take_inside(byte, sink),
            At::End => self.after_end |= !byte.is_ascii_whitespace(),
        }
    }

    fn take_inside(&mut self, byte: u8, sink: &mut dyn FnMut(ReadRow<'_>)) {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_text = false,
                // JSON has no line break within a text: the element is broken, and what comes after it need not be.
                b'\n' => (self.in_text, self.depth) = (false, 0),
                _ => {}
            }
            return self.push(byte);
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b']' if self.depth == 0 => {
                if self.place > 0 || !self.element.trim_ascii().is_empty() {
                    self.hand_over(None, sink);
                }
                self.at = At::End;
                return;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if self.depth == 0 => return self.hand_over(None, sink),
            _ => {}
        }
        self.push(byte);
    }

    fn push(&mut self, byte: u8) {
        self.length += 1;
        if self.element.len() <= MAX_LINE_BYTES {
            self.element.push(byte);
        }
    }

    /// Ends an element. `broken` says what is wrong with it where that is known.
    fn hand_over(&mut self, broken: Option<&str>, sink: &mut dyn FnMut(ReadRow<'_>)) {
        self.place += 1;
        let element = self.element.trim_ascii();
        let row = match broken {
            Some(reason) => Err(reason.to_owned()),
            None if self.length > MAX_LINE_BYTES as u64 => {
                Err(format!("the element has {} bytes; at most {MAX_LINE_BYTES} are read", self.length))
            }
            None if element.is_empty() => Err("not JSON: nothing between two commas".into()),
            None => object(element),
        };
        sink(ReadRow { place: self.place, line: element, row, left_out: &[] });
        self.element.clear();
        (self.length, self.depth, self.in_text, self.is_escaped) = (0, 0, false, false);
    }

    fn end(mut self, sink: &mut dyn FnMut(ReadRow<'_>)) {
        match self.at {
            At::End if self.after_end => {
                self.hand_over(Some("not JSON: there is text after the array"), sink);
            }
            At::End => {}
            At::Start | At::Inside => {
                self.hand_over(Some("not JSON: the file ends within the array; it was cut off"), sink);
            }
        }
    }
}
