// There is no agent to ask.

import { useState } from "preact/hooks";
import { useFrame } from "../frame";
import { Mark } from "../parts/icons";
import { Hint, Say } from "../parts/say";
import { t } from "../text";
import { sentence } from "../words";

export function AbsentView() {
  const { state, attempt } = useFrame();
  const [isStarting, setStarting] = useState(false);
  const agent = state.page?.agent;
  if (agent?.is !== "absent") return null;
  const says = sentence(agent.say) !== sentence(t("absent.title"));
  const hint = agent.can_start ? "" : agent.hint;
  const start = async () => {
    setStarting(true);
    await attempt({ ask: "start-agent" });
    setStarting(false);
  };
  return (
    <div class="centred" data-absent="">
      <Mark size={48} />
      <h1>{t("absent.title")}</h1>
      {(says || hint !== "") && (
        <p>
          {says && <Say say={agent.say} />}
          {hint !== "" && <Hint hint={hint} />}
        </p>
      )}
      <p class="faint">
        {state.keptIn !== null && t(state.keptIn === "memory" ? "absent.gone" : "absent.safe")} {t("absent.meaning")}
      </p>
      {agent.can_start && (
        <button type="button" class="primary" data-act="start-agent" disabled={isStarting} onClick={() => void start()}>
          {t(isStarting ? "absent.starting" : "act.start-agent")}
        </button>
      )}
      {isStarting && <progress aria-label={t("absent.starting")} />}
    </div>
  );
}

export function AwaitedView() {
  return (
    <div class="centred">
      <h1 class="unseen">{t("app.name")}</h1>
      <p class="faint late">{t("absent.awaited")}</p>
    </div>
  );
}
