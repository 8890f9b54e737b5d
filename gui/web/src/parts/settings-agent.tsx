// The agent and this program themselves.

import { useFrame } from "../frame";
import { t } from "../text";
import { ago, exact } from "../words";
import { Mark } from "./icons";
import { Say } from "./say";
import { Card, Line } from "./settings-card";

export function SettingsAgent() {
  const { state, now, attempt } = useFrame();
  const { page } = state;
  if (!page) return null;
  const { agent, own } = page;
  return (
    <Card title={t("about.title")}>
      {agent.is === "running" && (
        <>
          <Line
            label={t("about.agent", { version: agent.version })}
            about={
              <span title={exact(agent.since)}>
                {t("about.since", { ago: ago(now, agent.since) })}
                {agent.own_profile && ` ${t("about.own-profile")}`}
              </span>
            }
          />
          <Line label={t("about.socket")} about={<code class="path">{agent.socket}</code>} />
        </>
      )}
      {agent.is === "absent" && (
        <Line label={t("absent.title")} about={<Say say={agent.say} />}>
          {agent.can_start && (
            <button type="button" data-act="start-agent" onClick={() => void attempt({ ask: "start-agent" })}>
              {t("act.start-agent")}
            </button>
          )}
        </Line>
      )}
      <div class="setting about">
        <Mark size={28} />
        <div class="setting-words">
          <p>{own.version === "" ? t("app.name") : t("about.own", { version: own.version })}</p>
          <p class="faint">{t(own.has_tray === false ? "about.no-tray" : "about.say")}</p>
        </div>
      </div>
    </Card>
  );
}
