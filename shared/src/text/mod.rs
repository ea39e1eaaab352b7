//! Text that is merged by lines: edits of different lines of one value, made apart, all stand.
//!
//! A text cell is at first what every cell is: a value with a stamp, and the greater stamp wins. That
//! stamp is the cell's *epoch*. Within one epoch the text is a [`Document`]: a set of blocks, one for each
//! line, each with a position that no other site can choose, and a state. Merging takes the greater state
//! of each block. See `docs/text.md` for what users are promised, with pictures.
//!
//! Where a column asks for it the unit is the word and not the line; nothing but the cut is different, so
//! these modules say "line" for both.
//!
//! Import order, left may be used by right: `limits`, `signs` → `words` → `delimiter` ↔ `cuts`; `tree` →
//! `run`, `place`; `likeness` → `diff` → `word_diff`; `document` → `delta` ↔ `merge`; `edit`, `encode`,
//! `inspect` → `json`; `collect`.

mod collect;
mod cuts;
mod delimiter;
mod delta;
mod diff;
mod digest;
mod document;
mod edit;
mod encode;
mod inspect;
mod json;
mod likeness;
pub mod limits;
mod merge;
mod place;
mod run;
mod signs;
mod tree;
mod word_diff;
mod words;

pub use delimiter::Delimiter;
pub use delta::TextDelta;
pub use digest::digest;
pub use document::Document;
pub use inspect::{Block, Path, PathBranch};
pub use merge::{LostLine, Merged};
