// The tools of the person that can ask Keyfob.

import { useState } from "preact/hooks";
import type { RowState, Tool } from "../bindings";
import { useAsked, useFrame } from "../frame";
import { t, word } from "../text";
import { StateIcon } from "./icons";
import { Say, TroubleSay } from "./say";
import { Card } from "./settings-card";

const TOOL_STATES: Record<string, RowState> = { "set-up": "live", attention: "ending", unused: "signed-out" };

export function Tools() {
  const { state } = useFrame();
  const entries = state.page?.rows.map((row) => `${row.name} ${row.targets.join()}`).join(";") ?? "";
  const asked = useAsked({ ask: "tools" }, entries);
  return (
    <Card title={t("tools.title")}>
      {asked.trouble && (
        <p class="setting faint" role="alert">
          <TroubleSay trouble={asked.trouble} />
        </p>
      )}
      {asked.it === null && asked.busy && <p class="setting faint">{t("tools.asking")}</p>}
      {asked.it?.map((tool) => (
        <ToolLine key={tool.name} tool={tool} onDone={() => asked.again()} />
      ))}
    </Card>
  );
}

function ToolLine({ tool, onDone }: { tool: Tool; onDone: () => void }) {
  const { attempt } = useFrame();
  const [busy, setBusy] = useState(false);
  const name = word("tool", tool.name);
  const state = TOOL_STATES[tool.state] ?? "signed-out";
  const setUp = async () => {
    setBusy(true);
    if (await attempt({ ask: "set-up", tool: tool.name })) onDone();
    setBusy(false);
  };
  return (
    <div class="setting" data-tool={tool.name} data-state={tool.state}>
      <div class="setting-words">
        <p class="setting-name">
          {name}
          <span class={`state state-${state}`}>
            <StateIcon state={state} />
            {word("tool.state", tool.state)}
          </span>
        </p>
        <p class="faint">
          <Say say={tool.say} />
        </p>
      </div>
      {tool.can_set_up && (
        <div class="setting-acts">
          <button type="button" data-act="set-up" disabled={busy} onClick={() => void setUp()}>
            {t("act.set-up")}
            <span class="unseen"> {name}</span>
          </button>
        </div>
      )}
    </div>
  );
}
