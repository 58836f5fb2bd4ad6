//! Slices as Python has them. The library's own panic on an empty list and a step backwards (`messages[::-1]`).

use minijinja::{Error, ErrorKind, State, Value, value::ValueKind};

use crate::budget::Budget;

/// What an element of a list takes.
const ELEMENT_BYTES: u64 = 16;

/// `value[start:stop:step]` of a text or a list; `None` of what is neither.
pub(crate) fn slice(state: &State<'_, '_>, operands: &[Value]) -> Result<Option<Value>, Error> {
    let [value, start, stop, step] = operands else { return Ok(None) };
    let step = number(step)?.unwrap_or(1);
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "cannot slice by step size of 0"));
    }
    let (start, stop) = (number(start)?, number(stop)?);
    match (value.kind(), value.as_str()) {
        (_, Some(text)) => {
            let characters: Vec<char> = text.chars().collect();
            let places = Places::of(characters.len(), start, stop, step);
            let sliced: String = places.map(|place| characters[place]).collect();
            Ok(Some(Value::from(sliced)))
        }
        (ValueKind::Seq | ValueKind::Iterable, _) => {
            let items: Vec<Value> = value.try_iter()?.collect();
            Budget::of(state).charge_growth(items.len() as u64 * ELEMENT_BYTES)?;
            let places = Places::of(items.len(), start, stop, step);
            Ok(Some(places.map(|place| items[place].clone()).collect()))
        }
        _ => Ok(None),
    }
}

/// A number of a slice, where it is given.
fn number(value: &Value) -> Result<Option<i64>, Error> {
    if value.is_none() { Ok(None) } else { i64::try_from(value.clone()).map(Some) }
}

/// The places of a slice, all within the list.
struct Places {
    next: i128,
    stop: i128,
    step: i128,
}

impl Places {
    fn of(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Self {
        let length = length as i128;
        let (lower, upper) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let within = |given: i64| {
            let place = i128::from(given) + if given < 0 { length } else { 0 };
            place.clamp(lower, upper)
        };
        let (first, last) = if step > 0 { (lower, upper) } else { (upper, lower) };
        Self { next: start.map_or(first, within), stop: stop.map_or(last, within), step: i128::from(step) }
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let is_left = if self.step > 0 { self.next < self.stop } else { self.next > self.stop };
        let place = is_left.then_some(self.next as usize);
        self.next += self.step;
        place
    }
}
