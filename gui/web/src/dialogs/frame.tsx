// What every dialog has: a title, a body, buttons, and words where something went wrong.

import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { PageAsk, Trouble } from "../bindings";
import { ask, type ReplyTo, troubleFrom } from "../door";
import { Sign } from "../parts/icons";
import { Messages } from "../parts/messages";
import { QuestionStrip } from "../parts/question-strip";
import { TroubleSay } from "../parts/say";

/** Whether the dialog has been seen for a moment, or was opened by the person. */
export const SettledContext = createContext(true);

/** The buttons that do nothing. */
const HARMLESS = "[data-act=cancel], [data-act=close]";

interface DialogProps {
  name: string;
  title: string;
  wide?: boolean;
  onClose: () => void;
  /** Closing it would end what is under way: no other button than its own does that. */
  holdsOn?: boolean;
  /** Enter in a field, and the button of type `submit`. */
  onSubmit?: () => void;
  children: ComponentChildren;
  acts: ComponentChildren;
}

export function DialogFrame({ name, title, wide, holdsOn, onClose, onSubmit, children, acts }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  const isSettled = useContext(SettledContext);
  const keepFocus = () => element.current?.querySelector<HTMLElement>(HARMLESS)?.focus();
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    // In the place of what has `autofocus`: nobody has asked for it.
    if (!isSettled) keepFocus();
    return () => {
      // Closing gives the focus back; where that button is gone by now, the view gets it, not the top of the window.
      dialog?.close();
      if (document.activeElement === document.body) document.querySelector<HTMLElement>("main")?.focus();
    };
  }, []);
  // A button that is switched off or goes while it has the focus would leave the keyboard nowhere.
  useEffect(() => {
    if (document.activeElement === document.body) keepFocus();
  });
  return (
    <dialog
      ref={element}
      class={wide ? "dialog dialog-wide" : "dialog"}
      data-dialog={name}
      aria-labelledby={id}
      onCancel={(event) => {
        // Escape: what is open is told by our state alone.
        event.preventDefault();
        onClose();
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isSettled) onSubmit?.();
        }}
      >
        <h2 id={id}>{title}</h2>
        <div class="dialog-body">{children}</div>
        <div class="dialog-acts">{acts}</div>
      </form>
      <QuestionStrip onAnswer={holdsOn ? null : onClose} />
      <Messages isInDialog />
    </dialog>
  );
}

interface PrimaryProps {
  act: string;
  /** Without it, the button is the form's own, and Enter in a field presses it. */
  onClick?: () => void;
  disabled: boolean;
  class?: string;
  autofocus?: boolean;
  children: ComponentChildren;
}

/** The button for which the dialog is there. */
export function Primary({ act, onClick, disabled, class: more = "", autofocus, children }: PrimaryProps) {
  const isSettled = useContext(SettledContext);
  return (
    <button
      type={onClick ? "button" : "submit"}
      class={`primary ${more}`.trim()}
      data-act={act}
      disabled={disabled || !isSettled}
      autofocus={autofocus ?? false}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

/** The region always exists, else screen readers miss its first words. */
export function DialogTrouble({ trouble }: { trouble: Trouble | null }) {
  return (
    <div role="alert" class="dialog-trouble">
      {trouble && (
        <p class="trouble">
          <Sign name="warning" />
          <span>
            <TroubleSay trouble={trouble} />
          </span>
        </p>
      )}
    </div>
  );
}

export interface DialogAsk {
  busy: boolean;
  trouble: Trouble | null;
  /** Asks; `null` where it was refused, and the trouble is shown in the dialog. */
  run<Ask extends PageAsk>(request: Ask): Promise<ReplyTo<Ask["ask"]> | null>;
}

export function useDialogAsk(): DialogAsk {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  return {
    busy,
    trouble,
    async run(request) {
      setBusy(true);
      setTrouble(null);
      try {
        return await ask(request);
      } catch (error) {
        setTrouble(troubleFrom(error));
        return null;
      } finally {
        setBusy(false);
      }
    },
  };
}
