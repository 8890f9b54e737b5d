//! Programs that ask: copies of the shell under names of their own, and a script that speaks to a door by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyfob_e2e::{Output, Profile, Stage, run};
use serde_json::{Value, json};

use crate::ASPECT;

/// Runs its arguments as a process of its own: the last command of a script would take its place.
const RUNNER: &str = "\"$@\"\nexit $?\n";

/// A program of this name, which is no other program's file.
pub fn program(profile: &Profile, name: &str) -> PathBuf {
    let path = profile.path().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("room for a folder");
    keyfob_e2e::process::copy_program("/bin/sh", &path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    path
}

/// A file of the profile's folder.
pub fn file(profile: &Profile, name: &str, text: &str) -> PathBuf {
    let path = profile.path().join(name);
    fs::write(&path, text).expect("room for a file");
    path
}

/// `PROGRAM` starts `ARGUMENTS`, waits for it, and ends as it does.
pub fn through(profile: &Profile, program: &Path, arguments: &[&str]) -> Command {
    let mut command = profile.command(program);
    command.arg(file(profile, "runner", RUNNER)).args(arguments);
    command
}

/// The real `keyfob`.
pub fn keyfob() -> String {
    Stage::get().bin("keyfob").to_string_lossy().into_owned()
}

/// `PROGRAM` asks for the token as Bazel does.
#[track_caller]
pub fn get(profile: &Profile, program: &Path) -> Output {
    run(through(profile, program, &[&keyfob(), "get"]), input())
}

/// What Bazel writes to a helper.
pub fn input() -> String {
    json!({"uri": ASPECT}).to_string()
}

/// Speaks to a door over one connection: `door.py SOCKET OUT ASK…`. `ID` in an ask stands for the id of the first question of
/// the last list. Each answer is a line of OUT.
const DOOR: &str = r#"
import json, os, socket, struct, sys

def whole(connection, length):
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
name = "ID"
with open(sys.argv[2], "w") as out:
    for ask in sys.argv[3:]:
        message = json.dumps({"v": 1, "ask": json.loads(ask.replace("ID", name))}).encode()
        connection.sendall(struct.pack("<I", len(message)) + message)
        reply = json.loads(whole(connection, struct.unpack("<I", whole(connection, 4))[0]))["reply"]
        if reply.get("questions"):
            name = reply["questions"][0]["id"]
        out.write(json.dumps(reply) + "\n")
"#;

/// Runs a program on a terminal of its own: `terminal.py PROMPT TYPED PROGRAM ARGUMENT…`. Types a line where the prompt ends
/// so; nothing where PROMPT is empty.
const TERMINAL: &str = r#"
import os, pty, sys

prompt, typed, command = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
seen, waits = b"", bool(prompt)
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    seen += more
    if waits and prompt in seen:
        waits = False
        os.write(terminal, typed + b"\n")
sys.stdout.buffer.write(seen)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

/// A session of its own, so without any terminal: `setsid.py PROGRAM ARGUMENT…`.
const NO_TERMINAL: &str = "import os, sys\nos.setsid()\nos.execv(sys.argv[1], sys.argv[1:])\n";

/// Whether a process has a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    OnATerminal,
    WithoutOne,
}

/// Asks the control door over one connection; the answers.
#[track_caller]
pub fn ask(profile: &Profile, standing: Standing, asks: &[Value]) -> Vec<Value> {
    let out = profile.path().join("out");
    let python = Stage::get().python("python");
    let mut command = profile.command(&python);
    match standing {
        Standing::OnATerminal => command.arg(file(profile, "terminal.py", TERMINAL)).args(["", ""]),
        Standing::WithoutOne => command.arg(file(profile, "setsid.py", NO_TERMINAL)),
    };
    command.arg(&python).arg(file(profile, "door.py", DOOR)).arg(profile.control_socket()).arg(&out);
    command.args(asks.iter().map(Value::to_string));
    run(command, "").ok();
    let text = fs::read_to_string(out).expect("the answers");
    text.lines().map(|line| serde_json::from_str(line).expect("an answer")).collect()
}

/// `keyfob ARGUMENTS` on a terminal; types a line at the prompt.
#[track_caller]
pub fn on_a_terminal(profile: &Profile, arguments: &[&str], prompt: &str, typed: &str) -> Output {
    let mut command = profile.command(Stage::get().python("python"));
    command.arg(file(profile, "terminal.py", TERMINAL)).args([prompt, typed, &keyfob()]).args(arguments);
    run(command, "")
}
