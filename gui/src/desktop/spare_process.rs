//! WebKit keeps a process for the network after the last page is gone, some 25 MiB for nothing: this page comes out of the
//! program itself. There is no call that ends it, and WebKit starts another as soon as it needs one, as after a crash.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tauri::{AppHandle, Manager as _};

/// A window that was closed by mistake opens faster within this time.
const PAUSE: Duration = Duration::from_secs(5);
/// Its name, as far as the kernel keeps it.
const NAME: &str = "WebKitNetworkPr";

/// Ends it after a while, unless there is a window again by then.
pub async fn end_later(app: AppHandle) {
    tokio::time::sleep(PAUSE).await;
    let looked = app.clone();
    // Windows are made on the main thread, so none is being made there now.
    let _ = app.run_on_main_thread(move || {
        if looked.webview_windows().is_empty() {
            children().into_iter().filter(|child| is_spare(*child)).for_each(end);
        }
    });
}

fn end(child: Pid) {
    // It may be gone by now; nobody else gets its number before this process has waited for it.
    let _ = kill_process(child, Signal::TERM);
}

/// The children of this process; none where the kernel does not list them.
fn children() -> Vec<Pid> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let all = lists.collect::<Vec<_>>().join(" ");
    all.split_ascii_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)).collect()
}

fn is_spare(child: Pid) -> bool {
    let name = Path::new("/proc").join(child.as_raw_nonzero().to_string()).join("comm");
    std::fs::read_to_string(name).is_ok_and(|name| name.trim_end() == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_child_of_that_name_is_found() {
        use std::os::unix::process::CommandExt as _;
        // A link, so that the kernel calls it by that name. Some systems have one program for all commands, which goes by
        // the name in the arguments.
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(NAME);
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut spare = std::process::Command::new(&program).arg0("sleep").arg("60").spawn().unwrap();
        let mut other = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let found = || children().into_iter().filter(|child| is_spare(*child)).collect::<Vec<_>>();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while found().is_empty() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        let (found, all) = (found(), children());
        assert_eq!(found, [Pid::from_child(&spare)]);
        assert!(all.contains(&Pid::from_child(&other)));
        end(found[0]);
        assert!(!spare.wait().unwrap().success());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
