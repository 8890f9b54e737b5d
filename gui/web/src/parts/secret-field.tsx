// A field for a token or a passphrase. Its value is nowhere but in the field itself: the page's state holds none.

import type { RefObject } from "preact";
import { useId, useLayoutEffect, useState } from "preact/hooks";
import { clear } from "../check";
import { t } from "../text";

interface SecretFieldProps {
  name: "value" | "secret-key" | "passphrase" | "passphrase-again";
  label: string;
  field: RefObject<HTMLInputElement | null>;
  onInput?: (raw: string) => void;
  /** The words below it. */
  about?: preact.ComponentChildren;
  isBad?: boolean;
  /** Not the one to begin with. */
  isSecond?: boolean;
}

export function SecretField({ name, label, field, onInput, about, isBad, isSecond }: SecretFieldProps) {
  const id = useId();
  const [isShown, setShown] = useState(false);
  useLayoutEffect(() => {
    const input = field.current;
    return () => clear(input);
  }, []);
  // A field that was emptied is hidden again, whoever emptied it.
  useLayoutEffect(() => setShown(field.current?.type === "text"));
  const toggle = () => {
    if (field.current) field.current.type = isShown ? "password" : "text";
    setShown(!isShown);
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="field-line">
        <input
          ref={field}
          id={id}
          name={name}
          type="password"
          autocomplete="off"
          autocapitalize="off"
          autocorrect="off"
          spellcheck={false}
          autofocus={!isSecond}
          aria-describedby={`${id}-about`}
          aria-invalid={isBad ? true : undefined}
          onInput={(event) => onInput?.(event.currentTarget.value)}
        />
        <button
          type="button"
          data-act="show"
          aria-pressed={isShown}
          aria-label={t("field.show-label", { label })}
          onClick={toggle}
        >
          {t(isShown ? "field.hide" : "field.show")}
        </button>
      </div>
      <div id={`${id}-about`} class="field-about">
        {about}
      </div>
    </div>
  );
}
