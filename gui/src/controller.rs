//! Everything that happens, one thing after the other.

use keyfob_ipc::{Heard, Refusal};

use crate::page::{PageAsk, PageReply, Trouble};
use crate::view::tray::MenuAct;

/// Something that happened.
pub enum Input {
    /// The page asks.
    Page(PageAsk, Answering),
    /// The window was closed; the page is gone.
    WindowClosed,
    /// The menu was clicked. A panel can send the click of a line that is disabled, and any program on the bus can forge one:
    /// nothing here gives or approves anything.
    Menu(MenuAct),
    /// A notification was clicked, or somebody on the bus says so.
    NotificationOpened(u64),
    /// The program was started again.
    Raised,
    /// Whether a panel shows our icon, as far as is known now.
    TrayHost(bool),
    /// The connection number so-and-so brought something.
    Heard(u64, Heard),
    /// The connection number so-and-so is over.
    Gone(u64, Refusal),
    /// Something changed where an agent leaves word of itself: one may run now.
    AgentMayRun,
}

/// Takes the answer to the page, once.
pub type Answering = Box<dyn FnOnce(Result<PageReply, Trouble>) + Send>;
