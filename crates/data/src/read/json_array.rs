//! An array of JSON objects, read one by one.

use std::{
    fmt,
    io::{self, BufRead},
};

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::{
    Record,
    element::Element,
    limited::{Records, Since, too_long},
};

pub(super) fn records(reader: impl BufRead, sink: &mut dyn FnMut(Record<'_>)) -> io::Result<()> {
    let mut place = 1;
    let (reader, since) = Records::new(reader);
    let mut parser = serde_json::Deserializer::from_reader(reader);
    let read =
        Elements { place: &mut place, since, sink }.deserialize(&mut parser).and_then(|()| parser.end());
    match read {
        Ok(()) => Ok(()),
        Err(error) if error.is_io() => {
            let error = error.into();
            let Some(reason) = too_long(&error) else { return Err(error) };
            sink(Record { place, line: &[], row: Err(reason) });
            Ok(())
        }
        // What came before is read; what comes after a broken place cannot be told apart any more.
        Err(error) => {
            let reason = format!("not JSON: {error}; the array is not read any further");
            sink(Record { place, line: &[], row: Err(reason) });
            Ok(())
        }
    }
}

struct Elements<'a> {
    place: &'a mut u64,
    since: Since,
    sink: &'a mut dyn FnMut(Record<'_>),
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(Element(row)) = sequence.next_element()? {
            (self.sink)(Record { place: *self.place, line: &[], row });
            *self.place += 1;
            self.since.reset();
        }
        Ok(())
    }
}
