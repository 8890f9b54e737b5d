//! The icon and its menu. Everything here runs on the main thread.
//!
//! A menu that is open stays open: lines that are there are changed in place, and only where their kind differs are they
//! replaced. Whatever library shows them, the first `&` of a label would be its mnemonic, so labels are escaped.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use tauri::menu::{IsMenuItem, Menu, MenuId, MenuItem, PredefinedMenuItem, Submenu};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Wry};

use super::{icons, send};
use crate::controller::Input;
use crate::view::tray::{Icon, Item, MenuAct, Tray};

/// The tray as it is shown.
#[derive(Default)]
pub enum Shown {
    /// It was not tried yet.
    #[default]
    Untried,
    /// The system has none.
    Missing,
    /// The icon and the menu.
    Icon(Box<Pieces>),
}

/// What a tray is made of.
pub struct Pieces {
    icon: TrayIcon,
    drawn: Icon,
    menu: Menu<Wry>,
    lines: Vec<Line>,
    acts: Acts,
}

/// What the lines do, by their ids.
type Acts = Arc<Mutex<HashMap<MenuId, MenuAct>>>;

/// A line that is shown.
enum Line {
    Text(MenuItem<Wry>),
    Act(MenuItem<Wry>),
    Menu(Submenu<Wry>, Vec<Line>),
    Separator(PredefinedMenuItem<Wry>),
}

impl Shown {
    /// Draws, for the first time too. Whether there is a tray now, where that was not known before.
    pub fn draw(
        &mut self,
        app: &AppHandle,
        tray: &Tray,
        folder: &Path,
        inputs: &Sender<Input>,
    ) -> Option<bool> {
        let was_untried = matches!(self, Self::Untried);
        if was_untried {
            *self = match Pieces::new(app, tray, folder, inputs) {
                Ok(pieces) => Self::Icon(Box::new(pieces)),
                Err(why) => {
                    tracing::warn!("there is no tray icon: {why}");
                    Self::Missing
                }
            };
        }
        if let Self::Icon(pieces) = self
            && let Err(error) = pieces.draw(app, tray)
        {
            tracing::warn!("the tray cannot be drawn ({error})");
        }
        was_untried.then_some(matches!(self, Self::Icon(_)))
    }
}

impl Pieces {
    fn new(app: &AppHandle, tray: &Tray, folder: &Path, inputs: &Sender<Input>) -> Result<Self, String> {
        let acts = Acts::default();
        let (menu, known, inputs) =
            (Menu::new(app).map_err(|error| error.to_string())?, Arc::clone(&acts), inputs.clone());
        let builder = TrayIconBuilder::with_id("keyfob")
            // The default would be a folder in /tmp where there is no runtime folder.
            .temp_dir_path(folder)
            .icon(icons::tray(tray.icon, app))
            .tooltip(&tray.tooltip)
            .menu(&menu)
            .on_menu_event(move |_app, event| {
                let act = known.lock().unwrap_or_else(PoisonError::into_inner).get(event.id()).cloned();
                if let Some(act) = act {
                    send(&inputs, Input::Menu(act));
                }
            });
        let icon = without_panic(|| builder.build(app))
            .ok_or_else(|| "libayatana-appindicator3 is not installed".to_owned())?
            .map_err(|error| error.to_string())?;
        Ok(Self { icon, drawn: tray.icon, menu, lines: Vec::new(), acts })
    }

    fn draw(&mut self, app: &AppHandle, tray: &Tray) -> tauri::Result<()> {
        if self.drawn != tray.icon {
            self.icon.set_icon(Some(icons::tray(tray.icon, app)))?;
            self.drawn = tray.icon;
        }
        self.icon.set_tooltip(Some(&tray.tooltip))?;
        let mut acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        // Only what is shown from now on can be clicked.
        acts.clear();
        draw(app, &self.menu, &mut self.lines, &tray.menu, &mut acts)
    }
}

/// Where libayatana-appindicator3 is missing, its bindings panic. That is no fault to be printed with a trace.
fn without_panic<T>(act: impl FnOnce() -> T) -> Option<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = catch_unwind(AssertUnwindSafe(act)).ok();
    std::panic::set_hook(hook);
    done
}

/// Makes the lines of a menu say what they are to say.
fn draw(
    app: &AppHandle,
    menu: &dyn Lines,
    lines: &mut Vec<Line>,
    items: &[Item],
    acts: &mut HashMap<MenuId, MenuAct>,
) -> tauri::Result<()> {
    for spare in lines.split_off(items.len().min(lines.len())) {
        menu.take_out(spare.as_item())?;
    }
    for (index, item) in items.iter().enumerate() {
        if let Some(line) = lines.get_mut(index) {
            if line.turn_into(app, item, acts)? {
                continue;
            }
            menu.take_out(line.as_item())?;
            *line = Line::new(app, item, acts)?;
        } else {
            lines.push(Line::new(app, item, acts)?);
        }
        menu.put_in(lines[index].as_item(), index)?;
    }
    Ok(())
}

impl Line {
    fn new(app: &AppHandle, item: &Item, acts: &mut HashMap<MenuId, MenuAct>) -> tauri::Result<Self> {
        let line = |label: &str, enabled| MenuItem::new(app, escaped(label), enabled, None::<&str>);
        Ok(match item {
            Item::Text(text) => Self::Text(line(text, false)?),
            Item::Act { label, act } => {
                let line = line(label, true)?;
                acts.insert(line.id().clone(), act.clone());
                Self::Act(line)
            }
            Item::Menu { label, items } => {
                let (menu, mut lines) = (Submenu::new(app, escaped(label), true)?, Vec::new());
                draw(app, &menu, &mut lines, items, acts)?;
                Self::Menu(menu, lines)
            }
            Item::Separator => Self::Separator(PredefinedMenuItem::separator(app)?),
        })
    }

    /// `false` where it is of another kind.
    fn turn_into(
        &mut self,
        app: &AppHandle,
        item: &Item,
        acts: &mut HashMap<MenuId, MenuAct>,
    ) -> tauri::Result<bool> {
        match (self, item) {
            (Self::Text(line), Item::Text(text)) => say(line, text)?,
            (Self::Act(line), Item::Act { label, act }) => {
                say(line, label)?;
                acts.insert(line.id().clone(), act.clone());
            }
            (Self::Menu(menu, lines), Item::Menu { label, items }) => {
                let label = escaped(label);
                if menu.text()? != label {
                    menu.set_text(label)?;
                }
                draw(app, menu, lines, items, acts)?;
            }
            (Self::Separator(_), Item::Separator) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn as_item(&self) -> &dyn IsMenuItem<Wry> {
        match self {
            Self::Text(line) | Self::Act(line) => line,
            Self::Menu(menu, _) => menu,
            Self::Separator(line) => line,
        }
    }
}

fn say(line: &MenuItem<Wry>, label: &str) -> tauri::Result<()> {
    let label = escaped(label);
    // A panel redraws the menu for each change it is told of.
    if line.text()? == label { Ok(()) } else { line.set_text(label) }
}

fn escaped(label: &str) -> String {
    label.replace('&', "&&")
}

/// A menu, or one within a menu.
trait Lines {
    fn put_in(&self, item: &dyn IsMenuItem<Wry>, index: usize) -> tauri::Result<()>;
    fn take_out(&self, item: &dyn IsMenuItem<Wry>) -> tauri::Result<()>;
}

impl Lines for Menu<Wry> {
    fn put_in(&self, item: &dyn IsMenuItem<Wry>, index: usize) -> tauri::Result<()> {
        self.insert(item, index)
    }

    fn take_out(&self, item: &dyn IsMenuItem<Wry>) -> tauri::Result<()> {
        self.remove(item)
    }
}

impl Lines for Submenu<Wry> {
    fn put_in(&self, item: &dyn IsMenuItem<Wry>, index: usize) -> tauri::Result<()> {
        self.insert(item, index)
    }

    fn take_out(&self, item: &dyn IsMenuItem<Wry>) -> tauri::Result<()> {
        self.remove(item)
    }
}
