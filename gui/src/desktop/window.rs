//! The window: made when it is asked for, and taken down with its web view when it is closed. Everything here runs on the main
//! thread.

use std::path::Path;
use std::sync::mpsc::Sender;

use tauri::image::Image;
use tauri::utils::config::Color;
use tauri::webview::{NewWindowResponse, Url};
use tauri::{AppHandle, Manager as _, WebviewUrl, WebviewWindowBuilder, WindowEvent};

use super::send;
use crate::controller::Input;

/// Its label, to which the capability file is tied.
pub const LABEL: &str = "main";

/// What is seen until the page is drawn: `--ground` of `gui/web/src/styles/tokens.css`.
const LIGHT: Color = Color(0xf4, 0xf5, 0xf7, 0xff);
const DARK: Color = Color(0x15, 0x17, 0x1c, 0xff);

/// Makes the window, or raises it.
pub fn show(app: &AppHandle, data: &Path, inputs: &Sender<Input>) -> tauri::Result<()> {
    if let Some(window) = app.get_webview_window(LABEL) {
        window.unminimize()?;
        window.show()?;
        return window.set_focus();
    }
    let window = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App("index.html".into()))
        .title("Keyfob")
        .inner_size(960.0, 680.0)
        .min_inner_size(640.0, 480.0)
        .center()
        .background_color(if is_dark() { DARK } else { LIGHT })
        // Not incognito: with WebKitGTK, Tauri could make one such window only.
        .data_directory(data.to_owned())
        .disable_drag_drop_handler()
        .general_autofill_enabled(false)
        .devtools(false)
        .on_navigation(is_own)
        .on_new_window(|_address, _features| NewWindowResponse::Deny)
        .on_download(|_view, _event| false)
        .icon(Image::from_bytes(include_bytes!("../../icons/icon-128.png"))?)?
        .build()?;
    #[cfg(target_os = "linux")]
    window.with_webview(|view| take_away(&view.inner()))?;
    #[cfg(not(target_os = "linux"))]
    if window.theme()? == tauri::Theme::Dark {
        window.set_background_color(Some(DARK))?;
    }
    #[cfg(target_os = "linux")]
    let app = app.clone();
    let inputs = inputs.clone();
    window.on_window_event(move |event| match event {
        WindowEvent::Focused(is_in_front) => send(&inputs, Input::WindowFocused(*is_in_front)),
        WindowEvent::CloseRequested { .. } => send(&inputs, Input::WindowClosing),
        WindowEvent::Destroyed => {
            send(&inputs, Input::WindowClosed);
            #[cfg(target_os = "linux")]
            drop(tauri::async_runtime::spawn(super::spare_process::end_later(app.clone())));
        }
        _ => {}
    });
    Ok(())
}

/// What a page of text and buttons has no use for: it comes out of this program, and keeps nothing. Drawing without the
/// graphics card takes less memory, and does not depend on its driver. A menu with "Reload" is for a browser.
#[cfg(target_os = "linux")]
fn take_away(view: &webkit2gtk::WebView) {
    use webkit2gtk::{CacheModel, HardwareAccelerationPolicy, SettingsExt as _};
    use webkit2gtk::{HitTestResultExt as _, WebContextExt as _, WebViewExt as _};
    view.connect_context_menu(|_view, _menu, _event, hit| {
        let is_text = hit.context_is_editable() || hit.context_is_selection();
        !is_text
    });
    if let Some(context) = view.context() {
        context.set_cache_model(CacheModel::DocumentViewer);
    }
    let Some(settings) = view.settings() else { return };
    settings.set_hardware_acceleration_policy(HardwareAccelerationPolicy::Never);
    settings.set_enable_webgl(false);
    settings.set_enable_webaudio(false);
    settings.set_enable_media(false);
    settings.set_enable_page_cache(false);
    settings.set_enable_html5_database(false);
    settings.set_enable_html5_local_storage(false);
}

/// The page is the only place: `tauri://localhost`, on Windows `http://tauri.localhost`.
fn is_own(address: &Url) -> bool {
    match address.scheme() {
        "tauri" => address.host_str() == Some("localhost"),
        "http" | "https" => cfg!(windows) && address.host_str() == Some("tauri.localhost"),
        _ => false,
    }
}

/// As the web view decides it, so that nothing flashes before the page is drawn.
fn is_dark() -> bool {
    #[cfg(target_os = "linux")]
    {
        use gtk::prelude::GtkSettingsExt as _;
        gtk::Settings::default().is_some_and(|settings| {
            let theme = settings.gtk_theme_name().unwrap_or_default().to_lowercase();
            settings.is_gtk_application_prefer_dark_theme()
                || theme.ends_with("-dark")
                || theme.ends_with("-dark-maximized")
        })
    }
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_goes_nowhere() {
        let is_own = |address: &str| is_own(&address.parse().unwrap());
        assert!(is_own(if cfg!(windows) { "http://tauri.localhost/" } else { "tauri://localhost/" }));
        for other in [
            "https://acme.example/",
            "http://localhost/",
            "tauri://acme.example/",
            "file:///etc/passwd",
            "data:text/html,x",
            "about:blank",
            "javascript:1",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
