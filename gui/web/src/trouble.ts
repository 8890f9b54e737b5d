// What is said about what stands in the way. One thing is said once, beside the button that mends it; a command for a
// terminal only where the window has no such button.

import type { Deed, Page, Row, Trouble } from "./bindings";

/** What the banner says for every row. */
const SAID_BY_BANNER = ["locked", "keychain_locked", "keychain_missing"];
/** What the state and the button beside it say already. */
const SAID_BY_STATE = ["sign_in_needed", "token_needed"];

/** Whether nothing can be given at all, of which a banner tells. */
export function isShut(page: Page | null): boolean {
  return page !== null && (page.lock !== null || (page.keychain !== null && page.keychain.state !== "present"));
}

/** Whether the keychain waits for its first passphrase. */
export function isNew(page: Page | null): boolean {
  return page?.keychain?.is_new === true;
}

export function needsPassphrase(page: Page | null): boolean {
  return Boolean(page?.lock?.needs_passphrase || page?.keychain?.needs_passphrase);
}

/** The trouble that a row says itself. */
export function ownTrouble(row: Row, page: Page | null): Trouble | null {
  if (!row.trouble) return null;
  // Where no job runs, the job's identity says so for all that is obtained with it.
  if (row.state === "idle" && row.through) return null;
  if (isShut(page) && SAID_BY_BANNER.includes(row.trouble.code)) return null;
  return row.due && SAID_BY_STATE.includes(row.trouble.code) ? null : row.trouble;
}

/** The button that a row has itself. */
export function ownDue(row: Row, page: Page | null): Deed | null {
  return row.due?.do === "unlock" && isShut(page) ? null : row.due;
}

/** The hint, where it has to be followed by hand. */
export function shownHint(trouble: { code?: string | undefined; hint: string }, page: Page | null): string {
  const isCommand = trouble.hint.startsWith("keyfob ");
  return isCommand && trouble.code !== undefined && hasButton(trouble.code, page) ? "" : trouble.hint;
}

/** Whether the window does itself what mends this. */
function hasButton(code: string, page: Page | null): boolean {
  const offers = (what: Deed["do"]) =>
    page?.rows.some((row) => row.due?.do === what || row.can.some((deed) => deed.do === what)) ?? false;
  switch (code) {
    case "sign_in_needed":
      return offers("sign-in");
    case "token_needed":
      return offers("add-token");
    case "destination_changed":
      return offers("confirm-places");
    case "approval_pending":
      return (page?.questions.length ?? 0) > 0;
    case "locked":
    case "keychain_locked":
    case "keychain_missing":
      return page !== null && (page.lock !== null || canUnlock(page));
    case "agent_unreachable":
      return page?.agent.is === "absent" && page.agent.can_start;
    default:
      return false;
  }
}

/** Whether the keychain's banner has a button. */
export function canUnlock(page: Page): boolean {
  return page.keychain !== null && (page.keychain.state === "locked" || page.keychain.needs_passphrase);
}
