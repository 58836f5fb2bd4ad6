//! TensorBoard's event files: records of `TFRecord` (length, its checksum, message, its checksum), each an `Event` of
//! tensorflow/core/util/event.proto with at most one scalar.

/// The first record: the version of the format.
pub(super) fn version(wall: f64) -> Vec<u8> {
    record(&[double(1, wall), text(3, "brain.Event:2")].concat())
}

/// A number under a tag. `wall` is the time in seconds since 1970.
pub(super) fn scalar(wall: f64, step: u64, tag: &str, value: f32) -> Vec<u8> {
    let value = [text(1, tag), [&[key(2, 5)][..], &value.to_le_bytes()].concat()].concat();
    let summary = message(1, &value);
    record(&[double(1, wall), [vec![key(2, 0)], varint(step)].concat(), message(5, &summary)].concat())
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(event);
    record.extend(masked(event).to_le_bytes());
    record
}

/// The key of a field: its number and its wire type.
fn key(field: u8, kind: u8) -> u8 {
    (field << 3) | kind
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number as u8) | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn double(field: u8, value: f64) -> Vec<u8> {
    [&[key(field, 1)][..], &value.to_le_bytes()].concat()
}

fn message(field: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![key(field, 2)], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn text(field: u8, text: &str) -> Vec<u8> {
    message(field, text.as_bytes())
}

/// The checksum of a `TFRecord`: CRC-32C, turned and shifted so that a checksum of checksums is none.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: the records are small.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    #[test]
    fn numbers_have_as_many_bytes_as_they_need() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(300), [0xac, 0x02]);
    }
}
