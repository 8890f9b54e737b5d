// What became of a token: whose it is, until when, and what it can do now against before.

import type { TokenOutcome } from "../bindings";
import { useFrame } from "../frame";
import { Clusters, Facts } from "../parts/permissions";
import { Sign } from "../parts/icons";
import { Say, TroubleSay } from "../parts/say";
import { t } from "../text";
import { day, exact, remaining } from "../words";

export function TokenOutcomePart({ outcome }: { outcome: TokenOutcome }) {
  const { now } = useFrame();
  const { owner, until, before, after, lost, gained } = outcome;
  return (
    <div data-outcome="" class="outcome">
      <p class="good-news" role="status">
        <Sign name="yes" />
        <span>
          <Say say={outcome.say} />
        </span>
      </p>
      <dl class="facts">
        <dt>{t("token.owner")}</dt>
        <dd>{owner ?? t("token.nobody-says")}</dd>
        <dt>{t("token.end")}</dt>
        <dd title={until ? exact(until) : undefined}>
          {until ? `${day(until)} (${remaining(now, until, false)})` : t("token.nobody-says")}
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
      <div class={before && after ? "sides" : ""}>
        {before && <Side mark="data-before" title={t("token.before")} permissions={before} />}
        {after && <Side mark="data-after" title={t(before ? "token.after" : "token.may")} permissions={after} />}
      </div>
    </div>
  );
}

interface SideProps {
  mark: "data-before" | "data-after";
  title: string;
  permissions: NonNullable<TokenOutcome["after"]>;
}

function Side({ mark, title, permissions }: SideProps) {
  return (
    <section {...{ [mark]: "" }} aria-label={title}>
      <h3>{title}</h3>
      <Clusters permissions={permissions} short />
      {permissions.clusters.length === 0 && permissions.facts.length === 0 && (
        <p class="faint">{t("permissions.nothing-known")}</p>
      )}
      <Facts facts={permissions.facts.filter((fact) => fact.name !== "ends" && fact.name !== "owner")} short />
      {permissions.troubles.map((trouble) => (
        <p key={trouble.say} class="faint">
          <TroubleSay trouble={trouble} />
        </p>
      ))}
    </section>
  );
}
