// The ledger, live: who got what, for which target, and why not.

import { useEffect, useState } from "preact/hooks";
import { matches } from "../activity";
import type { ActivityLine } from "../bindings";
import { useAsked, useFrame } from "../frame";
import { ActivityRow } from "../parts/activity-row";
import { Sign } from "../parts/icons";
import { TroubleSay } from "../parts/say";
import { Empty, ViewHead } from "../parts/view-head";
import { MOST_LINES } from "../state";
import { n, t } from "../text";

/** Lines that are drawn before somebody wants more. */
const DRAWN = 150;

export function ActivityView() {
  const { state, keepLines } = useFrame();
  const agent = state.page?.agent;
  const asked = useAsked({ ask: "activity" }, agent?.is === "running" ? agent.since : "");
  const [text, setText] = useState("");
  const [refusedOnly, setRefusedOnly] = useState(false);
  const [drawn, setDrawn] = useState(DRAWN);
  useEffect(() => {
    if (asked.it) keepLines(asked.it);
  }, [asked.it]);

  const found = state.lines.filter((line) => matches(line, { text, refusedOnly }));
  const isFiltered = text.trim() !== "" || refusedOnly;
  return (
    <>
      <ViewHead view="activity" about={t("activity.about")}>
        <label class="check">
          <input
            type="checkbox"
            name="refused"
            checked={refusedOnly}
            onChange={(event) => setRefusedOnly(event.currentTarget.checked)}
          />
          <span>{t("activity.refused-only")}</span>
        </label>
        <input
          type="search"
          name="filter"
          aria-label={t("activity.filter")}
          placeholder={t("activity.filter")}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </ViewHead>
      <p class="unseen" role="status">
        {isFiltered ? n("activity.found", found.length) : ""}
      </p>
      {asked.trouble && (
        <p class="trouble" role="alert">
          <Sign name="warning" />
          <span>
            <TroubleSay trouble={asked.trouble} />
          </span>
        </p>
      )}
      {found.length === 0 && !asked.busy && (
        <Empty
          title={t(isFiltered ? "activity.not-found" : "activity.empty")}
          say={t(isFiltered ? "activity.not-found-say" : "activity.empty-say")}
        />
      )}
      {found.length > 0 && <Lines lines={found.slice(0, drawn)} />}
      {found.length > drawn && (
        <button type="button" class="more-lines" data-act="more-lines" onClick={() => setDrawn(MOST_LINES)}>
          {n("activity.more", found.length - drawn)}
        </button>
      )}
    </>
  );
}

function Lines({ lines }: { lines: ActivityLine[] }) {
  return (
    <div class="sheet">
      <table class="table activity">
        <thead>
          <tr>
            <th scope="col">{t("activity.when")}</th>
            <th scope="col">{t("activity.who")}</th>
            <th scope="col">{t("activity.what")}</th>
            <th scope="col">{t("activity.outcome")}</th>
            <th scope="col">
              <span class="unseen">{t("activity.details")}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keyed(lines).map(([key, line]) => (
            <ActivityRow key={key} line={line} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Lines have no name of their own. Several of one moment are told apart by their number from the oldest on, which stays
 * when newer ones come. */
function keyed(lines: ActivityLine[]): [string, ActivityLine][] {
  const seen = new Map<string, number>();
  return lines
    .toReversed()
    .map((line): [string, ActivityLine] => {
      const count = seen.get(line.at) ?? 0;
      seen.set(line.at, count + 1);
      return [`${line.at} ${count}`, line];
    })
    .toReversed();
}
