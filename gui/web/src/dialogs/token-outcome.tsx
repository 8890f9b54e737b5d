// What became of a token: whose it is, until when, and what it can do now against before.

import type { FactRow, Permissions, TokenOutcome } from "../bindings";
import { useFrame } from "../frame";
import { Clusters, Facts } from "../parts/permissions";
import { Sign } from "../parts/icons";
import { Say, TroubleSay } from "../parts/say";
import { t } from "../text";
import { day, exact, remaining } from "../words";

export function TokenOutcomePart({ outcome }: { outcome: TokenOutcome }) {
  const { now } = useFrame();
  const { owner, until, until_assumed: isAssumed, before, after, lost, gained } = outcome;
  return (
    <div data-outcome="" class="outcome">
      <dl class="facts">
        <dt>{t("token.owner")}</dt>
        <dd>{owner ?? t("token.nobody-says")}</dd>
        <dt>{t(until && isAssumed ? "token.end-about" : "token.end")}</dt>
        <dd title={until ? exact(until) : undefined}>
          {until ? `${day(until)} (${remaining(now, until, isAssumed)})` : t("token.nobody-says")}
        </dd>
      </dl>
      {lost.length > 0 && (
        <div class="change change-lost" data-lost="">
          <Sign name="warning" />
          <div>
            <h3>{t("token.lost")}</h3>
            <ul>
              {lost.map((what) => (
                <li key={what}>{what}</li>
              ))}
            </ul>
          </div>
        </div>
      )}
      {gained.length > 0 && (
        <div class="change" data-gained="">
          <Sign name="yes" />
          <div>
            <h3>{t("token.gained")}</h3>
            <ul>
              {gained.map((what) => (
                <li key={what}>{what}</li>
              ))}
            </ul>
          </div>
        </div>
      )}
      {outcome.notes.map((note) => (
        <p key={note.say} class={`remark remark-${note.weight}`}>
          <Sign name={note.weight === "known" ? "info" : "warning"} />
          <span>
            <Say say={note.say} />
          </span>
        </p>
      ))}
      {says(before) || says(after) ? (
        <div class={before && after ? "sides" : ""}>
          {before && <Side mark="data-before" title={t("token.before")} permissions={before} />}
          {after && <Side mark="data-after" title={t(before ? "token.after" : "token.may")} permissions={after} />}
        </div>
      ) : (
        <p class="faint" data-after="">
          {t("token.nobody-says-may")}
        </p>
      )}
    </div>
  );
}

/** What is told above is not told again. */
function otherFacts(permissions: Permissions): FactRow[] {
  return permissions.facts.filter((fact) => fact.name !== "ends" && fact.name !== "owner");
}

/** Whether anything is told of what it may do, or of who could not be asked. */
function says(permissions: Permissions | null): boolean {
  if (!permissions) return false;
  const { clusters, troubles } = permissions;
  return clusters.length + troubles.length + otherFacts(permissions).length > 0;
}

interface SideProps {
  mark: "data-before" | "data-after";
  title: string;
  permissions: Permissions;
}

function Side({ mark, title, permissions }: SideProps) {
  return (
    <section {...{ [mark]: "" }} aria-label={title}>
      <h3>{title}</h3>
      <Clusters permissions={permissions} short />
      {!says(permissions) && (
        <p class="faint">{t("permissions.nothing-known")}</p>
      )}
      <Facts facts={otherFacts(permissions)} short />
      {permissions.troubles.map((trouble) => (
        <p key={trouble.say} class="faint">
          <TroubleSay trouble={trouble} />
        </p>
      ))}
    </section>
  );
}
