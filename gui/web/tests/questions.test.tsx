// No key and no click that was meant for something else allows a program anything.

import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Question } from "../src/bindings";
import { sceneOf } from "../src/dev/scenes";
import { FrameContext, type Frame } from "../src/frame";
import { QuestionCard } from "../src/parts/question";
import { FIRST } from "../src/state";

const attempt = vi.fn<Frame["attempt"]>(() => Promise.resolve(true));
const [first, second] = sceneOf("questions").questions;

async function draw(question: Question | undefined): Promise<void> {
  if (!question) throw new Error("the samples have two questions");
  const state = { ...FIRST, page: sceneOf("questions") };
  const frame = { state, now: Date.now(), attempt } as unknown as Frame;
  await act(() =>
    render(
      <FrameContext.Provider value={frame}>
        <QuestionCard question={question} />
      </FrameContext.Provider>,
      document.body,
    ),
  );
}

const buttons = () => [...document.querySelectorAll<HTMLButtonElement>("[data-answer]")];

beforeEach(() => {
  vi.useFakeTimers();
  attempt.mockClear();
});
afterEach(async () => {
  await act(() => render(null, document.body));
  vi.useRealTimers();
});

it("answers work only after the card was in view for a moment, and none has the focus", async () => {
  await draw(first);
  expect(buttons().every((button) => button.disabled)).toBe(true);
  await act(() => void vi.advanceTimersByTime(700));
  expect(buttons().every((button) => !button.disabled)).toBe(true);
  expect(buttons()).not.toContain(document.activeElement);
  buttons().find((button) => button.dataset.answer === "today")?.click();
  expect(attempt).toHaveBeenCalledWith({ ask: "answer", id: "1", approval: "today" });
});

it("only what is offered can be answered, and never always", async () => {
  await draw(second);
  expect(buttons().map((button) => button.dataset.answer)).toEqual(["never", "once"]);
});

it("what a program calls itself is marked as not proved", async () => {
  await draw(second);
  expect(document.body.textContent).toContain("bazel(workspace) not proved");
});

it("names from outside are text", async () => {
  await draw(first && { ...first, program: "/tmp/<img src=x onerror=alert(1)>" });
  expect(document.querySelector("img")).toBeNull();
  expect(document.body.textContent).toContain("<img src=x");
});
