// State, remaining life in words, and its bar.

import type { Row } from "../bindings";
import { useFrame } from "../frame";
import { isAskedEachTime, isHeld, renewsByItself, shareLeft } from "../life";
import { t, word } from "../text";
import { ending, exact, remaining } from "../words";
import { StateIcon } from "./icons";

/** The state's shape and word. */
export function StateMark({ row }: { row: Row }) {
  return (
    <span class={`state state-${row.state}`}>
      <StateIcon state={row.state} />
      {stateWords(row)}
    </span>
  );
}

/** The state in words that fit what it is. */
export function stateWords(row: Row): string {
  // Nobody signs in to a token or a key.
  if (row.state === "signed-out" && row.kind === "token") return t("state.no-token");
  if (row.state === "signed-out" && row.kind === "outscale") return t("state.no-key");
  if (row.state === "signed-out" && row.kind === "outerbounds") return t("state.no-key");
  if (row.state === "signed-out" && row.what === "secret") return t("state.no-value");
  // A secret has no end: that it serves is all that there is to say.
  if (row.state === "live" && row.until === null && row.kind !== "secret") {
    if (isAskedEachTime(row)) return t("state.each-time");
    // A lease is bought when somebody asks for it.
    if (row.through !== null) return t("state.unused");
  }
  return word("state", row.state);
}

export function Life({ row }: { row: Row }) {
  const { now } = useFrame();
  const isShown = isHeld(row) && row.until !== null;
  return (
    <div class="life">
      <p class="life-words">
        <StateMark row={row} />
        {isShown && <span class="life-left">{remaining(now, row.until ?? "", row.until_assumed)}</span>}
      </p>
      <LifeBar row={row} now={now} />
      {isShown && (
        <p class="faint" title={`${exact(row.until ?? "")}${row.until_by ? ` · ${row.until_by}` : ""}`}>
          {endWords(row, now)}
        </p>
      )}
    </div>
  );
}

function endWords(row: Row, now: number): string {
  return renewsByItself(row) ? t("life.renews") : ending(now, row.until ?? "", row.until_assumed);
}

function LifeBar({ row, now }: { row: Row; now: number }) {
  const share = isHeld(row) ? shareLeft(now, row.since, row.until) : null;
  if (share === null) return null;
  // The words beside it say the same, and more.
  return (
    <div class={`bar bar-${row.state}${row.until_assumed ? " bar-assumed" : ""}`} aria-hidden="true">
      <div class="bar-left" style={{ "--share": `${(share * 100).toFixed(1)}%` }} />
    </div>
  );
}
