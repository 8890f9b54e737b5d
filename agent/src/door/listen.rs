//! Opening the doors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use keyfob_ipc::{Code, Places, Refusal};
#[cfg(unix)]
use std::os::fd::OwnedFd;

#[cfg(unix)]
use crate::upgrade::Handed;

/// A door, open.
#[derive(Debug)]
pub struct Opened {
    /// Who comes.
    pub listener: Arc<Listener>,
    /// Where it is.
    pub address: PathBuf,
    /// Whether its name is ours to remove at the end, and not the service manager's.
    pub is_own: bool,
}

/// Both doors, open.
#[derive(Debug)]
pub struct Doors {
    /// The tool door.
    pub tool: Opened,
    /// The control door.
    pub control: Opened,
}

/// Opens the doors at their places.
///
/// # Errors
/// [`Code::PlaceUnsafe`] naming the component, [`Code::AgentUnreachable`] where somebody else listens there.
pub fn open(places: &Places) -> Result<Doors, Refusal> {
    Ok(Doors { tool: open_one(places.agent_socket())?, control: open_one(places.control_socket())? })
}

/// Opens a door, and makes its folder where there is none.
///
/// # Errors
/// As [`open`].
pub fn open_one(address: PathBuf) -> Result<Opened, Refusal> {
    #[cfg(unix)]
    {
        let folder = address.parent().unwrap_or(Path::new("/"));
        keyfob_ipc::start::create_private(folder)?;
        keyfob_ipc::peer::check_folder(folder)?;
    }
    Ok(Opened { listener: Arc::new(bind(&address)?), address, is_own: true })
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

/// Doors that were opened before this program ran, by their names ([`Handed`]): the service manager's are `agent` and `control`,
/// or come in that order. `None` where there are none.
///
/// # Errors
/// [`Code::PlaceUnsafe`] where what was handed over is not both doors, or one is where it must not be.
#[cfg(unix)]
pub fn inherited(handed: &mut Handed, places: &Places) -> Result<Option<Doors>, Refusal> {
    if handed.is_empty() {
        return Ok(None);
    }
    // Both are found before one is taken: the second may be there by its position alone.
    let [tool, control] = [("agent", 0), ("control", 1)].map(|(name, usual)| handed.door(name, usual));
    let wrong = |name: &str| {
        let say = format!("the service manager did not hand over the socket `{name}`");
        Refusal::new(Code::PlaceUnsafe, say).hint(if cfg!(target_os = "macos") {
            "keyfob agent enable"
        } else {
            "systemctl --user restart keyfobd.socket"
        })
    };
    let open = |found: Option<(OwnedFd, bool)>, name: &str| {
        found.and_then(|(socket, is_own)| handed_over(socket, is_own)).ok_or_else(|| wrong(name))
    };
    let doors = Doors { tool: open(tool, "agent")?, control: open(control, "control")? };
    check_place(&doors.tool, &places.agent_socket())?;
    check_place(&doors.control, &places.control_socket())?;
    Ok(Some(doors))
}

/// Whether a door may be where it is: an agent's own is at its place, and any in a folder that nobody else can enter.
///
/// # Errors
/// [`Code::PlaceUnsafe`] naming the component.
#[cfg(unix)]
pub fn check_place(door: &Opened, place: &Path) -> Result<(), Refusal> {
    let address = &door.address;
    if door.is_own && address != place {
        let say = format!(
            "the socket that was handed over is at `{}`, and the agent's own place is `{}`",
            address.display(),
            place.display()
        );
        return Err(Refusal::new(Code::PlaceUnsafe, say).hint("keyfob agent start"));
    }
    keyfob_ipc::peer::check_folder(address.parent().unwrap_or(Path::new("/")))
}

#[cfg(unix)]
fn handed_over(socket: OwnedFd, is_own: bool) -> Option<Opened> {
    use rustix::net::sockopt;
    // macOS does not tell whether a socket listens.
    #[cfg(not(target_vendor = "apple"))]
    let listens = sockopt::socket_acceptconn(&socket).ok()?;
    #[cfg(target_vendor = "apple")]
    let listens = true;
    let listens = listens && sockopt::socket_type(&socket).ok()? == rustix::net::SocketType::STREAM;
    let listener = std::os::unix::net::UnixListener::from(listens.then_some(socket)?);
    let address = listener.local_addr().ok()?.as_pathname()?.to_owned();
    listener.set_nonblocking(true).ok()?;
    let listener =
        interprocess::os::unix::uds_local_socket::tokio::Listener::try_from(OwnedFd::from(listener)).ok()?;
    Some(Opened { listener: Arc::new(Listener::from(listener)), address, is_own })
}
