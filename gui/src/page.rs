//! Everything that crosses into the web view and out of it. `gui/web/src/bindings.ts` is generated from here
//! (`gui/examples/bindings.rs`), and a test holds the two together.
//!
//! The page is drawn from one [`Page`], which is sent whole whenever something changes, so that it can never show half of
//! an old state. Permissions and the ledger are asked for when they are looked at. No secret is in any of these types but
//! a token or a passphrase on its way in ([`PageAsk`]), which the page forgets as soon as it is sent.
//!
//! Times are RFC 3339 in UTC. Sentences (`say`) come from the agent as they are; words of our own are in
//! `gui/texts/en.json`. What comes from outside is already escaped, and the page never reads any of it as markup.

mod asks;
mod drawn;
mod told;

pub use asks::{ActivityLine, Change, ClusterRow, FactRow, Grant, PageAsk, Permissions, TokenOutcome, Tool};
pub use drawn::{
    AgentState, Approval, Configuration, Deed, Keychain, Lock, Own, Page, Planned, PlannedDeed, Question,
    Remark, Row, RowState, SignIn, SignInStep, Trouble, View,
};
pub use told::{News, PageReply};
