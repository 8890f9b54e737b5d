//! Opening the doors.

use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use keyfob_ipc::{Code, Places, Refusal};

/// Both doors, open.
pub struct Doors {
    /// The tool door.
    pub tool: Listener,
    /// The control door.
    pub control: Listener,
    /// Where they are: the tool door, the control door.
    pub addresses: [PathBuf; 2],
}

/// Opens the doors at their places.
///
/// # Errors
/// [`Code::PlaceUnsafe`] naming the component, [`Code::AgentUnreachable`] where somebody else listens there.
pub fn open(places: &Places) -> Result<Doors, Refusal> {
    #[cfg(unix)]
    {
        keyfob_ipc::start::create_private(&places.runtime)?;
        keyfob_ipc::peer::check_folder(&places.runtime)?;
    }
    let addresses = [places.agent_socket(), places.control_socket()];
    Ok(Doors { tool: bind(&addresses[0])?, control: bind(&addresses[1])?, addresses })
}

/// Removes the names of our doors; the caller holds the agent's lock, so nobody else's are there.
pub fn close(places: &Places) {
    if cfg!(unix) {
        for address in [places.agent_socket(), places.control_socket()] {
            // Absent is as good as removed.
            let _ = std::fs::remove_file(address);
        }
    }
}

/// `sun_path` (unix(7)), without the closing NUL.
#[cfg(unix)]
const LONGEST_ADDRESS: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

#[cfg(unix)]
fn bind(address: &Path) -> Result<Listener, Refusal> {
    use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
    if address.as_os_str().len() > LONGEST_ADDRESS {
        return Err(Refusal::new(
            Code::PlaceUnsafe,
            format!("the path of the socket `{}` is longer than {LONGEST_ADDRESS} bytes", address.display()),
        )
        .hint("set KEYFOB_RUNTIME_DIR to a shorter folder"));
    }
    remove_stale(address)?;
    options(address)?.mode(0o600).create_tokio().map_err(|error| cannot_listen(address, &error))
}

#[cfg(windows)]
fn bind(address: &Path) -> Result<Listener, Refusal> {
    use interprocess::os::windows::ToWtf16 as _;
    use interprocess::os::windows::local_socket::ListenerOptionsExt as _;
    use interprocess::os::windows::security_descriptor::SecurityDescriptor;
    // Callers of other machines are refused by default.
    let access = std::ffi::OsString::from(keyfob_ipc::peer::only_this_user())
        .to_wtf_16()
        .map_err(std::io::Error::other)
        .and_then(|text| SecurityDescriptor::deserialize(&text))
        .map_err(|error| cannot_listen(address, &error))?;
    options(address)?
        .security_descriptor(access)
        .create_tokio()
        .map_err(|error| cannot_listen(address, &error))
}

fn options(address: &Path) -> Result<ListenerOptions<'_>, Refusal> {
    let name = address.to_fs_name::<GenericFilePath>().map_err(|error| cannot_listen(address, &error))?;
    // Never `try_overwrite`: it takes the name from an agent that lives. Names are cleared by `remove_stale` alone.
    Ok(ListenerOptions::new().name(name).reclaim_name(false))
}

fn cannot_listen(address: &Path, error: &std::io::Error) -> Refusal {
    Refusal::new(Code::PlaceUnsafe, format!("the socket `{}` cannot be opened ({error})", address.display()))
}

/// Removes a socket that nobody answers at: connect first, and unlink only what refused.
#[cfg(unix)]
fn remove_stale(address: &Path) -> Result<(), Refusal> {
    use std::io::ErrorKind;
    use std::os::unix::fs::FileTypeExt as _;
    let Ok(metadata) = std::fs::symlink_metadata(address) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        let say = format!("`{}` is in the way, and it is no socket", address.display());
        return Err(
            Refusal::new(Code::PlaceUnsafe, say).hint(format!("look at it, then rm '{}'", address.display()))
        );
    }
    match std::os::unix::net::UnixStream::connect(address) {
        Ok(_) => Err(Refusal::new(
            Code::AgentUnreachable,
            format!("another program answers at `{}`", address.display()),
        )
        .hint("keyfob agent status")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(address).map_err(|error| cannot_listen(address, &error))
        }
        Err(error) => Err(cannot_listen(address, &error)),
    }
}

/// Doors that the service manager opened (`LISTEN_FDS`, sd_listen_fds(3)): by their names `agent` and `control`, or in that
/// order. `None` where it opened none. For a caller that has seen its own process number in `LISTEN_PID`.
///
/// # Errors
/// [`Code::PlaceUnsafe`] where what it handed over is not both doors.
#[cfg(unix)]
pub fn inherited(names: Option<&str>) -> Result<Option<Doors>, Refusal> {
    let mut handed = listenfd::ListenFd::from_env();
    if handed.len() == 0 {
        return Ok(None);
    }
    let names: Vec<&str> = names.map(|names| names.split(':').collect()).unwrap_or_default();
    let position = |name: &str, usual: usize| names.iter().position(|known| *known == name).unwrap_or(usual);
    let mut take = |name: &str, usual: usize| {
        let wrong = || {
            let say = format!("the service manager did not hand over the socket `{name}`");
            Refusal::new(Code::PlaceUnsafe, say).hint("systemctl --user restart keyfobd.socket")
        };
        let listener = handed.take_unix_listener(position(name, usual)).ok().flatten().ok_or_else(wrong)?;
        listener.set_nonblocking(true).map_err(|_| wrong())?;
        let address =
            listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
        let listener = interprocess::os::unix::uds_local_socket::tokio::Listener::try_from(
            std::os::fd::OwnedFd::from(listener),
        );
        Ok::<_, Refusal>((listener.map(Listener::from).map_err(|_| wrong())?, address.ok_or_else(wrong)?))
    };
    let (tool, tool_address) = take("agent", 0)?;
    let (control, control_address) = take("control", 1)?;
    Ok(Some(Doors { tool, control, addresses: [tool_address, control_address] }))
}
