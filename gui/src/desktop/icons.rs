//! The pictures of the tray, drawn in `gui/icons/source`. Shape and colour both differ from state to state, and the colours are
//! of middle lightness, so that they are seen on light panels and on dark ones.

use tauri::image::Image;
use tauri::{AppHandle, Manager as _};

use crate::view::tray::Icon;

/// The picture of a state, of a size that fits the screen.
pub fn tray(icon: Icon, app: &AppHandle) -> Image<'static> {
    let is_dense = app
        .webview_windows()
        .is_empty()
        .then(|| app.primary_monitor().ok().flatten())
        .flatten()
        .is_some_and(|monitor| monitor.scale_factor() > 1.0);
    Image::from_bytes(bytes(icon, is_dense)).unwrap_or_else(|_| Image::new_owned(vec![0; 4], 1, 1))
}

/// PNG files of 32 pixels, or of 64.
fn bytes(icon: Icon, is_dense: bool) -> &'static [u8] {
    match (icon, is_dense) {
        (Icon::Fine, false) => include_bytes!("../../icons/fine-32.png"),
        (Icon::Fine, true) => include_bytes!("../../icons/fine-64.png"),
        (Icon::NeedsYou, false) => include_bytes!("../../icons/needs-you-32.png"),
        (Icon::NeedsYou, true) => include_bytes!("../../icons/needs-you-64.png"),
        (Icon::SignedOut, false) => include_bytes!("../../icons/signed-out-32.png"),
        (Icon::SignedOut, true) => include_bytes!("../../icons/signed-out-64.png"),
        (Icon::Offline, false) => include_bytes!("../../icons/offline-32.png"),
        (Icon::Offline, true) => include_bytes!("../../icons/offline-64.png"),
    }
}
