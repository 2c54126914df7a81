//! Mappings from columns to requests, and fingerprints.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use fetch_hive_batch::{
    Error, Expr, Fingerprint, Header, Mapping, ReadOptions, Row, Rows, RunLabel, RunRequest, Target,
};
use serde_json::{Value, json};

const COLUMNS: [&str; 4] = ["id", "Review Text", "meta", "user"];

fn header() -> Header {
    Header::new(COLUMNS).unwrap()
}

fn row(cells: Value) -> Row {
    Rows::from_iter(COLUMNS, [cells]).unwrap().next().unwrap().unwrap()
}

/// Returns the request of a row as JSON.
fn request(mapping: &Mapping, cells: Value) -> Result<Value, Error> {
    let request = mapping.bind(&header())?.request(&row(cells), RunLabel::new("b1", 2))?;
    Ok(match request {
        RunRequest::Workflow(request) => serde_json::to_value(request).unwrap(),
        RunRequest::Prompt(request) => serde_json::to_value(request).unwrap(),
        RunRequest::Agent(request) => serde_json::to_value(request).unwrap(),
        _ => unreachable!(),
    })
}

fn bind_error(mapping: &Mapping) -> String {
    let error = mapping.bind(&header()).unwrap_err();
    assert!(matches!(error, Error::Mapping { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn workflow_request_has_all_parts() {
    let mapping = Mapping::workflow("summarise")
        .variant("b")
        .input("review", "Review Text")
        .input("options", "meta")
        .input("fixed", Expr::constant(3))
        .template("prompt", "{{ row['Review Text'] }} ({{ id }})\n")
        .metadata("customer", "user")
        .metadata("label", Expr::template("review-{{ id }}"))
        .user("user")
        .callback_url(Expr::template("https://example.com/{{ id }}"));
    let request = request(&mapping, json!([7, "Sehr <gut>", {"a": [1]}, "u1"])).unwrap();
    assert_eq!(
        request,
        json!({
            "deployment": "summarise",
            "variant": "b",
            "inputs": {"review": "Sehr <gut>", "options": {"a": [1]}, "fixed": 3, "prompt": "Sehr <gut> (7)\n"},
            "metadata": {
                "batch_id": "b1", "batch_row": 1, "batch_attempt": 2, "customer": "u1", "label": "review-7"
            },
            "user": "u1",
            "async": {"enabled": true, "callback_url": "https://example.com/7"},
        })
    );
}

#[test]
fn prompt_and_agent_requests_have_their_parts() {
    let prompt = Mapping::prompt("translate").columns(["id", "Review Text"]).user("user");
    let sent = request(&prompt, json!([1, "x", null, null])).unwrap();
    assert_eq!((&sent["inputs"], sent.get("user")), (&json!({"id": 1, "Review Text": "x"}), None));

    let agent = Mapping::agent("support", "Review Text")
        .metadata("n", "id")
        .callback_url(Expr::constant("https://example.com/"))
        .allow_background(true);
    let sent = request(&agent, json!([1, "Hello", null, null])).unwrap();
    assert_eq!(
        (&sent["agent"], &sent["message"], &sent["metadata"]["n"]),
        (&json!("support"), &json!("Hello"), &json!(1))
    );
    assert_eq!(sent["async"], json!({"callback_url": "https://example.com/", "allow_background": true}));
}

#[test]
fn all_columns_leaves_out_those_that_are_mapped() {
    let mapping = Mapping::prompt("p").input("review", "Review Text").input("id", Expr::constant("x")).all_columns();
    let sent = request(&mapping, json!([1, "r", "m", "u"])).unwrap();
    assert_eq!(sent["inputs"], json!({"review": "r", "id": "x", "meta": "m", "user": "u"}));
}

#[test]
fn absent_cells_are_not_sent() {
    let mapping = Mapping::workflow("w").all_columns().metadata("m", "meta").user("user").callback_url("user");
    let sent = request(&mapping, json!({"id": 1, "Review Text": null})).unwrap();
    assert_eq!(sent["inputs"], json!({"id": 1, "Review Text": null}));
    assert_eq!((sent["metadata"].get("m"), sent.get("user"), sent.get("async")), (None, None, None));
}

#[test]
fn unknown_columns_are_found_before_anything_is_sent() {
    let message = bind_error(&Mapping::workflow("w").input("review", "Review"));
    assert_eq!(
        message,
        "input \"review\": the column \"Review\" does not exist; the columns are \"id\", \"Review Text\", \"meta\", \"user\""
    );
    let unknown =
        Mapping::workflow("w").template("p", "{% for x in meta %}{{ x }}{{ text }}{% endfor %}{{ range(2) }}");
    let message = bind_error(&unknown);
    assert!(message.starts_with("input \"p\": the template uses \"text\", which is not a column"), "{message}");
    for (mapping, field) in [
        (Mapping::workflow("w").metadata("m", "x"), "metadata \"m\": "),
        (Mapping::workflow("w").user("x"), "user: "),
        (Mapping::workflow("w").callback_url("x"), "callback_url: "),
        (Mapping::agent("a", "x"), "message: "),
        (Mapping::agent("a", Expr::template("{{ x }}")), "message: "),
    ] {
        assert!(bind_error(&mapping).starts_with(field), "{}", bind_error(&mapping));
    }
}

#[test]
fn options_that_a_target_lacks_are_rejected() {
    for (mapping, part) in [
        (Mapping::workflow(" "), "workflow: the name is empty"),
        (Mapping::agent("a", "id").input("x", "id"), "an agent has no inputs"),
        (Mapping::agent("a", "id").all_columns(), "an agent has no inputs"),
        (Mapping::agent("a", "id").variant("b"), "an agent has no variants"),
        (Mapping::prompt("p").callback_url("id"), "a prompt has no callbacks"),
        (Mapping::workflow("w").allow_background(true), "only an agent has this option"),
        (Mapping::workflow("w").input("x", "id").input("x", "user"), "input \"x\": is mapped twice"),
        (Mapping::workflow("w").metadata("x", "id").metadata("x", "user"), "metadata \"x\": is mapped twice"),
        (Mapping::workflow("w").metadata("", "id"), "the name is empty"),
        (Mapping::workflow("w").metadata("batch_row", "id"), "each run already carries this name"),
    ] {
        assert!(bind_error(&mapping).contains(part), "{}", bind_error(&mapping));
    }
}

#[test]
fn template_errors_name_the_row_and_hide_the_cells() {
    let error = |template: &str| {
        let mapping = Mapping::workflow("w").template("p", template);
        let error = request(&mapping, json!({"id": "secret", "Review Text": "secret"})).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        error
    };
    assert!(
        error("a\n{{ user }}").starts_with("row 1: input \"p\": the template in line 2 uses a column that is absent")
    );
    assert!(error("{{ row['Reviw Text'] }}").contains("absent or does not exist"));
    assert!(error("{{ id | int }}").contains("cannot be rendered"));
    assert!(error("x\n{{ id ").contains("input \"p\": the template has a syntax error in line 2"));
    assert!(error("{{ id | nofilter }}").contains("the template"));
}

#[test]
fn template_errors_name_the_file_and_the_line() {
    let path = std::env::temp_dir().join(format!("fetch-hive-batch-mapping-{}.csv", std::process::id()));
    std::fs::write(&path, "a,b\n\"x\ny\",1\n2,\n").unwrap();
    let rows = ReadOptions::new().empty_cells_as_absent(true).open(&path).unwrap();
    let mapping = Mapping::prompt("p").template("t", "{{ b }}").bind(rows.header()).unwrap();
    let last = rows.map(Result::unwrap).last().unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = mapping.request(&last, RunLabel::new("b", 1)).unwrap_err().to_string();
    assert!(error.contains(".csv, line 4: input \"t\": the template"), "{error}");
}

#[test]
fn templates_test_for_absent_cells_and_render_json() {
    let mapping = Mapping::prompt("p")
        .template("a", "{% if user is defined %}{{ user }}{% else %}nobody{% endif %}")
        .template("b", "{{ meta | tojson }}")
        .template("c", "{{ row.id + 1 }} {{ meta.k[0] }}");
    let sent = request(&mapping, json!({"id": 1, "meta": {"k": ["ä"]}})).unwrap();
    assert_eq!(sent["inputs"], json!({"a": "nobody", "b": "{\"k\": [\"ä\"]}", "c": "2 ä"}));
}

#[test]
fn messages_and_metadata_are_checked_for_each_row() {
    let agent = Mapping::agent("a", "Review Text");
    for cells in [json!([1, " ", 1, 1]), json!([1, null, 1, 1]), json!({"id": 1})] {
        let error = request(&agent, cells).unwrap_err().to_string();
        assert!(error.starts_with("row 1: message: is empty or absent"), "{error}");
    }
    let error = request(&Mapping::prompt("p").metadata("m", "meta"), json!([1, "", ["secret"], ""])).unwrap_err();
    assert!(error.to_string().starts_with("row 1: metadata \"m\": is a list or an object"), "{error}");
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn mapping_survives_being_stored() {
    let mapping = Mapping::agent("a", Expr::template("{{ id }}")).metadata("m", Expr::constant(json!(null)));
    let restored: Mapping = serde_json::from_str(&serde_json::to_string(&mapping).unwrap()).unwrap();
    assert_eq!(restored, mapping);
    assert_eq!(restored.target(), &Target::Agent("a".to_owned()));
}

fn fingerprint(columns: &[&str], rows: &[Value], mapping: &Mapping) -> Fingerprint {
    let rows = Rows::from_iter(columns.iter().copied(), rows.to_vec()).unwrap();
    let mut fingerprint = Fingerprint::builder(rows.header(), mapping).unwrap();
    rows.for_each(|row| fingerprint.add(&row.unwrap()));
    fingerprint.finish()
}

#[test]
fn fingerprint_depends_on_each_part() {
    let mapping = Mapping::workflow("w").input("x", "a");
    let base = fingerprint(&["a", "b"], &[json!(["1", ""]), json!({"a": "2"})], &mapping);
    let differs = |other: &Fingerprint| {
        assert_ne!(base.digest(), other.digest());
        base.difference(other).unwrap()
    };
    let same = fingerprint(&["a", "b"], &[json!(["1", ""]), json!({"a": "2"})], &mapping);
    assert_eq!((base.difference(&same), base.digest()), (None, same.digest()));
    for rows in [
        [json!(["1", ""]), json!(["2", ""])],   // an empty cell instead of an absent one
        [json!(["1", ""]), json!(["2", null])], // null instead of an absent cell
        [json!([1, ""]), json!({"a": "2"})],    // a number instead of a text
        [json!({"a": "2"}), json!(["1", ""])],  // another order
        [json!(["", "1"]), json!({"a": "2"})],  // another column
    ] {
        assert_eq!(differs(&fingerprint(&["a", "b"], &rows, &mapping)), "the content of the rows differs");
    }
    let more = fingerprint(&["a", "b"], &[json!(["1", ""])], &mapping);
    assert_eq!(differs(&more), "the number of rows was 2 and is 1");
    let columns = fingerprint(&["a", "c"], &[json!(["1", ""]), json!({"a": "2"})], &mapping);
    assert_eq!(differs(&columns), "the columns \"b\" were removed; the columns \"c\" were added");
    let order = fingerprint(&["b", "a"], &[json!(["1", ""]), json!({"a": "2"})], &mapping);
    assert_eq!(differs(&order), "the columns are in another order");
}

#[test]
fn fingerprint_shows_how_the_mapping_differs() {
    let before =
        Mapping::workflow("w").input("x", "a").template("t", "secret one").input("c", Expr::constant("secret"));
    let difference = |after: &Mapping| {
        let [before, after] = [&before, after].map(|mapping| fingerprint(&["a", "b"], &[json!([1, 2])], mapping));
        assert_ne!(before.digest(), after.digest());
        let difference = before.difference(&after).unwrap();
        assert!(!difference.contains("secret"), "{difference}");
        difference
    };
    let template = |text: &str| Mapping::workflow("w").input("x", "b").template("t", text);
    assert_eq!(
        difference(&template("secret two").input("c", Expr::constant("secret 2"))),
        "inputs.c.constant differs; inputs.t.template differs; inputs.x.column was \"a\" and is \"b\""
    );
    assert_eq!(difference(&before.clone().variant("v")), "variant was null and is \"v\"");
    assert_eq!(
        difference(&before.clone().input("new", Expr::template("secret"))),
        "inputs.new was null and is a template"
    );
    let swapped =
        Mapping::workflow("w").template("t", "secret one").input("x", "a").input("c", Expr::constant("secret"));
    assert_eq!(difference(&swapped), "inputs are in another order");
    let target = Mapping::prompt("w").input("x", "a").template("t", "secret one").input("c", Expr::constant("secret"));
    assert_eq!(difference(&target), "target was workflow \"w\" and is prompt \"w\"");
    let source =
        Mapping::workflow("w").template("x", "secret").template("t", "secret one").input("c", Expr::constant("secret"));
    assert_eq!(difference(&source), "inputs.x was column \"a\" and is a template");
}

#[test]
fn debug_hides_content() {
    let mapping = Mapping::workflow("w").template("t", "secret").input("c", Expr::constant("secret"));
    let row = row(json!(["secret", "secret", "secret", "secret"]));
    let bound = mapping.bind(&header()).unwrap();
    let request = bound.request(&row, RunLabel::new("b", 1)).unwrap();
    let fingerprint = fingerprint(&COLUMNS, &[], &mapping);
    let text = format!("{mapping:?} {row:?} {bound:?} {fingerprint:?} {request:?} {:?}", Expr::template("secret"));
    assert!(!text.contains("secret"), "{text}");
}
