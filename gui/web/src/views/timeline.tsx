// The next twelve months: a picture, and the same as a table.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { useFrame } from "../frame";
import { KindIcon } from "../parts/icons";
import { LaneBody, LANE, MarkShape, Months, TOP } from "../parts/timeline-lane";
import { Empty, ViewHead } from "../parts/view-head";
import { comingUp, laneOf, monthsOf, placeOf, spanOf } from "../timeline";
import { n, t, word } from "../text";
import { day, exact, until } from "../words";

/** Before the first measure, and where nothing measures. */
const USUAL_WIDTH = 560;

export function TimelineView() {
  const rows = useFrame().state.page?.rows ?? [];
  return (
    <>
      <ViewHead view="timeline" about={t("timeline.about")} />
      {rows.length === 0 ? (
        <Empty title={t("timeline.empty")} say={t("timeline.empty-say")} />
      ) : (
        <>
          <Picture />
          <Legend />
          <ComingUp />
        </>
      )}
    </>
  );
}

function Picture() {
  const { state, now } = useFrame();
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(USUAL_WIDTH);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => setWidth(Math.max(200, Math.floor(element.clientWidth)));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const rows = state.page?.rows ?? [];
  const span = spanOf(now, width);
  const height = TOP + rows.length * LANE;
  const today = placeOf(span, now);
  return (
    <div class="timeline" data-timeline="">
      <ul class="timeline-names" aria-hidden="true">
        {rows.map((row) => (
          <li key={row.name} title={row.name}>
            <KindIcon kind={row.kind} />
            <span class="elided">{row.short}</span>
          </li>
        ))}
      </ul>
      <div class="timeline-picture" ref={box}>
        <svg
          width={width}
          height={height}
          viewBox={`0 0 ${width} ${height}`}
          role="img"
          aria-label={n("timeline.picture", rows.length)}
        >
          <defs>
            <pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
              <rect class="lane-hatch" width="3" height="6" />
            </pattern>
          </defs>
          <Months months={monthsOf(span)} span={span} height={height} />
          {rows.map((row, index) => (
            <LaneBody key={row.name} lane={laneOf(span, now, row)} y={TOP + index * LANE} span={span} now={now} />
          ))}
          <line class="today" x1={today} x2={today} y1={TOP - 6} y2={height} />
          <text class="today-word" x={Math.max(today, 18)} y={TOP - 10} text-anchor="middle">
            {t("timeline.today")}
          </text>
        </svg>
      </div>
    </div>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label={t("timeline.legend")}>
      {(["remind", "renew", "end"] as const).map((what) => (
        <li key={what}>
          <svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">
            <MarkShape what={what} />
          </svg>
          {t(`plan.${what}`)}
        </li>
      ))}
      <li>
        <svg width="22" height="14" aria-hidden="true">
          <rect class="lane-life" x="0" y="3" width="22" height="8" rx="2" fill="url(#hatched)" data-assumed="" />
        </svg>
        {t("timeline.assumed")}
      </li>
    </ul>
  );
}

function ComingUp() {
  const { state, now } = useFrame();
  const coming = comingUp(state.page?.rows ?? [], now);
  return (
    <section aria-labelledby="coming-title">
      <div class="section-head">
        <h2 id="coming-title">{t("timeline.coming")}</h2>
      </div>
      {coming.length === 0 ? (
        <p class="faint">{t("timeline.nothing")}</p>
      ) : (
        <div class="sheet">
          <table class="table coming">
            <thead>
              <tr>
                <th scope="col">{t("timeline.when")}</th>
                <th scope="col">{t("timeline.entry")}</th>
                <th scope="col">{t("timeline.what")}</th>
              </tr>
            </thead>
            <tbody>
              {coming.map(({ at, what, row }) => (
                <tr key={`${row.name} ${what} ${at}`}>
                  <td title={exact(at)}>
                    {day(at)} <span class="faint">{t("timeline.in", { life: until(now, at) })}</span>
                  </td>
                  <th scope="row">
                    {row.short} <span class="faint">{word("kind", row.what)}</span>
                  </th>
                  <td>
                    <span class="coming-what">
                      <svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">
                        <MarkShape what={what} />
                      </svg>
                      {t(what === "end" && row.until_assumed ? "plan.end-assumed" : `plan.${what}`)}
                    </span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
