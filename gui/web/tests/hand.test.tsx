// A press over the accessibility bus is a click without a hand: it gives nothing away and changes nothing.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { PageAsk } from "../src/bindings";
import { ask } from "../src/door";
import { FRESH, isByHand, note } from "../src/hand";
import { alert, byHand, click, clickFromElsewhere, closeWindow, find, openWindow, rust, type } from "./window";

vi.mock("@tauri-apps/api/core", () => import("./window"));
vi.mock("@tauri-apps/api/event", () => import("./window"));

const entry = "token.aspect";
const GUARDED: PageAsk[] = [
  { ask: "answer", id: "1", approval: "always" },
  { ask: "unlock", passphrase: "marked" },
  { ask: "sign-in", entry: "sso.okta", device: false },
  { ask: "rotate-token", entry },
  { ask: "keep-token", entry, value: "aw_marked", ends: null, replaces: true },
  { ask: "accept-changes", changes: [] },
  { ask: "remove-token", entry, keep_at_service: false },
  { ask: "sign-out", entry: "sso.okta" },
  { ask: "revoke", id: "1" },
  { ask: "set-up", tool: "bazel" },
  { ask: "open-console", entry: "aws.dev" },
];
const ANSWER = "[data-question] [data-answer=always]";

/** An event of one element, as a hand makes it. */
function eventAt(target: Element, type: string, isTrusted = true, key = ""): Event {
  const event = new Event(type, { bubbles: true });
  Object.defineProperties(event, { target: { value: target }, isTrusted: { value: isTrusted }, key: { value: key } });
  return event;
}

async function openQuestions(): Promise<void> {
  await openWindow("questions");
  await vi.waitFor(() => expect(find<HTMLButtonElement>(ANSWER).disabled).toBe(false), { timeout: 5000 });
}

beforeEach(() => {
  rust.sent = [];
  // Whatever a test before this one pressed.
  note(eventAt(document.body, "click"), 0);
});
afterEach(closeWindow);

it("nothing that matters is sent without a hand, and the secret in it is forgotten", async () => {
  for (const request of GUARDED) {
    await expect(ask({ ...request }), request.ask).rejects.toMatchObject({ code: "not_allowed", hint: /mouse/ });
  }
  const keep = { ask: "keep-token", entry, value: "aw_marked", ends: null, replaces: true } as const;
  const request: PageAsk = { ...keep };
  await expect(ask(request)).rejects.toMatchObject({ code: "not_allowed" });
  expect(JSON.stringify(request)).not.toContain("marked");
  expect(rust.sent).toEqual([]);
  // The control: by hand, all of it is.
  for (const request of GUARDED) {
    byHand(document.body, new Event("keydown", { bubbles: true }));
    void ask({ ...request });
  }
  expect(rust.sent).toHaveLength(GUARDED.length);
});

it("what only looks is sent without a hand", () => {
  void ask({ ask: "grants" });
  expect(rust.sent).toEqual(['{"ask":"grants"}']);
});

it("a hand counts for a moment, and only a real one", () => {
  note(eventAt(document.body, "pointerdown", false), 1000);
  expect(isByHand(1000)).toBe(false);
  for (const type of ["pointerdown", "keydown"]) {
    note(eventAt(document.body, type), 10_000);
    expect(isByHand(10_000 + FRESH)).toBe(true);
    expect(isByHand(10_001 + FRESH)).toBe(false);
  }
});

it("a click elsewhere than the hand has pressed is not the hand's", () => {
  document.body.innerHTML = `<form><input><button id="one"><i></i></button></form><button id="two"></button>`;
  const [field, one, sign, two] = ["input", "#one", "i", "#two"].map((selector) => find<Element>(selector));
  if (!field || !one || !sign || !two) throw new Error("they were made");
  const after = (pressed: Event, clicked: Element): boolean => {
    note(pressed, 1000);
    note(eventAt(clicked, "click"), 1001);
    return isByHand(1001);
  };
  expect(after(eventAt(sign, "pointerdown"), one)).toBe(true);
  expect(after(eventAt(one, "keydown", true, "Enter"), one)).toBe(true);
  expect(after(eventAt(field, "keydown", true, "Enter"), one)).toBe(true);
  expect(after(eventAt(field, "keydown", true, "a"), one)).toBe(false);
  expect(after(eventAt(field, "keydown", true, "Enter"), two)).toBe(false);
  expect(after(eventAt(one, "pointerdown"), two)).toBe(false);
  expect(after(eventAt(document.body, "pointerdown"), two)).toBe(false);
  document.body.innerHTML = "";
});

it("another program cannot answer a question, and the person is told", async () => {
  await openQuestions();
  await clickFromElsewhere(ANSWER);
  expect(rust.sent.join()).not.toContain("answer");
  expect(alert()).toBe(
    "Another program pressed this, so nothing was done. Press it yourself, with mouse or keyboard.",
  );
  expect(find<HTMLButtonElement>(ANSWER).disabled).toBe(false);
  await click(ANSWER);
  expect(rust.sent.at(-1)).toContain('"approval":"always"');
});

it("another program cannot answer while the person presses something else", async () => {
  await openQuestions();
  byHand(find("main"), new Event("pointerdown", { bubbles: true }));
  await clickFromElsewhere(ANSWER);
  expect(rust.sent.join()).not.toContain("answer");
});

it("another program cannot unlock with what the person has typed", async () => {
  await openWindow("locked");
  await click("[data-lock] [data-act=unlock]");
  await type("passphrase", "marked");
  await clickFromElsewhere("dialog [data-act=unlock]");
  expect(rust.sent.join()).not.toContain("unlock");
  expect(find("dialog [role=alert]").textContent).toContain("Another program pressed this");
});

it("a key that presses no button is no hand on the one that got the focus", async () => {
  await openQuestions();
  const button = find<HTMLButtonElement>(ANSWER);
  for (const [key, isByAHand] of [["a", false], ["Tab", false], ["Enter", true], [" ", true]] as const) {
    note(eventAt(button, "keydown", true, key), 1000);
    note(eventAt(button, "click"), 1001);
    expect(isByHand(1001), key).toBe(isByAHand);
  }
});
