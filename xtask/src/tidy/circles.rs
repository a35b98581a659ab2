//! Finds modules of a crate that import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding,
    source::{Source, words},
};

/// Circles that stand, each with its reason: crate, modules in order of the alphabet.
const ALLOWED: [(&str, &[&str], &str); 0] = [];

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Looks at the top-level modules of every crate: below them, a parent and its children are one.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        if let Some((krate, _)) = source.place() {
            crates.entry(krate).or_default().push(source);
        }
    }
    let mut findings = Vec::new();
    for (krate, sources) in crates {
        for circle in circles(&graph(&sources)) {
            let names: Vec<&str> = circle.iter().map(String::as_str).collect();
            if ALLOWED.iter().any(|(at, modules, _)| *at == krate && *modules == names) {
                continue;
            }
            let what = format!("these modules import each other in a circle: {}", names.join(", "));
            findings.push(Finding::new(format!("{krate}/src"), 0, what));
        }
    }
    findings
}

/// Which top-level module imports which.
fn graph(sources: &[&Source]) -> Graph {
    let modules: BTreeSet<&str> = sources.iter().filter_map(|source| module(source)).collect();
    let exported = re_exported(sources, &modules);
    let mut graph = Graph::new();
    for source in sources {
        let Some(own) = module(source) else { continue };
        let edges = graph.entry(own.to_owned()).or_default();
        for name in imported(source) {
            let target = exported.get(name.as_str()).map_or(name.as_str(), String::as_str);
            if target != own && modules.contains(target) {
                edges.insert(target.to_owned());
            }
        }
    }
    graph
}

/// The top-level module that a file belongs to; nothing for the root of the crate.
fn module(source: &Source) -> Option<&str> {
    let (_, path) = source.place()?;
    let first = path.split('/').next()?.trim_end_matches(".rs");
    (!matches!(first, "lib" | "main")).then_some(first)
}

/// Names that the crate's root hands on with `pub use module::…`, so `crate::Name` is found.
fn re_exported(sources: &[&Source], modules: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let mut exported = BTreeMap::new();
    for root in sources.iter().filter(|source| module(source).is_none()) {
        for statement in code_before_tests(root).split(';') {
            let Some((_, path)) = statement.rsplit_once("use ") else { continue };
            let path = path.trim_start().trim_start_matches("crate::").trim_start_matches("self::");
            let mut names = words(path);
            let Some(first) = names.next().filter(|first| modules.contains(first)) else {
                continue;
            };
            for name in names {
                exported.insert(name.to_owned(), first.to_owned());
            }
        }
    }
    exported
}

/// The first names behind `crate::`, and behind `super::` in a file at the top.
fn imported(source: &Source) -> Vec<String> {
    let code = code_before_tests(source);
    let at_top = source.place().is_some_and(|(_, path)| !path.contains('/'));
    let mut names = Vec::new();
    for start in ["crate::", "super::"] {
        if start == "super::" && !at_top {
            continue;
        }
        for (at, _) in code.match_indices(start) {
            let before = code.get(..at).unwrap_or_default();
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            names.extend(first_names(code.get(at + start.len()..).unwrap_or_default()));
        }
    }
    names
}

fn code_before_tests(source: &Source) -> String {
    source.code.lines().take(source.lines_before_tests).map(|line| format!("{line}\n")).collect()
}

/// `a` of `a::b`, or `a`, `c` of `{a::{b, d}, c}`.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.trim_start().strip_prefix('{') else {
        return words(path).next().map(str::to_owned).into_iter().collect();
    };
    let (mut depth, mut names, mut piece) = (1_u32, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (c == ',' && depth == 1) {
            names.extend(words(&piece).next().map(str::to_owned));
            piece.clear();
        } else {
            piece.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// The sets of modules that reach each other, each sorted.
fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<String>> =
        graph.keys().map(|from| (from.as_str(), reachable(graph, from))).collect();
    let mut circles = BTreeSet::new();
    for (from, reached) in &reach {
        if !reached.contains(*from) {
            continue;
        }
        let back = |to: &&String| reach.get(to.as_str()).is_some_and(|back| back.contains(*from));
        circles.insert(reached.iter().filter(back).cloned().collect::<Vec<String>>());
    }
    circles.into_iter().collect()
}

fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(at) = open.pop() {
        for to in graph.get(&at).into_iter().flatten() {
            if reached.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    reached
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, text): &(&str, &str)| {
            Source::new(&format!("crates/x/src/{path}"), &format!("//! X.\n{text}"))
        };
        let sources: Vec<Source> = files.iter().map(source).collect();
        check(&sources).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn modules_in_layers_have_no_circle() {
        let found = findings(&[
            ("a.rs", "use crate::{b::{B, X}, c};\n"),
            ("a/inner.rs", "use crate::a::A;\nuse super::A;\n"),
            ("b.rs", "use crate::c::C;\n// use crate::a::A;\n"),
            ("c.rs", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"),
            ("tests.rs", "use crate::a::A;\n"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_circle_is_found_through_groups_inline_paths_super_and_re_exports() {
        for (a, b) in [
            ("use crate::{c::C, b::B};", "use crate::a::A;"),
            ("fn f() { crate::b::f() }", "use super::a::A;"),
            ("use crate::B;", "use crate::a;"),
        ] {
            let found =
                findings(&[("lib.rs", "mod a;\npub use b::{B, X};\n"), ("a.rs", a), ("b.rs", b)]);
            assert_eq!(found.len(), 1, "{a} {b}");
            assert!(found.first().unwrap().ends_with("circle: a, b"), "{found:?}");
        }
    }

    #[test]
    fn a_circle_over_three_modules_and_their_children_is_found() {
        let found = findings(&[
            ("a.rs", "use crate::b::B;"),
            ("b/inner.rs", "use crate::c::C;"),
            ("c.rs", "use crate::a::A;"),
            ("d.rs", "use crate::a::A;"),
        ]);
        assert_eq!(found.len(), 1);
        assert!(found.first().unwrap().ends_with("circle: a, b, c"), "{found:?}");
    }
}
