// Entries, reminders, start at sign-in, keychain, tools, and the program itself.

import { useFrame } from "../frame";
import { Banners } from "../parts/banner";
import { EntryName } from "../parts/entry-row";
import { StateMark } from "../parts/life";
import { deedWords, RowMenu } from "../parts/row-menu";
import { SettingsAgent } from "../parts/settings-agent";
import { Reminders } from "../parts/settings-reminders";
import { Tools } from "../parts/settings-tools";
import { Card, Line } from "../parts/settings-card";
import { TroubleSay } from "../parts/say";
import { ViewHead } from "../parts/view-head";
import type { Keychain, Row } from "../bindings";
import { t, word } from "../text";
import { canUnlock, ownDue } from "../trouble";

export function SettingsView() {
  const { page } = useFrame().state;
  if (!page) return null;
  const isRunning = page.agent.is === "running";
  return (
    <>
      <ViewHead view="settings" />
      {isRunning && <Banners />}
      {isRunning && <Entries />}
      {isRunning && <Reminders />}
      {isRunning && <Protection />}
      <Tools />
      <StartAtSignIn />
      <SettingsAgent />
    </>
  );
}

function Entries() {
  const { state, attempt } = useFrame();
  const { configuration, rows } = state.page ?? { configuration: null, rows: [] };
  return (
    <Card title={t("settings.entries")}>
      <Line
        label={t("settings.configuration")}
        about={configuration && <code class="path">{configuration.path}</code>}
      >
        <button type="button" data-act="open-configuration" onClick={() => void attempt({ ask: "open-configuration" })}>
          {t("act.open")}
        </button>
      </Line>
      {rows.length > 0 && (
        <ul class="setting-rows">
          {rows.map((row) => (
            <EntryLine key={row.name} row={row} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function EntryLine({ row }: { row: Row }) {
  const { state, begin } = useFrame();
  const due = ownDue(row, state.page);
  return (
    <li data-entry={row.name} data-state={row.state}>
      <EntryName row={row} />
      <StateMark row={row} />
      <p class="faint elided" title={row.policy.map(policyWords).join("; ")}>
        {row.policy.length === 0 ? t("policy.none") : row.policy.map(policyWords).join("; ")}
      </p>
      <div class="row-acts">
        {due && (
          <button type="button" data-deed={due.do} onClick={() => begin(due)}>
            {deedWords(due)}
            <span class="unseen"> {row.short}</span>
          </button>
        )}
        <RowMenu row={row} />
      </div>
    </li>
  );
}

/** `allow = …` and `confirm = …`, as the configuration has them, in words. */
function policyWords(policy: string): string {
  const [, name, value] = /^(allow|confirm) = (.*)$/s.exec(policy) ?? [];
  if (name === "allow" && value !== undefined) return t("policy.allow", { programs: value });
  if (name === "confirm" && value !== undefined) return word("policy.confirm", value);
  return policy;
}

function Protection() {
  const { state, begin, attempt } = useFrame();
  const { page } = state;
  const keychain = page?.keychain;
  if (!page || !keychain) return null;
  const lockOn = page.configuration?.lock_on ?? [];
  const locks =
    lockOn.length === 0
      ? t("settings.lock-on-nothing")
      : t("settings.lock-on", { when: lockOn.map((what) => word("settings.lock-on", what)).join(", ") });
  const canOpen = page.lock !== null || canUnlock(page);
  return (
    <Card title={t("settings.protection")}>
      <Line
        label={word("keychain.kind", keychain.kind)}
        about={
          // The banner says what stands in the way, but not below that of the lock.
          keychain.trouble && page.lock && !keychain.is_new && keychain.state !== "locked" ? (
            <TroubleSay trouble={keychain.trouble} />
          ) : (
            keychainWords(keychain)
          )
        }
      />
      <Line label={t("settings.lock")} about={locks}>
        {canOpen ? (
          <button type="button" data-act="unlock" onClick={() => begin({ do: "unlock" })}>
            {t(keychain.is_new ? "act.choose-passphrase" : "act.unlock")}
          </button>
        ) : (
          <button type="button" data-act="lock" onClick={() => void attempt({ ask: "lock" })}>
            {t("act.lock")}
          </button>
        )}
      </Line>
    </Card>
  );
}

function keychainWords(keychain: Keychain): string {
  if (keychain.is_new) return t("keychain.state.new");
  if (keychain.kind === "memory") return t("keychain.in-memory");
  return word("keychain.state", keychain.state);
}

function StartAtSignIn() {
  const { state, attempt } = useFrame();
  const starts = state.page?.own.starts_at_sign_in ?? null;
  return (
    <Card title={t("settings.start")}>
      <Line
        label={t("settings.starts-at-sign-in")}
        about={t(starts === null ? "settings.start-untold" : "settings.start-about")}
        controls="starts-at-sign-in"
      >
        <input
          id="starts-at-sign-in"
          name="starts-at-sign-in"
          type="checkbox"
          role="switch"
          class="switch"
          checked={starts ?? false}
          disabled={starts === null}
          onChange={(event) => {
            const field = event.currentTarget;
            const on = field.checked;
            // Refused, the switch shows again what holds.
            void attempt({ ask: "start-at-sign-in", on }).then((isDone) => {
              if (!isDone) field.checked = !on;
            });
          }}
        />
      </Line>
    </Card>
  );
}
