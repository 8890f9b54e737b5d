// The tray, a notification or another program may ask the window for a dialog. It never takes the place of another, and
// does nothing under a hand that meant something else.

import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Deed, News } from "../src/bindings";
import { sceneOf } from "../src/dev/scenes";
import { SETTLES } from "../src/settle";
import { byHand, click, closeWindow, find, openWindow, rust, status, tell, type } from "./window";

vi.mock("@tauri-apps/api/core", () => import("./window"));
vi.mock("@tauri-apps/api/event", () => import("./window"));

const rotate: Deed = { do: "rotate-token", entry: "token.aspect" };
const signIn: Deed = { do: "sign-in", entry: "sso.okta" };
const go = (deed: Deed): News => ({ is: "go", it: { view: "overview", deed } });
const primary = () => find<HTMLButtonElement>("dialog .primary");

async function submit(): Promise<void> {
  byHand(find("dialog form"), new Event("keydown", { bubbles: true }));
  await act(() => void find("dialog form").dispatchEvent(new Event("submit", { cancelable: true })));
}

beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  await closeWindow();
  vi.useRealTimers();
});

it("a deed from outside leaves an open dialog and what is typed into it", async () => {
  await openWindow("busy");
  await tell(go(rotate));
  const field = await type("value", "aw_half");
  await tell(go(signIn));
  expect(find("dialog").dataset.dialog).toBe("token");
  expect(find("dialog input[name=value]")).toBe(field);
  expect(field.value).toBe("aw_half");
  expect(find("dialog .messages [role=status]").textContent).toContain("“Sign in” for okta was not opened over this.");
  // Once, where it can be heard: what is behind a dialog is not.
  expect(status().split("“Sign in”")).toHaveLength(2);
  // The control: where nothing is open, it opens.
  await click("dialog [data-act=cancel]");
  await tell(go(signIn));
  expect(find("dialog").dataset.dialog).toBe("sign-in");
});

it("a deed from outside for the dialog that is open says nothing", async () => {
  await openWindow("busy");
  await tell(go(rotate));
  await tell(go(rotate));
  expect(find("dialog .messages").textContent).toBe("");
});

it.each([rotate, signIn, { do: "remove-token", entry: "token.aspect" }, { do: "unlock" }] as Deed[])(
  "a dialog from outside ($do) has the focus on what does nothing, and waits for a moment",
  async (deed) => {
    await openWindow("busy");
    await tell(go(deed));
    expect((document.activeElement as HTMLElement).dataset.act).toBe("cancel");
    expect(primary().disabled).toBe(true);
    const asked = rust.sent.length;
    await submit();
    expect(rust.sent).toHaveLength(asked);
    await act(() => void vi.advanceTimersByTime(SETTLES));
    expect((document.activeElement as HTMLElement).dataset.act).toBe("cancel");
    if (deed.do !== "rotate-token") expect(primary().disabled).toBe(false);
  },
);

it("Enter works in a dialog from outside once it was seen", async () => {
  await openWindow("busy", signIn);
  await submit();
  expect(rust.sent.join()).not.toContain("sign-in");
  await act(() => void vi.advanceTimersByTime(SETTLES));
  await submit();
  expect(rust.sent.at(-1)).toContain('"ask":"sign-in"');
});

it("a dialog that the person opens works at once", async () => {
  const page = sceneOf("busy");
  await openWindow("busy");
  const rows = page.rows.map((row) => (row.name === "sso.okta" ? { ...row, due: signIn } : row));
  await tell({ is: "page", it: { ...page, rows } });
  await click("[data-entry='sso.okta'] [data-deed=sign-in]");
  expect(primary().disabled).toBe(false);
  expect(document.activeElement).toBe(primary());
});

it("a dialog that comes back with the agent comes from outside", async () => {
  await openWindow("busy");
  await click("[data-entry='token.aspect'] [data-act=more]");
  await click("[data-entry='token.aspect'] [data-deed=remove-token]");
  expect(primary().disabled).toBe(false);
  await tell({ is: "page", it: sceneOf("absent") });
  expect(document.querySelector("dialog")).toBeNull();
  await tell({ is: "page", it: sceneOf("busy") });
  expect(primary().disabled).toBe(true);
});

it("why a sign-in failed is said in a region that was there before", async () => {
  await openWindow("busy", signIn);
  const regions = [...document.querySelectorAll("dialog [role=alert]")];
  const step = { is: "failed", trouble: { code: "offline", say: "it cannot be reached", hint: "" } } as const;
  await tell({ is: "page", it: { ...sceneOf("busy"), sign_in: { entry: "sso.okta", step } } });
  expect(regions).toContain(find("dialog [data-step=failed]"));
  expect(find("dialog [data-step=failed]").textContent).toBe("It cannot be reached.");
});

it("the keyboard stays in a dialog whose button is switched off", async () => {
  await openWindow("busy");
  await tell(go({ do: "remove-token", entry: "token.aspect" }));
  await act(() => void vi.advanceTimersByTime(SETTLES));
  (document.activeElement as HTMLElement).blur();
  await click("dialog .danger");
  await act(() => void vi.advanceTimersByTime(100));
  expect((document.activeElement as HTMLElement).dataset.act).toBe("cancel");
});
