//! What is told of the lines of a text, as JSON for people who look into changes.

use serde_json::{Map, Value, json};

use crate::clock::Stamp;
use crate::id::SiteId;
use crate::text::delta::TextDelta;
use crate::text::inspect::{Block, Path};

impl TextDelta<SiteId> {
    /// An object: `epoch`, the write of the whole value that the lines belong to; `complete`, whether all lines of
    /// it are told; `lines`, in the order of the text, each with `position`, the `version` and `site` of its
    /// content, and its `text` or, of a deleted one, the write that `deleted` it.
    pub fn to_json(&self) -> Value {
        let lines: Vec<Value> = self.blocks().into_iter().map(|(block, text)| line(&block, text)).collect();
        let epoch = Value::Object(write(self.epoch()));
        json!({ "epoch": epoch, "complete": self.is_complete(), "lines": lines })
    }
}

fn line(block: &Block<SiteId>, text: Option<&str>) -> Value {
    let mut line = write(block.content);
    line.insert("position".to_owned(), position(&block.position));
    match (block.deleted, text) {
        (Some(deleted), _) => line.insert("deleted".to_owned(), Value::Object(write(deleted))),
        (None, text) => line.insert("text".to_owned(), text.into()),
    };
    Value::Object(line)
}

fn write(stamp: Stamp<SiteId>) -> Map<String, Value> {
    let mut write = Map::new();
    write.insert("version".to_owned(), stamp.version.0.into());
    write.insert("site".to_owned(), stamp.site.to_string().into());
    write
}

/// The number of a line that the epoch began with; of others an array: the number where their way branches off,
/// and each branch with the number in it.
fn position(path: &Path<SiteId>) -> Value {
    if path.branches.is_empty() {
        return path.root.into();
    }
    let branches = path.branches.iter().map(|branch| {
        let mut step = write(branch.birth);
        step.insert("side".to_owned(), if branch.after { "after" } else { "before" }.into());
        step.insert("order".to_owned(), branch.order.into());
        step.insert("index".to_owned(), branch.index.into());
        Value::Object(step)
    });
    std::iter::once(path.root.into()).chain(branches).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hlc::Version;
    use crate::text::{Delimiter, Document};

    #[test]
    fn lines_are_shown_with_who_wrote_them() {
        let stamp = |version, site| Stamp { version: Version(version), site: SiteId([site; 16]) };
        let lines = Delimiter::default();
        let document = Document::implied(stamp(1, 1), "a\nb\nc", &lines).expect("a document");
        let edited = document.edit("a\nb\nc", "a\nnew\nc", &lines, stamp(2, 2), None).expect("an edit");
        let json = edited.1.to_json();
        assert_eq!(json["complete"], false);
        assert_eq!(json["epoch"]["version"], 1);
        assert_eq!(
            json["lines"],
            json!([{ "position": 1, "version": 2, "site": SiteId([2; 16]).to_string(), "text": "new" }])
        );
        let appended = document.edit("a\nb\nc", "a\nc\nd", &lines, stamp(2, 2), None).expect("an edit");
        let json = appended.1.to_json();
        assert_eq!(json["lines"][0]["deleted"]["version"], 2);
        assert_eq!(json["lines"][1]["position"][0], 2);
        assert_eq!(json["lines"][1]["position"][1]["side"], "after");
    }
}
