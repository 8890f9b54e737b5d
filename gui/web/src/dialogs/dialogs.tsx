// The one dialog that is open, if any.

import { useFrame } from "../frame";
import { seenDialog } from "../state";
import { PlacesDialog } from "./places";
import { SayEndDialog } from "./say-end";
import { RemoveDialog, SignOutDialog } from "./remove";
import { SignInDialog } from "./sign-in";
import { SnoozeDialog } from "./snooze";
import { TokenDialog } from "./token";
import { UnlockDialog } from "./unlock";

export function Dialogs() {
  const { state } = useFrame();
  const dialog = seenDialog(state);
  if (!dialog || !state.page) return null;
  if (dialog.kind === "unlock") return <UnlockDialog />;
  const row = state.page.rows.find((one) => one.name === dialog.entry) ?? null;
  const key = `${dialog.kind} ${dialog.entry}`;
  if (dialog.kind === "sign-in") return <SignInDialog key={key} entry={dialog.entry} />;
  if (dialog.kind === "places") return <PlacesDialog key={key} entry={dialog.entry} />;
  if (!row) return null;
  switch (dialog.kind) {
    case "token":
      return <TokenDialog key={key} row={row} replaces={dialog.replaces} />;
    case "remove":
      return <RemoveDialog key={key} row={row} />;
    case "sign-out":
      return <SignOutDialog key={key} row={row} />;
    case "say-end":
      return <SayEndDialog key={key} row={row} />;
    case "snooze":
      return <SnoozeDialog key={key} row={row} />;
  }
}
