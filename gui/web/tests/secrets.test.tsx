// A pasted value is in its field until it is sent, and then nowhere in the page.

import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { News, Page, PageAsk, PageReply } from "../src/bindings";
import { outcome } from "../src/dev/answers";
import { sceneOf } from "../src/dev/scenes";

const VALUE = "aw_marked0123";
const rust = vi.hoisted(() => ({
  asked: [] as PageAsk[],
  /** What arrived, as Tauri writes it down at once. */
  sent: [] as string[],
  finish: null as null | { done: (reply: PageReply) => void; refuse: (trouble: unknown) => void },
  tell: (_: News): void => {},
  page: null as Page | null,
}));

vi.mock("@tauri-apps/api/core", () => ({
  invoke: (_: string, { ask }: { ask: PageAsk }) => {
    rust.asked.push(ask);
    rust.sent.push(JSON.stringify(ask));
    if (ask.ask === "begin") {
      return Promise.resolve({ is: "begin", it: { page: rust.page, view: "overview", deed: null } });
    }
    return new Promise((done, refuse) => {
      rust.finish = { done, refuse };
    });
  },
}));
vi.mock("@tauri-apps/api/event", () => ({
  listen: (_: string, tell: (event: { payload: News }) => void) => {
    rust.tell = (payload) => tell({ payload });
    return Promise.resolve(() => {});
  },
}));

const { App } = await import("../src/app");

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await act(() => Promise.resolve());
}

function find<Kind extends Element>(selector: string): Kind {
  const found = document.querySelector<Kind>(selector);
  if (!found) throw new Error(`there is no ${selector}`);
  return found;
}

async function click(selector: string): Promise<void> {
  await act(() => find<HTMLElement>(selector).click());
  await settle();
}

async function type(name: string, text: string): Promise<HTMLInputElement> {
  const field = find<HTMLInputElement>(`input[name=${name}]`);
  field.value = text;
  await act(() => {
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  return field;
}

/** Everything that is seen or held in elements. */
function everything(): string {
  const values = [...document.querySelectorAll("input")].map((input) => input.value);
  return document.documentElement.outerHTML + values.join();
}

beforeEach(async () => {
  Object.assign(rust, { asked: [], sent: [], finish: null, page: sceneOf("locked") });
  await act(() => render(<App />, document.body));
  await settle();
});
afterEach(() => act(() => render(null, document.body)));

const openToken = () => click("[data-entry='token.aspect'] [data-deed=rotate-token]");

it("a token leaves its field when it is sent, and the page when it is answered", async () => {
  await openToken();
  const field = await type("value", ` ${VALUE}\n`);
  await click("[data-act=keep]");
  expect(rust.sent.at(-1)).toContain(`"value":"${VALUE}"`);
  expect(field.value).toBe("");
  expect(everything()).not.toContain("marked");
  rust.finish?.done({ is: "token", it: outcome });
  await settle();
  expect(document.querySelector("[data-outcome]")).not.toBeNull();
  expect(JSON.stringify(rust.asked)).not.toContain("marked");
  expect(everything()).not.toContain("marked");
});

it("a token that is refused is gone, and is asked for again", async () => {
  await openToken();
  const field = await type("value", VALUE);
  await click("[data-act=keep]");
  rust.finish?.refuse({ code: "token_invalid", say: "the service does not know it", hint: "" });
  await settle();
  expect(field.value).toBe("");
  expect(find("dialog [role=alert]").textContent).toContain("The service does not know it.");
  expect(find<HTMLButtonElement>("[data-act=keep]").disabled).toBe(true);
  expect(JSON.stringify(rust.asked)).not.toContain("marked");
});

it("a token that is not sent goes with its dialog", async () => {
  await openToken();
  const field = await type("value", VALUE);
  await click("[data-act=show]");
  expect(field.type).toBe("text");
  await click("dialog [data-act=cancel]");
  expect(document.querySelector("dialog")).toBeNull();
  expect(field.value).toBe("");
  expect(field.type).toBe("password");
  expect(rust.sent.join()).not.toContain("marked");
});

it("a shown token is hidden again when it is sent", async () => {
  await openToken();
  const field = await type("value", VALUE);
  await click("[data-act=show]");
  await click("[data-act=keep]");
  expect(field.type).toBe("password");
  expect(find("[data-act=show]").getAttribute("aria-pressed")).toBe("false");
});

it("a passphrase is sent as it is, and leaves its field", async () => {
  await click("[data-lock] [data-act=unlock]");
  const field = await type("passphrase", " marked ");
  await click("dialog [data-act=unlock]");
  expect(rust.sent.at(-1)).toContain('"passphrase":" marked "');
  expect(field.value).toBe("");
  rust.finish?.refuse({ code: "keychain_denied", say: "no", hint: "" });
  await settle();
  expect(JSON.stringify(rust.asked)).not.toContain("marked");
});
