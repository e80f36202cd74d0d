//! JSON with one entry a line: indented down to a depth, compact below it.
//!
//! A long list stays readable, searchable with `grep` and comparable with `diff`, at little more than its compact size.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// Writes a value, indented down to `depth` levels, with a line feed at its end.
pub(crate) fn lines(
    value: &impl Serialize,
    depth: usize,
    out: &mut impl Write,
) -> Result<(), serde_json::Error> {
    let mut serializer = Serializer::with_formatter(
        &mut *out,
        Lines {
            pretty: PrettyFormatter::new(),
            level: 0,
            depth,
        },
    );
    value.serialize(&mut serializer)?;
    out.write_all(b"\n").map_err(serde_json::Error::io)
}

struct Lines {
    pretty: PrettyFormatter<'static>,
    level: usize,
    depth: usize,
}

impl Lines {
    fn indents(&self) -> bool {
        self.level <= self.depth
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.level += 1;
        if self.indents() {
            self.pretty.begin_array(writer)
        } else {
            CompactFormatter.begin_array(writer)
        }
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let done = if self.indents() {
            self.pretty.end_array(writer)
        } else {
            CompactFormatter.end_array(writer)
        };
        self.level -= 1;
        done
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if self.indents() {
            self.pretty.begin_array_value(writer, first)
        } else {
            CompactFormatter.begin_array_value(writer, first)
        }
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.indents() {
            self.pretty.end_array_value(writer)
        } else {
            CompactFormatter.end_array_value(writer)
        }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.level += 1;
        if self.indents() {
            self.pretty.begin_object(writer)
        } else {
            CompactFormatter.begin_object(writer)
        }
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let done = if self.indents() {
            self.pretty.end_object(writer)
        } else {
            CompactFormatter.end_object(writer)
        };
        self.level -= 1;
        done
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if self.indents() {
            self.pretty.begin_object_key(writer, first)
        } else {
            CompactFormatter.begin_object_key(writer, first)
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.indents() {
            self.pretty.begin_object_value(writer)
        } else {
            CompactFormatter.begin_object_value(writer)
        }
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.indents() {
            self.pretty.end_object_value(writer)
        } else {
            CompactFormatter.end_object_value(writer)
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::lines;

    #[test]
    fn entries_stand_on_lines_of_their_own_and_are_compact() {
        let value = json!({"a": [{"x": [1, 2], "y": {}}, {"x": []}], "b": {}, "c": []});
        let mut text = Vec::new();
        lines(&value, 2, &mut text).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&text),
            "{\n  \"a\": [\n    {\"x\":[1,2],\"y\":{}},\n    {\"x\":[]}\n  ],\n  \"b\": {},\n  \"c\": []\n}\n"
        );
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}
