// In the place of `@tauri-apps/api/core` while one looks at the page without the Rust side: answers from samples.
// `?scene=locked&view=activity` chooses what is seen.

import type { News, Page, PageAsk, PageReply, SignInStep, Trouble, View } from "../bindings";
import { activity, changes, grants, outcome, permissions, tools } from "./answers";
import { at, sceneOf } from "./scenes";

const wanted = new URLSearchParams(location.search);
let page: Page = sceneOf(wanted.get("scene") ?? "busy");
let tell: (news: News) => void = () => {};

export function hear(listener: (news: News) => void): void {
  tell = listener;
}

function draw(change: Partial<Page>): void {
  page = { ...page, ...change };
  tell({ is: "page", it: page });
}

function step(entry: string, step: SignInStep): void {
  draw({ sign_in: { entry, step } });
}

export async function invoke<Reply>(_command: string, { ask }: { ask: PageAsk }): Promise<Reply> {
  await new Promise((resolve) => setTimeout(resolve, 60));
  const reply = answer(ask);
  if ("code" in reply) throw reply;
  return reply as Reply;
}

function answer(ask: PageAsk): PageReply | Trouble {
  switch (ask.ask) {
    case "begin":
      return { is: "begin", it: { page, view: (wanted.get("view") ?? "overview") as View, deed: null } };
    case "permissions":
      return { is: "permissions", it: page.rows.length === 0 ? [] : permissions };
    case "activity":
      return { is: "activity", it: page.rows.length === 0 ? [] : activity };
    case "grants":
      return { is: "grants", it: page.rows.length === 0 ? [] : grants };
    case "tools":
      return { is: "tools", it: tools };
    case "changes":
      return { is: "changes", it: changes };
    case "keep-token":
      if (ask.value.includes("bad")) {
        return { code: "token_invalid", say: "the token service does not know this token", hint: "" };
      }
      return { is: "token", it: ask.replaces ? outcome : { ...outcome, before: null, lost: [], gained: [] } };
    case "rotate-token":
      return { is: "token", it: outcome };
    case "sign-in":
      step(ask.entry, { is: "begun" });
      setTimeout(
        () =>
          step(
            ask.entry,
            ask.device
              ? { is: "code", code: "WDJB-MJHT", address: "https://acme.okta.com/activate", until: at(9 / 60 / 24) }
              : { is: "browser", opened: true },
          ),
        wanted.has("slow") ? 1e6 : 200,
      );
      return done("");
    case "put-sign-in-away":
      draw({ sign_in: null });
      return done("");
    case "answer":
      draw({ questions: page.questions.filter((question) => question.id !== ask.id) });
      return done("`terraform` may use `aws.dev` until you revoke that");
    case "unlock":
      if (ask.passphrase === "wrong") return { code: "keychain_denied", say: "the passphrase is wrong", hint: "" };
      draw({ lock: null });
      return done("it is unlocked");
    case "lock":
      draw({ lock: { since: at(0), by: "person", needs_passphrase: true } });
      return done("it is locked: nothing is given until you unlock");
    case "put-no-tray-away":
      draw({ own: { ...page.own, says_no_tray: false } });
      return done("");
    case "start-at-sign-in":
      draw({ own: { ...page.own, starts_at_sign_in: ask.on } });
      return done("");
    case "set-reminders":
      if (page.configuration) draw({ configuration: { ...page.configuration, reminders: ask.steps } });
      return done("");
    case "open-configuration":
      return { code: "internal", say: "no program opens `.toml` files", hint: "xdg-open ~/.config/keyfob/config.toml" };
    case "start-agent":
      draw({ agent: sceneOf("busy").agent });
      return done("the agent runs");
    default:
      return done("done");
  }
}

function done(say: string): PageReply {
  return { is: "done", it: { say } };
}
