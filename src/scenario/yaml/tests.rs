use super::*;
use proptest::prelude::*;
use std::path::Path;

fn parse_text(text: &str) -> Result<Vec<Node>, String> {
    let mut sources = SourceMap::default();
    let file = sources.add(Path::new("t.yaml"), text.to_owned());
    parse(&sources, file).map_err(|d| d.render(&sources, false))
}

fn one(text: &str) -> Node {
    parse_text(text).unwrap().remove(0)
}

#[test]
fn scalars_follow_the_core_schema() {
    let node = one("[1, -2, 0x10, 0o17, 1.5, true, yes, ~, '1', 80:80, 1.2.3.4, '', e5, \"a\\tb\", 1e3, .]");
    let expected = [
        Value::Int(1),
        Value::Int(-2),
        Value::Int(16),
        Value::Int(15),
        Value::Float(1.5),
        Value::Bool(true),
        Value::String("yes".into()),
        Value::Null,
        Value::String("1".into()),
        Value::String("80:80".into()),
        Value::String("1.2.3.4".into()),
        Value::String(String::new()),
        Value::String("e5".into()),
        Value::String("a\tb".into()),
        Value::Float(1000.0),
        Value::String(".".into()),
    ];
    let values: Vec<Value> = node.items().iter().map(|n| n.value.clone()).collect();
    assert_eq!(values, expected);
}

#[test]
fn brackets_and_quotes_may_stand_as_far_left_as_go_yaml_lets_them() {
    let text = "a:\n  é: [\n  \"x\",\ny, # c\n  {\n  z: 1\n}\n  ]\n  q: \"one\ntwo\"\n  after: [b]\n";
    let node = one(text);
    let inner = node.get("a").unwrap();
    let items = inner.get("é").unwrap().items();
    assert_eq!(items[..2].iter().map(|item| item.text().unwrap()).collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(items[2].get("z").unwrap().text().unwrap(), "1");
    assert_eq!(inner.get("q").unwrap().text().unwrap(), "one two");
    // Places are those of the text as it was written.
    let cut = |span: Span| &text[span.start as usize..span.end as usize];
    assert_eq!(cut(items[1].span), "y");
    assert_eq!(cut(items[2].get("z").unwrap().span), "1");
    assert_eq!(cut(inner.get("after").unwrap().items()[0].span), "b");
    let error = parse_text("a: [\n1,\nb: c: d\n]\n").unwrap_err();
    assert!(error.contains("t.yaml:3:"), "{error}");
    assert!(parse_text(&format!("a: [\n{}]\n", "1,\n".repeat(5_000))).is_err());
}

#[test]
fn spans_point_at_keys_and_values_in_bytes() {
    let text = "é: {naïve: väl}\nb:\n  - x\n";
    let node = one(text);
    let cut = |span: Span| &text[span.start as usize..span.end as usize];
    let inner = &node.entries()[0].value.entries()[0];
    assert_eq!((cut(inner.key_span), cut(inner.value.span)), ("naïve", "väl"));
    assert_eq!(cut(node.get("b").unwrap().items()[0].span), "x");
}

#[test]
fn merge_keys_and_aliases() {
    let node = one("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 9\n");
    let c = node.get("c").unwrap();
    let got: Vec<(&str, &Value)> = c.entries().iter().map(|e| (e.key.as_str(), &e.value.value)).collect();
    assert_eq!(got, [("x", &Value::Int(9)), ("y", &Value::Int(2)), ("z", &Value::Int(4))]);
}

#[test]
fn compose_tags_are_kept() {
    let node = one("ports: !reset []\ndns: !override [1.1.1.1]\nx: !reset null\n");
    let tags: Vec<_> = node.entries().iter().map(|e| e.value.merge).collect();
    assert_eq!(tags, [Some(MergeTag::Reset), Some(MergeTag::Override), Some(MergeTag::Reset)]);
}

#[test]
fn bad_input_names_the_line() {
    let deep = "[\n".repeat(100);
    let cases = [
        ("a: 1\nb: 2\na: 3\n", "the key `a` is written twice", "t.yaml:3:1"),
        ("a:\n\tb: 1\n", "a tab is used for indentation", "t.yaml:2:1"),
        ("a: [1,\n", "not valid YAML", "t.yaml:"),
        ("a: \"x\n", "not valid YAML", "t.yaml:"),
        ("a: &a [*a]\n", "cannot stand inside the value it names", "t.yaml:1:8"),
        ("a: *b\n", "not valid YAML", "t.yaml:1"),
        ("x: 1\n<<: 3\n", "`<<` merges mappings", "t.yaml:2:1"),
        ("[1]: 2\n", "a key must be", "t.yaml:1:1"),
        (&deep, "nested deeper than 64", "t.yaml:65:1"),
    ];
    for (text, message, place) in cases {
        let error = parse_text(text).expect_err(text);
        assert!(error.contains(message) && error.contains(place), "{text:?} gave:\n{error}");
    }
}

#[test]
fn alias_bombs_are_refused_quickly() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..30 {
        text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    }
    let error = parse_text(&text).unwrap_err();
    assert!(error.contains("expands to more than 500000 values") && error.contains("t.yaml:6"), "{error}");

    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 100].join(", "));
    assert!(parse_text(&long).unwrap_err().contains("expands to more than"));

    let mut deep = "a0: &a0 {x: 1}\n".to_owned();
    for i in 1..100 {
        deep += &format!("a{i}: &a{i} {{x: *a{}}}\n", i - 1);
    }
    assert!(parse_text(&deep).unwrap_err().contains("nested deeper"));
    assert!(parse_text(&"x".repeat(MAX_INPUT + 1)).unwrap_err().contains("the limit is"));
}

#[test]
fn documents_come_in_order() {
    assert_eq!(parse_text("a: 1\n---\nb: 2\n").unwrap().len(), 2);
    assert!(parse_text("").unwrap().is_empty());
    assert_eq!(parse_text("\u{feff}a: 1\n").unwrap()[0].get("a").unwrap().value, Value::Int(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_text_is_taken_or_refused(text in "[ \\-:?!&*\\[\\]{},\"'#|>%@a\\n\\té1<$]{0,80}") {
        let _ = parse_text(&text);
    }

    #[test]
    fn counting_is_exact(items in 1usize..20) {
        let node = one(&format!("a: &a [{}]\nb: *a\n", vec!["x"; items].join(",")));
        prop_assert_eq!(node.size(), 1 + 2 * (1 + items));
    }
}
