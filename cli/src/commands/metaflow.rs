//! `keyfob metaflow`.

use clap::Args;
use keyfob_ipc::{Code, Refusal, Reply, ToolAsk, text};

use super::Outcome;
use crate::commands::DONE;
use crate::reach::unexpected;
use crate::world::World;

/// Give Metaflow the configuration of an Outerbounds deployment.
///
/// Writes what Metaflow would read from its config.json, as JSON: addresses, the perimeter's settings, and the service key. Keyfob's
/// extension of Metaflow calls this; for a program that reads files alone there is `keyfob exec NAME -- COMMAND`. Because of the key
/// it is not written to a terminal, unless you say --json. Standard input is never read, nobody is asked anything.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_long_help = "\
EXAMPLES
  keyfob metaflow outerbounds.prod | jq -r .METAFLOW_SERVICE_URL
  keyfob metaflow prod --json

EXIT CODES
  0 given, 1 refused, 2 wrong use, 3 a key is needed (`keyfob token add`),
  4 agent not reachable, 5 waiting for an unlock or an approval")]
pub struct Options {
    /// The entry: `outerbounds.prod` or `prod`.
    name: String,
}

pub fn run(options: &Options, world: &mut World) -> Outcome {
    let name = super::of_kind("outerbounds", &options.name);
    if world.is_shown && !world.json {
        let say = "the configuration holds a key, so it is not written to a terminal";
        let hint = format!("keyfob metaflow {} --json", text::escape(&name));
        return Err(Refusal::new(Code::BadRequest, say).hint(hint));
    }
    let Reply::Metaflow(found) = world.reach.ask_tool(|| ToolAsk::Metaflow { name: name.clone() })? else {
        return Err(unexpected());
    };
    let written = world.printer.raw(&found.config, world.is_shown);
    written.map(|()| DONE).map_err(|error| {
        Refusal::new(Code::Internal, format!("the configuration cannot be written ({error})"))
            .hint(format!("keyfob metaflow {}", text::escape(&name)))
    })
}
