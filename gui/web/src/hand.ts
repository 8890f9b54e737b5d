// Whether a person's hand is on the window. Other programs can press its buttons over the accessibility bus; the web view
// then makes a click that it calls trusted, but moves no pointer and no key for it.

/** Milliseconds from a press to what it does. */
export const FRESH = 1500;

interface Press {
  at: number;
  /** The button that was under the pointer, or had the focus, if it could be pressed. */
  button: Element | null;
  /** Where the press was Enter in a field: the form that it sends. */
  form: Element | null;
}

let last: Press | null = null;

/** Looks at an event of the window; `now` in milliseconds of a clock that only goes forward. */
export function note(event: Event, now: number): void {
  const target = event.target instanceof Element ? event.target : null;
  if (event.type === "click") {
    // A click where no hand was is another program's, also right after a press that was meant for something else.
    if (!last || !target || !isMeant(target, last)) last = null;
  } else if (event.isTrusted) {
    const key = event.type.startsWith("key") ? (event as KeyboardEvent).key : null;
    const isEnter = event.type === "keydown" && key === "Enter";
    // Other keys press no button: somebody else may have moved the focus there while a person types.
    const presses = key === null || key === "Enter" || key === " ";
    const button = presses ? buttonOf(target) : null;
    last = { at: now, button, form: isEnter ? (target?.closest("form") ?? null) : null };
  }
}

/** Whether a hand did what is being done now. To be asked while the click is handled, not after an `await`. */
export function isByHand(now = performance.now()): boolean {
  return last !== null && now - last.at <= FRESH;
}

function isMeant(target: Element, press: Press): boolean {
  const button = buttonOf(target);
  if (button !== null && button === press.button) return true;
  // Enter in a field clicks the form's own button.
  return press.form !== null && press.button === null && button !== null && press.form.contains(button);
}

function buttonOf(target: Element | null): Element | null {
  return target?.closest("button:not(:disabled)") ?? null;
}

// The up events, too: a slow hand may take longer than that from down to up.
for (const type of ["pointerdown", "pointerup", "keydown", "keyup", "click"]) {
  window.addEventListener(type, (event) => note(event, performance.now()), { capture: true });
}
