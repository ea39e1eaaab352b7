//! Where in the claims the role stands: `.role`, `.app_metadata.role`, `."https://example.org/role"`, `.roles[0]`.

use serde_json::{Map, Value};

/// A path of names and indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Default for ClaimPath {
    fn default() -> ClaimPath {
        ClaimPath(vec![Step::Name("role".to_owned())])
    }
}

impl ClaimPath {
    /// Reads a path; `None` if it is none.
    pub fn parse(text: &str) -> Option<ClaimPath> {
        let mut rest = text;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) =
                match (rest.strip_prefix(".\""), rest.strip_prefix('.'), rest.strip_prefix('[')) {
                    (Some(quoted), _, _) => {
                        let (name, after) = quoted.split_once('"')?;
                        (Step::Name(name.to_owned()), after)
                    }
                    (None, Some(plain), _) => {
                        let end = plain.find(['.', '[']).unwrap_or(plain.len());
                        let (name, after) = plain.split_at(end);
                        (Step::Name(name.to_owned()), after)
                    }
                    (None, None, Some(index)) => {
                        let (index, after) = index.split_once(']')?;
                        (Step::Index(index.parse().ok()?), after)
                    }
                    _ => return None,
                };
            if step == Step::Name(String::new()) {
                return None;
            }
            steps.push(step);
            rest = after;
        }
        matches!(steps.first(), Some(Step::Name(_))).then_some(ClaimPath(steps))
    }

    /// What stands there.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let mut steps = self.0.iter();
        let Some(Step::Name(first)) = steps.next() else { return None };
        let found = steps.try_fold(claims.get(first)?, |value, step| match step {
            Step::Name(name) => value.get(name),
            Step::Index(index) => value.get(index),
        });
        found.filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let claims =
            json!({"role": "a", "app": {"role": "b", "n": null}, "https://x.org/r": {"y": ["c", "d"]}});
        let claims = claims.as_object().unwrap();
        let find = |path: &str| ClaimPath::parse(path).unwrap().find(claims).and_then(Value::as_str);
        assert_eq!(find(".role"), Some("a"));
        assert_eq!(find(".app.role"), Some("b"));
        assert_eq!(find(".\"https://x.org/r\".y[1]"), Some("d"));
        assert_eq!(find(".app.missing"), None);
        assert_eq!(find(".app.n"), None);
        for wrong in ["", "role", ".", "..a", ".a.", "[0]", ".a[", ".a[x]", ".\"a"] {
            assert_eq!(ClaimPath::parse(wrong), None, "{wrong}");
        }
    }
}
