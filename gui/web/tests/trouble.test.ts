import { describe, expect, it } from "vitest";
import { isUnknown, matches, outcomeOf, whyOf } from "../src/activity";
import type { ActivityLine, FactRow, Keychain, Page, Row } from "../src/bindings";
import { activity } from "../src/dev/answers";
import { sceneOf } from "../src/dev/scenes";
import { saidOnce } from "../src/parts/permissions";
import { ownDue, ownTrouble, shownHint } from "../src/trouble";

const page: Page = { ...sceneOf("busy"), questions: [] };
const [anyRow] = page.rows;
const [anyLine] = activity;
if (!anyRow || !anyLine) throw new Error("the samples have rows and lines");
const unlocked: Row = { ...anyRow, due: { do: "unlock" } };
const rowWith = (code: string): Row => ({ ...unlocked, trouble: { code, say: "no", hint: "keyfob unlock" } });
const keychain: Keychain = { kind: "system", state: "failing", trouble: null, needs_passphrase: false, is_new: false };

describe("a row", () => {
  it("leaves to the banner what the banner says, with its button", () => {
    for (const shut of [sceneOf("locked"), { ...page, keychain }, sceneOf("new")]) {
      for (const code of ["locked", "keychain_locked", "keychain_missing"]) {
        expect(ownTrouble(rowWith(code), shut), code).toBeNull();
        expect(ownTrouble(rowWith(code), page), code).not.toBeNull();
      }
      expect(ownTrouble(rowWith("offline"), shut)).not.toBeNull();
      expect(ownDue(unlocked, shut)).toBeNull();
      expect(ownDue({ ...unlocked, due: { do: "sign-in", entry: "sso.okta" } }, shut)).not.toBeNull();
    }
    expect(ownDue(unlocked, page)).toEqual({ do: "unlock" });
  });
});

describe("a command for a terminal", () => {
  const none: Page = { ...page, rows: [], questions: [] };
  const hint = (code: string, at: Page | null, hint = "keyfob something") => shownHint({ code, hint }, at);

  it("is left out where the window has a button for it", () => {
    expect(hint("sign_in_needed", page)).toBe("");
    expect(hint("token_needed", page)).toBe("");
    expect(hint("destination_changed", page)).toBe("");
    expect(hint("approval_pending", sceneOf("questions"))).toBe("");
    expect(hint("locked", sceneOf("locked"))).toBe("");
    expect(hint("keychain_locked", sceneOf("locked"))).toBe("");
    expect(hint("keychain_missing", sceneOf("new"))).toBe("");
    expect(hint("agent_unreachable", sceneOf("absent"))).toBe("");
  });

  it("stays where there is none, where it is no command, and where nobody knows the page", () => {
    const codes = ["sign_in_needed", "token_needed", "destination_changed", "approval_pending", "locked"];
    for (const code of [...codes, "keychain_locked", "keychain_missing", "agent_unreachable"]) {
      expect(hint(code, none), code).toBe("keyfob something");
      expect(hint(code, null), code).toBe("keyfob something");
    }
    expect(hint("offline", page)).toBe("keyfob something");
    expect(hint("locked", sceneOf("locked"), "sign in to the desktop")).toBe("sign in to the desktop");
    expect(shownHint({ hint: "keyfob something" }, sceneOf("locked"))).toBe("keyfob something");
  });
});

describe("a line of the ledger", () => {
  const line: ActivityLine = { ...anyLine, outcome: "refused", target: null, note: null };

  it("that was called off was refused by nobody", () => {
    const off = { ...line, code: "called_off" };
    expect([outcomeOf(off), whyOf(off)]).toEqual(["called-off", ""]);
    expect(matches(off, { text: "", refusedOnly: true })).toBe(false);
    expect(outcomeOf({ ...line, code: "not_allowed" })).toBe("refused");
  });

  it("about an unknown entry names what was asked", () => {
    const unknown = { ...line, code: "unknown_entry" };
    expect(whyOf({ ...unknown, note: "dve" })).toBe("no entry has this name: dve");
    expect(whyOf({ ...unknown, target: "a.example" })).toBe("no entry has this name: a.example");
    expect(whyOf(unknown)).toBe("no entry has this name");
  });

  it("without a program is Keyfob's own only where Keyfob does it by itself", () => {
    const nobody = { ...line, program: null, pid: null, behind: [] };
    expect([isUnknown({ ...nobody, act: "get" }), isUnknown({ ...nobody, act: "lock" })]).toEqual([true, false]);
    expect([isUnknown({ ...nobody, act: "lock", pid: 7 }), isUnknown(line)]).toEqual([true, false]);
  });
});

it("neighbouring facts that say the same are one, with everybody who says so", () => {
  const fact = (name: string, value: string, by: string): FactRow => ({ name, values: [value], by, when: null });
  const facts = [fact("owner", "ada", "a"), fact("owner", "ada", "b"), fact("owner", "ada", "b"), fact("owner", "eve", "a")];
  expect(saidOnce(facts).map((group) => group.map(({ by }) => by))).toEqual([["a", "b"], ["a"]]);
});
