// The one command and the one event that join the page to the Rust side.

import { invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import type { News, PageAsk, PageReply, Trouble } from "./bindings";
import { isByHand } from "./hand";
import { t } from "./text";

/** What each ask is answered with; the rest is answered with `done`. */
const REPLIES = {
  begin: "begin",
  permissions: "permissions",
  activity: "activity",
  grants: "grants",
  "keep-token": "token",
  "rotate-token": "token",
  changes: "changes",
  tools: "tools",
} as const;

/** What gives something away or changes what is held: done for nobody but the person at the window. */
const BY_HAND = new Set<PageAsk["ask"]>([
  "accept-changes",
  "answer",
  "keep-token",
  "open-console",
  "remove-token",
  "revoke",
  "rotate-token",
  "set-up",
  "sign-in",
  "sign-out",
  "unlock",
]);

type Replies = typeof REPLIES;
type ReplyName<Name> = Name extends keyof Replies ? Replies[Name] : "done";
export type ReplyTo<Name> = Extract<PageReply, { is: ReplyName<Name> }>["it"];

/** Asks, and gives what is behind the answer. Rejects with a `Trouble`, and with nothing else. */
export async function ask<Ask extends PageAsk>(request: Ask): Promise<ReplyTo<Ask["ask"]>> {
  const expected: string = Object.hasOwn(REPLIES, request.ask) ? REPLIES[request.ask as keyof Replies] : "done";
  let reply: PageReply;
  try {
    // Before any `await`: a click is judged while it is handled.
    if (BY_HAND.has(request.ask) && !isByHand()) {
      throw trouble("not_allowed", t("hand.nobody"), t("hand.nobody-hint"));
    }
    reply = await invoke<PageReply>("ask", { ask: request });
  } catch (error) {
    throw troubleFrom(error);
  } finally {
    forget(request);
  }
  if (reply.is !== expected) throw unexpected();
  return reply.it as ReplyTo<Ask["ask"]>;
}

/** A secret was read out of its field into the request, and nowhere else. Not sooner: Tauri may send the request a second
 * time, over its other way into the program, while it is under way. */
function forget(request: PageAsk): void {
  if ("value" in request) request.value = "";
  if ("passphrase" in request) request.passphrase = null;
}

export function listenToNews(tell: (news: News) => void): Promise<() => void> {
  return listen<News>("news", (event) => tell(event.payload));
}

export function troubleFrom(error: unknown): Trouble {
  if (typeof error === "object" && error !== null && "say" in error && typeof error.say === "string") {
    const { code, hint } = error as Partial<Trouble>;
    return { code: code ?? "unknown", say: error.say, hint: hint ?? "" };
  }
  return typeof error === "string" && error !== "" ? trouble("internal", error, "") : unexpected();
}

function unexpected(): Trouble {
  return trouble("internal", t("trouble.unexpected"), t("trouble.unexpected-hint"));
}

function trouble(code: string, say: string, hint: string): Trouble {
  return { code, say, hint };
}
