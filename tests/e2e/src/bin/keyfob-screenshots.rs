//! Pictures of the tray and its window for the documentation, in `$KEYFOB_SCREENSHOTS`: every view and the dialogs worth
//! seeing, light and dark, the menu in a panel, and a notification. `cargo xtask screenshots` runs it on the stage of the
//! tests; an argument is a part of the names of those that are wanted. People and companies in them do not exist.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyfob_e2e::real::{Area, Desktop, Family, NotificationServer, Panel, Picture, TrayMenu, WebDriver};
use keyfob_e2e::{Company, PATIENCE, Profile, Stage, run, token, wait_for, wait_for_some};
use keyfob_sandbox::cluster::NAMES;
use keyfob_sandbox::{Endpoint, Fault, Lie, Permissions};
use serde_json::json;
use tempfile::TempDir;

/// Where people and programs of the pictures have their files, as short as paths on a desk are.
const PLACE: &str = "/tmp/acme";
/// What starts programs, as a person's shell does.
const SHELL: &str = "/usr/bin/bash";
/// What only a run of tests has, and no picture may show.
const NEVER_SHOWN: [&str; 3] = ["keyfob-home", "keyfob-stage", "keyfob-screenshots"];
/// Runs its arguments as a process of its own: the last command of a script would take its place.
const RUNNER: &str = "\"$@\"\nexit $?\n";
/// Who may ask for what. Where somebody has a say, the agent looks who asks before it answers: none of these is gone by then.
const ALLOWED: [(&str, &[&str]); 6] = [
    // Roles are got with the session, so whoever gets one needs both.
    ("sso.okta", &["bazel", "terraform", "python"]),
    ("token.aspect", &["bazel"]),
    ("token.packages", &["bazel"]),
    ("token.gitlab", &["terraform"]),
    ("aws.readonly", &["terraform"]),
    ("aws.dev", &["python"]),
];
const TITLE: &str = "Keyfob";

fn main() {
    let folder: PathBuf =
        std::env::var_os("KEYFOB_SCREENSHOTS").expect("KEYFOB_SCREENSHOTS names a folder").into();
    fs::create_dir_all(&folder).expect("room for a folder");
    for theme in ["light", "dark"] {
        let scene = Scene::new(theme);
        scene.window(&folder, theme);
        if theme == "light" {
            scene.panel(&folder);
        }
    }
}

/// A company, a person's profile with a good deal in it, and their desktop.
struct Scene {
    // Dropped in this order: the agent, what it speaks to, and where the files are.
    profile: Profile,
    desktop: Desktop,
    company: Company,
    place: TempDir,
}

impl Scene {
    fn new(theme: &str) -> Self {
        let company = Company::start();
        let desktop = Desktop::start();
        if theme == "dark" {
            desktop.be_dark();
        }
        let place = place();
        let mut profile = Profile::new("");
        profile.set_runtime(&place.path().join("run"));
        for (name, variable, text) in [
            ("config.toml", "KEYFOB_CONFIG", configuration(&company, place.path()).as_str()),
            // Reminders need a keychain that outlives the agent.
            ("passphrase", "KEYFOB_PASSPHRASE_FILE", "correct horse battery staple\n"),
        ] {
            let file = place.path().join(name);
            fs::write(&file, text).expect("room for a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("our own file");
            profile.set(variable, file);
        }
        for name in ["bin", "home"] {
            fs::create_dir(place.path().join(name)).expect("room for a folder");
        }
        profile.set("HOME", place.path().join("home"));
        fs::write(place.path().join("run-this"), RUNNER).expect("room for a file");
        desktop.seat(&mut profile);
        let scene = Self { profile, desktop, company, place };
        scene.furnish();
        scene
    }

    /// Tokens of different ages, a session, and a day's work in the ledger.
    fn furnish(&self) {
        let company = &self.company;
        let shell = self.program("bash");
        self.ask(&shell, &["login", "okta"], "");
        let add = |name: &str, value: &str| self.ask(&shell, &["token", "add", name], value);
        let in_days = |days: i64| {
            let second = Timestamp::now().as_second() + days * 24 * 3600;
            Timestamp::from_second(second).expect("a time of ours")
        };
        let aspect = company.portal().issue_token("ada@example.com", Permissions::ALL, in_days(12));
        add("aspect", &aspect);
        let day = in_days(143).to_zoned(jiff::tz::TimeZone::UTC).date();
        add("gitlab", &company.gitlab().issue_token("ada", &["api", "read_registry"], Some(day)));
        let github =
            company.github().issue_token("ada", Some(&["repo", "read:packages"]), Some(in_days(260)));
        add("github", &github);
        let [bazel, terraform, python] = ["bazel", "terraform", "python"].map(|name| self.program(name));
        for _ in 0..3 {
            self.get(&bazel, "https://aw-remote-ext.acme.dev/ac/5eed");
            self.get(&bazel, "https://eu.cache.acme.dev/ac/5eed");
        }
        self.ask(&python, &["credential-process", "dev"], "");
        self.ask(&terraform, &["credential-process", "readonly"], "");
        self.get(&terraform, "https://gitlab.acme.dev/api");
        self.get(&bazel, "https://packages.acme.dev/simple/");
    }

    /// Everything that is seen in the window.
    fn window(&self, folder: &Path, theme: &str) {
        let mut driver = self.profile.command(Stage::get().tauri_driver());
        // Page and code stay where they are.
        driver.env("BROWSER", "/bin/true");
        let page = WebDriver::start(driver, &Stage::get().bin("keyfob-tray"), &[]);
        page.wait_for("body[data-ready]");
        let keep = |name: &str| {
            let ringed = page.is_there("main:focus-visible");
            assert!(!ringed, "{name}: a ring around the whole view, where a person has clicked on something");
            is_fit_to_be_seen(name, &page.text("body"));
            let name = format!("{name}-{theme}");
            self.keep(folder, &name, self.window_area());
        };
        let go = |view: &str| {
            page.click(&format!("nav button[data-view={view}]"));
            page.wait_for(&format!("main[data-view={view}]"));
            // The hand goes on to where nothing is pressed.
            page.click("main h1");
        };
        put_away(&page, "[data-no-tray] button[data-act=close]");
        page.wait_for("[data-entry=\"token.github\"]");
        go("overview");
        keep("overview");
        for (view, ready) in [
            ("permissions", "[data-permissions=\"token.aspect\"] tr"),
            ("timeline", "[data-lane=\"token.aspect\"]"),
            ("activity", "[data-line]"),
            ("settings", "[data-tool]"),
        ] {
            go(view);
            page.wait_for(ready);
            if view == "activity" {
                self.are_all_acmes(&page);
            }
            keep(view);
        }
        go("overview");

        page.click("[data-entry=\"sso.partner\"] button[data-deed=sign-in]");
        page.click("dialog [name=device]");
        page.click("dialog button[data-act=sign-in]");
        page.wait_for("dialog [data-code]");
        keep("sign-in-code");
        page.click("dialog button[data-act=cancel]");
        page.wait_for_none("dialog");

        self.company.faults().set_times(Endpoint::TokenRotate, Fault::Lie(Lie::FewerPermissions), 1);
        page.click("[data-entry=\"token.aspect\"] button[data-deed=rotate-token]");
        page.click("dialog button[data-act=rotate]");
        page.wait_for("dialog [data-outcome]");
        keep("token-outcome");
        page.click("dialog button[data-act=close]");
        page.wait_for_none("dialog");

        page.click("main h1");
        self.get(&self.program("terraform"), "https://api.github.acme.dev/user");
        page.wait_for("[data-question] button[data-answer=once]:not(:disabled)");
        page.script("document.querySelector('main').scrollTop = 0", &json!([]));
        let question = page.text("[data-question]");
        let program = self.program("terraform");
        for shown in [program.to_str().expect("a path"), SHELL] {
            assert!(question.contains(shown), "no {shown}: {question}");
        }
        keep("question");
        page.click("[data-question] button[data-answer=always]");
        page.wait_for_none("[data-question]");
    }

    /// Where the window is, within its frame, once the window manager has put it there.
    fn window_area(&self) -> Area {
        let window = self.desktop.wait_for_window(TITLE);
        wait_for_some("a window that stays where it is, all of it on the screen", PATIENCE, || {
            let area = self.desktop.area_of(&window);
            let _ = self.desktop.calm_picture(self.desktop.area());
            let whole = self.desktop.area();
            let is_whole = area.x + area.width <= whole.width && area.y + area.height <= whole.height;
            (is_whole && self.desktop.area_of(&window) == area).then_some(area)
        })
    }

    /// Every line of the ledger is of a program that the pictures are about.
    fn are_all_acmes(&self, page: &WebDriver) {
        let script =
            "return [...document.querySelectorAll('[data-line] th [class~=elided]')].map(it => it.title)";
        let programs = page.script(script, &json!([]));
        let programs = programs.as_array().expect("a list");
        let place = self.place.path().to_str().expect("a path");
        let is_acmes = |path: &str| path.starts_with(place);
        let are_all = programs.iter().all(|path| path.as_str().is_some_and(is_acmes));
        assert!(!programs.is_empty() && are_all, "{programs:?}");
        // All but what there is no token for.
        assert_eq!(page.count("[data-line][data-outcome=refused]"), 1, "{}", page.text("main"));
    }

    /// The menu in a panel, and a notification.
    fn panel(&self, folder: &Path) {
        let desktop = &self.desktop;
        let panel = Panel::start(desktop);
        let server = NotificationServer::start_on(desktop.bus(), desktop.screen());
        let empty = desktop.calm_picture(panel.area(desktop));
        let mut command = self.profile.command(Stage::get().bin("keyfob-tray"));
        let tray = Family::start(command.arg("--hidden"));
        let lines = TrayMenu::of(desktop.bus(), tray.id());
        lines.wait_for("aspect · ");
        is_fit_to_be_seen("tray-menu", &lines.text());
        wait_for("an icon", PATIENCE, || desktop.picture(panel.area(desktop)).changed(&empty).is_some());
        let icon = desktop.calm_picture(panel.area(desktop)).changed(&empty).expect("an icon");

        let quiet = desktop.calm_picture(desktop.area());
        desktop.click(icon.x + icon.width / 2, icon.y + icon.height / 2, 1);
        wait_for("an open menu", PATIENCE, || {
            desktop.picture(desktop.area()).changed(&quiet).is_some_and(|changed| changed.height > 100)
        });
        desktop.point_away();
        let menu = desktop.calm_picture(desktop.area()).changed(&quiet).expect("a menu");
        let whole = Area { x: 0, y: 0, width: menu.x + menu.width, height: menu.y + menu.height };
        self.keep(folder, "tray-menu", whole);
        desktop.press(&["Escape"]);
        wait_for("no menu", PATIENCE, || desktop.picture(desktop.area()).changed(&quiet).is_none());

        let question = |picture: &Picture| picture.changed(&quiet).filter(|changed| changed.height > 30);
        self.get(&self.program("python"), "https://api.github.acme.dev/user");
        let shown = server.wait_for("a question", |shown| shown.app_name == TITLE);
        is_fit_to_be_seen("notification", &shown.body);
        wait_for_some("a notification", PATIENCE, || question(&desktop.picture(desktop.area())));
        let below = Area { y: 40, height: 400, ..desktop.area() };
        let before = quiet.part(below);
        let shown = desktop.calm_picture(below).changed(&before).expect("a notification");
        self.keep(folder, "notification", shown);
        // Whoever asks for all of them shows a mark, so not sooner.
        let all = server.shown();
        assert_eq!(all.len(), 1, "{all:?}");
    }

    fn keep(&self, folder: &Path, name: &str, area: Area) {
        self.desktop.point_away();
        let _ = self.desktop.calm_picture(area);
        if std::env::args().nth(1).is_some_and(|wanted| !name.contains(&wanted)) {
            return;
        }
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, self.desktop.png(area)).expect("room for a picture");
    }

    /// A program of this name.
    fn program(&self, name: &str) -> PathBuf {
        let path = self.place.path().join("bin").join(name);
        if !path.exists() {
            fs::copy("/bin/sh", &path).expect("room for a program");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
        }
        path
    }

    fn get(&self, program: &Path, uri: &str) {
        self.ask(program, &["get"], &json!({ "uri": uri }).to_string());
    }

    /// The program asks by way of `keyfob`, however that ends. A shell starts it, which has left whoever started that: what
    /// stands behind the program is the shell, as at a person's desk, and not these tests.
    fn ask(&self, program: &Path, arguments: &[&str], input: &str) {
        let mut command = self.profile.command("/usr/bin/setsid");
        command.args(["--fork", SHELL, "-c", RUNNER, SHELL]).arg(program);
        command.env("BROWSER", Stage::get().bin("keyfob-sandbox-browser"));
        command.arg(self.place.path().join("run-this")).arg(Stage::get().bin("keyfob")).args(arguments);
        run(command, input).ok();
    }
}

/// The folder of the pictures' people; a longer name where that one is taken.
fn place() -> TempDir {
    let path = Path::new(PLACE);
    let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let make = |digits: usize| {
        let mut builder = tempfile::Builder::new();
        builder.prefix(name).rand_bytes(digits).permissions(fs::Permissions::from_mode(0o700));
        builder.tempdir_in(folder)
    };
    make(0).or_else(|_| make(6)).expect("room for a folder")
}

/// Nothing that stands in a picture is of the run that takes it.
fn is_fit_to_be_seen(name: &str, text: &str) {
    for never in NEVER_SHOWN {
        assert!(!text.contains(never), "{never} in {name}:\n{text}");
    }
}

fn put_away(page: &WebDriver, button: &str) {
    if page.is_there(button) {
        page.click(button);
        page.wait_for_none(button);
    }
}

fn configuration(company: &Company, place: &Path) -> String {
    let at = company.addresses();
    let [first, second] =
        [&at.cluster_url, &at.second_cluster_url].map(|url| url.replace("http://", "grpc://"));
    let [one, other] = NAMES;
    let aspect = token("aspect", "aw-remote-ext.acme.dev")
        .replace("\"aw-remote-ext.acme.dev\"", "\"aw-remote-ext.acme.dev\", \"127.0.0.1\"");
    let service = |name: &str, host: &str, api: &str| {
        format!("[token.{name}]\nhosts = [\"{host}\"]\nservice = \"{name}\"\napi = \"{api}\"\n")
    };
    [
        "[agent]\nkeychain = \"file\"\n".to_owned(),
        company.sso("okta", "*.cache.acme.dev"),
        company.sso("partner", "*.partner.example"),
        aspect,
        format!("portal = \"{}\"\nservice = \"keyfob\"\napi = \"{}\"\n", at.portal_url, at.token_api_url),
        format!("clusters = {{ {one} = \"{first}\", {other} = \"{second}\" }}\n"),
        service("gitlab", "gitlab.acme.dev", &at.gitlab_api_url),
        service("github", "api.github.acme.dev", &at.github_api_url),
        token("packages", "packages.acme.dev"),
        company.aws("dev", "okta", &at.roles[0]),
        company.aws("readonly", "okta", &at.roles[1]),
        "[policy.\"token.github\"]\nconfirm = \"first\"\n".to_owned(),
        ALLOWED.map(|(entry, names)| policy(entry, names, &place.join("bin"))).concat(),
    ]
    .concat()
}

fn policy(entry: &str, names: &[&str], folder: &Path) -> String {
    let programs: Vec<_> = names.iter().map(|name| format!("'{}'", folder.join(name).display())).collect();
    format!("[policy.\"{entry}\"]\nallow = [{}]\n", programs.join(", "))
}
