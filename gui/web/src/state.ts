// What the window knows. No secret is ever in here: pasted values live in their field until they are sent.

import type { ActivityLine, Deed, Page, View } from "./bindings";
import { t } from "./text";

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
  /** Of a trouble. */
  code?: string | undefined;
}

export interface State {
  page: Page | null;
  view: View;
  dialog: Dialog | null;
  /** The dialog was opened by a click in the page. The tray, a notification or another program may have opened the others. */
  isDialogOwn: boolean;
  message: Message | null;
  /** The newest first. */
  lines: ActivityLine[];
  /** Where the agent keeps what it holds, as it said last: `memory` and the like. */
  keptIn: string | null;
}

export type Action =
  | { type: "page"; page: Page }
  | { type: "go"; view: View }
  | { type: "open"; dialog: Dialog }
  | { type: "called"; view: View; deed: Deed }
  | { type: "close" }
  | { type: "say"; message: Message }
  | { type: "hush" }
  | { type: "line"; line: ActivityLine }
  | { type: "lines"; lines: ActivityLine[] };

export const FIRST: State = {
  page: null,
  view: "overview",
  dialog: null,
  isDialogOwn: false,
  message: null,
  lines: [],
  keptIn: null,
};

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case "page":
      return {
        ...state,
        page: action.page,
        dialog: stillOpen(state.dialog, action.page),
        // One that waited unseen comes back by itself.
        isDialogOwn: state.isDialogOwn && shownDialog(state) !== null,
        keptIn: action.page.keychain?.kind ?? state.keptIn,
      };
    case "go":
      return { ...state, view: action.view };
    case "open":
      return { ...state, dialog: action.dialog, isDialogOwn: true, message: null };
    case "called":
      return called(state, action.view, action.deed);
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

/** A deed from outside the page never takes the place of a dialog that is open, with what was typed into it. What has no dialog
 * is not done for somebody outside. */
function called(state: State, view: View, deed: Deed): State {
  if (deed.do === "open-console") return { ...state, view };
  const dialog = dialogFor(deed);
  const open = seenDialog(state);
  if (!open) return { ...state, view, dialog, isDialogOwn: false, message: null };
  if (isSame(open, dialog)) return state;
  const words = t(`deed.${deed.do}`);
  const say =
    deed.do === "unlock"
      ? t("outside.deed", { deed: words })
      : t("outside.deed-of", { deed: words, name: shortName(deed.entry, state.page) });
  return { ...state, message: { tone: "status", say, hint: t("outside.hint") } };
}

function isSame(one: Dialog, other: Dialog): boolean {
  if (one.kind === "unlock" || other.kind === "unlock") return one.kind === other.kind;
  return one.kind === other.kind && one.entry === other.entry;
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

/** A deed that is done in a dialog. */
export type DialogDeed = Exclude<Deed, { do: "open-console" }>;

/** The dialog in which a deed is done. */
export function dialogFor(deed: DialogDeed): Dialog {
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

/** The dialog that is drawn: without an agent there are no entries, and a dialog about one waits unseen. */
export function shownDialog(state: State): Dialog | null {
  const dialog = seenDialog(state);
  if (!dialog || !state.page) return null;
  if (dialog.kind === "unlock" || dialog.kind === "sign-in" || dialog.kind === "places") return dialog;
  return state.page.rows.some((row) => row.name === dialog.entry) ? dialog : null;
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
