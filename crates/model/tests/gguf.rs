//! GGUF against the Python package `gguf`, and against files that are not what they should be.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lancer_model::{
    ModelError, Tensor,
    gguf::{self, BlockFormat, GgufFile, GgufFormat, GgufTensor, Metadata, Value},
};
use proptest::prelude::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/model")).join(name)
}

fn expected() -> BTreeMap<String, Vec<f32>> {
    serde_json::from_slice(&fs::read(fixture("blocks.json")).unwrap()).unwrap()
}

#[test]
fn every_storage_type_is_read_as_python_reads_it() {
    let file = GgufFile::open(&fixture("blocks.gguf")).unwrap();
    assert_eq!(file.tensors().len(), 11);
    let expected = expected();
    for name in file.tensors().keys() {
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.shape, [2, 256], "{name}");
        for (place, (found, expected)) in tensor.data.iter().zip(&expected[name]).enumerate() {
            assert!(
                (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                "{name}[{place}]: {found}, {expected}"
            );
        }
    }
}

#[test]
fn metadata_is_read_by_type() {
    let path = fixture("blocks.gguf");
    let file = GgufFile::open(&path).unwrap();
    let metadata = file.metadata();
    assert_eq!(metadata.count(&path, "test.count").unwrap(), Some(7));
    assert_eq!(metadata.float(&path, "test.number").unwrap(), Some(0.5));
    assert_eq!(metadata.flag(&path, "test.flag").unwrap(), Some(true));
    assert_eq!(metadata.text(&path, "test.text").unwrap(), Some("naïve"));
    assert_eq!(metadata.texts(&path, "test.texts").unwrap().unwrap(), ["a", "", "ä"]);
    assert_eq!(metadata.counts(&path, "test.counts").unwrap().unwrap(), [1, 2, 3]);
    assert_eq!(metadata.count(&path, "test.absent").unwrap(), None);
    let error = metadata.count(&path, "test.text").unwrap_err();
    assert!(error.to_string().contains("`test.text`: expected a whole number"), "{error}");
}

fn write_weights(
    path: &Path,
    metadata: &Metadata,
    format: GgufFormat,
    tensor: &Tensor,
) -> Result<(), ModelError> {
    let described = [GgufTensor { name: "w".into(), shape: tensor.shape.clone() }];
    gguf::write(path, metadata, &described, format, |_| Ok(tensor.clone()))
}

#[test]
fn q8_0_is_written_as_python_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.gguf");
    let expected = expected();
    let tensor = Tensor { shape: vec![2, 256], data: expected["weights"].clone() };
    write_weights(&path, &Metadata::default(), GgufFormat::Q8_0, &tensor).unwrap();
    let file = GgufFile::open(&path).unwrap();
    assert_eq!(file.tensors()["w"].kind, BlockFormat::Q8_0);
    assert_eq!(file.tensor("w").unwrap().data, expected["Q8_0"]);
}

#[test]
fn an_error_names_the_file_and_the_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gguf");
    let whole = fs::read(fixture("blocks.gguf")).unwrap();
    fs::write(&path, &whole[..whole.len() - 64]).unwrap();
    let error = GgufFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("cut.gguf") && error.contains("tensor `Q6_K`"), "{error}");

    let absent = GgufFile::open(&folder.path().join("absent.gguf")).unwrap_err().to_string();
    assert!(absent.contains("cannot open") && absent.contains("absent.gguf"), "{absent}");

    fs::write(&path, b"{\"this\": \"is JSON, not a model, whatever its name says\"}").unwrap();
    let error = GgufFile::open(&path).unwrap_err();
    assert!(matches!(error, ModelError::NotGguf { .. }), "{error}");

    let file = GgufFile::open(&fixture("blocks.gguf")).unwrap();
    assert!(
        matches!(file.tensor("nothing"), Err(ModelError::NoTensor { tensor, .. }) if tensor == "nothing")
    );
}

/// A header that claims more than any machine has.
fn claims(tensors: u64, entries: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes
}

#[test]
fn claims_beyond_the_file_are_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.gguf");
    let mut long_key = claims(0, 1);
    long_key.extend(u64::MAX.to_le_bytes());
    long_key.extend([0; 64]);
    let mut long_array = claims(0, 1);
    long_array.extend(1_u64.to_le_bytes());
    long_array.extend(b"k");
    long_array.extend(9_u32.to_le_bytes());
    long_array.extend(0_u32.to_le_bytes());
    long_array.extend((u64::MAX / 2).to_le_bytes());
    long_array.extend([0; 64]);
    let mut large_tensor = claims(1, 0);
    large_tensor.extend(1_u64.to_le_bytes());
    large_tensor.extend(b"t");
    large_tensor.extend(2_u32.to_le_bytes());
    large_tensor.extend((1_u64 << 40).to_le_bytes());
    large_tensor.extend((1_u64 << 40).to_le_bytes());
    large_tensor.extend(0_u32.to_le_bytes());
    large_tensor.extend(0_u64.to_le_bytes());
    for bytes in [claims(u64::MAX, 0), claims(0, u64::MAX), long_key, long_array, large_tensor] {
        fs::write(&path, &bytes).unwrap();
        let error = GgufFile::open(&path).unwrap_err();
        assert!(matches!(error, ModelError::Damaged { .. } | ModelError::Tensor { .. }), "{error}");
    }
}

/// Opens and reads everything; whatever the bytes are, this ends with a value or an error.
fn read_all(path: &Path) -> Result<(), ModelError> {
    let file = GgufFile::open(path)?;
    file.tensors().keys().try_for_each(|name| file.tensor(name).map(|_| ()))
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any.gguf");
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend(&bytes);
        fs::write(&path, &file).unwrap();
        // Sixteen zero bytes are an empty file, the only valid one in reach.
        prop_assert!(read_all(&path).is_err() || bytes[..16] == [0; 16]);
    }

    #[test]
    fn a_changed_file_never_panics(changes in prop::collection::vec((0_usize..1400, any::<u8>()), 1..6), cut in 0_usize..6000) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changed.gguf");
        let mut bytes = fs::read(fixture("blocks.gguf")).unwrap();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        fs::write(&path, &bytes).unwrap();
        let _ = read_all(&path);
    }

    #[test]
    fn what_is_written_is_read(
        weights in prop::collection::vec(-4.0_f32..4.0, 64),
        text in ".{0,20}", count: u64, flags in prop::collection::vec(any::<bool>(), 0..5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata(BTreeMap::from([
            ("a.text".to_owned(), Value::String(text)),
            ("b.count".to_owned(), Value::U64(count)),
            ("c.flags".to_owned(), Value::Array(flags.into_iter().map(Value::Bool).collect())),
        ]));
        let tensor = Tensor { shape: vec![2, 32], data: weights };
        for (format, tolerance) in [(GgufFormat::F32, 0.0), (GgufFormat::F16, 4.0 / 2048.0), (GgufFormat::Q8_0, 4.0 / 127.0)] {
            let path = folder.path().join(format!("{format:?}.gguf"));
            write_weights(&path, &metadata, format, &tensor).unwrap();
            let file = GgufFile::open(&path).unwrap();
            prop_assert_eq!(file.metadata(), &metadata);
            for (found, expected) in file.tensor("w").unwrap().data.iter().zip(&tensor.data) {
                prop_assert!((found - expected).abs() <= tolerance, "{found} {expected}");
            }
        }
    }
}
