//! What the page's TypeScript believes about the types is what the types are.

#[expect(dead_code, reason = "of the example, a test wants its function and not its `main`")]
#[path = "../examples/bindings.rs"]
mod example;

const SOURCE: &str = concat!(
    include_str!("../src/page/drawn.rs"),
    include_str!("../src/page/asks.rs"),
    include_str!("../src/page/told.rs")
);
const WRITTEN: &str = include_str!("../web/src/bindings.ts");

#[test]
fn the_file_is_as_the_types_are() {
    let generated = example::bindings();
    // By lines: Git may give the file other line ends, and the whole of both is nothing to read in a failure.
    let differs = generated.lines().zip(WRITTEN.lines()).find(|(generated, written)| generated != written);
    let again = "run: cargo run -p keyfob-gui --example bindings > gui/web/src/bindings.ts";
    assert_eq!(differs, None, "{again}");
    assert_eq!(generated.lines().count(), WRITTEN.lines().count(), "{again}");
}

#[test]
fn every_type_of_the_page_is_in_it_in_order() {
    let after = |keyword: &str, line: &str| -> Option<String> {
        let name = line.strip_prefix(keyword)?;
        Some(name.chars().take_while(char::is_ascii_alphanumeric).collect())
    };
    let declared: Vec<String> = SOURCE
        .lines()
        .filter_map(|line| after("pub struct ", line).or_else(|| after("pub enum ", line)))
        .collect();
    let written: Vec<String> = WRITTEN.lines().filter_map(|line| after("export type ", line)).collect();
    assert!(declared.len() > 20);
    assert_eq!(written, declared);
}
