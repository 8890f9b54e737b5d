// A program waits for an answer while the person is elsewhere: one line, and the way to the question. Nothing is answered here.

import { useFrame } from "../frame";
import { programName, shortName } from "../state";
import { n, t } from "../text";
import { Sign } from "./icons";

/** `onAnswer` leaves what covers the questions; without it, nothing leads there from here. */
export function QuestionStrip({ onAnswer }: { onAnswer?: (() => void) | null }) {
  const { state, go } = useFrame();
  const questions = state.page?.questions ?? [];
  const [first] = questions;
  return (
    // The region is there before its words, else screen readers miss them.
    <div class="strip-place" aria-live="polite">
      {first && (
        <div class="strip" data-strip="">
          <Sign name="unknown" />
          <p>
            {questions.length > 1
              ? n("question.title", questions.length)
              : t("question.strip", {
                  program: first.program === "" ? t("question.unknown-program") : programName(first.program),
                  entry: shortName(first.entry, state.page),
                })}
          </p>
          {onAnswer !== null && (
            <button
              type="button"
              data-act="answer"
              onClick={() => {
                onAnswer?.();
                go("overview");
              }}
            >
              {t("act.answer")}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
