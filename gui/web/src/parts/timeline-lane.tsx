// The parts of the timeline's picture.

import type { PlannedDeed, Row } from "../bindings";
import { isAskedEachTime } from "../life";
import type { Lane, Mark, Month, Span } from "../timeline";
import { placeOf } from "../timeline";
import { type Key, t } from "../text";
import { day, ending, month } from "../words";

/** The height of a lane, and of the months above the first one. */
export const LANE = 34;
export const TOP = 44;

/** Narrower months carry no word of their own. */
const WORD_WIDTH = 38;

export function Months({ months, span, height }: { months: Month[]; span: Span; height: number }) {
  const step = Math.max(1, Math.ceil(WORD_WIDTH / (span.width / months.length)));
  // Every so many months a word, the year's among them.
  const first = Math.max(0, months.findIndex(({ at }) => isYear(at))) % step;
  return (
    <g class="months">
      {months.map(({ x, at }, index) => (
        <g key={at}>
          <line x1={x} x2={x} y1={TOP - 6} y2={height} />
          {index % step === first && x < span.width - WORD_WIDTH && (
            <text x={x + 4} y={14} class={isYear(at) ? "year" : undefined}>
              {month(at)}
            </text>
          )}
        </g>
      ))}
    </g>
  );
}

/** Where a year begins, its number stands in the place of the month. */
function isYear(at: number): boolean {
  return new Date(at).getMonth() === 0;
}

export function LaneBody({ lane, y, span, now }: { lane: Lane; y: number; span: Span; now: number }) {
  const { row, life, marks, renewsOften } = lane;
  const middle = y + LANE / 2;
  const today = placeOf(span, now);
  return (
    <g data-lane={row.name}>
      <line class="lane-line" x1={0} x2={span.width} y1={y + LANE} y2={y + LANE} />
      {life && (
        <g data-assumed={row.until_assumed ? "" : undefined} class={`lane-${row.state}`}>
          <title>{`${row.short}: ${ending(now, row.until ?? "", row.until_assumed)}`}</title>
          <rect class="lane-past" x={life.begin} y={middle - 5} width={Math.max(0, today - life.begin)} height={10} />
          <rect
            class="lane-life"
            x={today}
            y={middle - 5}
            width={Math.max(2, life.end - today)}
            height={10}
            fill={row.until_assumed ? "url(#hatched)" : undefined}
          />
        </g>
      )}
      {renewsOften && (
        <g>
          <line class="lane-renews" x1={today} x2={span.width} y1={middle} y2={middle} />
          <MarkAt x={today + 10} y={middle} what="renew" title={t("plan.renew")} />
          <LaneWord x={today + 22} y={middle} words={t("timeline.renews")} />
        </g>
      )}
      {!life && !renewsOften && marks.length === 0 && (
        <LaneWord
          x={today + 10}
          y={middle}
          words={t(nothingWords(row))}
        />
      )}
      {marks.map((mark) => (
        <MarkAt
          key={mark.x}
          x={mark.x}
          y={middle}
          what={mark.what}
          title={titleOf(mark)}
          count={mark.all.length}
        />
      ))}
      <EndWord lane={lane} span={span} y={middle} />
    </g>
  );
}

/** Why nothing is drawn. */
function nothingWords(row: Row): Key {
  if (row.state === "signed-out") return "timeline.nothing-held";
  if (row.state === "idle") return "timeline.no-job";
  if (row.kind === "secret") return "timeline.endless";
  return isAskedEachTime(row) ? "timeline.each-time" : "timeline.no-end";
}

function EndWord({ lane, span, y }: { lane: Lane; span: Span; y: number }) {
  const end = lane.marks.find((mark) => mark.what === "end");
  const time = end?.all.find((planned) => planned.what === "end")?.at;
  if (!end || !time || span.width - end.x < 92) return null;
  return <LaneWord x={end.x + 11} y={y} words={day(time)} />;
}

/** Words lie on a ground of their own, so that no line of the grid runs through them. */
function LaneWord({ x, y, words }: { x: number; y: number; words: string }) {
  return (
    <text class="lane-word" x={x} y={y + 4}>
      {words}
    </text>
  );
}

function titleOf(mark: Mark): string {
  return (["remind", "renew", "end"] as const)
    .map((what) => [what, mark.all.filter((planned) => planned.what === what)] as const)
    .filter(([, planned]) => planned.length > 0)
    .map(([what, planned]) => `${t(`plan.${what}`)}: ${planned.map(({ at }) => day(at)).join(", ")}`)
    .join("; ");
}

interface MarkProps {
  x: number;
  y: number;
  what: PlannedDeed;
  title: string;
  count?: number;
}

function MarkAt({ x, y, what, title, count = 1 }: MarkProps) {
  return (
    <g transform={`translate(${x} ${y})`} data-mark={what}>
      <title>{title}</title>
      <MarkShape what={what} />
      {count > 1 && (
        <text class="mark-count" y={-8} text-anchor="middle">
          {count}
        </text>
      )}
    </g>
  );
}

// Each has a shape of its own: a diamond, a ring, a block.
export function MarkShape({ what }: { what: PlannedDeed }) {
  switch (what) {
    case "remind":
      return <path class="mark-remind" d="M0-5.5 5.5 0 0 5.5-5.5 0z" />;
    case "renew":
      return <circle class="mark-renew" r="4.5" />;
    case "end":
      return <rect class="mark-end" x="-3" y="-7" width="6" height="14" rx="1.5" />;
  }
}
