// The one dialog that is open, if any.

import { useRef } from "preact/hooks";
import { useFrame } from "../frame";
import { useSettled } from "../settle";
import { type Dialog, shownDialog } from "../state";
import { SettledContext } from "./frame";
import { KeyDialog } from "./key";
import { PlacesDialog } from "./places";
import { SayEndDialog } from "./say-end";
import { RemoveDialog, SignOutDialog } from "./remove";
import { SignInDialog } from "./sign-in";
import { SnoozeDialog } from "./snooze";
import { TokenDialog } from "./token";
import { UnlockDialog } from "./unlock";

export function Dialogs() {
  const dialog = shownDialog(useFrame().state);
  if (!dialog) return null;
  const key = dialog.kind === "unlock" ? "unlock" : `${dialog.kind} ${dialog.entry}`;
  return <Arriving key={key} dialog={dialog} name={key} />;
}

/** What the person opened works at once. What came by itself may have come under a hand that meant something else. */
function Arriving({ dialog, name }: { dialog: Dialog; name: string }) {
  const { state } = useFrame();
  const isOwn = useRef(state.dialog !== null && state.isDialogOwn);
  const isSettled = useSettled(name);
  return (
    <SettledContext.Provider value={isOwn.current || isSettled}>
      <Chosen dialog={dialog} />
    </SettledContext.Provider>
  );
}

function Chosen({ dialog }: { dialog: Dialog }) {
  const { page } = useFrame().state;
  if (dialog.kind === "unlock") return <UnlockDialog />;
  const row = page?.rows.find((one) => one.name === dialog.entry) ?? null;
  if (dialog.kind === "sign-in") return <SignInDialog entry={dialog.entry} />;
  if (dialog.kind === "places") return <PlacesDialog entry={dialog.entry} />;
  if (!row) return null;
  switch (dialog.kind) {
    case "token":
      if (row.kind === "outscale") return <KeyDialog row={row} />;
      return <TokenDialog row={row} replaces={dialog.replaces} />;
    case "remove":
      return <RemoveDialog row={row} />;
    case "sign-out":
      return <SignOutDialog row={row} />;
    case "say-end":
      return <SayEndDialog row={row} />;
    case "snooze":
      return <SnoozeDialog row={row} />;
  }
}
