//! Suggestions for misspelled names.

/// The largest number of valid names that are listed beside the nearest one.
const MAX_LISTED: usize = 12;

/// Returns the end of an error message about an unknown name: the nearest valid name, and the list
/// of valid names.
pub(crate) fn suggest<'a>(unknown: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    let list = valid.join(", ");
    match nearest(unknown, &valid) {
        Some(near) if valid.len() > MAX_LISTED => format!("did you mean {near}?"),
        Some(near) => format!("did you mean {near}? The valid names are {list}"),
        None => format!("use one of {list}"),
    }
}

/// Returns the most similar name, unless it is very different.
pub(crate) fn nearest<'a>(unknown: &str, valid: &[&'a str]) -> Option<&'a str> {
    let (distance, near) = valid.iter().map(|name| (edit_distance(unknown, name), *name)).min()?;
    (distance <= 1 + unknown.chars().count() / 4).then_some(near)
}

/// Returns the Levenshtein distance of two texts.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_suggested_only_if_similar() {
        let names = ["workflow.completed", "workflow.failed"];
        assert_eq!(nearest("workflow.complete", &names), Some("workflow.completed"));
        assert_eq!(nearest("workflow.faild", &names), Some("workflow.failed"));
        assert_eq!(nearest("x", &names), None);
        assert_eq!(nearest("x", &[]), None);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
