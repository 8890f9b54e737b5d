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
    profile: Profile,
    desktop: Desktop,
    company: Company,
}

impl Scene {
    fn new(theme: &str) -> Self {
        let company = Company::start();
        let desktop = Desktop::start();
        if theme == "dark" {
            desktop.be_dark();
        }
        let mut profile = Profile::new(&configuration(&company));
        // Reminders need a keychain that outlives the agent.
        let passphrase = profile.path().join("passphrase");
        fs::write(&passphrase, "correct horse battery staple\n").expect("room for a file");
        fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).expect("our own file");
        profile.set("KEYFOB_PASSPHRASE_FILE", passphrase);
        desktop.seat(&mut profile);
        let scene = Self { profile, desktop, company };
        scene.furnish();
        scene
    }

    /// Tokens of different ages, a session, and a day's work in the ledger.
    fn furnish(&self) {
        let (profile, company) = (&self.profile, &self.company);
        company.sign_in(profile, "okta");
        let shell = self.program("bash");
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
        let [bazel, terraform, metaflow] = ["bazel", "terraform", "metaflow"].map(|name| self.program(name));
        for _ in 0..3 {
            self.get(&bazel, "https://aw-remote-ext.acme.dev/ac/5eed");
            self.get(&bazel, "https://eu.cache.acme.dev/ac/5eed");
        }
        self.ask(&metaflow, &["credential-process", "dev"], "");
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
        let window = self.desktop.wait_for_window(TITLE);
        let area = self.desktop.area_of(&window);
        let keep = |name: &str| self.keep(folder, &format!("{name}-{theme}"), area);
        let go = |view: &str| {
            page.click(&format!("nav button[data-view={view}]"));
            page.wait_for(&format!("main[data-view={view}]"));
        };
        put_away(&page, "[data-no-tray] button[data-act=close]");
        page.wait_for("[data-entry=\"token.github\"]");
        page.script("document.activeElement.blur()", &json!([]));
        keep("overview");
        for (view, ready) in [
            ("permissions", "[data-permissions=\"token.aspect\"] tr"),
            ("timeline", "[data-lane=\"token.aspect\"]"),
            ("activity", "[data-line]"),
            ("settings", "[data-tool]"),
        ] {
            go(view);
            page.wait_for(ready);
            page.script("document.activeElement.blur()", &json!([]));
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

        self.get(&self.program("curl"), "https://api.github.acme.dev/user");
        page.wait_for("[data-question] button[data-answer=once]:not(:disabled)");
        page.script(
            "document.querySelector('main').scrollTop = 0; document.activeElement.blur()",
            &json!([]),
        );
        keep("question");
    }

    /// The menu in a panel, and a notification.
    fn panel(&self, folder: &Path) {
        let desktop = &self.desktop;
        let panel = Panel::start(desktop);
        let server = NotificationServer::start_on(desktop.bus(), desktop.screen());
        let empty = desktop.calm_picture(panel.area(desktop));
        let mut command = self.profile.command(Stage::get().bin("keyfob-tray"));
        let tray = Family::start(command.arg("--hidden"));
        TrayMenu::of(desktop.bus(), tray.id()).wait_for("aspect · ");
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
        self.get(&self.program("terraform"), "https://api.github.acme.dev/user");
        server.wait_for("a question", |shown| shown.app_name == TITLE);
        wait_for_some("a notification", PATIENCE, || question(&desktop.picture(desktop.area())));
        let below = Area { y: 40, height: 400, ..desktop.area() };
        let before = quiet.part(below);
        let shown = desktop.calm_picture(below).changed(&before).expect("a notification");
        self.keep(folder, "notification", shown);
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
        let path = self.profile.path().join(name);
        if !path.exists() {
            fs::copy("/bin/sh", &path).expect("room for a program");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
        }
        path
    }

    fn get(&self, program: &Path, uri: &str) {
        self.ask(program, &["get"], &json!({ "uri": uri }).to_string());
    }

    /// The program asks by way of `keyfob`, however that ends.
    fn ask(&self, program: &Path, arguments: &[&str], input: &str) {
        let runner = self.profile.path().join("runner");
        fs::write(&runner, "\"$@\"\nexit $?\n").expect("room for a file");
        let mut command = self.profile.command(program);
        command.arg(runner).arg(Stage::get().bin("keyfob")).args(arguments);
        run(command, input);
    }
}

fn put_away(page: &WebDriver, button: &str) {
    if page.is_there(button) {
        page.click(button);
        page.wait_for_none(button);
    }
}

fn configuration(company: &Company) -> String {
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
    ]
    .concat()
}
