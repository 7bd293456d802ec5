//! Which name was probably meant.

/// The one of `known` that `found` is most likely a misspelling of; `None` if none is close.
pub(crate) fn closest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    // Distance costs the product of the lengths; a very long name is no misspelling.
    if found.len() > 64 {
        return None;
    }
    let wanted = normalize(found);
    let distance = |name: &str| {
        let name = normalize(name);
        if name == wanted { 0 } else { edit_distance(&wanted, &name) }
    };
    known
        .iter()
        .map(|name| (distance(name), *name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (name.len() / 3).min(3))
        .map(|(_, name)| name)
}

/// Case and word separators are not what makes names different.
fn normalize(name: &str) -> Vec<char> {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ' | '$')).flat_map(char::to_lowercase).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut current = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = previous[j] + usize::from(x != y);
            let mut best = replaced.min(previous[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn finds_what_was_meant() {
        let known = ["$startsWith", "$endsWith", "$gt", "$gte", "$anythingBut", "$ignoreCaseEquals"];
        assert_eq!(closest("$startWith", &known), Some("$startsWith"));
        assert_eq!(closest("$starts_with", &known), Some("$startsWith"));
        assert_eq!(closest("$ignorecaseequals", &known), Some("$ignoreCaseEquals"));
        assert_eq!(closest("$anyhtingBut", &known), Some("$anythingBut"));
        assert_eq!(closest("$frobnicate", &known), None);
        assert_eq!(closest(&"x".repeat(1000), &known), None);
    }
}
