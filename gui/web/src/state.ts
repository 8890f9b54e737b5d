// What the window knows. No secret is ever in here: pasted values live in their field until they are sent.

import type { ActivityLine, Deed, Page, View } from "./bindings";

/** The ledger can be long; the view keeps the newest lines. */
export const MOST_LINES = 1000;

export type Dialog =
  | { kind: "sign-in" | "remove" | "sign-out" | "places" | "say-end" | "snooze"; entry: string }
  | { kind: "token"; entry: string; replaces: boolean }
  | { kind: "unlock" };

/** What became of the last thing that the person did. */
export interface Message {
  tone: "status" | "alert";
  say: string;
  hint: string;
}

export interface State {
  page: Page | null;
  view: View;
  dialog: Dialog | null;
  message: Message | null;
  /** The newest first. */
  lines: ActivityLine[];
}

export type Action =
  | { type: "page"; page: Page }
  | { type: "go"; view: View }
  | { type: "open"; dialog: Dialog }
  | { type: "close" }
  | { type: "say"; message: Message }
  | { type: "hush" }
  | { type: "line"; line: ActivityLine }
  | { type: "lines"; lines: ActivityLine[] };

export const FIRST: State = { page: null, view: "overview", dialog: null, message: null, lines: [] };

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case "page":
      return { ...state, page: action.page, dialog: stillOpen(state.dialog, action.page) };
    case "go":
      return { ...state, view: action.view };
    case "open":
      return { ...state, dialog: action.dialog, message: null };
    case "close":
      return { ...state, dialog: null };
    case "say":
      return { ...state, message: action.message };
    case "hush":
      return { ...state, message: null };
    case "line":
      return { ...state, lines: [action.line, ...state.lines].slice(0, MOST_LINES) };
    case "lines":
      return { ...state, lines: merged(state.lines, action.lines) };
  }
}

/** Lines that came while the rest was asked for stay on top. */
function merged(live: ActivityLine[], asked: ActivityLine[]): ActivityLine[] {
  const newest = asked[0]?.at ?? "";
  return [...live.filter((line) => line.at > newest), ...asked].slice(0, MOST_LINES);
}

/** A dialog about an entry that the configuration no longer has is closed. While the agent is away there are no entries,
 * and what was begun stays. */
function stillOpen(dialog: Dialog | null, page: Page): Dialog | null {
  if (!dialog || dialog.kind === "unlock" || page.agent.is !== "running") return dialog;
  return page.rows.some((row) => row.name === dialog.entry) ? dialog : null;
}

/** The dialog in which a deed is done. */
export function dialogFor(deed: Deed): Dialog {
  switch (deed.do) {
    case "sign-in":
      return { kind: "sign-in", entry: deed.entry };
    case "sign-out":
      return { kind: "sign-out", entry: deed.entry };
    case "add-token":
      return { kind: "token", entry: deed.entry, replaces: false };
    case "rotate-token":
      return { kind: "token", entry: deed.entry, replaces: true };
    case "remove-token":
      return { kind: "remove", entry: deed.entry };
    case "say-end":
      return { kind: "say-end", entry: deed.entry };
    case "snooze":
      return { kind: "snooze", entry: deed.entry };
    case "confirm-places":
      return { kind: "places", entry: deed.entry };
    case "unlock":
      return { kind: "unlock" };
  }
}

/** The dialog that is seen: one that the person opened, else a sign-in that goes on (begun in the tray, perhaps). */
export function seenDialog(state: State): Dialog | null {
  if (state.dialog) return state.dialog;
  return state.page?.sign_in ? { kind: "sign-in", entry: state.page.sign_in.entry } : null;
}

/** The name by which people know an entry: `aspect` for `token.aspect`. */
export function shortName(entry: string, page: Page | null): string {
  const row = page?.rows.find((one) => one.name === entry);
  return row?.short ?? entry.slice(entry.indexOf(".") + 1);
}

/** `token` for `token.aspect`. */
export function kindOf(entry: string): string {
  return entry.split(".", 1)[0] ?? entry;
}

/** The last part of a program's path. */
export function programName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).pop() ?? path;
}
