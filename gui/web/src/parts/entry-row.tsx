// An entry as a row of the overview.

import type { Row } from "../bindings";
import { useFrame } from "../frame";
import { shortName } from "../state";
import { t, word } from "../text";
import { ownDue, ownTrouble } from "../trouble";
import { day, exact, moment } from "../words";
import { KindIcon, Sign } from "./icons";
import { Life } from "./life";
import { Host } from "./permissions";
import { deedWords, RowMenu } from "./row-menu";
import { Say, TroubleSay } from "./say";

export function EntryRow({ row }: { row: Row }) {
  const { state, begin } = useFrame();
  const due = ownDue(row, state.page);
  return (
    <li class="row" data-entry={row.name} data-state={row.state}>
      <EntryName row={row} />
      <div class="row-about">
        {row.targets.map((target) => (
          <p key={target} class="two-lines address-words" title={target}>
            <Host name={targetWords(target)} />
          </p>
        ))}
        {row.owner && (
          <p class="elided faint" title={row.owner}>
            {row.owner}
          </p>
        )}
      </div>
      <Life row={row} />
      <div class="row-acts">
        {due && (
          <button type="button" class="primary" data-deed={due.do} onClick={() => begin(due)}>
            {due.do === "say-end" ? t("row.say-end") : deedWords(due, row)}
            <span class="unseen"> {row.short}</span>
          </button>
        )}
        <RowMenu row={row} />
      </div>
      <RowRemarks row={row} />
    </li>
  );
}

export function EntryName({ row }: { row: Row }) {
  const { page } = useFrame().state;
  const kind = word("kind", row.what);
  const about = row.through ? t("row.through", { kind, name: shortName(row.through, page) }) : kind;
  return (
    <div class="row-name">
      <KindIcon kind={row.kind} />
      <div>
        <h3 class="elided" title={row.name}>
          {row.short}
        </h3>
        <p class="faint two-lines" title={about}>
          {about}
        </p>
      </div>
    </div>
  );
}

/** Of a role's long name the end says most; the whole is in the title. */
function targetWords(target: string): string {
  const [, account, role] = /^arn:[\w-]+:iam::(\d+):role\/(?:.*\/)?([^/]+)$/.exec(target) ?? [];
  return account && role ? t("row.role", { role, account }) : target;
}

function troubleWeight(row: Row): "known" | "due" | "urgent" {
  if (row.state === "idle") return "known";
  return row.state === "waiting" ? "due" : "urgent";
}

function RowRemarks({ row }: { row: Row }) {
  const { state, now } = useFrame();
  const trouble = ownTrouble(row, state.page);
  const quiet = moment(row.quiet_until);
  const isQuiet = quiet !== null && quiet > now;
  if (!trouble && row.notes.length === 0 && !isQuiet) return null;
  return (
    <ul class="remarks" aria-label={t("row.remarks", { name: row.short })}>
      {trouble && (
        <li class={`remark remark-${troubleWeight(row)}`}>
          <Sign name={row.state === "idle" ? "info" : "warning"} />
          <p>
            <TroubleSay trouble={trouble} hasButton={row.due !== null} />
          </p>
        </li>
      )}
      {row.notes.map((note) => (
        <li key={note.say} class={`remark remark-${note.weight}`}>
          <Sign name={note.weight === "known" ? "info" : "warning"} />
          <p>
            <Say say={note.say} />
          </p>
        </li>
      ))}
      {isQuiet && row.quiet_until && (
        <li class="remark remark-known">
          <Sign name="bell" />
          <p title={exact(row.quiet_until)}>{t("row.quiet", { when: day(row.quiet_until) })}</p>
        </li>
      )}
    </ul>
  );
}
