//! What a script is refused for, and where.

use std::fmt;

/// A place in the script, both counted from one; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

/// One reason why a script cannot be translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the construct stands.
    pub position: Position,
    /// The name of the construct, the same in every release: for programs and statistics.
    pub construct: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
}

/// Something that was decided and is worth knowing, though nothing is lost by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where the construct stands.
    pub position: Position,
    /// What was decided, and why.
    pub message: String,
}

impl Problem {
    /// A problem with one construct.
    pub fn new(position: Position, construct: &'static str, message: impl Into<String>) -> Problem {
        Problem { position, construct, message: message.into() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.position, self.construct, self.message)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)
    }
}

impl std::error::Error for Problem {}
