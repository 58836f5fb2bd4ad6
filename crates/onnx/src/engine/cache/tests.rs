//! Rows are moved alike in the processor's memory and by the graphs that a device runs, which the processor runs here.

use ort::{
    memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType},
    session::Session,
    value::TensorElementType,
};
use proptest::prelude::*;

use super::{Cache, Memory, device::Device, graphs, memory::Shape};
use crate::engine::{Provider, interface::Padding, library};

const SHAPE: Shape =
    Shape { count: 3, heads: 2, head_size: 4, kind: TensorElementType::Float32, padding: Padding::Right };

fn on_processor(shape: Shape) -> Memory {
    Memory { shape, device: None }
}

fn on_device(shape: Shape) -> Memory {
    let builder = Session::builder(library::environment().unwrap());
    let session = builder.unwrap().commit_from_memory(&graphs::select(shape)).unwrap();
    let info = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default).unwrap();
    Memory { shape, device: Some(Device::new(&session, info, Provider::Cpu, shape).unwrap()) }
}

/// A cache with sequences of these lengths, each number of which says where it stands; what is beside them is zero.
fn filled(memory: &mut Memory, padding: Padding, lengths: &[usize], capacity: usize) -> Cache {
    let mut cache =
        Cache::new(memory, lengths.iter().map(|&length| Some(length)).collect(), capacity).unwrap();
    for (place, tensor) in cache.tensors.iter_mut().enumerate() {
        let (_, numbers) = tensor.try_extract_tensor_mut::<f32>().unwrap();
        for (index, number) in numbers.iter_mut().enumerate() {
            let (column, row) =
                (index / SHAPE.head_size % capacity, index / (2 * SHAPE.head_size * capacity));
            let held = match padding {
                Padding::Right => column < lengths[row],
                Padding::Left => column >= capacity - lengths[row],
            };
            *number = if held { (1000 * place + index) as f32 + 1.0 } else { 0.0 };
        }
    }
    cache
}

/// The numbers of all sequences, row by row: what is beside them is no part of a cache.
fn sequences(cache: &Cache) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for tensor in &cache.tensors {
        let (shape, numbers) = tensor.try_extract_tensor::<f32>().unwrap();
        assert_eq!(shape[2] as usize, cache.capacity);
        for (row, length) in cache.lengths.iter().enumerate() {
            let Some(length) = *length else { continue };
            let start = match cache.padding {
                Padding::Right => 0,
                Padding::Left => cache.capacity - length,
            };
            for head in 0..SHAPE.heads {
                let first = ((row * SHAPE.heads + head) * cache.capacity + start) * SHAPE.head_size;
                all.push(numbers[first..first + length * SHAPE.head_size].to_vec());
            }
        }
    }
    all
}

/// Columns before a sequence are multiplied with 0, so no cache may have in them what is no number.
fn is_finite_before(cache: &Cache) -> bool {
    let all = |tensor: &ort::value::DynTensor| {
        tensor.try_extract_tensor::<f32>().unwrap().1.iter().all(|number| number.is_finite())
    };
    cache.padding == Padding::Right || cache.tensors.iter().all(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_device_moves_rows_as_the_processor_does(
        padding in prop_oneof![Just(Padding::Right), Just(Padding::Left)],
        lengths in prop::collection::vec(1_usize..20, 1..5),
        prompt in 1_usize..20,
        kept in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        (free, room) in (1_usize..3, 0_usize..9),
        cut in any::<prop::sample::Index>(),
    ) {
        let shape = Shape { padding, ..SHAPE };
        let longest = lengths.iter().copied().max().unwrap_or(1).max(prompt);
        let rows: Vec<usize> = kept.iter().map(|index| index.index(lengths.len())).collect();
        let moved = |mut memory: Memory| {
            let cache = filled(&mut memory, padding, &lengths, longest + room);
            let mut prompt = filled(&mut memory, padding, &[prompt], prompt);
            let mut moved = cache.with_rows(&mut memory, &rows, free, longest + room).unwrap();
            let replaced: Vec<usize> = (rows.len()..rows.len() + free).chain([0]).collect();
            moved.put(&mut memory, &replaced, &prompt).unwrap();
            let before = prompt.longest();
            prompt.truncate(&mut memory, cut.index(before + 1)).unwrap();
            prompt.reserve(&mut memory, 70).unwrap();
            (moved, prompt)
        };
        let (processor, device) = (moved(on_processor(shape)), moved(on_device(shape)));
        prop_assert_eq!(sequences(&processor.0), sequences(&device.0));
        prop_assert_eq!(sequences(&processor.1), sequences(&device.1));
        prop_assert_eq!(&processor.0.lengths, &device.0.lengths);
        prop_assert!(is_finite_before(&processor.0) && is_finite_before(&device.0));
        // What was put is what the prompt held.
        let mut plain = on_processor(shape);
        let expected = sequences(&filled(&mut plain, padding, &[prompt], prompt));
        let last = SHAPE.heads * (rows.len() + free);
        prop_assert_eq!(&sequences(&device.0)[last - SHAPE.heads..last], &expected[..SHAPE.heads]);
    }
}
