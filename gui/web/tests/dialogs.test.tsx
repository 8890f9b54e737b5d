// What the dialogs and the head of the overview say.

import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Page, PageAsk, Row, TokenOutcome } from "../src/bindings";
import { SayEndDialog } from "../src/dialogs/say-end";
import { TokenOutcomePart } from "../src/dialogs/token-outcome";
import { UnlockDialog } from "../src/dialogs/unlock";
import { outcome } from "../src/dev/answers";
import { rows, sceneOf } from "../src/dev/scenes";
import { FrameContext, type Frame } from "../src/frame";
import { FIRST } from "../src/state";
import { isoDay } from "../src/words";
import { OverviewView } from "../src/views/overview";

const rust = vi.hoisted(() => ({ sent: [] as string[] }));
vi.mock("@tauri-apps/api/core", () => ({
  invoke: (_: string, { ask }: { ask: PageAsk }) => {
    rust.sent.push(JSON.stringify(ask));
    return new Promise(() => {});
  },
}));
vi.mock("@tauri-apps/api/event", () => ({ listen: () => Promise.resolve(() => {}) }));
// Whether a hand is there is looked at elsewhere.
vi.mock("../src/hand", () => ({ isByHand: () => true }));

const NOW = Date.parse("2026-11-21T08:00:00Z");

async function draw(page: Page, part: preact.ComponentChildren): Promise<void> {
  const nothing = () => {};
  const frame = { state: { ...FIRST, page }, now: NOW, close: nothing, say: nothing, hush: nothing } as unknown as Frame;
  await act(() => render(<FrameContext.Provider value={frame}>{part}</FrameContext.Provider>, document.body));
}

function field(name: string): HTMLInputElement {
  const found = document.querySelector<HTMLInputElement>(`input[name=${name}]`);
  if (!found) throw new Error(`there is no field ${name}`);
  return found;
}

async function type(name: string, text: string): Promise<void> {
  field(name).value = text;
  await act(() => void field(name).dispatchEvent(new Event("input", { bubbles: true })));
}

const button = (what: string) => document.querySelector<HTMLButtonElement>(`[data-act=${what}]`);

beforeEach(() => {
  rust.sent = [];
});
afterEach(() => act(() => render(null, document.body)));

it("a first passphrase is asked for twice, is long enough, and leaves both fields", async () => {
  await draw(sceneOf("new"), <UnlockDialog />);
  expect(document.querySelector("dialog h2")?.textContent).toBe("Choose a passphrase");
  expect(button("unlock")?.textContent).toBe("Create");
  for (const [one, other, isReady] of [
    ["", "", false],
    ["marked0", "marked0", false],
    ["marked01", "", false],
    ["marked01", "marked02", false],
    ["marked01", "marked01", true],
  ] as const) {
    await type("passphrase", one);
    await type("passphrase-again", other);
    expect(button("unlock")?.disabled, `${one} ${other}`).toBe(!isReady);
  }
  await act(() => button("unlock")?.click());
  expect(rust.sent).toEqual([JSON.stringify({ ask: "unlock", passphrase: "marked01" })]);
  expect([field("passphrase").value, field("passphrase-again").value]).toEqual(["", ""]);
});

it("a keychain that has its passphrase asks for it once, and any may be right", async () => {
  await draw(sceneOf("locked"), <UnlockDialog />);
  expect(document.querySelector("input[name=passphrase-again]")).toBeNull();
  await type("passphrase", "x");
  expect(button("unlock")?.disabled).toBe(false);
});

it("only an end that somebody has told is filled in, and typing replaces it", async () => {
  const [any] = rows;
  if (!any) throw new Error("the samples have rows");
  const row: Row = { ...any, until: "2026-12-03T12:00:00Z", until_assumed: true };
  await draw(sceneOf("busy"), <SayEndDialog row={row} />);
  expect(field("ends").value).toBe("");
  await act(() => render(null, document.body));
  await draw(sceneOf("busy"), <SayEndDialog row={{ ...row, until_assumed: false }} />);
  const ends = field("ends");
  expect(ends.value).toBe(isoDay(Date.parse("2026-12-03T12:00:00Z")));
  await act(() => void ends.dispatchEvent(new FocusEvent("focus")));
  expect([ends.selectionStart, ends.selectionEnd]).toEqual([0, ends.value.length]);
});

it("the head of the overview counts what the tray counts", async () => {
  for (const [needs, words] of [
    [0, "Nothing needs you."],
    [1, "1 thing needs you."],
    [2, "2 things need you."],
  ] as const) {
    await draw({ ...sceneOf("busy"), needs }, <OverviewView />);
    expect(document.querySelector(".view-head p")?.textContent).toBe(words);
  }
});

it("the outcome of a token says an assumed end as such, and nothing twice", async () => {
  const bare: TokenOutcome = { ...outcome, say: "the title again", before: null, after: null, lost: [], gained: [] };
  const page = sceneOf("busy");
  await draw(page, <TokenOutcomePart outcome={{ ...bare, until: "2027-03-01T12:00:00Z", until_assumed: true }} />);
  expect(document.body.textContent).toContain("Ends about1 Mar 2027 (about 100 days left)");
  expect(document.body.textContent).not.toContain("he title again");
  expect(document.body.textContent).toContain("Nobody says what it may do.");
  expect(document.body.textContent).not.toContain("What it may do");
  const after = outcome.after && { ...outcome.after, clusters: [], facts: [], troubles: [] };
  await draw(page, <TokenOutcomePart outcome={{ ...bare, after }} />);
  expect(document.querySelector("h3")).toBeNull();
  await draw(page, <TokenOutcomePart outcome={{ ...bare, after: outcome.after }} />);
  expect(document.querySelector("[data-after] h3")?.textContent).toBe("What it may do");
});
