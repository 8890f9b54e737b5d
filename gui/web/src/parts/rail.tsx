// The rail: five views, and how the agent is.

import type { View } from "../bindings";
import { useFrame } from "../frame";
import { n, t } from "../text";
import { canUnlock, isNew } from "../trouble";
import { Mark, Sign, StateIcon, ViewIcon } from "./icons";

const ORDER: View[] = ["overview", "permissions", "timeline", "activity", "settings"];

export function Rail() {
  const { state, go } = useFrame();
  const questions = state.page?.questions.length ?? 0;
  return (
    <header class="rail">
      <p class="rail-brand">
        <Mark size={22} />
        <span>{t("app.name")}</span>
      </p>
      <nav aria-label={t("rail.label")}>
        {ORDER.map((view) => (
          <button
            key={view}
            type="button"
            class="rail-item"
            data-view={view}
            aria-current={state.view === view ? "page" : undefined}
            onClick={() => go(view)}
          >
            <ViewIcon view={view} />
            <span class="rail-word">{t(`view.${view}`)}</span>
            {view === "overview" && questions > 0 && (
              <span class="count" title={n("rail.questions", questions)}>
                <span aria-hidden="true">{questions}</span>
                <span class="unseen">{n("rail.questions", questions)}</span>
              </span>
            )}
          </button>
        ))}
      </nav>
      <AgentLine />
    </header>
  );
}

function AgentLine() {
  const { page } = useFrame().state;
  if (!page || page.agent.is === "awaited") return <p class="rail-agent">{t("rail.awaited")}</p>;
  if (page.agent.is === "absent") {
    return (
      <p class="rail-agent">
        <StateIcon state="refused" />
        <span>{t("rail.absent")}</span>
      </p>
    );
  }
  const isLocked = page.lock !== null;
  if (isLocked || (canUnlock(page) && !isNew(page))) {
    return (
      <p class="rail-agent rail-locked">
        <Sign name="lock" />
        <span>{t(isLocked ? "rail.locked" : "rail.keychain-locked")}</span>
      </p>
    );
  }
  return (
    <p class="rail-agent">
      <StateIcon state="live" />
      <span>{t("rail.running")}</span>
    </p>
  );
}
