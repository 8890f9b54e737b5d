// Tables of what an entry may do, as the view and the outcome of a rotation show them.

import { Fragment } from "preact";
import type { ClusterRow, FactRow, Permissions } from "../bindings";
import { useFrame } from "../frame";
import { t, word } from "../text";
import { ago, day, exact, remaining } from "../words";
import { Sign, type SignName } from "./icons";
import { Say } from "./say";

const RIGHT_SIGNS: Record<string, SignName> = { yes: "yes", no: "no", "without-effect": "dash" };

function Right({ right }: { right: string }) {
  return (
    <span class={`right right-${right}`}>
      <Sign name={RIGHT_SIGNS[right] ?? "unknown"} />
      {word("right", right)}
    </span>
  );
}

/** One row for a cluster where everybody says the same about it. */
export function agreed(clusters: ClusterRow[]): ClusterRow[] {
  const said = (row: ClusterRow) => [row.cluster, row.read, row.write, row.execute].join(" ");
  return clusters.filter((row, index) => clusters.findIndex((other) => said(other) === said(row)) === index);
}

/** `short` leaves out who says so, unless they differ: there is no room for it beside another table. */
export function Clusters({ permissions, short }: { permissions: Permissions; short?: boolean }) {
  if (permissions.clusters.length === 0) return null;
  const rows = short ? agreed(permissions.clusters) : permissions.clusters;
  const isDisputed = (row: ClusterRow) => rows.filter((other) => other.cluster === row.cluster).length > 1;
  return (
    <table class="table clusters">
      <thead>
        <tr>
          <th scope="col">{t("permissions.cluster")}</th>
          <th scope="col">{t("permissions.read")}</th>
          <th scope="col">{t("permissions.write")}</th>
          <th scope="col">{t("permissions.execute")}</th>
          {!short && <th scope="col">{t("permissions.says")}</th>}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, index) => (
          <Cluster key={index} row={row} short={short ?? false} names={isDisputed(row)} />
        ))}
      </tbody>
    </table>
  );
}

function Cluster({ row, short, names }: { row: ClusterRow; short: boolean; names: boolean }) {
  return (
    <>
      <tr>
        <th scope="row">
          <Host name={row.cluster} />
          {short && names && <span class="faint teller">{row.by}</span>}
        </th>
        <td>
          <Right right={row.read} />
        </td>
        <td>
          <Right right={row.write} />
        </td>
        <td>
          <Right right={row.execute} />
        </td>
        {!short && (
          <td>
            <Teller by={row.by} when={row.when} />
          </td>
        )}
      </tr>
      {row.note && !short && (
        <tr class="table-note">
          <td colSpan={5}>
            <Say say={row.note} />
          </td>
        </tr>
      )}
    </>
  );
}

/** Long host names break behind their dots. */
export function Host({ name }: { name: string }) {
  return (
    <>
      {name.split(".").map((part, index) => (
        <Fragment key={index}>
          {index > 0 && "."}
          {index > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}

function Teller({ by, when }: { by: string; when: string | null }) {
  const { now } = useFrame();
  return (
    <span class="faint" title={when ? exact(when) : undefined}>
      {when ? t("permissions.by-when", { by, ago: ago(now, when) }) : by}
    </span>
  );
}

export function Facts({ facts, short }: { facts: FactRow[]; short?: boolean }) {
  if (facts.length === 0) return null;
  return (
    <dl class="facts told">
      {saidOnce(facts).map((tellers, index) => (
        <FactLine key={index} tellers={tellers} short={short ?? false} />
      ))}
    </dl>
  );
}

/** Neighbours that say the same, together. */
export function saidOnce(facts: FactRow[]): [FactRow, ...FactRow[]][] {
  const told = (fact: FactRow) => JSON.stringify([fact.name, fact.values]);
  const groups: [FactRow, ...FactRow[]][] = [];
  for (const fact of facts) {
    const last = groups.at(-1);
    if (!last || told(last[0]) !== told(fact)) groups.push([fact]);
    else if (!last.some((other) => other.by === fact.by)) last.push(fact);
  }
  return groups;
}

function FactLine({ tellers, short }: { tellers: [FactRow, ...FactRow[]]; short: boolean }) {
  const { now } = useFrame();
  const [fact] = tellers;
  const values = fact.values.map((value) =>
    fact.name === "ends" ? t("permissions.ends", { day: day(value), left: remaining(now, value, false) }) : value,
  );
  return (
    <>
      <dt>{word("fact", fact.name)}</dt>
      <dd>
        <span class="told-values">
          {values.length === 0
            ? t("permissions.none")
            : values.map((value) => (
                <span key={value} class="told-value">
                  {value}
                </span>
              ))}
        </span>
        {!short && (
          <span class="tellers">
            {tellers.map(({ by, when }) => (
              <Teller key={by} by={by} when={when} />
            ))}
          </span>
        )}
      </dd>
    </>
  );
}
