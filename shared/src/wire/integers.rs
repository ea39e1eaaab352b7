//! Streams of integers: as they are, or each as its distance from the one before.

use crate::error::{Error, Result};
use crate::varint::{self, Reader, zigzag};
use crate::wire::stream;

const PLAIN: u8 = 0;
const DELTA: u8 = 1;

/// Appends integers in the shorter of the two forms.
pub fn put(out: &mut Vec<u8>, numbers: &[i64]) {
    let plain: usize = numbers.iter().map(|number| width(*number)).sum();
    let delta: usize = deltas(numbers).map(width).sum();
    if delta < plain {
        out.push(DELTA);
        out.reserve(delta);
        deltas(numbers).for_each(|number| varint::put_i64(out, number));
    } else {
        out.push(PLAIN);
        out.reserve(plain);
        numbers.iter().for_each(|number| varint::put_i64(out, *number));
    }
}

/// Distances wrap around, so that any two integers have one.
fn deltas(numbers: &[i64]) -> impl Iterator<Item = i64> + '_ {
    let before = std::iter::once(&0).chain(numbers);
    numbers.iter().zip(before).map(|(number, before)| number.wrapping_sub(*before))
}

/// How many bytes an integer takes.
fn width(number: i64) -> usize {
    let bits = u64::BITS - (zigzag(number) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Reads `count` integers that [`put`] wrote.
///
/// # Errors
/// The input is cut short or of no known form.
pub fn read(input: &mut Reader<'_>, count: usize) -> Result<Vec<i64>> {
    let offset = input.offset();
    let mode = input.byte()?;
    stream::check_room(input, offset, count, 1)?;
    let mut numbers = Vec::with_capacity(count);
    match mode {
        PLAIN => {
            for _ in 0..count {
                numbers.push(input.i64()?);
            }
        }
        DELTA => {
            let mut number = 0i64;
            for _ in 0..count {
                number = number.wrapping_add(input.i64()?);
                numbers.push(number);
            }
        }
        _ => return Err(Error::malformed(offset, "integers have an unknown form")),
    }
    Ok(numbers)
}
