// The whole window over a stand-in for the Rust side, and the hands of a person. A test file that draws it begins with
// `vi.mock("@tauri-apps/api/core", () => import("./window"))`, and the same for `…/event`.

import { render } from "preact";
import { act } from "preact/test-utils";
import type { Deed, News, Page, PageAsk, PageReply } from "../src/bindings";
import { sceneOf } from "../src/dev/scenes";

export const rust = {
  asked: [] as PageAsk[],
  /** What arrived, as Tauri writes it down at once. */
  sent: [] as string[],
  finish: null as null | { done: (reply: PageReply) => void; refuse: (trouble: unknown) => void },
  tell: (_: News): void => {},
  page: null as Page | null,
  deed: null as Deed | null,
};

export function invoke(_: string, { ask }: { ask: PageAsk }): Promise<PageReply> {
  rust.asked.push(ask);
  rust.sent.push(JSON.stringify(ask));
  if (ask.ask === "begin" && rust.page) {
    return Promise.resolve({ is: "begin", it: { page: rust.page, view: "overview", deed: rust.deed } });
  }
  return new Promise((done, refuse) => {
    rust.finish = { done, refuse };
  });
}

export function listen(_: string, tell: (event: { payload: News }) => void): Promise<() => void> {
  rust.tell = (payload) => tell({ payload });
  return Promise.resolve(() => {});
}

// The stand-in for a browser knows dialogs, but not where they put the focus.
HTMLDialogElement.prototype.showModal = function () {
  this.setAttribute("open", "");
  this.querySelector<HTMLElement>("[autofocus]:not(:disabled)")?.focus();
};

export async function openWindow(scene: string, deed: Deed | null = null): Promise<void> {
  const { App } = await import("../src/app");
  Object.assign(rust, { asked: [], sent: [], finish: null, page: sceneOf(scene), deed });
  await act(() => render(<App />, document.body));
  await settle();
}

export const closeWindow = () => act(() => render(null, document.body));

export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await act(() => Promise.resolve());
}

export async function tell(news: News): Promise<void> {
  await act(() => rust.tell(news));
  await settle();
}

export function find<Kind extends Element = HTMLElement>(selector: string): Kind {
  const found = document.querySelector<Kind>(selector);
  if (!found) throw new Error(`there is no ${selector}`);
  return found;
}

/** What a hand alone brings about: scripts cannot make it. */
export function byHand(target: EventTarget, event: Event): void {
  Object.defineProperty(event, "isTrusted", { value: true });
  target.dispatchEvent(event);
}

/** Presses a button with the mouse. */
export async function click(selector: string): Promise<void> {
  byHand(find(selector), new Event("pointerdown", { bubbles: true }));
  await clickFromElsewhere(selector);
}

/** What the web view makes of a press over the accessibility bus: a click, and nothing before it. */
export async function clickFromElsewhere(selector: string): Promise<void> {
  await act(() => find(selector).click());
  await settle();
}

export async function type(name: string, text: string): Promise<HTMLInputElement> {
  const field = find<HTMLInputElement>(`input[name=${name}]`);
  field.value = text;
  await act(() => {
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  return field;
}

export const alert = () => [...document.querySelectorAll("[role=alert]")].map((one) => one.textContent).join("");
export const status = () => [...document.querySelectorAll("[role=status]")].map((one) => one.textContent).join("");
