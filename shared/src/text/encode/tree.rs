//! Waypoints, each after its parent.

use crate::error::{Error, Result};
use crate::id::SiteOrdinal;
use crate::text::encode::number::{Ordinals, bounded, index as index_of, put_stamp, read_stamp};
use crate::text::limits::MAX_WAYPOINTS;
use crate::text::tree::{Branch, Side, Tree};
use crate::varint::{self, Reader};

pub(super) fn put_tree(out: &mut Vec<u8>, tree: &Tree<SiteOrdinal>, last: &mut Ordinals) {
    varint::put_u64(out, tree.waypoints().len() as u64);
    for (node, number) in tree.waypoints().iter().zip(1u32..) {
        varint::put_u64(out, u64::from(number - node.branch.parent));
        varint::put_i64(out, node.branch.index);
        let after = u64::from(node.branch.side == Side::After);
        let ordered = u64::from(node.branch.order != 0);
        out.push((after | ordered << 1) as u8);
        if ordered != 0 {
            varint::put_i64(out, node.branch.order);
        }
        put_stamp(out, node.birth, last);
    }
}

pub(super) fn read_tree(input: &mut Reader<'_>, last: &mut Ordinals) -> Result<Tree<SiteOrdinal>> {
    let count = bounded(input, 5, "the number of places where a text was edited", MAX_WAYPOINTS)?;
    let mut tree = Tree::default();
    for number in 1..=count as u32 {
        let offset = input.offset();
        let parent = number.checked_sub(input.u32()?).filter(|parent| *parent < number);
        let parent =
            parent.ok_or_else(|| Error::malformed(offset, "a place in a text hangs from nowhere"))?;
        let index = index_of(input.offset(), input.i64()?)?;
        let flags = input.byte()?;
        if flags > 3 {
            return Err(Error::malformed(input.offset(), "a place in a text has unknown flags"));
        }
        let side = if flags & 1 != 0 { Side::After } else { Side::Before };
        let order = if flags & 2 != 0 { index_of(input.offset(), input.i64()?)? } else { 0 };
        let birth = read_stamp(input, last)?;
        tree.push(Branch { parent, index, side, order }, birth)?;
    }
    Ok(tree)
}
