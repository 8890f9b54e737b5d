// What the window shows of chains, other programs' keys, OUTSCALE keys and job identities.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { outcome } from "../src/dev/answers";
import { sceneOf } from "../src/dev/scenes";
import { laneOf, spanOf } from "../src/timeline";
import { click, clickFromElsewhere, closeWindow, find, openWindow, rust, settle, tell, type } from "./window";

vi.mock("@tauri-apps/api/core", () => import("./window"));
vi.mock("@tauri-apps/api/event", () => import("./window"));

const words = (entry: string) => find(`[data-entry='${entry}']`).textContent ?? "";

beforeEach(() => openWindow("kinds"));
afterEach(closeWindow);

it("each says what it is, and through what", () => {
  for (const [entry, what] of [
    ["aws.dev", "AWS role via okta"],
    ["aws.audit", "AWS role via dev"],
    ["aws.billing", "AWS role via audit"],
    ["aws.legacy", "AWS keys of a program"],
    ["aws.deploy", "AWS role via ci"],
    ["outscale.monitoring", "OUTSCALE key"],
    ["machine.ci", "Job identity"],
    ["outerbounds.prod", "Outerbounds deployment"],
    ["aws.prod", "AWS role of Outerbounds"],
    ["secret.build", "Secret values"],
    ["secret.db", "Secret values in AWS via dev"],
  ] as const) {
    expect(words(entry), entry).toContain(what);
  }
});

it("what nobody has used or holds says so in its own words", () => {
  for (const [entry, state] of [
    ["aws.billing", "Not used yet"],
    ["aws.legacy", "Asked when used"],
    ["aws.deploy", "No job here"],
    ["machine.ci", "No job here"],
    ["outscale.spare", "No key"],
    ["outscale.monitoring", "renews by itself"],
    ["secret.build", "Ready"],
    ["secret.db", "Ready"],
    ["secret.empty", "No value yet"],
  ] as const) {
    expect(words(entry), entry).toContain(state);
  }
  expect(find("[data-entry='outscale.spare'] button.primary").textContent).toContain("Add key");
});

it("where no job runs nothing is alarming, and the reason is said once", () => {
  expect(document.querySelectorAll("[data-state=idle]")).toHaveLength(2);
  expect(words("machine.ci")).toContain("No job runs here that has an identity.");
  expect(words("aws.deploy")).not.toContain("No job runs here");
  expect(document.querySelector("[data-state=idle] .remark-urgent, [data-state=idle] .remark-due")).toBeNull();
});

it("the timeline has nothing to come for what is asked each time", async () => {
  const now = Date.now();
  const lane = (name: string) => {
    const row = sceneOf("kinds").rows.find((one) => one.name === name);
    if (!row) throw new Error(name);
    return laneOf(spanOf(now, 800), now, row);
  };
  expect(lane("outscale.monitoring")).toMatchObject({ renewsOften: true, life: null });
  expect(lane("machine.ci")).toMatchObject({ renewsOften: false, life: null, marks: [] });
  await click("nav [data-view=timeline]");
  const shown = find("main").textContent ?? "";
  for (const said of ["has no end", "no job here", "asked when it is used", "renews by itself"]) expect(shown).toContain(said);
});

it("both halves of a key leave their fields when they are sent, and the page when they are answered", async () => {
  await click("[data-entry='outscale.spare'] [data-deed=add-token]");
  expect(find("dialog").dataset.dialog).toBe("key");
  const keep = () => find<HTMLButtonElement>("dialog [data-act=keep]");
  const access = await type("value", " AKmarked1\n");
  expect(keep().disabled).toBe(true);
  const secret = await type("secret-key", "SKmarked two");
  expect(keep().disabled).toBe(true);
  expect(find("dialog").textContent).toContain("This is no key");
  await type("secret-key", "SKmarked2");
  await click("dialog [data-act=keep]");
  const sent = JSON.parse(rust.sent.at(-1) ?? "");
  expect(sent).toMatchObject({ ask: "keep-token", entry: "outscale.spare", replaces: false, ends: null });
  expect(JSON.parse(sent.value)).toEqual({ access_key: "AKmarked1", secret_key: "SKmarked2" });
  expect([access.value, secret.value]).toEqual(["", ""]);
  rust.finish?.done({ is: "token", it: outcome });
  await settle();
  expect(find("dialog h2").textContent).toBe("The key of spare is kept");
  expect(JSON.stringify(rust.asked)).not.toContain("marked");
  expect(document.documentElement.outerHTML).not.toContain("marked");
});

it("the console opens by a hand in the window, and for nobody outside", async () => {
  const asked = () => rust.sent.filter((sent) => sent.includes("open-console"));
  await click("[data-entry='aws.audit'] [data-act=more]");
  await clickFromElsewhere("[data-entry='aws.audit'] [data-deed=open-console]");
  expect(asked()).toEqual([]);
  await tell({ is: "go", it: { view: "overview", deed: { do: "open-console", entry: "aws.audit" } } });
  expect(asked()).toEqual([]);
  expect(document.querySelector("dialog")).toBeNull();
  // The control.
  await click("[data-entry='aws.audit'] [data-act=more]");
  await click("[data-entry='aws.audit'] [data-deed=open-console]");
  expect(asked()).toEqual([JSON.stringify({ ask: "open-console", entry: "aws.audit" })]);
});

it("the key of a user is removed in its own words", async () => {
  await click("[data-entry='outscale.monitoring'] [data-act=more]");
  await click("[data-entry='outscale.monitoring'] [data-deed=remove-token]");
  expect(find("dialog h2").textContent).toBe("Remove the key of monitoring?");
  expect(document.querySelector("dialog [name=keep]")).toBeNull();
  await click("dialog .danger");
  expect(rust.sent.at(-1)).toContain('"ask":"remove-token","entry":"outscale.monitoring","keep_at_service":false');
});
