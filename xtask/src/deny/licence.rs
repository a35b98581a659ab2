//! Reads licence expressions (SPDX, annex D) and says whether they can be satisfied.

/// Whether the expression can be satisfied with allowed licences alone. `a WITH b` is one licence;
/// the old `a/b` means `a OR b`. What cannot be read is not allowed.
pub(super) fn allows(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let outcome = reader.any();
    reader.words.is_empty() && outcome == Some(true)
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn follows(&mut self, word: &str) -> bool {
        let follows = self.words.first() == Some(&word);
        if follows {
            self.next();
        }
        follows
    }

    /// `OR` binds weaker than `AND`.
    fn any(&mut self) -> Option<bool> {
        let mut satisfied = self.all()?;
        while self.follows("OR") {
            satisfied |= self.all()?;
        }
        Some(satisfied)
    }

    fn all(&mut self) -> Option<bool> {
        let mut satisfied = self.one()?;
        while self.follows("AND") {
            satisfied &= self.one()?;
        }
        Some(satisfied)
    }

    fn one(&mut self) -> Option<bool> {
        match self.next()? {
            "(" => {
                let satisfied = self.any()?;
                self.follows(")").then_some(satisfied)
            }
            ")" | "OR" | "AND" | "WITH" => None,
            licence if self.follows("WITH") => {
                let exception = self.next()?;
                Some((self.allowed)(&format!("{licence} WITH {exception}")))
            }
            licence => Some((self.allowed)(licence)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_when_one_way_through_it_is() {
        let allowed = |licence: &str| matches!(licence, "MIT" | "ISC" | "A WITH E");
        for (expression, right) in [
            ("MIT", true),
            ("GPL", false),
            ("GPL OR MIT", true),
            ("GPL/MIT", true),
            ("GPL AND MIT", false),
            ("MIT AND (ISC OR GPL)", true),
            ("GPL AND ISC OR MIT", true),
            ("GPL AND (ISC OR MIT)", false),
            ("A WITH E", true),
            ("A", false),
            ("MIT WITH E", false),
            ("MIT MIT", false),
            ("(MIT", false),
            ("MIT OR", false),
            ("", false),
        ] {
            assert_eq!(allows(expression, &allowed), right, "{expression}");
        }
    }
}
