// What every dialog has: a title, a body, buttons, and words where something went wrong.

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { PageAsk, Trouble } from "../bindings";
import { ask, type ReplyTo, troubleFrom } from "../door";
import { Sign } from "../parts/icons";
import { TroubleSay } from "../parts/say";

interface DialogProps {
  name: string;
  title: string;
  wide?: boolean;
  onClose: () => void;
  /** Enter in a field, and the button of type `submit`. */
  onSubmit?: () => void;
  children: ComponentChildren;
  acts: ComponentChildren;
}

export function DialogFrame({ name, title, wide, onClose, onSubmit, children, acts }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => {
      // Closing gives the focus back; where that button is gone by now, the view gets it, not the top of the window.
      dialog?.close();
      if (document.activeElement === document.body) document.querySelector<HTMLElement>("main")?.focus();
    };
  }, []);
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
          onSubmit?.();
        }}
      >
        <h2 id={id}>{title}</h2>
        <div class="dialog-body">{children}</div>
        <div class="dialog-acts">{acts}</div>
      </form>
    </dialog>
  );
}

/** The region always exists, else screen readers miss its first words. */
export function DialogTrouble({ trouble }: { trouble: Pick<Trouble, "say" | "hint"> | null }) {
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
