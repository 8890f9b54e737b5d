// What each entry may do, who says so, and how old that is; and which programs may use what.

import { useState } from "preact/hooks";
import type { Grant, Permissions } from "../bindings";
import { useAsked, useFrame } from "../frame";
import { KindIcon, Sign } from "../parts/icons";
import { Clusters, Facts } from "../parts/permissions";
import { TroubleSay } from "../parts/say";
import { Empty, ViewHead } from "../parts/view-head";
import { programName, shortName } from "../state";
import { t, word } from "../text";
import { ago, exact, remaining } from "../words";

export function PermissionsView() {
  const { state } = useFrame();
  const { page } = state;
  // What is held decides what may be done with it.
  const held = page?.rows.map((row) => `${row.name} ${row.since} ${row.state}`).join() ?? "";
  const asked = useAsked({ ask: "permissions", again: false }, `${page?.lock?.since} ${held}`);
  const [isAgain, setAgain] = useState(false);
  return (
    <>
      <ViewHead view="permissions" about={t("permissions.about")}>
        <span class="faint" role="status">
          {isAgain && asked.busy ? t("permissions.asking") : ""}
        </span>
        <button
          type="button"
          data-act="ask-again"
          disabled={asked.busy}
          onClick={() => {
            setAgain(true);
            asked.again({ ask: "permissions", again: true });
          }}
        >
          <Sign name="again" /> {t(asked.busy ? "permissions.busy" : "act.ask-again")}
        </button>
      </ViewHead>
      {asked.trouble && (
        <p class="trouble" role="alert">
          <Sign name="warning" />
          <span>
            <TroubleSay trouble={asked.trouble} />
          </span>
        </p>
      )}
      {asked.it === null && asked.busy && (
        <div class="waiting">
          <progress aria-label={t("permissions.asking")} />
          <p class="faint">{t("permissions.asking")}</p>
        </div>
      )}
      {asked.it?.length === 0 && <Empty title={t("empty.title")} say={t("permissions.empty")} />}
      {asked.it?.map((permissions) => (
        <EntryPermissions key={permissions.name} permissions={permissions} />
      ))}
      <Grants />
    </>
  );
}

function EntryPermissions({ permissions }: { permissions: Permissions }) {
  const { page } = useFrame().state;
  const { name, kind, clusters, facts, troubles } = permissions;
  return (
    <section class="card" data-permissions={name} aria-labelledby={`may-${name}`}>
      <div class="card-head">
        <KindIcon kind={kind} />
        <h2 id={`may-${name}`} class="elided" title={name}>
          {shortName(name, page)}
        </h2>
        <span class="faint">{word("kind", kind)}</span>
      </div>
      <Clusters permissions={permissions} />
      <Facts facts={facts} />
      {clusters.length === 0 && facts.length === 0 && troubles.length === 0 && (
        <p class="faint">{t("permissions.nothing-known")}</p>
      )}
      {troubles.map((trouble) => (
        <p key={trouble.say} class="trouble">
          <Sign name="warning" />
          <span>
            <TroubleSay trouble={trouble} hasButton={trouble.hint.startsWith("keyfob permissions")} />
          </span>
        </p>
      ))}
    </section>
  );
}

function Grants() {
  const { state } = useFrame();
  const questions = state.page?.questions.map((question) => question.id).join() ?? "";
  const asked = useAsked({ ask: "grants" }, questions);
  return (
    <section aria-labelledby="grants-title">
      <div class="section-head">
        <h2 id="grants-title">{t("grants.title")}</h2>
      </div>
      {asked.trouble && (
        <p class="trouble" role="alert">
          <Sign name="warning" />
          <span>
            <TroubleSay trouble={asked.trouble} />
          </span>
        </p>
      )}
      {asked.it?.length === 0 && <p class="faint">{t("grants.none")}</p>}
      {asked.it && asked.it.length > 0 && (
        <div class="sheet">
          <table class="table grants">
            <thead>
              <tr>
                <th scope="col">{t("grants.program")}</th>
                <th scope="col">{t("grants.entry")}</th>
                <th scope="col">{t("grants.answer")}</th>
                <th scope="col">{t("grants.given")}</th>
                <th scope="col">
                  <span class="unseen">{t("grants.act")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {asked.it.map((grant) => (
                <GrantRow key={grant.id} grant={grant} onRevoked={() => asked.again()} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function GrantRow({ grant, onRevoked }: { grant: Grant; onRevoked: () => void }) {
  const { state, now, attempt } = useFrame();
  const [busy, setBusy] = useState(false);
  const entry = shortName(grant.entry, state.page);
  const program = programName(grant.program);
  const revoke = async () => {
    setBusy(true);
    if (await attempt({ ask: "revoke", id: grant.id })) onRevoked();
    setBusy(false);
  };
  return (
    <tr data-grant={grant.entry}>
      <th scope="row">
        <span class="elided block" title={grant.program}>
          {program}
        </span>
        <span class="faint elided block" title={grant.program}>
          {grant.program}
        </span>
      </th>
      <td title={grant.entry}>{entry}</td>
      <td>
        <span class={grant.allowed ? "right right-yes" : "right right-no"}>
          <Sign name={grant.allowed ? "yes" : "no"} />
          {t(grant.allowed ? "grants.allowed" : "grants.never")}
        </span>
        <span class="faint block" title={grant.until ? exact(grant.until) : undefined}>
          {grantEnd(grant, now)}
        </span>
        {grant.stale && <span class="faint block">{t("grants.stale")}</span>}
      </td>
      <td class="faint" title={exact(grant.given)}>
        {ago(now, grant.given)}
      </td>
      <td class="table-act">
        <button
          type="button"
          data-act="revoke"
          disabled={busy}
          aria-label={t("grants.revoke-long", { program, entry })}
          onClick={() => void revoke()}
        >
          {t("act.revoke")}
        </button>
      </td>
    </tr>
  );
}

function grantEnd(grant: Grant, now: number): string {
  if (grant.once) return t("grants.once");
  return grant.until ? remaining(now, grant.until, false) : t("grants.always");
}
