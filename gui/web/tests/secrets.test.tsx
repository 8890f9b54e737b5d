// A pasted value is in its field until it is sent, and then nowhere in the page.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { outcome } from "../src/dev/answers";
import { click, closeWindow, find, openWindow, rust, settle, type } from "./window";

vi.mock("@tauri-apps/api/core", () => import("./window"));
vi.mock("@tauri-apps/api/event", () => import("./window"));

const VALUE = "aw_marked0123";

/** Everything that is seen or held in elements. */
function everything(): string {
  const values = [...document.querySelectorAll("input")].map((input) => input.value);
  return document.documentElement.outerHTML + values.join();
}

beforeEach(() => openWindow("locked"));
afterEach(closeWindow);

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
