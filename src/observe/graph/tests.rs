use proptest::prelude::*;

use super::*;

fn topology(name: &str) -> Topology {
    let text = |suffix: &str| format!("{name}{suffix}");
    Topology {
        title: text(" title"),
        hosts: vec![HostNode {
            name: text(" host"),
            networks: vec![
                NetworkNode {
                    name: text(" front"),
                    driver: "bridge".to_owned(),
                    subnets: vec!["172.18.0.0/16".to_owned()],
                    internal: false,
                },
                NetworkNode {
                    name: "back".to_owned(),
                    driver: "bridge".to_owned(),
                    subnets: vec!["172.19.0.0/16".to_owned()],
                    internal: true,
                },
            ],
            containers: vec![
                ContainerNode {
                    name: text(""),
                    notes: vec![text(" image")],
                    attachments: vec![
                        Attachment { network: 0, addresses: vec!["172.18.0.2".to_owned()] },
                        Attachment { network: 1, addresses: vec!["172.19.0.2".to_owned()] },
                    ],
                    namespace: NamespaceOf::Own,
                    published: vec!["0.0.0.0:8080 → 80/tcp".to_owned()],
                },
                ContainerNode {
                    name: "side".to_owned(),
                    namespace: NamespaceOf::Container(text("")),
                    ..ContainerNode::default()
                },
            ],
        }],
        lans: vec![LanNode {
            name: "uplink".to_owned(),
            plugs: [text(" host"), text(" outside")]
                .into_iter()
                .map(|machine| Plug {
                    machine,
                    card: "eth0".to_owned(),
                    addresses: vec!["203.0.113.10/24".to_owned()],
                })
                .collect(),
        }],
        machines: vec![MachineNode {
            name: text(" outside"),
            addresses: vec!["198.51.100.7".to_owned()],
            ports: vec!["80/tcp".to_owned()],
        }],
    }
}

#[test]
fn a_mermaid_chart_names_nodes_by_number() {
    insta::assert_snapshot!(mermaid(&topology("w\"#1")));
}

#[test]
fn a_dot_graph_quotes_what_names_hold() {
    insta::assert_snapshot!(dot(&topology("w\"\\1")));
}

#[test]
fn a_drawing_has_a_box_for_each_node_and_a_wire_for_each_attachment() {
    let drawing = svg(&topology("<web>"));
    let count = |part: &str| drawing.matches(part).count();
    assert_eq!(count("class=\"box\""), 2);
    assert_eq!(count("class=\"bar\""), 1);
    assert_eq!(count("class=\"internal\""), 1);
    assert_eq!(count("class=\"machine\""), 1);
    // Two attachments, two plugs.
    assert_eq!(count("<circle"), 4);
    assert!(drawing.contains("&lt;web&gt;") && !drawing.contains("<web>"));
}

/// Elements of a document; an error says where it is not well formed.
fn elements(document: &str) -> Result<usize, String> {
    let mut open: Vec<String> = Vec::new();
    let mut elements = 0;
    let mut rest =
        document.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").ok_or("no declaration")?;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        if text.contains('>') || text.split('&').skip(1).any(|part| !part.contains(';')) {
            return Err(format!("stray character in {text:?}"));
        }
        let end = rest[start..].find('>').ok_or("a tag is not closed")? + start;
        let tag = &rest[start + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop().as_deref() != Some(name) {
                return Err(format!("</{name}> closes nothing"));
            }
        } else {
            elements += 1;
            if tag.matches('"').count() % 2 != 0 {
                return Err(format!("odd quotation marks in {tag:?}"));
            }
            if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().unwrap_or_default().to_owned());
            }
        }
        rest = &rest[end + 1..];
    }
    if open.is_empty() { Ok(elements) } else { Err(format!("{open:?} are not closed")) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_name_breaks_a_document(name in any::<String>()) {
        let hostile = topology(&name);
        let drawing = svg(&hostile);
        let plain = elements(&svg(&topology("web"))).unwrap();
        prop_assert_eq!(elements(&drawing), Ok(plain));
        prop_assert!(drawing.chars().all(|c| c == '\n' || !c.is_control()));

        // Lines are those of a harmless name, and every quotation mark that counts is in its place.
        let graph = dot(&hostile);
        prop_assert_eq!(graph.lines().count(), dot(&topology("web")).lines().count());
        for line in graph.lines() {
            let bare = line.replace("\\\\", "").replace("\\\"", "");
            prop_assert_eq!(bare.matches('"').count() % 2, 0, "{}", line);
        }
        let chart = mermaid(&hostile);
        prop_assert_eq!(chart.lines().count(), mermaid(&topology("web")).lines().count());
        for line in chart.lines() {
            prop_assert!(line.matches('"').count() % 2 == 0 && line.matches('"').count() <= 2, "{}", line);
        }
    }
}
