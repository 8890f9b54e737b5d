//! Tokens of a service, for administrators.

use keyfob_ipc::reply::{ClusterRights, Issued, IssuedToken, Right};
use keyfob_ipc::text;

use crate::life;
use crate::table::{Cell, Column, labelled, table};
use crate::world::World;

const COLUMNS: [Column; 5] = [
    Column::yielding("ID", 8),
    Column::yielding("OWNER", 10),
    Column::fixed("ENDS"),
    Column::yielding("LAST USED", 9),
    Column::yielding("MAY", 16),
];

/// The table.
pub fn list(tokens: &[IssuedToken], world: &World) -> String {
    if tokens.is_empty() {
        return "the service lists no token\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = tokens
        .iter()
        .map(|token| {
            let used = token.last_used_at.as_deref().map(|used| life::ago(world.now, used));
            let may: Vec<String> = token.permissions.iter().map(may).collect();
            let cells = [
                text::escape(&token.id),
                owner(token),
                token.expires_at.as_deref().map_or_else(unknown, life::day),
                used.unwrap_or_else(unknown),
                if may.is_empty() { "nothing".to_owned() } else { may.join("\n") },
            ];
            cells.into_iter().map(|cell| (cell, None)).collect()
        })
        .collect();
    table(&COLUMNS, &rows, world.width, &world.printer)
}

/// What became of one token.
pub fn issued(issued: &Issued, world: &World) -> String {
    let token = &issued.token;
    let mut facts = vec![("id", text::escape(&token.id)), ("belongs to", owner(token))];
    facts.push(("end", token.expires_at.as_deref().map_or_else(unknown, life::day)));
    facts.extend(token.permissions.iter().map(|rights| ("may", may(rights))));
    facts.extend(issued.kept_by.as_deref().map(|entry| ("kept by", text::escape(entry))));
    let facts: Vec<(String, String)> =
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    labelled(&facts, world.width)
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn owner(token: &IssuedToken) -> String {
    let kind = match (token.machine, token.admin) {
        (false, false) => "",
        (true, false) => " (machine)",
        (false, true) => " (admin)",
        (true, true) => " (machine, admin)",
    };
    format!("{}{kind}", text::escape(&token.owner))
}

/// `aw-remote-ext: read, write`.
fn may(at: &ClusterRights) -> String {
    let rights = [("read", at.rights.read), ("write", at.rights.write), ("execute", at.rights.execute)];
    let words: Vec<String> = rights
        .into_iter()
        .filter_map(|(name, right)| match right {
            Right::Yes => Some(name.to_owned()),
            Right::WithoutEffect => Some(format!("{name} (no effect)")),
            Right::Unknown => Some(format!("{name} (unknown)")),
            Right::No => None,
        })
        .collect();
    let words = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
    format!("{}: {words}", text::escape(&at.cluster))
}
