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

async function draw(question: Question | undefined, questions = sceneOf("questions").questions): Promise<void> {
  if (!question) throw new Error("the samples have two questions");
  const state = { ...FIRST, page: { ...sceneOf("questions"), questions } };
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
  const said = "terraform may use dev for 8 hours. Take it back under Permissions.";
  expect(attempt).toHaveBeenCalledWith({ ask: "answer", id: "1", approval: "today" }, said);
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

it("a card that moves or changes waits again", async () => {
  if (!first || !second) throw new Error("the samples have two questions");
  const isOff = () => buttons().every((button) => button.disabled);
  await draw(second, [first, second]);
  await act(() => void vi.advanceTimersByTime(700));
  expect(isOff()).toBe(false);
  const changes: [Question, Question[]][] = [
    [second, [second]],
    [second, [first, second]],
    [{ ...second, target: "elsewhere.example.com" }, [first, { ...second, target: "elsewhere.example.com" }]],
    [second, [{ ...first, warnings: ["it has changed"] }, second]],
  ];
  for (const [shown, all] of changes) {
    await draw(shown, all);
    expect(isOff()).toBe(true);
    await act(() => void vi.advanceTimersByTime(599));
    expect(isOff()).toBe(true);
    await act(() => void vi.advanceTimersByTime(1));
    expect(isOff()).toBe(false);
  }
});

it("a card that moves there and back waits as well", async () => {
  if (!first || !second) throw new Error("the samples have two questions");
  await draw(second, [first, second]);
  await act(() => void vi.advanceTimersByTime(700));
  await draw(second, [second]);
  await draw(second, [first, second]);
  expect(buttons().every((button) => button.disabled)).toBe(true);
});

it("asking again does not keep the answers off", async () => {
  if (!first) throw new Error("the samples have two questions");
  await draw(first, [first]);
  await act(() => void vi.advanceTimersByTime(700));
  const again = { ...first, count: 9, closes: "2100-01-01T00:00:00Z" };
  await draw(again, [again]);
  expect(buttons().every((button) => !button.disabled)).toBe(true);
});
