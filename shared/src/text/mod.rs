//! Text that is merged by lines: edits of different lines of one value, made apart, all stand.
//!
//! A text cell is at first what every cell is: a value with a stamp, and the greater stamp wins. That
//! stamp is the cell's *epoch*. Within one epoch the text is a [`Document`]: a set of blocks, one for each
//! line, each with a position that no other site can choose, and a state. Merging takes the greater state
//! of each block. See `docs/text.md` for what users are promised, with pictures.
//!
//! Import order, left may be used by right: `limits` → `delimiter`, `tree` → `run`, `place`, `likeness` →
//! `diff` → `document` → `delta` ↔ `merge`; `collect`, `edit`, `encode`, `inspect`.

mod collect;
mod delimiter;
mod delta;
mod diff;
mod digest;
mod document;
mod edit;
mod encode;
mod inspect;
mod likeness;
pub mod limits;
mod merge;
mod place;
mod run;
mod tree;

pub use delimiter::Delimiter;
pub use delta::TextDelta;
pub use digest::digest;
pub use document::Document;
pub use inspect::{Block, Path, PathBranch};
pub use merge::{LostLine, Merged};
